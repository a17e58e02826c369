# shellcheck shell=bash disable=SC2153,SC2034
# What is under way in an environment: rotations in its store, executions of its job.

declare -a IN_FLIGHT=() # the clusters whose rotation the store has open

# read_store fills IN_FLIGHT from the store (deploy/STATE.md: one document in
# rotations for each). Status 1 where the store does not let itself be read, and WHY
# says why. gcloud has no command that reads a document.
read_store() {
  local base token status body name
  IN_FLIGHT=()
  base=$(gcloud config get api_endpoint_overrides/firestore 2>/dev/null </dev/null) || base=''
  base=${base:-https://firestore.googleapis.com/}
  token=$(gcloud auth print-access-token 2>"$WORK/err" </dev/null) || { WHY=$(<"$WORK/err"); return 1; }
  # The token goes in by standard input: a command line is there for all to see.
  status=$(printf 'Authorization: Bearer %s\n' "$token" |
    curl --silent --show-error --max-time 60 --header @- --output "$WORK/rotations" --write-out '%{http_code}' \
      "${base%/}/v1/projects/$PROJECT/databases/$DATABASE/documents/rotations?pageSize=300&mask.fieldPaths=phase" 2>"$WORK/err") ||
    { WHY=$(<"$WORK/err"); return 1; }
  body=$(tr -d '[:space:]' <"$WORK/rotations")
  [[ $status == 200 ]] || { WHY="HTTP $status: $(tr -s '[:space:]' ' ' <"$WORK/rotations" | cut -c 1-300)"; return 1; }
  while IFS= read -r name; do
    IN_FLIGHT+=("${name//\~//}")
  done < <(grep -oE '"name":"[^"]*/documents/rotations/[^"]+"' <<<"$body" | sed 's|.*/rotations/||; s|"$||')
  # Nothing that can be understood is not the same as nothing in flight.
  ((${#IN_FLIGHT[@]})) || [[ $body =~ ^\{(\"documents\":\[\])?\}$ ]] || { WHY="not understood: ${body:0:300}"; return 1; }
}

# look_executions sets FOUND to the executions that are not done.
look_executions() {
  look executions gcloud run jobs executions list "--job=$JOB" "--project=$PROJECT" "--region=$REGION" \
    '--format=csv[no-heading](metadata.name,status.completionTime)'
  FOUND=$(sed -n 's/,$//p' <<<"$FOUND")
}

# cancelling EXECUTION is the command that stops it.
cancelling() {
  printf 'gcloud run jobs executions cancel %s --project=%s --region=%s' "$1" "$PROJECT" "$REGION"
}

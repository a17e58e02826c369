# shellcheck shell=bash disable=SC2153,SC2034
# Runs the job once, waits for its end and prints what it said.
#
# gcloud's own --wait tells the execution's name only when it has succeeded; whoever
# waits for a failed or a long one wants it, for the log and to stop it.

EXECUTION='' # the execution that was started last
SINCE=''     # a time before its first line

# start_execution FLAG... -- [ARGUMENT...] starts one; without arguments it does
# what the job does every hour.
start_execution() {
  local -a flags=()
  while [[ $1 != -- ]]; do
    flags+=("$1")
    shift
  done
  shift
  (($# == 0)) || flags+=("--args=$(as_list "$@")")
  SINCE=$(TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' $(($(printf '%(%s)T' -1) - 600)))
  change gcloud run jobs execute "$JOB" "--project=$PROJECT" "--region=$REGION" --async \
    "${flags[@]}" '--format=value(metadata.name)'
  EXECUTION=$(<"$WORK/out")
  [[ -n $EXECUTION ]] || fail "gcloud started an execution of $JOB and did not tell its name"
}

# as_list ARGUMENT... prints them as gcloud reads a list. A comma would part an
# argument, so another sign parts them: one that is in none of them. It also ends
# the last one, or gcloud would lose an empty last one.
as_list() {
  local sign text="$*"
  for sign in ',' ';' '|' '~' '@' '%' '#' $'\x1f'; do
    [[ $text != *"$sign"* ]] || continue
    printf '^%s^' "$sign"
    printf "%s$sign" "$@" | sed 's/%%$/%/'
    return
  done
  refuse "the arguments hold every sign that could part them"
}

# wait_execution waits for the end; status 1 where the execution failed, and WHY
# says what Cloud Run says about it.
wait_execution() {
  local state unanswered=0
  WHY=''
  while :; do
    if gcloud run jobs executions describe "$EXECUTION" "--project=$PROJECT" "--region=$REGION" --quiet \
      --format='value(status.conditions.filter("type=Completed").extract(status).flatten(), status.conditions.filter("type=Completed").extract(message).flatten())' \
      >"$WORK/out" 2>"$WORK/err" </dev/null; then
      unanswered=0
      IFS=$'\t' read -r state WHY <"$WORK/out" || true
      case $state in
        True) return 0 ;;
        False) return 1 ;;
      esac
    else
      # One lost answer in an hour is no reason to give up on the execution.
      unanswered=$((unanswered + 1))
      ((unanswered < 4)) || stop_explained "$WORK/err" gcloud run jobs executions describe "$EXECUTION"
    fi
    pause
  done
}

# print_log prints what the execution said. Cloud Logging shows a line some seconds
# after it was written, so it is read until a second reading brings nothing new.
print_log() {
  local try before=-1 lines
  for try in 1 2 3 4 5 6; do
    ((try == 1)) || pause
    gcloud logging read "$(log_filter)" "--project=$PROJECT" --order=asc --quiet \
      '--format=value(firstof(textPayload,jsonPayload.message))' >"$WORK/log" 2>"$WORK/err" </dev/null ||
      { explain "$WORK/err" gcloud logging read >&2; return 0; }
    lines=$(wc -l <"$WORK/log")
    ((lines > 0 && lines == before)) && break
    before=$lines
  done
  if [[ -s $WORK/log ]]; then
    cat "$WORK/log"
  else
    say "no log lines yet; later: gcloud logging read '$(log_filter)' --project=$PROJECT --order=asc"
  fi
}

# log_filter finds the lines of the execution. Without a time Cloud Logging would
# look through all that it keeps; ten minutes are for clocks that differ.
log_filter() {
  printf 'timestamp>="%s" AND resource.type="cloud_run_job" AND resource.labels.job_name="%s" AND labels."run.googleapis.com/execution_name"="%s"' \
    "$SINCE" "$JOB" "$EXECUTION"
}

# shellcheck shell=bash
# Fills in the ${NAME} of a file of deploy/. Only names that the caller gives are
# known, and none may be left over: gcloud would send it as it stands.

# render FILE NAME=value... prints the file. A placeholder alone on its line may
# stand for several lines.
render() {
  local file=$1 text pair name
  shift
  text=$(<"$file")
  for pair; do
    name=${pair%%=*}
    text=${text//"\${$name}"/"${pair#*=}"}
  done
  # A value that looks like a placeholder would be caught here, too: better than sent.
  if [[ $text =~ \$\{[A-Z_]+\} ]]; then
    fail "${file#"$ROOT"/}: nothing is known for ${BASH_REMATCH[0]}"
  fi
  printf '%s\n' "$text"
}

# yaml_string VALUE prints it as a YAML string that means just that.
yaml_string() { printf "'%s'" "${1//\'/\'\'}"; }

# settings_block prints the job's environment, 16 columns in, as job.yaml has it.
settings_block() {
  local name
  for name in "${POLICY_NAMES[@]}"; do
    printf '                - name: %s\n                  value: %s\n' "$name" "$(yaml_string "${POLICY[$name]}")"
  done
}

# report_volume prints, behind the settings, the bucket into which a run writes its
# report; nothing without one. The image runs as 65532, who must own what it
# writes.
report_volume() {
  local bucket=${PLACE[REPORT_BUCKET]}
  [[ -n $bucket ]] || return 0
  cat <<EOT

              volumeMounts:
                - name: report
                  mountPath: /mnt/$bucket
          volumes:
            - name: report
              csi:
                driver: gcsfuse.run.googleapis.com
                volumeAttributes:
                  bucketName: $bucket
                  mountOptions: uid=65532,gid=65532
EOT
}

# digest16 prints the first 16 hex digits of standard input's SHA-256: short
# enough for a label.
digest16() { sha256sum | cut -c1-16; }

# settings_hash names the settings that the job is to run with.
settings_hash() { settings_block | digest16; }

# render_job IMAGE prints the Cloud Run job.
render_job() {
  render "$ROOT/deploy/job.yaml" "IMAGE=$1" "ENV=$ENV" "JOB=$JOB" "ACCOUNT=$ACCOUNT" \
    "CPU=${PLACE[CPU]}" "MEMORY=${PLACE[MEMORY]}" "TASK_TIMEOUT=${PLACE[TASK_TIMEOUT]}" \
    "MAX_RETRIES=${PLACE[MAX_RETRIES]}" "SETTINGS_HASH=$(settings_hash)" "SETTINGS=$(settings_block)$(report_volume)"
}

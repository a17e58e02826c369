# shellcheck shell=bash disable=SC2153,SC2034
# What only doctor looks at: the names in the settings, the job as it is
# deployed, its schedule, its last run.

# look_at_names finds names that came with the project and are nobody's.
look_at_names() {
  local name wrong=''
  for name in PROJECT BUILD_PROJECT; do
    [[ ${PLACE[$name]} != acme-rotator-* ]] || wrong+=" $name=${PLACE[$name]}"
  done
  [[ ${PLACE[NOTIFY]} != *@*.example* ]] || wrong+=" NOTIFY=${PLACE[NOTIFY]}"
  [[ ${PLACE[RUNBOOK]} != *//github.com/acme/* ]] || wrong+=" RUNBOOK=${PLACE[RUNBOOK]}"
  want "names in deploy/env/$ENV.env" "${wrong:+still the example:$wrong}" "${EDITOR:-vi}" "deploy/env/$ENV.env"
}

# look_at_job: deployed, with the settings of the file, and how it ran last.
look_at_job() {
  local label image run result at wrong=''
  look 'job in full' gcloud run jobs describe "$JOB" "--project=$PROJECT" "--region=$REGION" \
    '--format=value[separator="|"](metadata.labels.settings,spec.template.spec.template.spec.containers[0].image,status.latestCreatedExecution.name,status.latestCreatedExecution.completionStatus,status.latestCreatedExecution.completionTimestamp)'
  if [[ -z $FOUND ]]; then
    want "job $JOB" 'missing' scripts/deploy "$ENV"
    return
  fi
  IFS='|' read -r label image run result at <<<"$FOUND"
  [[ $label == "$(settings_hash)" ]] || wrong="was deployed with other settings than deploy/env/$ENV.env has now"
  want "job $JOB, image ${image##*/}" "$wrong" scripts/deploy "$ENV" "$image"
  wrong=''
  [[ $image == *@sha256:* ]] || wrong='is named by a tag, which can be moved'
  want "image of job $JOB" "$wrong" scripts/deploy "$ENV"
  wrong=''
  case $result in
    EXECUTION_SUCCEEDED | EXECUTION_RUNNING | EXECUTION_PENDING) ;;
    '') wrong='there was none' ;;
    *) wrong="$result (deploy/RUNBOOK.md: run failed)" ;;
  esac
  want "last run${run:+: $run}${at:+, ended $at}" "$wrong" scripts/run-now "$ENV"
}

# look_at_starts: whether the schedule starts the job, and what came of it. That
# it is there and as wanted is want_schedule's to tell.
look_at_starts() {
  local state tried code wrong=''
  look 'schedule now' gcloud scheduler jobs describe "$JOB" "--project=$PROJECT" "--location=$SCHEDULER_REGION" \
    '--format=value[separator="|"](state,lastAttemptTime,status.code)'
  [[ -n $FOUND ]] || return 0
  IFS='|' read -r state tried code <<<"$FOUND"
  [[ $state == ENABLED ]] || wrong="is $state"
  want "schedule $JOB starts the job" "$wrong" scripts/schedule "$ENV" resume
  wrong=''
  # A code is what the last call was refused with; none is success.
  [[ -z $code || $code == 0 ]] || wrong="was refused with code $code (7: the binding of $SCHEDULER_ACCOUNT; 5: the job)"
  want "last start by the schedule: ${tried:-none yet}" "$wrong" \
    gcloud scheduler jobs run "$JOB" "--project=$PROJECT" "--location=$SCHEDULER_REGION"
}

# shellcheck shell=bash disable=SC2153,SC2034
# What starts the job every hour: the scheduler's account may run it, and the
# scheduler does. Both need the job, so setup and deploy both ask for them.

# want_start asks for both where there is a job; status 1 where there is none.
want_start() {
  look job gcloud run jobs describe "$JOB" "--project=$PROJECT" "--region=$REGION" '--format=value(metadata.name)'
  if [[ -z $FOUND ]]; then
    [[ -n $UNSEEN ]] || return 1
    want "job $JOB" ''
    return 0
  fi
  # May start and cancel executions of this job, and with the settings that it has.
  want_bound "job $JOB" roles/run.jobsExecutor "serviceAccount:$SCHEDULER_ACCOUNT" - \
    'run jobs' "$JOB" "--project=$PROJECT" "--region=$REGION"
  want_schedule
}

# want_schedule: whether it is paused is not looked at, and stays as it is.
want_schedule() {
  local uri="https://run.googleapis.com/v2/projects/$PROJECT/locations/$REGION/jobs/$JOB:run"
  local wanted found verb=create headers=--headers wrong=''
  wanted="${PLACE[SCHEDULE]}|Etc/UTC|$uri|POST|$SCHEDULER_ACCOUNT|3|30s|300s|60s"
  look_schedule
  found=${FOUND%|*}
  if [[ -z $FOUND ]]; then
    wrong='missing'
  elif [[ $found != "$wanted" ]]; then
    wrong="differs: $found instead of $wanted" verb=update headers=--update-headers
  fi
  # The call answers in seconds and only starts the execution, so a long deadline
  # would only put off the retry. OAuth and not OIDC: the address is Google's own.
  want "schedule $JOB" "$wrong" \
    gcloud scheduler jobs "$verb" http "$JOB" "--project=$PROJECT" "--location=$SCHEDULER_REGION" \
    "--schedule=${PLACE[SCHEDULE]}" --time-zone=Etc/UTC "--uri=$uri" --http-method=POST \
    "$headers=Content-Type=application/json" '--message-body={}' \
    "--oauth-service-account-email=$SCHEDULER_ACCOUNT" \
    --max-retry-attempts=3 --min-backoff=30s --max-backoff=300s --attempt-deadline=60s
}

# look_schedule sets FOUND to the schedule's fields, its state last.
look_schedule() {
  look schedule gcloud scheduler jobs describe "$JOB" "--project=$PROJECT" "--location=$SCHEDULER_REGION" \
    '--format=value[separator="|"](schedule,timeZone,httpTarget.uri,httpTarget.httpMethod,httpTarget.oauthToken.serviceAccountEmail,retryConfig.retryCount,retryConfig.minBackoffDuration,retryConfig.maxBackoffDuration,attemptDeadline,state)'
}

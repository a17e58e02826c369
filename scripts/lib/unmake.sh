# shellcheck shell=bash disable=SC2153,SC2034
# Takes away what setup and deploy made for one environment, the last first. What
# other environments need stays, and is told.

declare -a LEFT=() # what stays, and why

# unwant WHAT COMMAND...: FOUND says whether it is there.
unwant() {
  local what=$1
  shift
  want "$what" "${FOUND:+goes}" "$@"
}

# setting_of ENV NAME prints a setting of another environment.
setting_of() { sed -n "s/\r\$//; s/^$2=//p" "$ROOT/deploy/env/$1.env"; }

# shared_by NAME VALUE prints the other environments whose setting NAME is VALUE.
shared_by() {
  local other
  for other in $(environments); do
    [[ $other == "$ENV" || $(setting_of "$other" "$1") != "$2" ]] || printf '%s ' "$other"
  done
}

# targeted_by PROJECT prints the other environments that look at it.
targeted_by() {
  local other
  for other in $(environments); do
    [[ $other == "$ENV" ]] || ! projects_of "$other" | grep -qxF "$1" || printf '%s ' "$other"
  done
}

unmake_everything() {
  section "the job and its schedule"
  unmake_schedule
  unmake_job
  unmake_trigger
  section "what people are told"
  unmake_watch
  unmake_sinks
  section "who may do what"
  unmake_bindings
  section "the store"
  unmake_database
  section "roles and service accounts"
  unmake_roles
  unmake_accounts
}

unmake_schedule() {
  look_schedule
  unwant "schedule $JOB" gcloud scheduler jobs delete "$JOB" "--project=$PROJECT" "--location=$SCHEDULER_REGION"
}

unmake_job() {
  look job gcloud run jobs describe "$JOB" "--project=$PROJECT" "--region=$REGION" '--format=value(metadata.name)'
  unwant "job $JOB with its executions" gcloud run jobs delete "$JOB" "--project=$PROJECT" "--region=$REGION"
}

unmake_trigger() {
  local name=rotator-deploy-$ENV
  look triggers gcloud builds triggers list "--region=$BUILD_REGION" "--project=$BUILD_PROJECT" \
    '--format=value[separator="|"](name,description,disabled)'
  FOUND=$(labelled "$name")
  unwant "trigger $name" gcloud builds triggers delete "$name" "--region=$BUILD_REGION" "--project=$BUILD_PROJECT"
}

# unmake_watch: by the labels that setup gave; policies first, for a channel that
# one of them uses cannot go.
unmake_watch() {
  look dashboard gcloud monitoring dashboards describe "$JOB" "--project=$PROJECT" '--format=value(name)'
  unwant "dashboard $JOB" gcloud monitoring dashboards delete "$JOB" "--project=$PROJECT"
  unmake_labelled 'alert policy' alert alpha monitoring policies
  unmake_labelled 'notification channel' notify beta monitoring channels
}

# unmake_labelled WHAT LABEL GROUP...
unmake_labelled() {
  local what=$1 label=$2 maker environment stem name
  shift 2
  look "all $what" gcloud "$@" list "--project=$PROJECT" \
    "--format=value[separator=\"|\"](userLabels.managed-by,userLabels.environment,userLabels.$label,name)"
  while IFS='|' read -r maker environment stem name; do
    [[ $maker == gke-credential-rotator && $environment == "$ENV" ]] || continue
    want "$what ${stem:-$name}" goes gcloud "$@" delete "$name" "--project=$PROJECT"
  done <<<"$FOUND"
}

unmake_sinks() {
  local parent writer others
  while read -r parent; do
    look "sink $parent" gcloud logging sinks describe "$JOB" "--$parent" '--format=value(writerIdentity)'
    writer=$FOUND
    [[ -n $writer ]] || continue
    # A target's sinks all write as one account. Its right goes before the sink:
    # without the sink a second run would not know whose it was.
    others=$(shared_by PROJECT "$PROJECT")
    if [[ -n $others ]]; then
      LEFT+=("logging.logWriter for ${writer#*:} on project $PROJECT: ${others% } may need it")
    else
      unbind "project $PROJECT" roles/logging.logWriter "$writer" projects "$PROJECT"
    fi
    want "log sink $JOB of ${parent/=/ }" goes gcloud logging sinks delete "$JOB" "--$parent"
  done < <(sink_parents)
}

sink_parents() {
  case ${PLACE[GRANT]} in
    projects) printf 'project=%s\n' "${TARGETS[@]}" ;;
    *) printf '%s\n' "${PLACE[GRANT]/:/=}" ;;
  esac
}

# unbind WHERE ROLE MEMBER GROUP RESOURCE [FLAG...]: whatever its condition.
unbind() {
  local where=$1 role=$2 member=$3 group=$4
  local -a words
  shift 4
  read -ra words <<<"$group"
  look_policy "$group" "$@"
  FOUND=$(grep -F "$role|$member|" <<<"$FOUND" || true)
  unwant "${role##*/} for ${member#*:} on $where" \
    gcloud "${words[@]}" remove-iam-policy-binding "$@" "--member=$member" "--role=$role" --all
}

unmake_bindings() {
  local where id others agent=service-$PROJECT_NUMBER@serverless-robot-prod.iam.gserviceaccount.com
  local -a repository=('artifacts repositories' rotator "--location=$BUILD_REGION" "--project=$BUILD_PROJECT")
  while read -r where; do
    for id in "$ACT" "$OBSERVE"; do
      unbind "${where/s / }" "$(role_name "$id" "${where#* }")" "serviceAccount:$ACCOUNT" "$(grant_group "$where")" "${where#* }"
    done
  done < <(grant_places)
  unbind "project $PROJECT" roles/datastore.user "serviceAccount:$ACCOUNT" projects "$PROJECT"
  unbind "project $PROJECT" "projects/$PROJECT/roles/$DEPLOY" "serviceAccount:$DEPLOYER" projects "$PROJECT"
  unbind "project $BUILD_PROJECT" roles/logging.logWriter "serviceAccount:$DEPLOYER" projects "$BUILD_PROJECT"
  unbind 'the repository' roles/artifactregistry.reader "serviceAccount:$DEPLOYER" "${repository[@]}"
  others=$(shared_by PROJECT "$PROJECT")
  if [[ -z $others ]]; then
    unbind 'the repository' roles/artifactregistry.reader "serviceAccount:$agent" "${repository[@]}"
  fi
}

unmake_database() {
  look_database
  unwant "database $DATABASE with all rotations and their history" \
    gcloud firestore databases delete "--database=$DATABASE" "--project=$PROJECT"
}

# unmake_roles: a role is taken away where nobody is left who has it.
unmake_roles() {
  local target id others
  if [[ -n ${PLACE[ORGANIZATION]} ]]; then
    LEFT+=("the roles $OBSERVE and $ACT of organisation ${PLACE[ORGANIZATION]}: other environments may need them")
  else
    for target in "${TARGETS[@]}"; do
      others=$(targeted_by "$target")
      for id in "$ACT" "$OBSERVE"; do unmake_role "$id" "$target" "$others"; done
    done
  fi
  unmake_role "$DEPLOY" "$PROJECT" "$(shared_by PROJECT "$PROJECT")"
}

# unmake_role ID PROJECT OTHERS
unmake_role() {
  local id=$1 project=$2 others=$3 holders
  look "role $id $project" gcloud iam roles describe "$id" "--project=$project" '--format=value[separator="|"](name,deleted)'
  [[ -n $FOUND && $FOUND != *'|True' ]] || return 0
  if [[ -n $others ]]; then
    LEFT+=("the role $id of project $project: ${others% } may need it")
    return
  fi
  forget "policy projects $project"
  look_policy projects "$project"
  holders=$(grep -F "projects/$project/roles/$id|" <<<"$FOUND" | cut -d '|' -f 2 | paste -sd ' ' || true)
  if [[ -n $holders ]]; then
    LEFT+=("the role $id of project $project: $holders")
    return
  fi
  FOUND=$id
  unwant "role $id of project $project" gcloud iam roles delete "$id" "--project=$project"
}

unmake_accounts() {
  local email project
  for email in "$DEPLOYER" "$SCHEDULER_ACCOUNT" "$ACCOUNT"; do
    project=${email#*@} project=${project%%.*}
    look "accounts $project" gcloud iam service-accounts list "--project=$project" '--format=value[separator="|"](email,disabled)'
    [[ $'\n'$FOUND != *$'\n'"$email|"* ]] ||
      want "service account $email" goes gcloud iam service-accounts delete "$email" "--project=$project"
  done
}

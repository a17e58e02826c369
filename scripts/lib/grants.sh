# shellcheck shell=bash disable=SC2153,SC2034
# Who may do what: custom roles, bindings, and what must be refused before any of
# it is given.

readonly OBSERVE=gkeCredentialRotatorObserve ACT=gkeCredentialRotatorAct DEPLOY=gkeCredentialRotatorDeployer

# check_overlap refuses to act where another environment's projects would be
# acted on as well: two stores would each count and pace half of the rotations.
check_overlap() {
  local other project
  local -a overlap=()
  [[ $MODE == act ]] || return 0
  for other in $(environments); do
    [[ $other != "$ENV" ]] || continue
    for project in $(projects_of "$other"); do
      within_grant "$project" || continue
      overlap+=("project $project: deploy/env/$ENV.env (${PLACE[GRANT]}) and deploy/env/$other.env")
    done
  done
  ((${#overlap[@]} == 0)) ||
    refuse "ROTATOR_MODE=act would reach projects of another environment; nothing was changed" "${overlap[@]}" \
      "do: leave each project in one file's ROTATOR_PROJECTS, and a folder or organisation to one environment"
}

# projects_of ENV prints the target projects of another environment.
projects_of() {
  sed -n 's/\r$//; s/^ROTATOR_PROJECTS=//p' "$ROOT/deploy/env/$1.env" | tr -s ', ' '\n' | sed '/^$/d'
}

# within_grant PROJECT: does this environment's grant reach it?
within_grant() {
  if [[ ${PLACE[GRANT]} == projects ]]; then
    [[ " ${TARGETS[*]} " == *" $1 "* ]]
    return
  fi
  look "ancestors $1" gcloud projects get-ancestors "$1" '--format=value[separator=":"](type,id)'
  [[ $'\n'$FOUND$'\n' == *$'\n'"${PLACE[GRANT]}"$'\n'* ]]
}

# confirm_act asks before the permission to change clusters is given for the
# first time. ASSUME_YES skips it.
confirm_act() {
  local where answer
  local -a fresh=()
  [[ $MODE == act ]] || return 0
  while read -r where; do
    look_grant "$where"
    bound "$(role_name "$ACT" "${where#* }")" "serviceAccount:$ACCOUNT" '' || fresh+=("$where")
  done < <(grant_places)
  ((${#fresh[@]})) || return 0
  say "$ACCOUNT gets the permission to rotate, for the first time, in:"
  printf '     %s\n' "${fresh[@]}" >&2
  [[ -z ${ASSUME_YES:-} ]] || return 0
  [[ -t 0 ]] || refuse "going from observe to act is asked on a terminal, and this is none" "do: run it in one, or add --yes"
  read -rp "   type the environment's name to go on: " answer
  [[ $answer == "$ENV" ]] || refuse "\"$answer\" is not \"$ENV\"; nothing was changed"
}

# grant_places lists where the job's role is bound: GROUP RESOURCE, with the
# group's last word only.
grant_places() {
  case ${PLACE[GRANT]} in
    projects) printf 'projects %s\n' "${TARGETS[@]}" ;;
    folder:*) printf 'folders %s\n' "${PLACE[GRANT]#*:}" ;;
    organization:*) printf 'organizations %s\n' "${PLACE[GRANT]#*:}" ;;
  esac
}

grant_group() {
  case $1 in
    folders*) echo 'resource-manager folders' ;;
    *) echo "${1% *}" ;;
  esac
}

look_grant() { look_policy "$(grant_group "$1")" "${1#* }"; }

# role_name ID PROJECT is its full name; an organisation's role serves everywhere.
role_name() {
  if [[ -n ${PLACE[ORGANIZATION]} ]]; then
    printf 'organizations/%s/roles/%s' "${PLACE[ORGANIZATION]}" "$1"
  else
    printf 'projects/%s/roles/%s' "$2" "$1"
  fi
}

# want_roles: of observe and act the one that the mode needs.
want_roles() {
  local target id=$OBSERVE
  [[ $MODE == observe ]] || id=$ACT
  if [[ -n ${PLACE[ORGANIZATION]} ]]; then
    want_role "$MODE" "$id" "--organization=${PLACE[ORGANIZATION]}"
  else
    for target in "${TARGETS[@]}"; do want_role "$MODE" "$id" "--project=$target"; done
  fi
  want_role deployer "$DEPLOY" "--project=$PROJECT"
}

# want_role FILE ID PARENT: as deploy/iam/FILE.yaml says, by value.
want_role() {
  local file=$ROOT/deploy/iam/$1.yaml id=$2 parent=$3 deleted title description stage permissions wrong=''
  look "role $id $parent" gcloud iam roles describe "$id" "$parent" \
    '--format=value[separator="|"](deleted,title,description,stage,includedPermissions.list(separator=" "))'
  IFS='|' read -r deleted title description stage permissions <<<"$FOUND"
  if [[ -z $FOUND ]]; then
    want "role $id (${parent#--})" 'missing' gcloud iam roles create "$id" "$parent" "--file=$file"
    return
  fi
  [[ $deleted != True ]] || want "role $id (${parent#--})" 'deleted' gcloud iam roles undelete "$id" "$parent"
  wrong=$(role_differences "$file" "$title|$description|$stage" "$permissions")
  want "role $id (${parent#--}) as in deploy/iam/$1.yaml" "$wrong" gcloud iam roles update "$id" "$parent" "--file=$file"
}

# role_differences FILE TITLE|DESCRIPTION|STAGE PERMISSIONS says what is not as in
# the file.
role_differences() {
  local file=$1 head extra lacking
  head="$(role_field "$file" title)|$(role_field "$file" description)|$(role_field "$file" stage)"
  extra=$(comm -13 <(role_permissions "$file") <(tr ' ' '\n' <<<"$3" | sort) | paste -sd ' ')
  lacking=$(comm -23 <(role_permissions "$file") <(tr ' ' '\n' <<<"$3" | sort) | paste -sd ' ')
  [[ -z $extra ]] || printf 'too much: %s ' "$extra"
  [[ -z $lacking ]] || printf 'lacks: %s ' "$lacking"
  [[ $2 == "$head" ]] || printf 'title, description or stage differ'
}

role_field() { sed -n "s/^$2: //p" "$1"; }
role_permissions() { sed -n 's/^  - \([^ ]*\).*/\1/p' "$1" | sort; }

want_bindings() {
  want_job_bindings
  want_deployer_bindings
  want_builder_bindings
}

want_job_bindings() {
  local where group id=$OBSERVE other=$ACT
  [[ $MODE == observe ]] || id=$ACT other=$OBSERVE
  want_bound "project $PROJECT" roles/datastore.user "serviceAccount:$ACCOUNT" \
    "rotator-store=resource.name == \"projects/$PROJECT/databases/$DATABASE\"" projects "$PROJECT"
  while read -r where; do
    group=$(grant_group "$where")
    want_bound "${where/s / }" "$(role_name "$id" "${where#* }")" "serviceAccount:$ACCOUNT" None "$group" "${where#* }"
    want_unbound "${where/s / }" "$(role_name "$other" "${where#* }")" "serviceAccount:$ACCOUNT" None "$group" "${where#* }"
  done < <(grant_places)
}

want_deployer_bindings() {
  local agent=service-$PROJECT_NUMBER@serverless-robot-prod.iam.gserviceaccount.com wrong=''
  local -a repository=(rotator "--location=$BUILD_REGION" "--project=$BUILD_PROJECT")
  want_bound "project $PROJECT" "projects/$PROJECT/roles/$DEPLOY" "serviceAccount:$DEPLOYER" None projects "$PROJECT"
  # The job runs as this account, so who deploys it must be allowed to use it.
  want_bound "account $ACCOUNT" roles/iam.serviceAccountUser "serviceAccount:$DEPLOYER" None \
    'iam service-accounts' "$ACCOUNT" "--project=$PROJECT"
  want_bound "project $BUILD_PROJECT" roles/logging.logWriter "serviceAccount:$DEPLOYER" None projects "$BUILD_PROJECT"
  want_bound 'the repository' roles/artifactregistry.reader "serviceAccount:$DEPLOYER" None 'artifacts repositories' "${repository[@]}"
  # Cloud Run pulls the image with an account of Google's own, which may not be
  # there before Cloud Run was used; a binding needs it.
  look_policy 'artifacts repositories' "${repository[@]}"
  bound roles/artifactregistry.reader "serviceAccount:$agent" '' || wrong='may be missing'
  want "Cloud Run's own account in $PROJECT" "$wrong" \
    gcloud beta services identity create --service=run.googleapis.com "--project=$PROJECT"
  want_bound 'the repository' roles/artifactregistry.reader "serviceAccount:$agent" None 'artifacts repositories' "${repository[@]}"
}

want_builder_bindings() {
  local bucket=projects/_/buckets/${BUILD_PROJECT}_cloudbuild
  want_bound "project $BUILD_PROJECT" roles/logging.logWriter "serviceAccount:$BUILDER" None projects "$BUILD_PROJECT"
  want_bound 'the repository' roles/artifactregistry.writer "serviceAccount:$BUILDER" None \
    'artifacts repositories' rotator "--location=$BUILD_REGION" "--project=$BUILD_PROJECT"
  # What gcloud builds submit uploads. The bucket comes with the first submit, so
  # the binding is on the project and names it.
  want_bound "project $BUILD_PROJECT" roles/storage.objectViewer "serviceAccount:$BUILDER" \
    "rotator-source=resource.name == \"$bucket\" || resource.name.startsWith(\"$bucket/\")" projects "$BUILD_PROJECT"
}

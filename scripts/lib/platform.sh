# shellcheck shell=bash disable=SC2153,SC2034
# The ground: projects that can be seen, APIs, service accounts, the repository
# of images.

declare -A APIS=() # what must be on, by project

derive_apis() {
  local target
  # container and recommender here, too: calls are counted for the caller's own project.
  add_apis "$PROJECT" run cloudscheduler firestore iam iamcredentials logging monitoring \
    cloudresourcemanager serviceusage container recommender
  # run here, too: the deployer's own project is this one.
  add_apis "$BUILD_PROJECT" cloudbuild artifactregistry containeranalysis iam logging run \
    cloudresourcemanager serviceusage
  [[ -z ${PLACE[SOURCE]} ]] || add_apis "$BUILD_PROJECT" pubsub
  for target in "${TARGETS[@]}"; do
    add_apis "$target" container recommender
    # A custom role and a sink of its own.
    [[ ${PLACE[GRANT]} != projects ]] || add_apis "$target" logging iam
  done
}

add_apis() {
  local project=$1 api
  shift
  for api; do
    [[ " ${APIS[$project]:-} " == *" $api "* ]] || APIS[$project]+="${APIS[$project]:+ }$api"
  done
}

# our_projects lists each project once, the platform first.
our_projects() { printf '%s\n' "$PROJECT" "$BUILD_PROJECT" "${TARGETS[@]}" | awk '!seen[$0]++'; }

# want_projects: status 1 where one cannot be seen (doctor; setup has ended).
want_projects() {
  local project wrong state number
  for project in $(our_projects); do
    look "project $project" gcloud projects describe "$project" '--format=value[separator="|"](projectNumber,lifecycleState)'
    [[ -z $UNSEEN ]] || { want "project $project" ''; return 1; }
    IFS='|' read -r number state <<<"$FOUND"
    wrong=''
    [[ $state == ACTIVE ]] || wrong="is ${state:-not there}"
    want "project $project" "$wrong" gcloud projects undelete "$project"
    [[ $project != "$PROJECT" ]] || PROJECT_NUMBER=$number
  done
}

want_apis() {
  local project api wrong
  local -a off
  for project in $(our_projects); do
    look_services "$project"
    off=()
    for api in ${APIS[$project]}; do
      is_on "$api" || off+=("$api.googleapis.com")
    done
    wrong=''
    ((${#off[@]} == 0)) || wrong="off: ${off[*]}"
    want "APIs of $project" "$wrong" gcloud services enable "${off[@]}" "--project=$project"
  done
}

look_services() {
  look "services $1" gcloud services list --enabled "--project=$1" '--format=value(config.name)'
}

# is_on API: in the project whose services were looked at last.
is_on() { [[ $'\n'$FOUND$'\n' == *$'\n'"$1.googleapis.com"$'\n'* ]]; }

want_accounts() {
  want_account "$ACCOUNT" "rotator $ENV: the job"
  want_account "$SCHEDULER_ACCOUNT" "rotator $ENV: starts the job"
  want_account "$DEPLOYER" "rotator $ENV: deploys the job"
  want_account "$BUILDER" "rotator: builds the image"
}

# want_account EMAIL TITLE
want_account() {
  local email=$1 title=$2 project=${1#*@}
  project=${project%%.*}
  look "accounts $project" gcloud iam service-accounts list "--project=$project" '--format=value[separator="|"](email,disabled)'
  if [[ $'\n'$FOUND$'\n' == *$'\n'"$email|True"$'\n'* ]]; then
    want "service account $email" 'disabled' gcloud iam service-accounts enable "$email" "--project=$project"
    return
  fi
  local wrong=''
  [[ $'\n'$FOUND == *$'\n'"$email|"* ]] || wrong='missing'
  want "service account $email" "$wrong" \
    gcloud iam service-accounts create "${email%%@*}" "--display-name=$title" "--project=$project"
}

# want_repository: shared by the environments. The clean-up policies are told
# apart by a label: Google gives them back in another form than they were sent in.
want_repository() {
  local file=$ROOT/deploy/repository-cleanup.json format immutable label hash wrong=''
  local -a there=("--location=$BUILD_REGION" "--project=$BUILD_PROJECT")
  hash=$(digest16 <"$file")
  look repository gcloud artifacts repositories describe rotator "${there[@]}" \
    '--format=value[separator="|"](format,dockerConfig.immutableTags,labels.clean-up)'
  IFS='|' read -r format immutable label <<<"$FOUND"
  [[ -z $format || $format == DOCKER ]] ||
    refuse "repository rotator in $BUILD_PROJECT holds $format, not Docker images" \
      "do: take another BUILD_PROJECT or BUILD_REGION in deploy/env/$ENV.env"
  [[ -n $format ]] || wrong='missing'
  want "repository rotator in $BUILD_PROJECT" "$wrong" \
    gcloud artifacts repositories create rotator "${there[@]}" --repository-format=docker --immutable-tags \
    '--description=Images of gke-credential-rotator' --labels=managed-by=gke-credential-rotator
  [[ -z $format || $immutable == True ]] || want 'tags of the repository' 'can be moved to another image' \
    gcloud artifacts repositories update rotator "${there[@]}" --immutable-tags
  wrong=''
  [[ $label == "$hash" ]] || wrong='not those of deploy/repository-cleanup.json'
  want 'clean-up policies of the repository' "$wrong" \
    gcloud artifacts repositories set-cleanup-policies rotator "${there[@]}" "--policy=$file" --no-dry-run
  # The label last: an interruption before it has the policies set once more.
  [[ -z $wrong ]] || want 'label of the clean-up policies' 'to follow' \
    gcloud artifacts repositories update rotator "${there[@]}" "--update-labels=clean-up=$hash"
}

# shellcheck shell=bash disable=SC2153,SC2034
# Cloud Build's triggers: main builds the image; an image that is pushed goes to
# dev; a tag goes to staging, and to prod once somebody has approved it. The
# deploying ones find the image of their commit, so it is the same digest
# throughout.

# want_triggers: status 1 where there is no SOURCE to build from.
want_triggers() {
  [[ -n ${PLACE[SOURCE]} ]] || return 1
  want_trigger rotator-build "$BUILDER" cloudbuild.yaml github --branch-pattern='^main$'
  case $ENV in
    dev) want_dev_trigger ;;
    # What is not dev or staging is treated as prod is.
    staging) want_trigger "rotator-deploy-$ENV" "$DEPLOYER" deploy/cloudbuild.yaml github \
      --tag-pattern='^v' "--substitutions=_ENV=$ENV" ;;
    *) want_trigger "rotator-deploy-$ENV" "$DEPLOYER" deploy/cloudbuild.yaml github \
      --tag-pattern='^v' "--substitutions=_ENV=$ENV" --require-approval ;;
  esac
}

# want_dev_trigger: Artifact Registry tells the topic gcr of its project about
# every push and every deletion.
want_dev_trigger() {
  local wrong=''
  look topic gcloud pubsub topics describe gcr "--project=$BUILD_PROJECT" '--format=value(name)'
  [[ -n $FOUND ]] || wrong='missing'
  want "Pub/Sub topic gcr in $BUILD_PROJECT" "$wrong" gcloud pubsub topics create gcr "--project=$BUILD_PROJECT"
  # shellcheck disable=SC2016 # Cloud Build fills these in
  want_trigger "rotator-deploy-$ENV" "$DEPLOYER" deploy/cloudbuild.yaml pubsub \
    "--topic=projects/$BUILD_PROJECT/topics/gcr" --branch=main \
    "--substitutions=_ENV=$ENV"',_DIGEST=$(body.message.data.digest),_ACTION=$(body.message.data.action)' \
    "--subscription-filter=_ACTION == \"INSERT\" && _DIGEST.startsWith(\"$IMAGES@\")"
}

# want_trigger NAME ACCOUNT CONFIG KIND FLAG...: a digest of what it is made from
# is in its description; where it differs the trigger is made anew.
want_trigger() {
  local name=$1 account=$2 config=$3 kind=$4 found hash wrong=''
  local -a command there=("--region=$BUILD_REGION" "--project=$BUILD_PROJECT")
  shift 4
  command=(gcloud builds triggers create "$kind" "--name=$name" "${there[@]}" "--repository=${PLACE[SOURCE]}"
    "--build-config=$config" "--service-account=projects/$BUILD_PROJECT/serviceAccounts/$account" "$@")
  hash=$(digest16 <<<"${command[*]}")
  command+=("--description=gke-credential-rotator, made by scripts/setup ($hash)")
  look triggers gcloud builds triggers list "${there[@]}" '--format=value[separator="|"](name,description,disabled)'
  found=$(labelled "$name")
  case $found in
    *"($hash)|"*True) ;;
    *"($hash)|"*) want "trigger $name" '' ; return ;;
    *) ;;
  esac
  if [[ -n $found ]]; then
    want "trigger $name" 'not as the settings say, or switched off' gcloud builds triggers delete "$name" "${there[@]}"
    wrong='to be made anew'
  fi
  want "trigger $name" "${wrong:-missing}" "${command[@]}"
}

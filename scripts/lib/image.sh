# shellcheck shell=bash disable=SC2153,SC2034
# Which image a deploy is about: one that is named by its digest, or the one of
# the commit that is checked out.

# What an image is made of, and by what (.dockerignore).
BUILT_FROM=(Dockerfile .dockerignore cloudbuild.yaml go.mod go.sum gke job policy state)

# by_digest IMAGE: the one way to name an image that means the same tomorrow.
by_digest() {
  [[ $1 =~ ^[a-z0-9][a-z0-9._/:-]*@sha256:[0-9a-f]{64}$ ]] && return
  refuse "\"$1\" does not name an image by its digest: write IMAGE@sha256:..." \
    "the digest of a tag: gcloud artifacts docker images describe $IMAGES:TAG --project=$BUILD_PROJECT --format='value(image_summary.digest)'"
}

# image_of_commit sets IMAGE to the image of the commit that is checked out, and
# has it built where there is none.
image_of_commit() {
  local commit changed
  need git
  commit=$(git -C "$ROOT" rev-parse --verify HEAD 2>/dev/null) ||
    refuse "this is no clone with a commit, so there is nothing to build" "name an image: scripts/deploy $ENV IMAGE@DIGEST"
  # Only what the image is made of: whoever has just put names into deploy/env has
  # changed files, too, and the image knows nothing of them.
  changed=$(git -C "$ROOT" status --porcelain -- "${BUILT_FROM[@]}")
  [[ -z $changed ]] ||
    refuse "what would be built is not commit ${commit:0:12}: these files differ" "${changed//$'\n'/$'\n'  }" \
      "commit them, or name an image: scripts/deploy $ENV IMAGE@DIGEST"
  step "image of commit ${commit:0:12}"
  look image gcloud artifacts docker images describe "$IMAGES:$commit" "--project=$BUILD_PROJECT" \
    '--format=value(image_summary.digest)'
  if [[ -n $FOUND ]]; then
    say "built before"
  else
    build_commit "$commit"
  fi
  IMAGE=$IMAGES@$FOUND
}

# build_commit COMMIT sets FOUND to the digest of what Cloud Build made of it.
build_commit() {
  local build log state digest detail
  change gcloud builds submit "$ROOT" "--project=$BUILD_PROJECT" "--region=$BUILD_REGION" \
    "--config=$ROOT/cloudbuild.yaml" "--substitutions=COMMIT_SHA=$1,_REPOSITORY=${IMAGES%/*}" --async '--format=value[separator="|"](id,logUrl)'
  IFS='|' read -r build log <"$WORK/out" || true
  say "build $build: test, build, push; some minutes; $log"
  while :; do
    forget build
    look build gcloud builds describe "$build" "--project=$BUILD_PROJECT" "--region=$BUILD_REGION" \
      '--format=value[separator="|"](status,results.images[0].digest,statusDetail)'
    IFS='|' read -r state digest detail <<<"$FOUND"
    case $state in
      SUCCESS) break ;;
      PENDING | QUEUED | WORKING) pause ;;
      *) fail "build $build ended ${state:-without a word}${detail:+: $detail}" "its log: $log" ;;
    esac
  done
  [[ $digest == sha256:* ]] || fail "build $build pushed no image" "its log: $log"
  FOUND=$digest
}

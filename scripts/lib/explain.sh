# shellcheck shell=bash
# Turns what gcloud says when it fails into what to do about it.

# kind_of_error FILE names what went wrong, from gcloud's own words.
kind_of_error() {
  local text
  text=$(<"$1")
  shopt -s nocasematch
  case $text in
    *"active account selected"* | *"auth tokens"* | *UNAUTHENTICATED* | *"gcloud auth login"*) echo login ;;
    *SERVICE_DISABLED* | *"has not been used in project"* | *"API ["*"not enabled"*) echo api-off ;;
    *constraints/*) echo constraint ;;
    *billing*enabled* | *BILLING_DISABLED* | *"billing account"*"not found"*) echo billing ;;
    *RESOURCE_EXHAUSTED* | *"quota exceeded"* | *"code=429"* | *rateLimitExceeded*) echo quota ;;
    *"in a deleted state"*) echo deleted-role ;;
    *"concurrent policy changes"* | *ABORTED*) echo busy ;;
    *"service account"*"does not exist"* | *"does not exist"*"service account"* | \
      *"role"*"is not supported for this resource"* | *"role"*"does not exist in the resource"*)
      echo too-early ;;
    *ALREADY_EXISTS* | *"already exists"*) echo taken ;;
    *PERMISSION_DENIED* | *"does not have permission"* | *"code=403"* | *forbidden*) echo permission ;;
    *NOT_FOUND* | *"not found"* | *"cannot find"* | *"code=404"*) echo missing ;;
    *) echo other ;;
  esac
  shopt -u nocasematch
}

# stop_explained FILE COMMAND... ends the script. Before the first change the
# status is 2, as of any refusal.
stop_explained() {
  local file=$1 lines
  shift
  lines=$(explain "$file" "$@")
  printf '%s: %s\n' "${0##*/}" "$(command_line "$@")" >&2
  printf '  %s\n' "${lines//$'\n'/$'\n'  }" >&2
  ((CHANGES == 0)) && exit 2
  [[ $WANT != make ]] || printf '  what was made before stays; scripts/%s %s goes on from here\n' "${0##*/}" "$ENV" >&2
  exit 1
}

# explain FILE COMMAND... prints what happened and what to do, a line each. Where
# gcloud's words are all that is known they are printed as they are.
explain() {
  local file=$1 words who place role api
  shift
  # One line without gcloud's own prefix and the machine-readable tail.
  words=$(sed -e '/^- .@type/,$d' -e "/^'@type'/,\$d" "$file" | paste -sd ' ' | sed -E 's/^ERROR: \([a-z.-]+\) //; s/  +/ /g')
  place=$(place_of "$@") role=$(role_for "$@")
  case $(kind_of_error "$file") in
    login)
      printf '%s\n' "nobody is logged in, or the login has run out" "do: gcloud auth login" ;;
    api-off)
      api=$(grep -oE '[a-z]+\.googleapis\.com' "$file" | head -n 1)
      printf '%s\n' "the API ${api:-it needs} is off in $place, or was switched on a moment ago" \
        "do: gcloud services enable ${api:-API} --project=${place#project }; then again after a minute" ;;
    constraint)
      printf '%s\n' "an organisation policy forbids it: $(grep -oE 'constraints/[A-Za-z0-9./_-]+' "$file" | head -n 1)" \
        "$words" "do: ask who owns the organisation's policies for an exception for $place (deploy/README.md, organisation policies)" ;;
    billing)
      printf '%s\n' "$place has no billing account" \
        "do: gcloud billing projects link ${place#project } --billing-account=ACCOUNT" ;;
    quota)
      printf '%s\n' "a quota is used up: $words" "do: wait a minute and run it again; if it stays so, ask for more quota in $place" ;;
    deleted-role)
      printf '%s\n' "a custom role of this name was deleted a while ago, and Google keeps the name for weeks: $words" \
        "do: gcloud iam roles undelete $(role_named "$@"), which takes roles/iam.roleAdmin (for an organisation roles/iam.organizationRoleAdmin)" ;;
    taken)
      printf '%s\n' "the name is taken, by something that could not be seen when it was looked for: $words" \
        "do: look whether somebody runs setup at the same moment, and run it again; if it stays so, see what has the name in $place" ;;
    permission)
      who=$(who_asks)
      printf '%s\n' "$who may not do this in $place: $words" \
        "do: let somebody who may run: $(grant_line "$place" "$who" "$role")" \
        "or, if there is no $place: put your own into deploy/env/$ENV.env" ;;
    *)
      printf '%s\n' "$words" ;;
  esac
}

# who_asks is the account that gcloud works as.
who_asks() {
  local account
  account=$(gcloud auth list --filter=status:ACTIVE '--format=value(account)' 2>/dev/null </dev/null) || account=''
  printf '%s' "${account:-the account that gcloud works as}"
}

# place_of COMMAND... is what the command was about: the project, folder or
# organisation that its words name.
place_of() {
  local word before=''
  for word; do
    case $word in
      --project=*) printf 'project %s' "${word#*=}"; return ;;
      --folder=*) printf 'folder %s' "${word#*=}"; return ;;
      --organization=*) printf 'organization %s' "${word#*=}"; return ;;
    esac
    # gcloud projects describe P; gcloud projects add-iam-policy-binding P
    case $before in
      describe | get-ancestors | *-iam-policy | *-iam-policy-binding)
        case $2 in
          projects) printf 'project %s' "$word"; return ;;
          organizations) printf 'organization %s' "$word"; return ;;
          resource-manager) printf 'folder %s' "$word"; return ;;
        esac ;;
    esac
    before=$word
  done
  printf 'project %s' "$PROJECT"
}

# role_for COMMAND... is the smallest predefined role that carries the command.
role_for() {
  local words="$*"
  case $words in
    *" services "*) echo roles/serviceusage.serviceUsageAdmin ;;
    *" roles "*--organization=*) echo roles/iam.organizationRoleAdmin ;;
    *" iam roles "*) echo roles/iam.roleAdmin ;;
    *" service-accounts "*) echo roles/iam.serviceAccountAdmin ;;
    *" projects describe "* | *" projects get-ancestors "*) echo roles/browser ;;
    *" projects "*) echo roles/resourcemanager.projectIamAdmin ;;
    *" folders "*) echo roles/resourcemanager.folderIamAdmin ;;
    *" organizations "*) echo roles/resourcemanager.organizationAdmin ;;
    *" firestore "*) echo roles/datastore.owner ;;
    *" artifacts "*) echo roles/artifactregistry.admin ;;
    *" sinks "*) echo roles/logging.configWriter ;;
    *" logging read "*) echo roles/logging.viewer ;;
    *" monitoring "*) echo roles/monitoring.editor ;;
    *" scheduler "*) echo roles/cloudscheduler.admin ;;
    *" run "*) echo roles/run.admin ;;
    *" pubsub "*) echo roles/pubsub.editor ;;
    *" builds "*) echo roles/cloudbuild.builds.editor ;;
    *) echo roles/owner ;;
  esac
}

# grant_line PLACE WHO ROLE is the command that gives it.
grant_line() {
  local group
  case $1 in
    folder*) group="resource-manager folders" ;;
    organization*) group=organizations ;;
    *) group=projects ;;
  esac
  [[ $2 == *@* ]] || set -- "$1" YOU@EXAMPLE.COM "$3"
  local member=user:$2
  [[ $2 != *.gserviceaccount.com ]] || member=serviceAccount:$2
  printf 'gcloud %s add-iam-policy-binding %s --member=%s --role=%s --condition=None' "$group" "${1#* }" "$member" "$3"
}

# role_named COMMAND... is the role of "gcloud iam roles VERB ID PARENT ...".
role_named() { printf '%s %s' "${5:-}" "${6:-}"; }

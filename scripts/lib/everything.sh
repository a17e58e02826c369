# shellcheck shell=bash
# Everything that an environment needs, in the order in which it can be made.
# setup makes it, doctor looks at it.

# shellcheck source-path=SCRIPTDIR
lib=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=env.sh
. "$lib/env.sh"
# shellcheck source=render.sh
. "$lib/render.sh"
# shellcheck source=explain.sh
. "$lib/explain.sh"
# shellcheck source=want.sh
. "$lib/want.sh"
# shellcheck source=platform.sh
. "$lib/platform.sh"
# shellcheck source=grants.sh
. "$lib/grants.sh"
# shellcheck source=store.sh
. "$lib/store.sh"
# shellcheck source=watch.sh
. "$lib/watch.sh"
# shellcheck source=start.sh
. "$lib/start.sh"
# shellcheck source=triggers.sh
. "$lib/triggers.sh"

# section LINE: setup says where it is; doctor has a line for each finding only.
section() { [[ $WANT == look ]] || step "$*"; }

# want_everything: status 1 where a project cannot be seen at all.
want_everything() {
  section "projects and APIs"
  want_projects || return 1
  derive_apis
  want_apis
  section "service accounts and roles"
  want_accounts
  want_roles
  section "database"
  want_database
  section "repository of images"
  want_repository
  section "who may do what"
  want_bindings
  section "what people are told"
  want_sinks
  want_channels
  want_alerts
  want_dashboard
  section "the job's schedule"
  # doctor has its own line about a job that is missing.
  want_start || [[ $WANT == look ]] || say "no job yet: scripts/deploy $ENV makes it and its schedule"
  section "triggers"
  want_triggers || [[ $WANT == look ]] || say "SOURCE is empty in deploy/env/$ENV.env: no triggers"
}

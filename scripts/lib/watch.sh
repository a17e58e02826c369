# shellcheck shell=bash disable=SC2153,SC2034
# Who watches: audit entries of the targets brought here, who is told, alert
# policies, the dashboard.

readonly OWNER=gke-credential-rotator # userLabels.managed-by of what is ours

# GKE's own record of who started or completed a rotation, whoever it was and by
# whichever version of the API. Only the entry that begins a call says who.
readonly ROTATION_CALLS='logName:"cloudaudit.googleapis.com%2Factivity" AND protoPayload.methodName=~"[.]ClusterManager[.](Start|Complete)IPRotation$" AND NOT (operation.last=true AND NOT operation.first=true)'

# want_sinks: a log-match alert sees its own project's logs only, so the entries
# of the targets are routed to the platform project.
want_sinks() {
  local target
  case ${PLACE[GRANT]} in
    projects)
      for target in "${TARGETS[@]}"; do
        # What is logged in the platform project is there already.
        [[ $target == "$PROJECT" ]] || want_sink "project=$target"
      done ;;
    folder:*) want_sink "folder=${PLACE[GRANT]#*:}" --include-children ;;
    organization:*) want_sink "organization=${PLACE[GRANT]#*:}" --include-children ;;
  esac
}

# want_sink PARENT [FLAG...], and that it may write here.
want_sink() {
  local parent=$1 destination="logging.googleapis.com/projects/$PROJECT" to filter writer verb=create wrong=''
  shift
  look "sink $parent" gcloud logging sinks describe "$JOB" "--$parent" '--format=value[separator="|"](writerIdentity,destination,filter)'
  IFS='|' read -r writer to filter <<<"$FOUND"
  if [[ -z $writer ]]; then
    wrong='missing'
  elif [[ $to != "$destination" || $filter != "$ROTATION_CALLS" ]]; then
    wrong='goes elsewhere or has another filter' verb=update
    set --
  fi
  want "log sink $JOB of ${parent/=/ }" "$wrong" \
    gcloud logging sinks "$verb" "$JOB" "$destination" "--$parent" "--log-filter=$ROTATION_CALLS" "$@"
  if [[ -z $writer ]]; then
    # Google names the writer when it makes the sink.
    if [[ $WANT == make ]]; then
      forget "sink $parent"
      look "sink $parent" gcloud logging sinks describe "$JOB" "--$parent" '--format=value[separator="|"](writerIdentity,destination,filter)'
      writer=${FOUND%%|*}
    else
      writer="\$(gcloud logging sinks describe $JOB --$parent --format='value(writerIdentity)')"
    fi
  fi
  [[ -n $UNSEEN ]] ||
    want_bound "project $PROJECT (sink of ${parent/=/ })" roles/logging.logWriter "$writer" None projects "$PROJECT"
}

declare -a CHANNELS=() # the notification channels' names

# want_channels makes a channel for each part of NOTIFY and fills CHANNELS. A
# part channel:NAME is one that somebody else looks after.
want_channels() {
  local part type label value hash name wrong
  local -a parts
  CHANNELS=()
  IFS=, read -ra parts <<<"${PLACE[NOTIFY]}"
  for part in "${parts[@]}"; do
    type=${part%%:*} value=${part#*:} label=email_address
    if [[ $type == channel ]]; then
      CHANNELS+=("$value")
      continue
    fi
    [[ $type == email ]] || { label=${value%%=*} value=${value#*=}; }
    hash=$(digest16 <<<"$part")
    look_channels
    name=$(labelled "$ENV|$hash") wrong=''
    [[ -n $name ]] || wrong='missing'
    want "notification channel $part" "$wrong" \
      gcloud beta monitoring channels create "--project=$PROJECT" "--type=$type" "--display-name=rotator $ENV: $value" \
      "--channel-labels=$label=$value" "--user-labels=managed-by=$OWNER,environment=$ENV,notify=$hash"
    if [[ -z $name && $WANT == make ]]; then
      forget channels
      look_channels
      name=$(labelled "$ENV|$hash")
    fi
    CHANNELS+=("${name:-"\$(gcloud beta monitoring channels list --project=$PROJECT --format='value(name)' --filter='userLabels.environment=\"$ENV\" AND userLabels.notify=\"$hash\"')"}")
  done
}

look_channels() {
  look channels gcloud beta monitoring channels list "--project=$PROJECT" \
    '--format=value[separator="|"](userLabels.environment,userLabels.notify,name)'
}

# labelled KEY prints what follows KEY in a line of FOUND.
labelled() {
  local line
  while IFS= read -r line; do
    [[ $line != "$1|"* ]] || { printf '%s' "${line#"$1|"}"; return; }
  done <<<"$FOUND"
}

# want_alerts: one policy a file of deploy/alerts, told apart by labels: their
# display names need not be the only ones.
want_alerts() {
  local file owner environment stem rest
  look_alerts
  while IFS='|' read -r owner environment stem rest; do
    [[ "$owner|$environment" == "$OWNER|$ENV" && -n $stem && ! -e $ROOT/deploy/alerts/$stem.yaml ]] || continue
    want "no alert policy $stem any more" 'its file is gone' \
      gcloud alpha monitoring policies delete "${rest##*|}" "--project=$PROJECT"
  done <<<"$FOUND"
  for file in "$ROOT"/deploy/alerts/*.yaml; do
    stem=${file##*/}
    want_alert "$file" "${stem%.yaml}"
  done
}

look_alerts() {
  look alerts gcloud alpha monitoring policies list "--project=$PROJECT" \
    '--format=value[separator="|"](userLabels.managed-by,userLabels.environment,userLabels.alert,userLabels.content,enabled,notificationChannels.list(separator=" "),name)'
}

want_alert() {
  local file=$1 stem=$2 rendered=$WORK/alert-$2.yaml found hash content enabled channels name wrong=''
  local IFS=' ' labels
  render "$file" "ENV=$ENV" "JOB=$JOB" "ACCOUNT=$ACCOUNT" "PROJECT=$PROJECT" "REGION=$REGION" \
    "RUNBOOK=${PLACE[RUNBOOK]}" "SILENT_HOURS=${PLACE[SILENT_HOURS]}" "CA_DAYS=${PLACE[CA_DAYS]}" >"$rendered"
  hash=$(digest16 <"$rendered")
  labels=managed-by=$OWNER,environment=$ENV,alert=$stem,content=$hash
  look_alerts
  found=$(labelled "$OWNER|$ENV|$stem")
  if [[ -z $found ]]; then
    want "alert policy $stem" 'missing' \
      gcloud alpha monitoring policies create "--project=$PROJECT" "--policy-from-file=$rendered" "--user-labels=$labels" \
      ${CHANNELS[@]:+"--notification-channels=$(IFS=,; echo "${CHANNELS[*]}")"}
    return
  fi
  IFS='|' read -r content enabled channels name <<<"$found"
  [[ $content == "$hash" ]] || wrong='not as deploy/alerts and the settings say'
  [[ $enabled == True ]] || wrong+="${wrong:+, }switched off"
  [[ $channels == "${CHANNELS[*]}" ]] || wrong+="${wrong:+, }tells others than NOTIFY says"
  want "alert policy $stem" "$wrong" \
    gcloud alpha monitoring policies update "$name" "--project=$PROJECT" "--policy-from-file=$rendered" --enabled \
    "--update-user-labels=$labels" ${CHANNELS[@]:+"--set-notification-channels=$(IFS=,; echo "${CHANNELS[*]}")"}
}

# want_dashboard: what is compared is a digest among its labels. An update wants
# the etag of the dashboard as it is.
want_dashboard() {
  local rendered=$WORK/dashboard.json body hash etag label head wrong=''
  local -a verb=(create)
  body=$(render "$ROOT/deploy/dashboard.json" "ENV=$ENV" "JOB=$JOB" "ACCOUNT=$ACCOUNT" "PROJECT=$PROJECT" "REGION=$REGION" \
    "RUNBOOK=${PLACE[RUNBOOK]}" "SILENT_HOURS=${PLACE[SILENT_HOURS]}" "CA_DAYS=${PLACE[CA_DAYS]}")
  hash=$(digest16 <<<"$body")
  look dashboard gcloud monitoring dashboards describe "$JOB" "--project=$PROJECT" '--format=value[separator="|"](etag,labels)'
  IFS='|' read -r etag label <<<"$FOUND"
  head="\"name\": \"projects/$PROJECT/dashboards/$JOB\", \"labels\": {\"content-$hash\": \"\"},"
  if [[ -z $etag ]]; then
    wrong='missing'
  elif [[ $label != *"content-$hash"* ]]; then
    wrong='not as deploy/dashboard.json and the settings say' verb=(update "$JOB")
    head+=" \"etag\": \"$etag\","
  fi
  printf '{ %s %s\n' "$head" "${body#*\{}" >"$rendered"
  want "dashboard $JOB" "$wrong" \
    gcloud monitoring dashboards "${verb[@]}" "--project=$PROJECT" "--config-from-file=$rendered"
}

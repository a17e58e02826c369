# shellcheck shell=bash disable=SC2153,SC2034
# The store: a Firestore database of its own (deploy/STATE.md).

look_database() {
  look database gcloud firestore databases describe "--database=$DATABASE" "--project=$PROJECT" \
    '--format=value[separator="|"](type,locationId,deleteProtectionState,pointInTimeRecoveryEnablement)'
}

# check_database refuses a database that no command can put right.
check_database() {
  local type location
  look_services "$PROJECT"
  is_on firestore || return 0
  look_database
  IFS='|' read -r type location _ <<<"$FOUND"
  [[ -n $type ]] || return 0
  [[ $type == FIRESTORE_NATIVE ]] ||
    refuse "database $DATABASE in project $PROJECT is of type $type, not FIRESTORE_NATIVE" \
      "do: see whose it is; a database of another name comes with another environment name or PROJECT"
  [[ $location == "${PLACE[DATABASE_LOCATION]}" ]] ||
    refuse "database $DATABASE in project $PROJECT is in $location, and deploy/env/$ENV.env wants ${PLACE[DATABASE_LOCATION]}" \
      "a database's location cannot be changed" \
      "do: set DATABASE_LOCATION=$location, or move the store (deploy/STATE.md: stop, export, delete, import)"
}

want_database() {
  local type location protection recovery wrong=''
  look_database
  IFS='|' read -r type location protection recovery <<<"$FOUND"
  if [[ -z $type ]]; then
    want "database $DATABASE" 'missing' \
      gcloud firestore databases create "--database=$DATABASE" "--project=$PROJECT" \
      "--location=${PLACE[DATABASE_LOCATION]}" --type=firestore-native --delete-protection --enable-pitr
  else
    [[ $type == FIRESTORE_NATIVE && $location == "${PLACE[DATABASE_LOCATION]}" ]] ||
      finding "database $DATABASE: $type in $location; mend: no command can, see deploy/STATE.md on moving"
    [[ $protection == DELETE_PROTECTION_ENABLED ]] || wrong='delete protection off'
    [[ $recovery == POINT_IN_TIME_RECOVERY_ENABLED ]] || wrong+="${wrong:+, }point-in-time recovery off"
    want "database $DATABASE" "$wrong" \
      gcloud firestore databases update "--database=$DATABASE" "--project=$PROJECT" --delete-protection --enable-pitr
  fi
  want_expiry
  want_exemptions
}

# want_expiry: closed rotations go after 400 days.
want_expiry() {
  local wrong=''
  look expiry gcloud firestore fields ttls list "--database=$DATABASE" "--project=$PROJECT" --collection-group=history \
    '--format=value(name)'
  [[ $'\n'$FOUND$'\n' == *"/collectionGroups/history/fields/expireAt"$'\n'* ]] || wrong='not set'
  want "time to live of history in $DATABASE" "$wrong" \
    gcloud firestore fields ttls update expireAt "--database=$DATABASE" "--project=$PROJECT" \
    --collection-group=history --enable-ttl --async
}

# want_exemptions: nobody asks by body, so it needs no index.
want_exemptions() {
  local collection wrong
  for collection in rotations history fleet; do
    look exemptions gcloud firestore indexes fields list "--database=$DATABASE" "--project=$PROJECT" \
      '--format=value[separator="|"](name,indexConfig.indexes.len())'
    wrong=''
    [[ $'\n'$FOUND$'\n' == *"/collectionGroups/$collection/fields/body|0"$'\n'* ]] || wrong='there'
    want "no index on body of $collection in $DATABASE" "$wrong" \
      gcloud firestore indexes fields update body "--database=$DATABASE" "--project=$PROJECT" \
      "--collection-group=$collection" --disable-indexes --async
  done
}

# shellcheck shell=bash
# Reads deploy/env/ENV.env. The file is data: NAME=value to the end of the line,
# never run as a program.

# Where an environment runs; the value is the default, "-" means that the file
# must say it.
declare -A PLACE=(
  [PROJECT]=- [REGION]=- [SCHEDULER_REGION]='' [DATABASE_LOCATION]=-
  [BUILD_PROJECT]=- [BUILD_REGION]=- [ORGANIZATION]='' [GRANT]=projects [SOURCE]=''
  [SCHEDULE]='17 * * * *' [CPU]=1 [MEMORY]=512Mi [TASK_TIMEOUT]=3300 [MAX_RETRIES]=1
  [NOTIFY]='' [RUNBOOK]=- [SILENT_HOURS]=3 [CA_DAYS]=45 [REPORT_BUCKET]=''
)
declare -A POLICY=()      # the ROTATOR_ settings as the container gets them
declare -a POLICY_NAMES=() # in the order of the file

# environments lists the names that have a settings file.
environments() {
  local file
  for file in "$ROOT"/deploy/env/*.env; do
    file=${file##*/}
    printf '%s\n' "${file%.env}"
  done
}

# load_env NAME reads an environment into PLACE and POLICY, and derives the
# names of what belongs to it. All that is wrong is told at once.
load_env() {
  ENV=$1
  local file=$ROOT/deploy/env/$ENV.env
  [[ $ENV =~ ^[a-z][a-z0-9-]{0,11}$ ]] ||
    refuse "\"$ENV\" is not the name of an environment: lower-case letters, digits and -, at most 12"
  [[ -r $file ]] || refuse "there is no deploy/env/$ENV.env" "environments: $(environments | paste -sd ' ')"
  local -a wrong=()
  read_settings "$file"
  check_place
  ((${#wrong[@]} == 0)) || refuse "deploy/env/$ENV.env:" "${wrong[@]}"
  derive_names
}

# read_settings FILE fills PLACE and POLICY; problems go to the caller's wrong.
read_settings() {
  local line name value number=0
  local -A seen=()
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    line=${line%$'\r'}
    [[ -z ${line//[[:space:]]/} || $line == \#* ]] && continue
    if [[ ! $line =~ ^([A-Z][A-Z0-9_]*)=(.*)$ ]]; then
      wrong+=("line $number: \"$line\" is not NAME=value")
      continue
    fi
    name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    [[ -z ${seen[$name]+x} ]] || wrong+=("line $number: $name is there twice")
    seen[$name]=1
    check_value
    case $name in
      ROTATOR_ENV | ROTATOR_STATE)
        wrong+=("line $number: $name follows from the file's name and PROJECT; take the line out") ;;
      ROTATOR_REPORT)
        wrong+=("line $number: $name follows from REPORT_BUCKET, the bucket that is mounted for it; take the line out") ;;
      ROTATOR_*)
        POLICY[$name]=$value
        POLICY_NAMES+=("$name") ;;
      *)
        if [[ -z ${PLACE[$name]+x} ]]; then
          wrong+=("line $number: there is no setting $name (policy settings begin with ROTATOR_)")
        else
          PLACE[$name]=$value
        fi ;;
    esac
  done <"$1"
}

# check_value: what looks right in an editor and is not. Of the caller's line
# number, name and value; the value goes on as it was meant, so that one mistake is
# told once. Problems go to the caller's wrong.
check_value() {
  if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then
    wrong+=("line $number: the quotes would be part of $name; take them away")
    value=${BASH_REMATCH[1]}
  elif [[ $value =~ ^[[:space:]] || $value =~ [[:space:]]$ ]]; then
    wrong+=("line $number: the value of $name begins or ends with a blank")
    read -r value <<<"$value" || true
  elif [[ $value =~ [[:cntrl:]] ]]; then
    wrong+=("line $number: the value of $name holds a control character")
  fi
}

# check_place looks at the form of what says where an environment runs; the
# policy is checked by rotator itself. Problems go to the caller's wrong.
check_place() {
  local name
  for name in "${!PLACE[@]}"; do
    [[ ${PLACE[$name]} != - ]] || wrong+=("$name is missing")
  done
  form PROJECT '^[a-z][a-z0-9-]{4,28}[a-z0-9]$' 'a project id'
  form BUILD_PROJECT '^[a-z][a-z0-9-]{4,28}[a-z0-9]$' 'a project id'
  form REGION '^[a-z]+-[a-z]+[0-9]+$' 'a region, e.g. europe-west1'
  form BUILD_REGION '^[a-z]+-[a-z]+[0-9]+$' 'a region, e.g. europe-west1'
  form SCHEDULER_REGION '^([a-z]+-[a-z]+[0-9]+)?$' 'a region, e.g. europe-west1'
  form ORGANIZATION '^[0-9]*$' 'the number of an organisation, or nothing'
  form GRANT '^(projects|folder:[0-9]+|organization:[0-9]+)$' 'projects, folder:NUMBER or organization:NUMBER'
  form SOURCE '^(projects/[^/]+/locations/[^/]+/connections/[^/]+/repositories/[^/]+)?$' \
    "projects/P/locations/R/connections/C/repositories/N, or nothing"
  form NOTIFY '^([a-z_]+:[^,[:space:]]+(,[a-z_]+:[^,[:space:]]+)*)?$' 'email:ADDRESS or TYPE:LABEL=VALUE, several with commas, or nothing'
  form RUNBOOK '^https?://[^[:space:]]+$' 'an address'
  form MEMORY '^[0-9]+(Mi|Gi)$' 'a size, e.g. 512Mi'
  form REPORT_BUCKET '^([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])?$' 'the name of a bucket, without gs://, or nothing'
  form CPU '^[12468]$' '1, 2, 4, 6 or 8'
  for name in TASK_TIMEOUT SILENT_HOURS CA_DAYS; do
    form "$name" '^[1-9][0-9]{0,4}$' 'a number from 1'
  done
  form MAX_RETRIES '^([0-9]|10)$' 'a number from 0 to 10'
  [[ ! ${PLACE[GRANT]} =~ ^(folder|organization):[0-9]+$ || -n ${PLACE[ORGANIZATION]} ]] ||
    wrong+=("GRANT=${PLACE[GRANT]}: a role for a folder or an organisation lives in an organisation; set ORGANIZATION")
  [[ -n ${POLICY[ROTATOR_PROJECTS]:-} ]] || wrong+=("ROTATOR_PROJECTS is missing: the projects whose clusters are looked at")
  case ${POLICY[ROTATOR_MODE]:-observe} in
    observe | act) ;;
    *) wrong+=("ROTATOR_MODE=${POLICY[ROTATOR_MODE]}: write observe or act") ;;
  esac
  check_deadline
}

# check_deadline: a run must stop by itself before Cloud Run stops it, for only
# then is what it did stored. Problems go to the caller's wrong.
check_deadline() {
  local deadline=${POLICY[ROTATOR_DEADLINE]:-50m} seconds
  [[ ${PLACE[TASK_TIMEOUT]} =~ ^[0-9]+$ ]] || return 0
  seconds=$(seconds_of "$deadline") || return 0 # rotator says what is wrong with it
  ((PLACE[TASK_TIMEOUT] > seconds)) ||
    wrong+=("TASK_TIMEOUT=${PLACE[TASK_TIMEOUT]} is not above ROTATOR_DEADLINE=$deadline ($seconds seconds): the run would be cut off")
}

# seconds_of DURATION prints 1d, 50m or 1h30m in seconds.
seconds_of() {
  local left=$1 sum=0
  local -A unit=([w]=604800 [d]=86400 [h]=3600 [m]=60 [s]=1)
  while [[ $left =~ ^([0-9]+)([wdhms])(.*)$ ]]; do
    sum=$((sum + 10#${BASH_REMATCH[1]} * ${unit[${BASH_REMATCH[2]}]}))
    left=${BASH_REMATCH[3]}
  done
  [[ -n $1 && -z $left ]] || return 1
  printf '%s\n' "$sum"
}

# form NAME PATTERN MEANING
form() {
  [[ ${PLACE[$1]} == - || ${PLACE[$1]} =~ $2 ]] || wrong+=("$1=${PLACE[$1]}: write $3")
}

# derive_names sets what the other parts call things by.
# shellcheck disable=SC2034 # read by those that source this file
derive_names() {
  PROJECT=${PLACE[PROJECT]} REGION=${PLACE[REGION]}
  SCHEDULER_REGION=${PLACE[SCHEDULER_REGION]:-$REGION}
  BUILD_PROJECT=${PLACE[BUILD_PROJECT]} BUILD_REGION=${PLACE[BUILD_REGION]}
  JOB=rotator-$ENV
  DATABASE=rotator-$ENV
  ACCOUNT=rotator-$ENV@$PROJECT.iam.gserviceaccount.com
  SCHEDULER_ACCOUNT=rotator-$ENV-scheduler@$PROJECT.iam.gserviceaccount.com
  DEPLOYER=rotator-$ENV-deployer@$BUILD_PROJECT.iam.gserviceaccount.com
  BUILDER=rotator-builder@$BUILD_PROJECT.iam.gserviceaccount.com
  IMAGES=$BUILD_REGION-docker.pkg.dev/$BUILD_PROJECT/rotator/rotator
  MODE=${POLICY[ROTATOR_MODE]:-observe}
  POLICY[ROTATOR_ENV]=$ENV
  POLICY[ROTATOR_STATE]=firestore://$PROJECT/$DATABASE
  POLICY_NAMES=(ROTATOR_ENV ROTATOR_STATE "${POLICY_NAMES[@]}")
  if [[ -n ${PLACE[REPORT_BUCKET]} ]]; then
    POLICY[ROTATOR_REPORT]=/mnt/${PLACE[REPORT_BUCKET]}/rotator-$ENV.html
    POLICY_NAMES+=(ROTATOR_REPORT)
  fi
  IFS=', ' read -ra TARGETS <<<"${POLICY[ROTATOR_PROJECTS]}"
}

# shellcheck shell=bash
# What must be there, told once, for three uses: setup makes it, setup --dry-run
# prints the commands that would, doctor tells what is not so and what mends it.
#
#   want_begin make|print|look
#   look KEY COMMAND...           sets FOUND to what COMMAND prints; asked once
#   want WHAT WRONG COMMAND...    WRONG is empty where WHAT is as wanted
#   want_bound WHERE ROLE MEMBER CONDITION GROUP RESOURCE [FLAG...]
#
# A failure that is nobody's to mend here ends the script; whoever must go on
# calls these in a subshell.

declare -A ANSWERS=() # what look has been told, by key
declare -A HIDDEN=()  # why look was told nothing, by key
declare -A TOLD=()    # the reasons of HIDDEN that doctor has told
WANT='make'           # make, print or look
WORK=''               # a folder for rendered files and captured words
FOUND=''              # look's answer
UNSEEN=''             # doctor: why what was looked at last cannot be judged
CHANGES=0             # make: commands that were run; print: printed; look: things that are wrong
AS_WANTED=0
TRIES=5 # Google is told of a new thing at one place and asked at another

want_begin() {
  WANT=$1
  need gcloud
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/rotator-$ENV.XXXXXX")
  # A dry run's rendered files are what its printed commands read.
  [[ $WANT == print ]] || trap 'rm -rf "$WORK"' EXIT
}

# look KEY COMMAND... sets FOUND to what COMMAND prints, and to nothing where the
# thing is not there.
look() {
  local key=$1
  shift
  [[ -n ${ANSWERS[$key]+x} ]] || ask "$key" "$@"
  FOUND=${ANSWERS[$key]} UNSEEN=${HIDDEN[$key]}
}

# forget KEY: what was asked under KEY has changed since.
forget() { unset "ANSWERS[$1]" "HIDDEN[$1]"; }

ask() {
  local key=$1 try
  shift
  ANSWERS[$key]='' HIDDEN[$key]=''
  for ((try = 1; ; try++)); do
    if "$@" --quiet >"$WORK/out" 2>"$WORK/err" </dev/null; then
      ANSWERS[$key]=$(<"$WORK/out")
      return 0
    fi
    case $(kind_of_error "$WORK/err") in
      missing) return 0 ;;
      api-off)
        # In a dry run the command that switches it on is printed above.
        [[ $WANT == print ]] && return 0
        [[ $WANT == make ]] && ((CHANGES > 0 && try < TRIES)) && { pause; continue; }
        ;;
    esac
    break
  done
  if [[ $WANT == look ]]; then
    HIDDEN[$key]=$(explain "$WORK/err" "$@" | paste -sd ' ' | sed 's/  */ /g')
    return 0
  fi
  stop_explained "$WORK/err" "$@"
}

# want WHAT WRONG COMMAND... makes, prints or tells what is not as wanted.
want() {
  local what=$1 wrong=$2
  shift 2
  if [[ -n $UNSEEN ]]; then
    [[ -n ${TOLD[$UNSEEN]:-} ]] || finding "$what and more: cannot tell: $UNSEEN"
    TOLD[$UNSEEN]=1
    return 0
  fi
  if [[ -z $wrong ]]; then
    AS_WANTED=$((AS_WANTED + 1))
    [[ $WANT != look ]] || printf 'ok     %s\n' "$what"
    return 0
  fi
  case $WANT in
    make)
      say "$what: $wrong"
      change "$@"
      ;;
    print)
      printf '# %s: %s\n%s\n' "$what" "$wrong" "$(command_line "$@")"
      CHANGES=$((CHANGES + 1))
      ;;
    look)
      # What is rendered for one run has no command of its own.
      [[ "$*" != *"$WORK"* ]] || set -- scripts/setup "$ENV"
      finding "$what: $wrong; mend: $(command_line "$@")"
      ;;
  esac
}

# finding LINE is one line of doctor's about something that is not well.
finding() {
  printf 'WRONG  %s\n' "$1"
  CHANGES=$((CHANGES + 1))
}

# change COMMAND... runs it. What Google has not heard of everywhere yet is tried
# again.
change() {
  local try
  for ((try = 1; ; try++)); do
    if "$@" --quiet >"$WORK/out" 2>"$WORK/err" </dev/null; then
      CHANGES=$((CHANGES + 1))
      return 0
    fi
    case $(kind_of_error "$WORK/err") in
      too-early | busy) ((try < TRIES)) && { pause; continue; } ;;
      api-off) ((CHANGES > 0 && try < TRIES)) && { pause; continue; } ;;
    esac
    stop_explained "$WORK/err" "$@"
  done
}

pause() { sleep "${SETUP_PAUSE:-5}"; }

# want_bound WHERE ROLE MEMBER CONDITION GROUP RESOURCE [FLAG...]: a role binding.
# CONDITION is "TITLE=EXPRESSION", None, or - where the resource knows none.
want_bound() {
  local where=$1 role=$2 member=$3 condition=$4 group=$5 wrong='' expression=''
  local -a words flags=()
  shift 5
  read -ra words <<<"$group"
  case $condition in
    -) ;;
    None) flags=(--condition=None) ;;
    *)
      expression=${condition#*=}
      flags=("--condition=title=${condition%%=*},expression=$expression")
      ;;
  esac
  look_policy "$group" "$@"
  bound "$role" "$member" "$expression" || wrong='not bound'
  want "${role##*/} for ${member#*:} on $where" "$wrong" \
    gcloud "${words[@]}" add-iam-policy-binding "$@" "--member=$member" "--role=$role" "${flags[@]}"
}

# want_unbound WHERE ROLE MEMBER CONDITION GROUP RESOURCE [FLAG...] is its opposite.
want_unbound() {
  local where=$1 role=$2 member=$3 condition=$4 group=$5 wrong=''
  local -a words flags=()
  shift 5
  read -ra words <<<"$group"
  [[ $condition == - ]] || flags=("--condition=$condition")
  look_policy "$group" "$@"
  ! bound "$role" "$member" '' || wrong='bound, and must not be'
  want "no ${role##*/} for ${member#*:} on $where" "$wrong" \
    gcloud "${words[@]}" remove-iam-policy-binding "$@" "--member=$member" "--role=$role" "${flags[@]}"
}

# look_policy GROUP RESOURCE [FLAG...] sets FOUND to lines ROLE|MEMBER|CONDITION.
look_policy() {
  local -a words
  read -ra words <<<"$1"
  shift
  look "policy ${words[*]} $*" gcloud "${words[@]}" get-iam-policy "$@" '--flatten=bindings[].members[]' \
    '--format=value[separator="|"](bindings.role,bindings.members,bindings.condition.expression)'
}

# bound ROLE MEMBER CONDITION: does the policy that was looked at last say so?
bound() { [[ $'\n'$FOUND$'\n' == *$'\n'"$1|$2|$3"$'\n'* ]]; }

# command_line COMMAND... prints it so that a shell reads the same words. A word
# with $(gcloud ...) stands for something that is known once the lines above it
# have run.
command_line() {
  local word
  local -a words=()
  for word; do
    # shellcheck disable=SC2016 # the two characters themselves
    if [[ $word == *'$(gcloud '* ]]; then
      word="\"$word\""
    elif [[ ! $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then
      word=${word@Q}
    fi
    words+=("$word")
  done
  printf '%s' "${words[*]}"
}

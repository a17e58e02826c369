# shellcheck shell=bash
# What every script of this folder shares: how it speaks, how it stops, and
# where things are. Sourced, never run.

((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || {
  echo "bash 4.4 or newer is needed; this is $BASH_VERSION" >&2
  exit 2
}

# shellcheck disable=SC2034 # read by those that source this file
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# step says what is done now; long work is made of steps.
step() { printf '== %s\n' "$*" >&2; }

# say is one line about one thing.
say() { printf '   %s\n' "$*" >&2; }

# refuse ends a script because of what it was given or what it found; every
# line says what to do. Exit status 2: nothing was changed.
refuse() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 2
}

# fail ends a script in the middle of its work. What is done stays done.
fail() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 1
}

# usage prints the comment at a script's head, which is its help.
usage() { sed -n '2,/^[^#]/{/^#/{s/^# \{0,1\}//;p}}' "$0"; }

need() {
  local program
  for program; do
    command -v "$program" >/dev/null || refuse "$program is not installed or not on the PATH"
  done
}

#!/usr/bin/env bash
# cgroup.sh set|clean NAME: a container's cgroup by hand, with echo. container.sh calls it; beside
# a running container it shows, and puts back, the default limits.
set -euo pipefail

die() { printf 'cgroup.sh: %s\n' "$*" >&2; exit 1; }

# A file that is not there: the controller is in cgroup v1, or not in the kernel.
limit() { # FILE VALUE
  if [[ ! -e $cgroup/$1 ]]; then
    printf 'cgroup.sh: no %s in cgroup v2 here (see env.sh check)\n' "$1" >&2
    return
  fi
  echo "$2" >"$cgroup/$1"
  cat "$cgroup/$1"
}

# The container's processes are those in the PID namespace of its first one.
set_limits() {
  local process init
  init=$(readlink "/run/netns/$name") || init=''
  mkdir -p "$cgroup"
  limit cpu.max '50000 100000' # microseconds of processor time in each period
  limit memory.max $((50 << 20))
  limit memory.swap.max 0
  limit memory.oom.group 1 # when memory is short all die, not a random one
  limit pids.max 64
  for process in /proc/[0-9]*; do
    [[ $process/ns/pid -ef ${init%/net}/pid ]] || continue
    echo "${process#/proc/}" >"$cgroup/cgroup.procs"
    echo "${process#/proc/}"
  done
}

# A cgroup whose last process has just ended stays busy for a moment.
remove() {
  for _ in {1..100}; do
    [[ -d $cgroup ]] || return 0
    ! rmdir "$cgroup" 2>/dev/null || return 0
    sleep 0.02
  done
  die "$cgroup cannot be removed: does $name still run?"
}

main() {
  name=${2-}
  [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$ ]] || die 'usage: cgroup.sh set|clean NAME'
  cgroup=$(findmnt -rnt cgroup2 -o TARGET | tail -n 1)
  [[ -n $cgroup ]] || die 'cgroup2 is not mounted'
  cgroup+=/container_engine/$name
  case $1 in
    set) set_limits && echo 'CGROUP SET DONE.' ;;
    clean) remove && echo 'CGROUP CLEAN DONE.' ;;
    *) die 'usage: cgroup.sh set|clean NAME' ;;
  esac
}

main "$@"

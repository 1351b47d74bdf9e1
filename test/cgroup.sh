#!/usr/bin/env bash
# cgroup.sh set|clean NAME: a container's cgroup by hand, with echo. container.sh calls it; beside
# a running container it puts back, and shows, the default limits.
set -euo pipefail

die() { printf 'cgroup.sh: %s\n' "$*" >&2; exit 1; }

limit() { # FILE VALUE
  [[ -e $cgroup/$1 ]] || { printf 'cgroup.sh: cgroup v2 has no %s here\n' "$1" >&2; return 0; }
  echo "$2" >"$cgroup/$1"
  cat "$cgroup/$1"
}

# The container's processes are those in the PID namespace of its first one.
set_limits() {
  local process netns
  netns=$(readlink "/run/netns/$name") || netns=''
  mkdir -p "$cgroup"
  limit cpu.max '50000 100000' # microseconds of processor time in each period
  limit memory.max $((50 << 20))
  limit memory.swap.max 0
  limit memory.oom.group 1 # when memory is short all die, not a random one
  limit pids.max 64
  for process in /proc/[0-9]*; do
    [[ $process/ns/pid -ef ${netns%/net}/pid ]] || continue
    echo "${process#/proc/}" | tee "$cgroup/cgroup.procs"
  done
  echo 'CGROUP SET DONE.'
}

remove() { # a cgroup whose last process has just ended stays busy for a moment
  for _ in {1..100}; do
    [[ -d $cgroup ]] || break
    ! rmdir "$cgroup" 2>/dev/null || break
    sleep 0.02
  done
  [[ ! -d $cgroup ]] || die "$cgroup cannot be removed: does $name still run?"
  echo 'CGROUP CLEAN DONE.'
}

[[ ${2-} =~ ^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$ ]] || die 'usage: cgroup.sh set|clean NAME'
name=$2
cgroup=$(findmnt -rnt cgroup2 -o TARGET | tail -n 1)/container_engine/$name
case $1 in
  set) set_limits ;;
  clean) remove ;;
  *) die 'usage: cgroup.sh set|clean NAME' ;;
esac

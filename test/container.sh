#!/usr/bin/env bash
# container.sh ROOTFS NAME IP [COMMAND...]: the engine's shell twin. Each function is a step of
# container_engine.c under the same name, done with unshare, mount, ip, nsenter and echo. Run
# `env.sh set` first; the container's files go with it at its end.
#
# What a shell cannot do: shift the owners of files (mount(8) before 2.39), so root inside has
# root's number outside; filter system calls; give the container a terminal of its own.
set -euo pipefail

BRIDGE=${BRIDGE:-cebr0}
CAPS=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service
CAPS+=,+net_raw,+sys_chroot,+audit_write,+setfcap
HIDDEN=$(echo proc/{acpi,asound,interrupts,kcore,keys,kpagecgroup,kpagecount,kpageflags} \
  proc/{latency_stats,pagetypeinfo,sched_debug,scsi,slabinfo,timer_list,timer_stats,vmallocinfo} \
  sys/dev/block sys/devices/{system/cpu/cpu*/thermal_throttle,virtual/powercap} sys/firmware)

die() { printf 'container.sh: %s\n' "$*" >&2; exit 125; }

# ---- the engine, on the host ----

claim() { # of two who make the directory one succeeds
  dir=/var/lib/container_engine/twin:$name # no name of the engine's own has a colon
  [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$ ]] || die "name '$name'"
  read -r _ _ _ gateway _ < <(ip -o -4 addr show dev "$BRIDGE") || die "no $BRIDGE: env.sh set"
  [[ ! -h /run/netns/$name ]] || die "claim: $name runs already"
  mkdir "$dir" 2>/dev/null || die "claim: $name runs already"
  trap clean EXIT
  mkdir "$dir"/{upper,work,root,tools}
  mkfifo "$dir/go"
}

cgroup() {
  "$here/cgroup.sh" set "$name" >&2
}

clone() { # in the cgroup first: unshare and all that follow are born there
  local procs
  procs=$(findmnt -rnt cgroup2 -o TARGET | tail -n 1)/container_engine/$name/cgroup.procs
  (echo "$BASHPID" >"$procs"
    exec setpriv --pdeathsig KILL unshare --pid --mount --uts --ipc --net --cgroup --user \
      --propagation unchanged --fork --kill-child "$here/container.sh" --child "$dir" "$name" "$@") <&0 &
  unshare=$!
  until pid=$(pgrep -P "$unshare"); do kill -0 "$unshare" 2>/dev/null || exit 125; done
}

users() { # ids 0 to 65535 inside are the same outside
  echo '0 0 65536' >"/proc/$pid/gid_map"
  echo '0 0 65536' >"/proc/$pid/uid_map"
}

network() { # one end on the bridge, the other, eth0, inside
  local veth mac
  # shellcheck disable=SC2086  # four numbers
  printf -v mac '02:42:%02x:%02x:%02x:%02x' ${address//./ }
  printf -v veth 've%08x' "$pid"
  mkdir -p /run/netns
  ln -s "/proc/$pid/ns/net" "/run/netns/$name"
  nsenter -t "$pid" -n sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6' # of eth0
  ip link add "$veth" type veth peer name eth0 address "$mac" netns "$pid"
  ip link set "$veth" master "$BRIDGE" up
  nsenter -t "$pid" -n ip addr add "$address/${gateway#*/}" brd + dev eth0
  nsenter -t "$pid" -n ip link set eth0 up
  nsenter -t "$pid" -n ip route add default via "${gateway%/*}"
}

layer() { # in the child's mount namespace: the host's mount table never shows it
  printf '127.0.0.1 localhost\n%s %s\n' "$address" "$name" >"$dir/hosts"
  cp /etc/resolv.conf "$dir/resolv.conf"
  nsenter -t "$pid" -m mount --make-rprivate /
  nsenter -t "$pid" -m mount -t overlay overlay "$dir/root" \
    -o "nodev,lowerdir=$rootfs,upperdir=$dir/upper,workdir=$dir/work"
}

go() {
  trap '' INT QUIT # a terminal sends them to us as well; they are the container's
  echo go >"$dir/go"
  wait "$unshare"
}

clean() { # the way back; the veth pair and all mounts go with their namespaces
  local status=$?
  [[ -z ${unshare-} ]] || { kill -KILL "${pid:-$unshare}" "$unshare"; wait; } 2>/dev/null || :
  rm -f "/run/netns/$name"
  "$here/cgroup.sh" clean "$name" >&2
  rm -rf --one-file-system "$dir"
  exit "$status"
}

# ---- the child, becoming the container ----

private() {
  read -r _ <"$dir/go" # the engine has mapped our users, laid the network, mounted the layer
  mount --make-rprivate /
}

fs() { # TYPE WHERE OPTIONS: a file system of the kernel's own
  mkdir -p "$2"
  mount -t "$1" -o "nosuid,$3" "$1" "$2"
}

bind() { # FROM WHERE [OPTIONS]: something that is there already, seen at another place
  [[ -e $2 ]] || : >"$2"
  mount --bind "$1" "$2"
  [[ -z ${3-} ]] || mount -o "remount,bind,$3" "$2"
}

mounts() {
  local name quiet=nodev,noexec
  cd "$dir/root"
  fs proc proc $quiet
  fs sysfs sys ro,$quiet
  for name in $HIDDEN; do
    if [[ -d $name ]]; then fs tmpfs "$name" ro,$quiet,size=0,mode=555
    elif [[ -e $name ]]; then bind /dev/null "$name" ro,nosuid,noexec; fi
  done
  for name in proc/{bus,fs,irq,sys,sysrq-trigger}; do
    [[ ! -e $name ]] || bind "$name" "$name" ro,nosuid,$quiet
  done
  fs cgroup2 sys/fs/cgroup ro,$quiet
  fs tmpfs dev nodev,mode=755,size=64k,nr_inodes=1k
  fs devpts dev/pts noexec,newinstance,ptmxmode=0666,mode=0620,gid=5
  fs tmpfs dev/shm $quiet,mode=1777,size=64m,nr_inodes=16k
  fs mqueue dev/mqueue $quiet
  for name in null zero full random urandom tty; do bind /dev/$name dev/$name ro,nosuid,noexec; done
  bind /dev/null dev/console ro,nosuid,noexec
  ln -s /proc/self/fd dev/fd
  for name in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${name%:*}" "dev/${name#*:}"; done
  ln -s pts/ptmx dev/ptmx
  bind "$dir/hosts" etc/hosts nosuid,$quiet
  bind "$dir/resolv.conf" etc/resolv.conf nosuid,$quiet
}

# Afterwards there are no programs of the host's any more. So this shell goes on in a copy of the
# host's root (tools), and nsenter, which has the namespace's own root, exchanges that one.
keep_tools() {
  mount --rbind / "$dir/tools"
  exec chroot "$dir/tools" "$here/container.sh" --inside "$dir" "$name" "$@" 9<.
}

pivot() { # the old root ends up on top of the new one, and is detached
  cd -P /proc/self/fd/9
  nsenter --mount=/proc/self/ns/mnt --wd=. pivot_root . .
  umount --lazy --no-canonicalize .
}

hostname() {
  command hostname "$name"
  ip link set lo up
}

caps() {
  become=(setpriv "--bounding-set=$CAPS" --inh-caps=-all --no-new-privs)
}

seccomp() {
  echo 'container.sh: seccomp: no shell can load a filter; the engine does' >&2
}

execute() { # exec is a word of the shell's
  local fd term path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin shell=/bin/sh
  [[ ! -x bin/bash ]] || shell=/bin/bash
  for fd in /proc/self/fd/*; do # all but 0, 1, 2, and 255, this script
    [[ ${fd##*/} == @([012]|255) ]] || eval "exec ${fd##*/}>&-"
  done
  term=$(printenv TERM) || : # not the shell's own, dumb
  exec "${become[@]}" env -i --default-signal=INT,QUIT "PATH=$path" HOME=/root "HOSTNAME=$name" \
    "TERM=${term:-linux}" ${LANG+"LANG=$LANG"} chroot . "${@:-$shell}"
}

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
(($# > 2)) || die 'usage: container.sh ROOTFS NAME IP [COMMAND...]'
if [[ $1 == --child ]]; then
  dir=$2 name=$3; shift 3
  private; mounts; keep_tools "$@"
elif [[ $1 == --inside ]]; then
  name=$3; shift 3
  pivot; hostname; caps; seccomp; execute "$@"
fi
rootfs=$(realpath "$1") name=$2 address=$3; shift 3
claim; cgroup; clone "$@"; users; network; layer; go

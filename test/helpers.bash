# shellcheck shell=bash disable=SC2119,SC2120
# Shared by all tests: `load helpers`.
#
# Everything runs in a laboratory: a network namespace and a mount namespace that setup_suite
# makes and a sleeping process keeps alive. It has its own bridge, its own /run, its own
# /var/lib/container_engine and its own piece of the cgroup tree, so the tests neither see nor
# touch what the machine itself has there, and two suites may run at once.
#
#   lab CMD...           runs CMD in the laboratory           ce ARGS...    the engine, likewise
#   try [-N] CMD...      like bats' run: sets $status $output $stderr, shows all of it when the
#                        test fails, and with -N fails unless the status is N
#   refuses WORD CMD...  the engine must refuse: status 125, one line, WORD in it
#   start TAG CMD...     in the background: sets $pid; output in $BATS_TEST_TMPDIR/TAG.{out,err}
#   start_idle NAME IP   a container that waits for SIGTERM; returns when it is up
#   wait_until SEC CMD.. polls instead of sleeping
#   requires WORD...     skips (fails under MUST_WORK=1) and says why
#
# setup and teardown below snapshot and compare: a test that leaves anything behind fails. A file
# with a setup or a teardown of its own calls lab_snapshot and leak_check in it.

bats_require_minimum_version 1.5.0

REPO=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
STARTED=()

setup() {
  requires root
  lab_snapshot
}

teardown() {
  # A skipped test made nothing.
  [[ -n ${BATS_TEST_SKIPPED-} ]] || leak_check
}

# --- the laboratory -------------------------------------------------------------------------

# Makes it anew in $LAB (a directory that setup_suite chose) and leaves the keeper's pid in
# $LAB/pid. Its mounts are shared ones, as on every host that systemd started.
lab_make() {
  rm -f "$LAB/ready"
  # shellcheck disable=SC2016  # the variables are those of the inner shell
  unshare --net --mount bash -euc '
    mkdir -p "$0/layers" "$0/cgroup"
    mount --bind "$1" "$0/cgroup"
    mount -t sysfs sysfs /sys
    mount --move "$0/cgroup" /sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs /run
    mount --bind "$0/layers" /var/lib/container_engine
    mount --make-rshared /
    ip link set lo up
    touch "$0/ready"
    exec tail -f --pid="$2" /dev/null' "$LAB" "$LAB_CGROUP" "$SUITE" </dev/null >"$LAB/log" 2>&1 3>&- 4>&- &
  printf '%s\n' "$!" >"$LAB/pid"
  disown
  wait_until 10 test -e "$LAB/ready" || { cat "$LAB/log"; return 1; }
  lab_bridge
}

# The bridge and the parent cgroup, by the same command that a user would give.
lab_bridge() {
  lab "$REPO/env.sh" set >"$LAB/log" 2>&1 || { cat "$LAB/log"; return 1; }
}

# Ends every process in it, then the laboratory itself; mounts and links die with it.
lab_end() {
  local id
  for id in $(lab_processes) $(<"$LAB/pid"); do
    kill -KILL "$id" 2>/dev/null || continue # gone in the meantime
  done
  wait_until 10 lab_is_empty
  find "$LAB_CGROUP" -mindepth 1 -depth -type d -exec rmdir {} +
  rm -rf --one-file-system "$LAB/layers"
}

lab_is_empty() {
  [[ -z $(lab_processes) && ! -e /proc/$(<"$LAB/pid")/ns/net ]]
}

# exec, not fork: with `lab_exec CMD &`, $! is the pid of CMD itself. A background job of a script
# ignores SIGINT and hands that down; a command typed by a person does not.
lab_exec() {
  local keeper
  keeper=$(<"$LAB/pid")
  exec env --default-signal=INT,QUIT,HUP nsenter --target "$keeper" --net --mount --wdns="$PWD" -- "$@"
}

lab() {
  (lab_exec "$@")
}

# Nothing may hang: a command that does not end is ended, with status 124.
ce() {
  # shellcheck disable=SC2153  # setup_suite exports it
  lab timeout --foreground -k 5 "$((${CE_TIMEOUT:-30} * ${CE_SLOW:-1}))" "$ENGINE" "$@"
}

# --- running --------------------------------------------------------------------------------

try() {
  # shellcheck disable=SC2034  # bats' run uses i, and the caller's loop may
  local want='' flags=(--separate-stderr) i
  if [[ $1 =~ ^-[0-9]+$ ]]; then
    want=${1#-}
    [[ $want -ne 127 ]] || flags+=(-127) # bats takes that for a typing error, if not told so
    shift
  fi
  run "${flags[@]}" "$@" </dev/null
  # shellcheck disable=SC2154  # bats sets stderr
  printf '$ %s\nstatus: %s\n%s\n--- stderr:\n%s\n---\n' "$*" "$status" "$output" "$stderr"
  [[ -z $want || $status -eq $want ]]
}

# The engine's own failure: status 125 (or -N), nothing on stdout, one line on stderr in its own
# name with WORD in it.
refuses() { # [-N] WORD CMD...
  local want=-125 word
  [[ ! $1 =~ ^-[0-9]+$ ]] || { want=$1; shift; }
  word=$1
  shift
  try "$want" "$@" || return 1
  # A host without controllers gets a warning for its default limits; that is not the error.
  grep -v '^container_engine: warning: ' <<<"$stderr" >"$BATS_TEST_TMPDIR/refused" || :
  [[ -z $output && $(grep -c . "$BATS_TEST_TMPDIR/refused") -eq 1 ]] &&
    grep -q '^container_engine: ' "$BATS_TEST_TMPDIR/refused" &&
    grep -qiF -- "$word" "$BATS_TEST_TMPDIR/refused"
}

# The command's standard input: TEXT.
typing() { # TEXT CMD...
  local text=$1
  shift
  "$@" <<<"$text"
}

start() {
  local out=$BATS_TEST_TMPDIR/$1
  shift
  rm -f "$out.out" "$out.err" # nobody shall take an earlier run's words for this one's
  lab_exec "$@" </dev/null >"$out.out" 2>"$out.err" 3>&- 4>&- &
  pid=$!
  STARTED+=("$pid")
}

start_idle() { # NAME IP [OPTION...]
  local name=$1 address=$2
  shift 2
  start "$name" "$ENGINE" "$@" "$ALPINE" "$name" "$address" \
    sh -c 'trap "exit 0" TERM; echo ready; sleep 1000 & wait'
  wait_until 10 grep -qs ready "$BATS_TEST_TMPDIR/$name.out" || {
    cat "$BATS_TEST_TMPDIR/$name.err"
    return 1
  }
}

# What the host calls the container's PID 1.
init_pid() { # NAME
  lab sed -n 's/^pid=//p' "/var/lib/container_engine/$1/state"
}

# Makes the program DIR/give, which gives away one of its descriptors, or a new socket of its
# network, through the unix socket /shared/socket.
make_giver() { # DIR
  gcc -static -x c -o "$1/give" - <<'END'
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv) {
    struct sockaddr_un name = {AF_UNIX, "/shared/socket"};
    int to = socket(AF_UNIX, SOCK_STREAM, 0);
    int gift = argc > 1 ? atoi(argv[1]) : socket(AF_INET, SOCK_DGRAM, 0);
    union { struct cmsghdr header; char bytes[CMSG_SPACE(sizeof(int))]; } u =
        {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec byte = {"x", 1};
    struct msghdr m = {.msg_iov = &byte, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof u};
    memcpy(CMSG_DATA(&u.header), &gift, sizeof gift);
    if (connect(to, (struct sockaddr *)&name, sizeof name) < 0) return 1;
    return sendmsg(to, &m, 0) != 1;
}
END
}

# Changes its state in place, as the engine does.
change_state() { # NAME SED-EXPRESSION
  # shellcheck disable=SC2016  # the variables are those of the inner shell
  lab sh -c 'new=$(sed "$1" "$0") && printf "%s\n" "$new" >"$0"' \
    "/var/lib/container_engine/$1/state" "$2"
}

# Its engine has ended, and cleaned up.
over() { # NAME
  local engine
  [[ ! -e $LAB_CGROUP/container_engine/$1 ]] || return 1
  engine=$(lab sed -n 's/^engine=//p' "/var/lib/container_engine/$1/state" 2>/dev/null) || return 0
  [[ -z $engine ]] || gone "$engine"
}

# What share of one CPU the container NAME uses, in hundredths, over five seconds. Figure and clock
# are read without a process in between, which on a busy machine would take its own time.
cpu_share() { # NAME
  local stat=$LAB_CGROUP/container_engine/$1/cpu.stat key t0 t1 used0 used1
  read -r key used0 <"$stat"
  t0=${EPOCHREALTIME/[.,]/}
  sleep 5
  read -r key used1 <"$stat"
  t1=${EPOCHREALTIME/[.,]/}
  [[ $key == usage_usec ]] && echo "$(((used1 - used0) * 100 / (t1 - t0)))"
}

# Emulated machines are slow: CE_SLOW multiplies every patience.
wait_until() {
  local end=$((SECONDS + $1 * ${CE_SLOW:-1}))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.05
  done
}

gone() {
  [[ ! -e /proc/$1/exe ]]
}

# Sets $status to what the started process PID ended with.
ended() {
  status=0
  wait_until 10 gone "$1" || { printf 'process %s did not end\n' "$1"; return 1; }
  wait "$1" || status=$?
}

# What the test started and did not end: SIGTERM, and SIGKILL for what does not listen.
stop_started() {
  local id
  for id in "${STARTED[@]}"; do
    gone "$id" || kill -TERM "$id" 2>/dev/null || continue
    wait_until 5 gone "$id" || kill -KILL "$id"
  done
  STARTED=()
}

# --- leaks ----------------------------------------------------------------------------------

# A process is ours when it is the engine, is in the laboratory, or is in a cgroup of ours. (A
# container's program is neither of the first two: its own namespaces, its own file.)
lab_processes() {
  local keeper net mnt
  keeper=$(<"$LAB/pid")
  net=$(readlink "/proc/$keeper/ns/net") || net=none
  mnt=$(readlink "/proc/$keeper/ns/mnt") || mnt=none
  {
    # Processes end while we look: find and grep may complain about those.
    find /proc/[0-9]*/exe /proc/[0-9]*/ns/net /proc/[0-9]*/ns/mnt -maxdepth 0 \
      \( -lname "$ENGINE*" -o -lname "${net//[/\\[}" -o -lname "${mnt//[/\\[}" \) 2>/dev/null || :
    grep -lF "/${LAB_CGROUP##*/}" /proc/[0-9]*/cgroup 2>/dev/null || :
  } | cut -d/ -f3 | sort -un | grep -vx "$keeper" || :
}

# One line for each thing that a container makes on its host.
lab_state() {
  local id layers=
  for id in $(lab_processes); do
    printf 'process %s %s\n' "$id" "$(cat "/proc/$id/comm" 2>/dev/null)"
  done
  find "$LAB_CGROUP" -mindepth 2 -type d -printf 'cgroup %P\n'
  [[ -z ${CHECK_LAYERS-} ]] || layers=/var/lib/container_engine
  # shellcheck disable=SC2016  # the variables are those of the inner shell
  lab bash -c '
    ip -o link | sed -E "s/^[0-9]+: ([^:@]+).*/link \1/"
    nft list tables | sed "s/^/nft /"
    findmnt -rn -o TARGET,FSTYPE | sed "s/^/mount /"
    shopt -s nullglob
    for f in /run/netns/* /var/lib/container_engine/.deleted.* ${1:+"$1"/*}; do
      echo "file $f"
    done' lab "$layers"
}

lab_snapshot() {
  lab_state | sort >"$BATS_TEST_TMPDIR/before"
}

# Prints what is there now and was not in the snapshot; status 0 when that is nothing.
leaks() {
  lab_state | sort | comm -13 "$BATS_TEST_TMPDIR/before" - >"$BATS_TEST_TMPDIR/leaks"
  cat "$BATS_TEST_TMPDIR/leaks"
  [[ ! -s $BATS_TEST_TMPDIR/leaks ]]
}

# The end of every test. What is left counts against it, and is removed with the laboratory, so
# that the next test is not blamed. The kernel takes its moment over a dead container: we poll.
leak_check() { # [SECONDS]
  stop_started
  if wait_until "${1:-5}" leaks >/dev/null; then
    lab find /var/lib/container_engine -mindepth 1 -delete
    return 0
  fi
  printf 'left behind:\n'
  cat "$BATS_TEST_TMPDIR/leaks"
  lab_end
  lab_make
  return 1
}

# --- requirements ---------------------------------------------------------------------------

requires() {
  local word why
  for word; do
    why=$(lacks "$word") || { printf 'requires: unknown word: %s\n' "$word"; return 1; }
    [[ -n $why ]] || continue
    if [[ ${MUST_WORK-} == 1 ]]; then
      printf 'MUST_WORK=1, but %s\n' "$why"
      return 1
    fi
    skip "$why"
  done
}

# Prints why WORD cannot be had here, or nothing.
lacks() {
  case $1 in
    root) ((EUID == 0)) || echo 'these tests need root' ;;
    controllers)
      local have
      have=" $(<"$LAB_CGROUP/cgroup.controllers") "
      [[ $have == *' cpu '* && $have == *' memory '* && $have == *' pids '* ]] ||
        echo 'cgroup v2 has no cpu, memory and pids controllers here (make test uses a VM)'
      ;;
    userns)
      # Users are isolated when the kernel can idmap below an overlay: 5.19.
      printf '5.19\n%s\n' "$(uname -r)" | sort -CV || echo 'kernels before 5.19 cannot idmap layers'
      ;;
    alpine) rootfs_alpine ;;
    host_rootfs) rootfs_host ;;
    debian_rootfs) rootfs_debian ;;
    gcc | jq | nft | python3 | script | strace | tmux)
      type -P "$1" >/dev/null || echo "$1 is not installed"
      ;;
    *) return 1 ;;
  esac
}

# --- root filesystems: made once per suite, at first need; each prints why it cannot be had ---

rootfs_alpine() {
  [[ -d $ALPINE ]] || unpack "${CE_ALPINE-}" "$ALPINE" 'CE_ALPINE names no Alpine minirootfs tarball'
}

# A tarball, because the VM has no network to fetch from.
rootfs_debian() {
  [[ -d $DEBIAN_ROOTFS ]] ||
    unpack "${CE_DEBIAN-}" "$DEBIAN_ROOTFS" 'CE_DEBIAN names no tarball of a Debian rootfs'
}

# In the VM a tarball too, because making one there takes minutes.
rootfs_host() {
  [[ ! -d $HOST_ROOTFS ]] || return 0
  if [[ -n ${CE_HOST-} ]]; then
    unpack "$CE_HOST" "$HOST_ROOTFS" 'CE_HOST names no tarball'
  else
    "$REPO/rootfs-fetch.sh" host "$HOST_ROOTFS" >"$LAB/log" 2>&1 || tail -n 1 "$LAB/log"
  fi
}

unpack() { # TARBALL DIR COMPLAINT
  [[ -f $1 ]] || { printf '%s\n' "$3"; return 0; }
  if mkdir -p "$2.part" && tar -xf "$1" -C "$2.part"; then
    mv "$2.part" "$2"
  else
    printf '%s cannot be unpacked\n' "$1"
  fi
}

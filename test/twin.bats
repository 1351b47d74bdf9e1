#!/usr/bin/env bats
# The shell twin (container.sh, cgroup.sh) builds what the engine builds, and leaves nothing.

load helpers

setup() {
  requires root alpine
  lab_snapshot
}

# Starts a container that waits. It is found by /run/netns/NAME, which both make: sets $init.
start_one() { # TAG CMD...
  local tag=$1
  shift
  start "$tag" "$@" "$ALPINE" c1 192.168.1.2 sh -c 'trap "exit 0" TERM; echo ready; sleep 1000 & wait'
  wait_until 20 grep -qs ready "$BATS_TEST_TMPDIR/$tag.out" ||
    { cat "$BATS_TEST_TMPDIR/$tag.err"; return 1; }
  init=$(lab readlink /run/netns/c1)
  init=${init#/proc/} init=${init%%/*}
}

stop_one() {
  kill -TERM "$init"
  ended "$pid"
  [[ $status -eq 0 ]]
}

# What a container is, without the numbers that each one has for itself. The place and the options
# of a mount; tmpfs and null are told by their type and their name.
picture() { # PID
  local kind
  echo '# mounts'
  sed -E 's/^[0-9]+ [0-9]+ [0-9:]+ (\S+) (\S+) (\S+) .*- (\S+) .*/\2 \4 \3/; s/ (devtmpfs|ext4) / bind /' \
    "/proc/$1/mountinfo" | sed 's/ tmpfs ro,nosuid,noexec,relatime$/ bind ro,nosuid,noexec,relatime/' | sort
  echo '# namespaces of its own'
  for kind in cgroup ipc mnt net pid user uts; do
    [[ /proc/$1/ns/$kind -ef /proc/self/ns/$kind ]] || echo "$kind"
  done
  echo '# network'
  lab nsenter -t "$1" -n ip -o addr | sed -E 's/@if[0-9]+//; s/ +/ /g'
  lab nsenter -t "$1" -n ip -o link | sed -E 's/@if[0-9]+//; s/.*: (\S+): <.*>.* (link\S*) (\S+) .*/\1 \2 \3/'
  lab nsenter -t "$1" -n ip route
  echo '# limits'
  (cd "$LAB_CGROUP/container_engine/c1" &&
    grep -Hs . cpu.max memory.max memory.swap.max memory.oom.group pids.max) || :
  echo '# what it is inside'
  nsenter -t "$1" -u hostname
  grep -E '^(Cap|NoNewPrivs)' "/proc/$1/status"
  sed 's/^[0-9]*:[^:]*:/cgroup /; s/ce-test-[^/]*//' "/proc/$1/cgroup" | tail -n 1
  tr '\0' '\n' <"/proc/$1/environ" | sort
  for kind in null zero full random urandom tty console pts shm mqueue fd stdin ptmx; do
    stat -c '%n %F %a %t:%T' "/proc/$1/root/dev/$kind" | sed 's/.*\/root//; s/^\/dev\/stdin.*//'
  done
}

@test "twin: mounts, namespaces, addresses, routes, limits, hostname are the engine's" {
  start_one engine "$ENGINE" --rm
  picture "$init" >"$BATS_TEST_TMPDIR/engine.picture"
  stop_one
  start_one twin "$REPO/test/container.sh"
  picture "$init" >"$BATS_TEST_TMPDIR/twin.picture"
  [[ $(cat "$BATS_TEST_TMPDIR/twin.err") == *'CGROUP SET DONE.'*'seccomp: no shell'* ]]
  stop_one
  (($(wc -l <"$BATS_TEST_TMPDIR/engine.picture") > 50))
  grep -qx 'user' "$BATS_TEST_TMPDIR/engine.picture"
  diff "$BATS_TEST_TMPDIR/engine.picture" "$BATS_TEST_TMPDIR/twin.picture"
}

# In bash exec is a word of its own, so there the last step is called execute.
@test "twin: the steps have the engine's names, in its order" {
  local steps
  steps=$(sed -n '/^static const struct step \(host\|container\)_steps\[\] = {/,/^};/s/^ *{"\([a-z]*\)",.*/\1/p' \
    "$REPO/container_engine.c")
  (($(wc -l <<<"$steps") >= 10))
  diff <(echo "$steps") <(sed -n 's/^\([a-z]*\)() .*/\1/p' "$REPO/test/container.sh" |
    sed 's/^execute$/exec/' | grep -Fx "$steps")
}

@test "twin: what runs inside" {
  try -7 lab "$REPO/test/container.sh" "$ALPINE" c1 192.168.1.2 \
    sh -c 'ping -c 1 -q 192.168.1.1; ls -A /proc/self/fd; touch /root/x; echo $$; exit 7'
  [[ $output == *'1 packets received'* && ${lines[-1]} == 1 ]]
  [[ ! -e $ALPINE/root/x ]]
  try -125 lab "$REPO/test/container.sh" "$ALPINE" 'a;b' 192.168.1.2 true
  try -125 lab "$REPO/test/container.sh" "$ALPINE"
}

@test "twin: killed, it leaves no process, no cgroup, no link and no file" {
  start_one twin "$REPO/test/container.sh"
  kill -TERM "$pid"
  ended "$pid"
  gone "$init"
  try -1 lab "$REPO/test/container.sh" "$ALPINE" c1 192.168.1.300 true
}

@test "twin: a name is taken once; cgroup.sh shows the limits of what runs, and will not clean it" {
  start_one engine "$ENGINE" --rm
  try -125 lab "$REPO/test/container.sh" "$ALPINE" c1 192.168.1.3 true
  [[ $stderr == *'runs already'* ]]
  try -0 lab "$REPO/test/cgroup.sh" set c1
  [[ ${lines[-1]} == 'CGROUP SET DONE.' && $output == *"$init"* ]]
  try -1 lab "$REPO/test/cgroup.sh" clean c1
  stop_one
}

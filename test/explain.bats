#!/usr/bin/env bats
# --explain tells what is done, and only that: compared with what strace saw of the same run.
# --step waits before each step, and q walks back from there.

load helpers

setup() {
  requires root alpine strace python3
  lab_snapshot
}

# Runs the engine under strace; its log is compared with what was told.
told() { # STATUS ARGS...
  local want=$1
  shift
  try "-$want" lab timeout "$((60 * ${CE_SLOW:-1}))" strace -f -s 9999 -o "$BATS_TEST_TMPDIR/log" "$@"
  python3 "$REPO/test/told.py" "$BATS_TEST_TMPDIR/log"
}

@test "explain: a run: each mount, namespace, limit and map, and each line for ip, and nothing else" {
  told 0 "$ENGINE" --explain --rm "$ALPINE" c1 192.168.1.2 true
  # so many, so that the comparison is one of something
  [[ $(python3 "$REPO/test/told.py" "$BATS_TEST_TMPDIR/log") == [6-9]?' compared' ]]
  [[ $stderr == *'mount proc on /proc: nosuid,nodev,noexec '*'# mount(2)'* ]]
  [[ $stderr == *'clone3 NEWCGROUP,NEWIPC,NEWNS,NEWNET,NEWPID,NEWUSER,NEWUTS,INTO_CGROUP = '*unshare* ]]
  [[ $stderr == *'ip link add eth0 address 02:42:c0:a8:01:02 type veth peer name ve'* ]]
}

@test "explain: other runs: alone, read-only, for a user, with volumes, without a layer or a wall" {
  local options
  mkdir "$BATS_TEST_TMPDIR/volume"
  while read -r options; do
    eval "options=($options)"
    told 0 "$ENGINE" "${options[@]}" --explain --rm "$ALPINE" c1 none true
  done <<'END'
-u 1000 --read-only -v "$BATS_TEST_TMPDIR/volume:/volume:ro"
--userns off
--write-through
--without pid,pivot
--without net,ipc,devices,cgroup,masks
END
}

@test "explain: an exec" {
  start_idle c1 none
  told 0 "$ENGINE" exec --explain c1 true
  [[ $stderr == *'HOST      1 enter'*'HOST      2 clone'*'CONTAINER 1 join'* ]]
  try -0 lab script -qefc "'$ENGINE' exec --explain c1 true" /dev/null </dev/null
  [[ $output == *'HOST      3 go '*'CONTAINER 5 exec '* ]]
}

@test "explain: a step that fails, in the engine and in the child" {
  local call
  for call in pivot_root:error=EPERM sethostname:error=EPERM move_mount:error=EINVAL:when=5 \
    clone3:error=EAGAIN mount_setattr:error=EINVAL:when=4 move_mount:error=ENOENT:when=1 \
    symlink:error=EEXIST fsmount:error=EINVAL:when=1 setns:error=EPERM:when=2; do
    told 125 -e inject="$call" "$ENGINE" --explain --rm "$ALPINE" c1 192.168.1.2 true
    [[ $stderr == *'HOST      back 1 claim'* ]]
  done
  told 127 "$ENGINE" --explain --rm "$ALPINE" c1 192.168.1.2 nosuch
}

# How often each system call is made, but those that wait and relay, of which there may be more.
counts() { # ENGINE
  lab strace -f -c -o "$BATS_TEST_TMPDIR/log" "$1" --rm "$ALPINE" c1 none true 2>/dev/null
  awk 'NR > 2 && $NF !~ /^(total|poll|clock_nanosleep|restart_syscall|read|write|flock|-+)$/ { print $4, $NF }' \
    "$BATS_TEST_TMPDIR/log" | sort -k 2
}

@test "explain: when it was not asked for, a run makes not one system call more" {
  local mute=$BATS_TEST_TMPDIR/mute
  # An engine that has nobody to tell.
  sed -E 's/c->tell\(c, [^;]*;/(void)0;/; s/return c->tell \? .*/return 0;/' "$REPO/container_engine.c" >"$mute.c"
  [[ $(diff "$REPO/container_engine.c" "$mute.c" | grep -c '^>') -eq 2 ]]
  gcc -w -static -O1 "$mute.c" -o "$mute" || gcc -w -O1 "$mute.c" -o "$mute"
  gcc -w -static -O1 "$REPO/container_engine.c" -o "$BATS_TEST_TMPDIR/engine" ||
    gcc -w -O1 "$REPO/container_engine.c" -o "$BATS_TEST_TMPDIR/engine"
  counts "$mute" >"$BATS_TEST_TMPDIR/least"
  (($(wc -l <"$BATS_TEST_TMPDIR/least") > 50))
  counts "$BATS_TEST_TMPDIR/engine" | diff "$BATS_TEST_TMPDIR/least" -
}

# Without a user namespace the engine runs itself once more, from a sealed copy.
@test "explain: --without says once of each wall what is missing, also where the engine runs twice" {
  try -0 ce --rm --without user,pid "$ALPINE" c1 none true
  [[ $(grep -c '^without user: ' <<<"$stderr") == 1 && $(grep -c '^without pid: ' <<<"$stderr") == 1 ]]
  try -0 ce --rm --without uts "$ALPINE" c1 none true
  [[ $(grep -c '^without ' <<<"$stderr") == 1 ]]
}

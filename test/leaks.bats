#!/usr/bin/env bats
# The leak check itself: a check that sees nothing would pass everything.

load helpers

# The check must be clean, must see the thing while it is there, and be clean again.
sees() { # PATTERN MAKE REMOVE
  leaks
  lab bash -c "$2"
  try -1 leaks
  [[ $output =~ $1 ]]
  lab bash -c "$3"
  wait_until 5 leaks
}

@test "leak check: sees a link" {
  sees '^link ve01234567$' 'ip link add ve01234567 type bridge' 'ip link del ve01234567'
}

@test "leak check: sees a cgroup" {
  sees '^cgroup container_engine/c1$' 'mkdir /sys/fs/cgroup/container_engine/c1' \
    'rmdir /sys/fs/cgroup/container_engine/c1'
}

@test "leak check: sees a mount" {
  sees '^mount /mnt tmpfs$' 'mount -t tmpfs none /mnt' 'umount /mnt'
}

@test "leak check: sees an nft table" {
  requires nft
  sees '^nft table ip left$' 'nft add table ip left' 'nft delete table ip left'
}

@test "leak check: sees a network namespace's name" {
  sees '^file /run/netns/c1$' 'mkdir -p /run/netns; ln -s /proc/1/ns/net /run/netns/c1' \
    'rm /run/netns/c1'
}

@test "leak check: sees what was deleted, and not removed" {
  sees '^file /var/lib/container_engine/.deleted.c1$' \
    'mkdir /var/lib/container_engine/.deleted.c1' 'rmdir /var/lib/container_engine/.deleted.c1'
}

@test "leak check: sees a layer when asked to" {
  CHECK_LAYERS=1
  sees '^file /var/lib/container_engine/c1$' 'mkdir /var/lib/container_engine/c1' \
    'rmdir /var/lib/container_engine/c1'
}

@test "leak check: sees a process in the laboratory" {
  leaks
  start sleeper sleep 1000
  wait_until 5 test -n "$(lab_processes)"
  try -1 leaks
  [[ $output == "process $pid sleep" ]]
}

@test "leak check: sees a process in a cgroup of ours, in other namespaces" {
  local dir=$LAB_CGROUP/container_engine/c1
  mkdir "$dir"
  sleep 1000 3>&- 4>&- &
  STARTED+=("$!")
  echo "$!" >"$dir/cgroup.procs"
  try -1 leaks
  [[ $output == *"process $! sleep"* ]]
  kill "$!"
  wait_until 5 rmdir "$dir"
}

@test "leak check: sees a copy of the engine, in other namespaces" {
  # sleep stands for the engine; what counts is which file runs.
  cp "$(type -P sleep)" "$ENGINE.copy"
  unshare --net --mount "$ENGINE.copy" 1000 3>&- 4>&- &
  STARTED+=("$!")
  wait_until 5 test "/proc/$!/exe" -ef "$ENGINE.copy"
  try -1 leaks
  [[ $output == *"process $! "* ]]
  rm "$ENGINE.copy"
}

@test "leak check: it is what every test ends with" {
  printf '%s\n' "load $REPO/test/helpers" \
    '@test "left" { lab ip link add ve01234567 type bridge; }' \
    '@test "not left" { true; }' >"$BATS_TEST_TMPDIR/inner.bats"
  # A bats of its own in the same laboratory: no setup_suite next to its file.
  try -1 env -u BATS_RUN_TMPDIR bats --formatter tap "$BATS_TEST_TMPDIR/inner.bats"
  [[ ${lines[1]} == 'not ok 1 left' && $output == *'# left behind:'*'# link ve01234567'* ]]
  [[ $output == *'ok 2 not left' ]]
}

@test "leak check: what is left fails the test, is told, and is gone for the next one" {
  lab ip link add ve01234567 type bridge
  try -1 leak_check 0
  [[ $output == *'link ve01234567'* ]]
  leaks
}

@test "requires: an unknown word fails, MUST_WORK turns a skip into a failure" {
  try -1 requires chocolate
  MUST_WORK=1 CE_DEBIAN=/none DEBIAN_ROOTFS=/none try -1 requires debian_rootfs
  [[ $output == 'MUST_WORK=1, but CE_DEBIAN'* ]]
}

#!/usr/bin/env bats
# What the README promises of `make demo`, on a clean copy and without a bridge.

load helpers

setup() {
  requires root gcc
  lab_snapshot
  CLONE=$LAB/clone
  mkdir "$CLONE"
  cp -r "$REPO"/{container_engine.c,Makefile,env.sh,rootfs-fetch.sh,test} "$CLONE"
  lab "$REPO/env.sh" clean
}

teardown() {
  rm -rf "$CLONE"
  lab_bridge
  leak_check
}

demo() {
  CE_TIMEOUT=120 lab timeout --foreground "$((120 * ${CE_SLOW:-1}))" make -s -C "$CLONE" demo
}

@test "demo: without a terminal it shows a short proof and ends with 0" {
  try -0 demo
  [[ $output == *'ENV SET DONE.'* && $output == *centos1* ]]
  [[ $output =~ \ 1\ [^$'\n']*\ sh || $output =~ \ 1\ [^$'\n']*\ ps ]]
  [[ $output == *'inet 192.168.1.2/24'* ]]
  [[ $output =~ 2\ packets\ transmitted,\ 2\ received ]]
  lab "$REPO/env.sh" clean
}

@test "demo: where 192.168.1.0/24 is the home network, it takes another" {
  lab ip link add home type bridge
  lab ip addr add 192.168.1.50/24 dev home
  lab ip link set home up
  try -0 demo
  [[ $output == *'ENV SET DONE.'* && $output != *'inet 192.168.1.'* ]]
  [[ $output =~ 2\ packets\ transmitted,\ 2\ received ]]
  # Again, with the bridge standing.
  try -0 demo
  [[ $output =~ 2\ packets\ transmitted,\ 2\ received ]]
  lab ip link del home
  lab "$REPO/env.sh" clean
}

@test "demo: on a terminal there is a shell" {
  requires tmux
  local socket=$BATS_TEST_TMPDIR/tmux
  start tmux tmux -S "$socket" -f /dev/null new-session -d -x 100 -y 50 \
    "make -s -C '$CLONE' demo; echo \$? >'$BATS_TEST_TMPDIR/status'"
  wait_until 60 shows "$socket" 'root@centos1'
  tmux -S "$socket" send-keys 'echo $$ $(hostname) $(whoami)' Enter
  wait_until 10 shows "$socket" '1 centos1 root'
  tmux -S "$socket" send-keys 'exit 3' Enter # which is no failure of the demo
  wait_until 10 gone "$(tmux -S "$socket" display -p '#{pid}')"
  [[ $(<"$BATS_TEST_TMPDIR/status") == 0 ]]
  lab "$REPO/env.sh" clean
}

shows() { # SOCKET TEXT
  tmux -S "$1" capture-pane -p | grep -qF "$2"
}

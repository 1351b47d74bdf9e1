#!/usr/bin/env bats
# test/stress_test.sh: the pressure is real, it ends, and nothing of it stays. On the host itself,
# with each shell that there is; what limits do to it is in walkthrough.bats.

load helpers

STRESS=$REPO/test/stress_test.sh

setup() { :; }

# Each test's processes are those that have its own variable in their environment.
ours() {
  grep -lz "^STRESS_OF=$BATS_TEST_TMPDIR\$" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3
}

teardown() {
  [[ -z $(ours) ]] || { echo 'left behind:'; ours; ours | xargs kill; return 1; }
}

# Starts it with SHELL in the background: $pid.
stress() { # SHELL ARG...
  STRESS_OF=$BATS_TEST_TMPDIR "$1" "$STRESS" "${@:2}" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- 4>&- &
  pid=$!
}

# What the biggest process has in memory, in MB; and how much CPU time the busiest has had, in ms.
biggest() {
  ours | sed 's:.*:/proc/&/status:' | xargs sed -n 's/^VmRSS:\s*\([0-9]*\) kB/\1/p' |
    sort -n | awk 'END { print int($1 / 1024) }'
}

busiest() {
  ours | sed 's:.*:/proc/&/stat:' | xargs cat 2>/dev/null |
    awk '{ print ($14 + $15) * 10 }' | sort -n | tail -n 1
}

# 200 ms is little, for the machine may be busy; but whoever is not looping never gets there.
at_work() { (($(biggest) >= 80 && $(biggest) < 90 && $(busiest) > 200)); }

presses() { # SHELL
  stress "$1" 80 100
  wait_until 30 at_work || { echo "memory: $(biggest) MB, cpu: $(busiest) ms"; return 1; }
  kill -TERM "$pid"
  ended "$pid"
  SECONDS=0
  stress "$1" 80 2
  wait "$pid"
  ((SECONDS >= 2 && SECONDS < 20))
}

@test "stress: bash: holds the memory, uses the CPU, ends in time" {
  presses bash
}

@test "stress: dash, or what sh is here: holds the memory, uses the CPU, ends in time" {
  presses sh
}

@test "stress: busybox sh: holds the memory, uses the CPU, ends in time" {
  requires root alpine
  presses "$(alpine_sh)"
}

# A shell in a copy of Alpine, with what the engine would mount there.
alpine_sh() {
  cp -a "$ALPINE" "$BATS_TEST_TMPDIR/alpine"
  cp "$STRESS" "$BATS_TEST_TMPDIR/alpine/stress_test.sh"
  cat >"$BATS_TEST_TMPDIR/sh" <<END
#!/bin/sh
cd $BATS_TEST_TMPDIR/alpine && shift && exec unshare --mount sh -euc '
  mount -t proc proc proc
  mount --rbind /dev dev
  exec chroot . /bin/sh /stress_test.sh "\$@"' sh "\$@"
END
  chmod +x "$BATS_TEST_TMPDIR/sh"
  echo "$BATS_TEST_TMPDIR/sh"
}

# Asks and answers, in the language that these variables say.
speaks() { # NAME=VALUE...
  try -0 typing $'10\n1' env -u LC_ALL -u LC_MESSAGES -u LANG "$@" sh "$STRESS"
}

@test "stress: with LANG=zh_* it asks in the words of the document" {
  speaks LANG=zh_CN.UTF-8
  [[ $output == "请输入内存测试大小（MB）: 请输入测试持续时间（秒）: 开始 CPU 压力测试...
开始内存压力测试...
结束压力测试...
压力测试完成！" ]]
}

@test "stress: asks in English unless LANG is Chinese, and LC_ALL goes before LANG" {
  speaks
  english=$output
  [[ $output == "Memory to test with (MB): How long to test (seconds): Starting the CPU stress test...
Starting the memory stress test...
Ending the stress test...
The stress test is complete!" ]]
  speaks LANG=en_US.UTF-8
  [[ $output == "$english" ]]
  speaks LANG=zh_CN.UTF-8 LC_ALL=C
  [[ $output == "$english" ]]
  speaks LANG=C LC_ALL=zh_TW.UTF-8
  [[ $output == *完成* ]]
}

@test "stress: says so, with status 1, when the memory is not to be had" {
  try -1 bash -c 'ulimit -v 60000; exec bash "$0" 100 1' "$STRESS"
  [[ $stderr == *'100 MB'* && $output != *完成* && $output != *complete* ]]
}

@test "stress: SIGTERM ends all of it, with status 143" {
  stress bash 10 30
  wait_until 5 test -s "$BATS_TEST_TMPDIR/out"
  kill -TERM "$pid"
  ended "$pid"
  [[ $status -eq 143 ]]
  wait_until 2 nothing_left
}

nothing_left() { [[ -z $(ours) ]]; }

@test "stress: SIGKILL: the loop does not outlive its shell" {
  stress bash 10 1
  wait_until 5 test -s "$BATS_TEST_TMPDIR/out"
  disown "$pid"
  kill -KILL "$pid"
  wait_until 8 nothing_left
}

@test "stress: refuses what is not a number, or too much" {
  local bad
  for bad in '' x -1 0 010 1.5 2048 99999999999999999999; do
    try -2 sh "$STRESS" "$bad" 1
    [[ -z $output && $stderr == usage:* ]]
  done
  try -2 sh "$STRESS" 10
}

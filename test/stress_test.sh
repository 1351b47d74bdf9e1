#!/bin/sh
# stress_test.sh [MB SECONDS] - real pressure on memory and CPU; asks for what is not given.
#
# For any /bin/sh (bash, dash, busybox), with nothing but dd, sleep and /proc: a small rootfs has
# no compiler and no Python. It speaks the language of LANG: where that is Chinese (zh_*) the lines
# are those of the document that it comes from, and else English.
#   memory: dd reads MB megabytes from /dev/zero into one buffer, and then waits for ever for
#           somebody to read them. Nobody does, so that one process holds them.
#   CPU:    a loop of the shell.
# Exit status: 0 both held on to the end, 1 not (the memory was not to be had), 2 usage.
set -eu

usage() {
  printf 'usage: stress_test.sh [MB SECONDS]   (MB: 1 to 2047, SECONDS: 1 to 99999)\n' >&2
  exit 2
}

# say ENGLISH CHINESE
say() {
  case ${LC_ALL:-${LC_MESSAGES:-${LANG-}}} in
    zh | zh[_.]*) printf '%s\n' "$2" ;;
    *) printf '%s\n' "$1" ;;
  esac
}

# ask ENGLISH CHINESE - sets answer
ask() {
  printf '%s: ' "$(say "$1" "$2")"
  read -r answer || usage
}

is_number() { # WHAT MAX
  case $1 in
    '' | 0* | *[!0-9]* | ??????*) return 1 ;;
  esac
  [ "$1" -le "$2" ]
}

# What the biggest of our processes has in memory, in kB. Not every shell can say which one is dd.
held() {
  grep -l "^PPid:[^0-9]*$$\$" /proc/[0-9]*/status 2>/dev/null | while read -r status; do
    sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB$/\1/p' "$status"
  done | sort -n | tail -n 1
}

start() {
  say 'Starting the CPU stress test...' '开始 CPU 压力测试...'
  # kill -0 is there so that the loop does not outlive this shell, whatever ends it
  while kill -0 "$$" 2>/dev/null; do :; done &
  cpu=$!
  say 'Starting the memory stress test...' '开始内存压力测试...'
  # shellcheck disable=SC2216  # that sleep does not read is the point
  dd if=/dev/zero bs="${mb}M" count=1 2>/dev/null | sleep "$((seconds + 5))" &
  reader=$!
  sleep "$seconds" &
  timer=$!
}

# dd ends when its reader does: SIGPIPE.
stop() {
  trap - EXIT
  kill "$cpu" "$reader" "$timer" 2>/dev/null || :
  wait 2>/dev/null
}

main() {
  [ $# -eq 0 ] || [ $# -eq 2 ] || usage
  if [ $# -eq 0 ]; then
    ask 'Memory to test with (MB)' '请输入内存测试大小（MB）'
    mb=$answer
    ask 'How long to test (seconds)' '请输入测试持续时间（秒）'
    seconds=$answer
  else
    mb=$1
    seconds=$2
  fi
  is_number "$mb" 2047 || usage
  is_number "$seconds" 99999 || usage
  start
  trap stop EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  wait "$timer"
  kilobytes=$(held)
  say 'Ending the stress test...' '结束压力测试...'
  stop
  if [ "${kilobytes:-0}" -lt "$((mb * 1024))" ]; then
    printf 'stress_test.sh: %s MB of memory were not to be had\n' "$mb" >&2
    exit 1
  fi
  say 'The stress test is complete!' '压力测试完成！'
}

main "$@"

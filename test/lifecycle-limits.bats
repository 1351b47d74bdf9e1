#!/usr/bin/env bats
# Living with containers, where cgroup v2 has the controllers: what list and inspect say of use and
# limits, update, and exec below a limit. The rest is in lifecycle.bats.

load helpers

setup() {
  requires root controllers alpine host_rootfs jq
  lab_snapshot
}

teardown() {
  local names
  [[ -z ${BATS_TEST_SKIPPED-} ]] || return 0
  mapfile -t names < <(ce list -q)
  ((${#names[@]} == 0)) || ce delete -f "${names[@]}" >/dev/null
  leak_check
}

cgroup() { # FILE
  cat "$LAB_CGROUP/container_engine/c1/$1"
}

# A word of a flat keyed file: `field usage_usec cpu.stat`.
field() {
  cgroup "$2" | sed -n "s/^$1 //p"
}

# c1 in the background, and at it. OPTION... -- ROOTFS SCRIPT
up() {
  local options=()
  until [[ $1 == -- ]]; do
    options+=("$1")
    shift
  done
  # Into a file: a pipe that the engine kept open would make the test hang.
  ce -d "${options[@]}" "$2" c1 none sh -c "echo ready; $3" </dev/null \
    >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- 4>&-
  cat "$BATS_TEST_TMPDIR/said"
  [[ $(<"$BATS_TEST_TMPDIR/said") == c1 ]]
  wait_until 10 lab grep -q ready /var/lib/container_engine/c1/log
}

readonly HOG='while :; do :; done'

# Sets $used, in microseconds, and $now, at the same moment: no process in between, because that
# takes long in an emulated machine.
look() {
  local key value
  while read -r key value; do
    [[ $key != usage_usec ]] || used=$value
  done <"$LAB_CGROUP/container_engine/c1/cpu.stat"
  now=${EPOCHREALTIME/[.,]/}
}

# Sets $share to the hundredths of a CPU that c1 uses, from now for so many seconds.
measure() { # SECONDS
  local used now used0 now0
  look
  used0=$used now0=$now
  sleep "$1"
  look
  share=$(((used - used0) * 100 / (now - now0)))
}

# --- update ---------------------------------------------------------------------------------

# Over so many seconds, c1's share is so many hundredths, give or take 3.
share_is() { # HUNDREDTHS SECONDS
  measure "$2"
  echo "share: $share %"
  ((share >= $1 - 3 && share <= $1 + 3))
}

@test "update: a busy program's share follows from 50 % to 20 % within a second, and back" {
  local rootfs
  for rootfs in "$ALPINE" "$HOST_ROOTFS"; do
    up -- "$rootfs" "$HOG"
    # Where other machines share the processors, it may take its time to get as much.
    wait_until 10 share_is 50 2
    try -0 ce update --cpus 0.2 c1
    sleep 1
    measure 2
    echo "share: $share %, one second after the update"
    ((share <= 23))
    wait_until 10 share_is 20 2
    try -0 ce update --cpus 0.5 c1
    wait_until 10 share_is 50 2
    try -0 ce delete -f c1
  done
}

@test "update: what was said is in force, what was not said stays" {
  up -- "$ALPINE" 'exec sleep 1000'
  try -0 ce update --cpus 1.25 c1
  [[ $(cgroup cpu.max) == '125000 100000' && $(cgroup memory.max) == 52428800 ]]
  [[ $(cgroup pids.max) == 64 ]]
  try -0 ce update --memory 1G --pids 1000 c1
  [[ $(cgroup cpu.max) == '125000 100000' && $(cgroup memory.max) == 1073741824 ]]
  [[ $(cgroup pids.max) == 1000 && $(cgroup memory.swap.max) == 0 ]]
  try -0 ce update --cpus max --memory max --pids max c1
  [[ $(cgroup cpu.max) == 'max 100000' && $(cgroup memory.max) == max ]]
  [[ $(cgroup pids.max) == max ]]
}

@test "update: figures that are none are refused, and change nothing" {
  up -- "$ALPINE" 'exec sleep 1000'
  local bad
  for bad in '--cpus 0' '--cpus x' '--memory 50MM' '--memory -1' '--pids 0' '--pids 1.5'; do
    # shellcheck disable=SC2086  # two words
    refuses "${bad%% *}" ce update --cpus 1 --memory 100M --pids 99 $bad c1
  done
  refuses --cpus ce update c1
  [[ $(cgroup cpu.max) == '50000 100000' && $(cgroup memory.max) == 52428800 ]]
  [[ $(cgroup pids.max) == 64 ]]
}

# About 20 MiB that cannot be given back, in c1.
hold_memory() {
  try -0 ce exec c1 sh -c 'head -c 20971520 /dev/zero >/dev/shm/held'
}

@test "update: less memory than is in use, which cannot be given back: the container pays" {
  up -- "$ALPINE" 'exec sleep 1000'
  hold_memory
  try ce update --memory 10M c1
  [[ $status -eq 0 && -z $stderr ]]
  # tmpfs cannot be reclaimed without swap.
  wait_until 10 over c1
  [[ $(ce list --json | jq -r '.[0].state') == 'exited (137)' ]]
}

@test "update: less memory than is in use, which can be given back: the limit holds, nobody dies" {
  up --memory 100M -- "$ALPINE" 'exec sleep 1000'
  try -0 ce exec c1 sh -c 'head -c 31457280 /dev/zero >/root/file; sync; cat /root/file >/dev/null'
  (($(cgroup memory.current) > 20 << 20))
  try -0 ce update --memory 15M c1
  [[ $(cgroup memory.max) == 15728640 ]]
  (($(cgroup memory.current) <= 15 << 20))
  try -0 ce exec c1 true
}

@test "update: fewer processes: no new one, none killed; then more" {
  up -- "$ALPINE" 'i=0; while [ $i -lt 10 ]; do sleep 1000 & i=$((i + 1)); done; wait'
  wait_until 10 processes_are 11
  try -0 ce update --pids 5 c1
  refuses process ce exec c1 true
  processes_are 11
  try -0 ce update --pids 20 c1
  try -0 ce exec c1 true
}

processes_are() {
  [[ $(cgroup pids.current) -eq $1 ]]
}

# --- what list and inspect say ----------------------------------------------------------------

listed() { # FILTER
  ce list --json | jq -r ".[0] | $1"
}

# The figure that inspect has for a KEY.
inspected() { # KEY
  sed -nE "s/^ *$1 +//p" <<<"$output"
}

# Bytes, or what people read, rounded down: 20971520 and 20.9M are 20.
mebibytes() {
  if [[ $1 == *M ]]; then echo "${1%%[.M]*}"; else echo "$(($1 >> 20))"; fi
}

near() { # FIGURE FIGURE DIFFERENCE
  echo "$1 against $2"
  (($1 - $2 <= $3 && $2 - $1 <= $3))
}

@test "list: memory and pids, use against limit, are those of the cgroup" {
  local rootfs
  for rootfs in "$ALPINE" "$HOST_ROOTFS"; do
    up --memory 64M --pids 33 -- "$rootfs" 'sleep 1000 & sleep 1000 & wait'
    hold_memory
    wait_until 10 processes_are 3
    near "$(listed .memory)" "$(cgroup memory.current)" $((2 << 20))
    [[ $(listed .memory_max) == 67108864 && $(listed .pids) == 3 && $(listed .pids_max) == 33 ]]
    try -0 ce list
    [[ ${lines[1]} =~ \ ([0-9.]+M)/64\.0M\ +3/33\ +sh ]]
    near "$(mebibytes "${BASH_REMATCH[1]}")" $(($(cgroup memory.current) >> 20)) 2
    try -0 ce delete -f c1
  done
}

@test "list: no limit is no figure" {
  up --cpus max --memory max --pids max -- "$ALPINE" 'exec sleep 1000'
  try -0 ce list
  [[ ${lines[1]} =~ \ [0-9.]+M?/(max|-)\ +1/(max|-)\ +sh ]]
  try -0 ce inspect c1
  [[ $output != *' -1'* ]]
}

idle() {
  jq -en "$(listed .cpu_percent) < 3" >/dev/null
}

@test "list: CPU: a busy program is near its half, an idle one at nothing" {
  local i sum=0
  up -- "$ALPINE" 'exec sleep 1000'
  # The figure is the average since the start, which itself takes some.
  wait_until 20 idle
  try -0 ce delete -f c1
  up -- "$ALPINE" "$HOG"
  for ((i = 0; i < 10; i++)); do
    sum=$((sum + $(listed '.cpu_percent | floor')))
  done
  echo "sum of ten: $sum"
  # A sample of a tenth of a second is one period of the limit.
  ((sum > 400 && sum < 600))
}

@test "inspect: limits against use, with throttle and OOM counts, as the cgroup has them" {
  local rootfs
  for rootfs in "$ALPINE" "$HOST_ROOTFS"; do
    up --cpus 0.25 --memory 64M --pids 33 -- "$rootfs" "sleep 1000 & $HOG"
    hold_memory
    wait_until 10 throttled
    try -0 ce inspect c1
    [[ $(inspected cpu_max) == '25000 100000' ]]
    [[ $(mebibytes "$(inspected memory_max)") == 64 && $(inspected pids_max) == 33 ]]
    [[ $(inspected pids) == 2 && $(inspected oom_kills) == 0 ]]
    near "$(mebibytes "$(inspected memory)")" $(($(cgroup memory.current) >> 20)) 2
    near "$(inspected cpu_usec)" "$(field usage_usec cpu.stat)" 5000000
    (($(inspected cpu_throttled) > 0))
    near "$(inspected cpu_throttled)" "$(field nr_throttled cpu.stat)" 100
    try -0 ce delete -f c1
  done
}

throttled() {
  (($(field nr_throttled cpu.stat) > 0))
}

@test "inspect: an OOM kill is counted" {
  up -- "$ALPINE" 'exec sleep 1000'
  # Not all of it at once: for this one time the hog dies alone.
  echo 0 >"$LAB_CGROUP/container_engine/c1/memory.oom.group"
  try -137 ce exec c1 tail /dev/zero
  try -0 ce inspect c1
  [[ $(inspected oom_kills) == 1 && $(field oom_kill memory.events) == 1 ]]
}

# --- exec -------------------------------------------------------------------------------------

@test "exec: counts in the container's cgroup: memory, processes, CPU" {
  local rootfs before
  for rootfs in "$ALPINE" "$HOST_ROOTFS"; do
    up -- "$rootfs" 'exec sleep 1000'
    before=$(field usage_usec cpu.stat)
    start hog "$ENGINE" exec c1 sh -c "$HOG"
    wait_until 10 processes_are 2
    hold_memory
    (($(cgroup memory.current) > 20 << 20))
    wait_until 10 share_is 50 2
    (($(field usage_usec cpu.stat) - before > 1000000))
    try -0 ce delete -f c1
    ended "$pid"
    [[ $status -eq 137 ]]
  done
}

@test "exec: what takes too much memory takes the container with it, and the line says why" {
  up -- "$ALPINE" 'exec sleep 1000'
  try -137 ce exec c1 tail /dev/zero
  [[ $stderr == *memory* && ${#stderr_lines[@]} -eq 1 ]]
  wait_until 10 over c1
  [[ $(listed .state) == 'exited (137)' ]]
}

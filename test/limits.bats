#!/usr/bin/env bats
# Limits, measured. They need a host whose cgroup v2 has the controllers: `make test` brings one.

load helpers

setup() {
  requires root controllers alpine
  lab_snapshot
}

cgroup() { # FILE
  cat "$LAB_CGROUP/container_engine/c1/$1"
}

# A word of a flat keyed file: `field usage_usec cpu.stat`.
field() {
  cgroup "$2" | sed -n "s/^$1 //p"
}

# Starts a container that is at it when we return. OPTION... -- SCRIPT
start_c1() {
  local options=()
  until [[ $1 == -- ]]; do
    options+=("$1")
    shift
  done
  start c1 "$ENGINE" "${options[@]}" "$ALPINE" c1 none sh -c "echo ready; $2"
  wait_until 10 grep -qs ready "$BATS_TEST_TMPDIR/c1.out"
}

@test "limits: half a CPU, 50 MiB without swap, killed as one, 64 processes" {
  try -0 ce "$ALPINE" c1 none sh -c '
    cd /sys/fs/cgroup && cat cpu.max memory.max memory.swap.max memory.oom.group pids.max'
  [[ $output == $'50000 100000\n52428800\n0\n1\n64' ]]
  [[ -z $stderr ]]
}

# A process with a priority of real time is not under cpu.max: one such held the whole host up.
@test "limits: no priority of real time can be had" {
  try -0 ce "$ALPINE" c1 none sh -c 'ulimit -Hr; chrt -f 1 true 2>&1 || echo refused'
  [[ ${lines[0]} == 0 && ${lines[-1]} == refused ]]
}

@test "limits: what the options say is in force, at the first instruction" {
  try -0 ce --cpus 1.25 --memory 64M --pids 20 "$ALPINE" c1 none \
    cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
  [[ $output == $'125000 100000\n67108864\n20' ]]
  try -0 ce --cpus 0.05 --memory 1G --pids 1000 "$ALPINE" c1 none \
    cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
  [[ $output == $'5000 100000\n1073741824\n1000' ]]
  try -0 ce --cpus max --memory max --pids max "$ALPINE" c1 none \
    cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
  [[ $output == $'max 100000\nmax\nmax' ]]
}

@test "limits: sizes in K as in M, and in bytes" {
  try -0 ce --memory 32768K "$ALPINE" c1 none cat /sys/fs/cgroup/memory.max
  [[ $output == 33554432 ]]
  try -0 ce --memory 33554432 "$ALPINE" c1 none cat /sys/fs/cgroup/memory.max
  [[ $output == 33554432 ]]
}

@test "limits: the first process of all is in its cgroup, with the limits written" {
  local i
  for ((i = 0; i < 10; i++)); do
    try -0 ce "$ALPINE" c1 none cat /proc/self/cgroup /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max
    [[ $output == $'0::/\n64\n50000 100000' ]]
  done
}

@test "limits: a busy program gets half a CPU, within 2 points, over 5 seconds" {
  start_c1 -- 'while :; do :; done'
  local share
  share=$(cpu_share c1)
  echo "share: $share %"
  ((share >= 48 && share <= 52))
}

@test "limits: two busy programs in one container share that half" {
  start_c1 -- 'while :; do :; done & while :; do :; done'
  local share
  share=$(cpu_share c1)
  echo "share: $share %"
  ((share >= 48 && share <= 52))
}

@test "limits: --cpus 0.2 is 20 %" {
  start_c1 --cpus 0.2 -- 'while :; do :; done'
  local share
  share=$(cpu_share c1)
  echo "share: $share %"
  ((share >= 18 && share <= 22))
}

@test "limits: memory never passes 50 MiB, and the hog is killed: 137" {
  local peak=0 now
  # The hog waits for us to look, then reads zeros until something stops it.
  start_c1 -- 'sleep 1; tail /dev/zero; echo survived'
  while now=$(cgroup memory.peak 2>/dev/null); do
    ((now <= peak)) || peak=$now
  done
  ended "$pid"
  echo "status: $status, peak: $peak"
  [[ $status -eq 137 ]]
  try -1 grep survived "$BATS_TEST_TMPDIR/c1.out"
  ((peak > 40 << 20 && peak <= 50 << 20))
}

@test "limits: a hog takes everything in its container with it, and nothing outside" {
  start_idle c2 none
  try -137 ce "$ALPINE" c1 none sh -c 'sleep 1000 & tail /dev/zero & wait; echo survived'
  [[ $output != *survived* ]]
  [[ -d /proc/$(init_pid c2) ]]
  wait_until 5 test ! -e "$LAB_CGROUP/container_engine/c1"
}

@test "limits: swap is no way round" {
  try -0 ce "$ALPINE" c1 none cat /sys/fs/cgroup/memory.swap.max
  [[ $output == 0 ]]
  try -0 ce --memory 1G "$ALPINE" c1 none cat /sys/fs/cgroup/memory.swap.max
  [[ $output == 0 ]]
}

@test "limits: --pids 20 stops a (bounded) fork bomb at 20, and without it nothing does" {
  local rootfs
  requires gcc host_rootfs debian_rootfs
  cat >"$BATS_TEST_TMPDIR/bomb.c" <<'END'
#include <stdio.h>
#include <unistd.h>
int main(void)
{
	int children = 0, pid = 1;
	while (children < 40 && (pid = fork()) > 0)
		children++;
	if (pid == 0)
		pause();
	printf("%d children: %m\n", children);
}
END
  gcc -static -o "$BATS_TEST_TMPDIR/bomb" "$BATS_TEST_TMPDIR/bomb.c"
  for rootfs in "$ALPINE" "$HOST_ROOTFS" "$DEBIAN_ROOTFS"; do
    try -0 ce --rm --pids 20 -v "$BATS_TEST_TMPDIR/bomb:/bomb:ro" "$rootfs" c1 none /bomb
    [[ $output == '19 children: Resource temporarily unavailable' ]]
    try -0 ce --rm --pids max -v "$BATS_TEST_TMPDIR/bomb:/bomb:ro" "$rootfs" c1 none /bomb
    [[ $output == '40 children: Success' ]]
  done
}

@test "limits: the container cannot change them" {
  try ce "$ALPINE" c1 none sh -c 'echo max >/sys/fs/cgroup/memory.max'
  [[ $status -ne 0 && $stderr == *[Rr]ead-only* ]]
  try ce "$ALPINE" c1 none sh -c 'mount -o remount,rw /sys/fs/cgroup'
  [[ $status -ne 0 ]]
}

@test "limits: the cgroup is the host's to see, and gone at the end" {
  start_c1 -- 'sleep 1000'
  [[ $(cgroup cgroup.procs) == *"$(init_pid c1)"* ]]
  kill -TERM "$pid"
  ended "$pid"
  [[ ! -e $LAB_CGROUP/container_engine/c1 ]]
}

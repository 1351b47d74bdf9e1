#!/usr/bin/env bats
# The walkthrough, line by line, with an Alpine, a Debian and the host's own root file system:
# ps, whoami, ls, ip a, ping, two containers, stress. On a host that has all controllers.

load helpers

setup() {
  requires root controllers
  lab_snapshot
}

# The words of a person at the container's shell: TEXT, after which the shell ends.
session() { # ROOTFS NAME IP TEXT
  try -0 typing "$4" ce "$1" "$2" "$3"
  [[ -z $stderr ]]
}

# `ps -e`: the shell is PID 1, and there is hardly anything else.
ps_shows_shell_first() {
  session "$1" centos1 192.168.1.2 'ps -e'
  [[ ${lines[1]} =~ ^\ *1\ .*(bash|sh)$ && ${#lines[@]} -le 4 ]]
}

whoami_is_root() {
  session "$1" centos1 192.168.1.2 'whoami; hostname'
  [[ $output == $'root\ncentos1' ]]
}

ls_shows_rootfs() {
  session "$1" centos1 192.168.1.2 'ls -A /'
  [[ $output == "$(cd "$1" && LC_ALL=C ls -A)" ]]
}

ip_shows_eth0_and_lo() {
  session "$1" centos1 192.168.1.2 'ip a'
  [[ $output =~ lo:\ \<LOOPBACK,UP && $output =~ eth0@if[0-9]+:\ \<BROADCAST,MULTICAST,UP ]]
  [[ $output =~ inet\ 192\.168\.1\.2/24\ .*\ eth0 ]]
}

ping_reaches_gateway() {
  session "$1" centos1 192.168.1.2 'ping -c 3 192.168.1.1'
  [[ $output =~ 3\ packets\ transmitted,\ 3\ (packets\ )?received,\ 0%\ packet\ loss ]]
}

# Both from the same directory, each at its own shell, which waits for a word that never comes.
two_ping_each_other() {
  local waiting=$BATS_TEST_TMPDIR/waiting
  mkfifo "$waiting"
  start centos1 bash -c 'exec "$@" <>"$0"' "$waiting" "$ENGINE" "$1" centos1 192.168.1.2
  wait_until 10 lab test -e /run/netns/centos1
  session "$1" centos2 192.168.1.3 'ping -c 3 192.168.1.2'
  [[ $output =~ 3\ packets\ transmitted,\ 3\ (packets\ )?received ]]
  start centos2 bash -c 'exec "$@" <>"$0"' "$waiting" "$ENGINE" "$1" centos2 192.168.1.3
  wait_until 10 lab test -e /run/netns/centos2
  try -0 lab "$ENGINE" exec centos1 ping -c 3 192.168.1.3
  [[ $output =~ 3\ packets\ transmitted,\ 3\ (packets\ )?received ]]
}

# The script in /home, like in the documents. It fits into 50 MiB, and gets half a CPU.
stress_gets_half_a_cpu() {
  local share
  start centos1 "$ENGINE" -v "$REPO/test/stress_test.sh:/home/stress_test.sh:ro" "$1" \
    centos1 192.168.1.2 sh -c 'cd /home && sh ./stress_test.sh 20 1000'
  wait_until 10 test -e "$LAB_CGROUP/container_engine/centos1/cpu.stat"
  sleep 3
  share=$(cpu_share centos1)
  echo "share: $share %"
  ((share >= 48 && share <= 52))
}

# It does not fit: 100 MB where 50 MiB are allowed.
stress_is_stopped_at_50_mib() {
  local cgroup=$LAB_CGROUP/container_engine/centos1 peak=0 now
  start centos1 "$ENGINE" -v "$REPO/test/stress_test.sh:/home/stress_test.sh:ro" "$1" \
    centos1 192.168.1.2 sh -c 'cd /home && sh ./stress_test.sh 100 1000'
  wait_until 10 test -e "$cgroup/memory.peak"
  while now=$(cat "$cgroup/memory.peak" 2>/dev/null); do
    ((now <= peak)) || peak=$now
  done
  ended "$pid"
  echo "status: $status, peak: $peak"
  [[ $status -eq 137 ]]
  ((peak > 40 << 20 && peak <= 50 << 20))
}

# --- alpine ------------------------------------------------------------------------------------

@test "walkthrough, alpine: ps -e: the shell is PID 1" {
  requires alpine
  ps_shows_shell_first "$ALPINE"
}

@test "walkthrough, alpine: whoami: root" {
  requires alpine
  whoami_is_root "$ALPINE"
}

@test "walkthrough, alpine: ls: the rootfs" {
  requires alpine
  ls_shows_rootfs "$ALPINE"
}

@test "walkthrough, alpine: ip a: eth0 with its address, lo, both up" {
  requires alpine
  ip_shows_eth0_and_lo "$ALPINE"
}

@test "walkthrough, alpine: ping: the gateway answers" {
  requires alpine
  ping_reaches_gateway "$ALPINE"
}

@test "walkthrough, alpine: two containers of one rootfs ping each other" {
  requires alpine
  two_ping_each_other "$ALPINE"
}

@test "walkthrough, alpine: stress: half a CPU" {
  requires alpine
  stress_gets_half_a_cpu "$ALPINE"
}

@test "walkthrough, alpine: stress: never above 50 MiB, and the hog is killed" {
  requires alpine
  stress_is_stopped_at_50_mib "$ALPINE"
}

# --- debian ------------------------------------------------------------------------------------

@test "walkthrough, debian: ps -e: the shell is PID 1" {
  requires debian_rootfs
  ps_shows_shell_first "$DEBIAN_ROOTFS"
}

@test "walkthrough, debian: whoami: root" {
  requires debian_rootfs
  whoami_is_root "$DEBIAN_ROOTFS"
}

@test "walkthrough, debian: ls: the rootfs" {
  requires debian_rootfs
  ls_shows_rootfs "$DEBIAN_ROOTFS"
}

@test "walkthrough, debian: ip a: eth0 with its address, lo, both up" {
  requires debian_rootfs
  ip_shows_eth0_and_lo "$DEBIAN_ROOTFS"
}

@test "walkthrough, debian: ping: the gateway answers" {
  requires debian_rootfs
  ping_reaches_gateway "$DEBIAN_ROOTFS"
}

@test "walkthrough, debian: two containers of one rootfs ping each other" {
  requires debian_rootfs
  two_ping_each_other "$DEBIAN_ROOTFS"
}

@test "walkthrough, debian: stress: half a CPU" {
  requires debian_rootfs
  stress_gets_half_a_cpu "$DEBIAN_ROOTFS"
}

@test "walkthrough, debian: stress: never above 50 MiB, and the hog is killed" {
  requires debian_rootfs
  stress_is_stopped_at_50_mib "$DEBIAN_ROOTFS"
}

# --- host --------------------------------------------------------------------------------------

@test "walkthrough, host: ps -e: the shell is PID 1" {
  requires host_rootfs
  ps_shows_shell_first "$HOST_ROOTFS"
}

@test "walkthrough, host: whoami: root" {
  requires host_rootfs
  whoami_is_root "$HOST_ROOTFS"
}

@test "walkthrough, host: ls: the rootfs" {
  requires host_rootfs
  ls_shows_rootfs "$HOST_ROOTFS"
}

@test "walkthrough, host: ip a: eth0 with its address, lo, both up" {
  requires host_rootfs
  ip_shows_eth0_and_lo "$HOST_ROOTFS"
}

@test "walkthrough, host: ping: the gateway answers" {
  requires host_rootfs
  ping_reaches_gateway "$HOST_ROOTFS"
}

@test "walkthrough, host: two containers of one rootfs ping each other" {
  requires host_rootfs
  two_ping_each_other "$HOST_ROOTFS"
}

@test "walkthrough, host: stress: half a CPU" {
  requires host_rootfs
  stress_gets_half_a_cpu "$HOST_ROOTFS"
}

@test "walkthrough, host: stress: never above 50 MiB, and the hog is killed" {
  requires host_rootfs
  stress_is_stopped_at_50_mib "$HOST_ROOTFS"
}

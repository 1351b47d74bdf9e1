#!/usr/bin/env bats
# The network: the bridge's side, the container's side, and what is refused.

load helpers

setup() {
  requires root alpine
  lab_snapshot
}

# Runs a command in a container c1 of the Alpine rootfs, with an address on the bridge.
c1() {
  ce "$ALPINE" c1 192.168.1.2 "$@"
}

veths() {
  lab ip -o link show master cebr0 | sed -E 's/^[0-9]+: ([^:@]+).*/\1/'
}

@test "network: eth0 is up with the address and the bridge's prefix, lo is up" {
  try -0 c1 ip a
  [[ $output =~ lo:\ \<LOOPBACK,UP ]]
  [[ $output =~ eth0@if[0-9]+:\ \<BROADCAST,MULTICAST,UP,LOWER_UP ]]
  [[ $output =~ inet\ 127\.0\.0\.1/8 ]]
  [[ $output =~ inet\ 192\.168\.1\.2/24\ .*\ eth0 ]]
  # lo and eth0 are all there is.
  [[ $(grep -c '^[0-9]' <<<"$output") -eq 2 ]]
}

@test "network: the default route is the bridge" {
  try -0 c1 ip route
  [[ $output == *'default via 192.168.1.1 dev eth0'* && $output == *'192.168.1.0/24 dev eth0'* ]]
}

@test "network: it all stands before the program's first instruction: no packet is lost" {
  local i
  for ((i = 0; i < 20; i++)); do
    try -0 c1 ping -c 1 -W 5 192.168.1.1
  done
}

@test "network: eth0 is up at the first instruction, on a busy machine, too" {
  local i busy=()
  for i in 1 2 3; do
    timeout 60 sh -c 'while :; do :; done' &
    busy+=($!)
  done
  for ((i = 0; i < 40; i++)); do
    try -0 c1 cat /sys/class/net/eth0/operstate
    [[ $output == up ]] || break
  done
  kill "${busy[@]}"
  ((i == 40))
}

@test "network: ping the gateway, and the container from the host" {
  try -0 c1 ping -c 1 -W 5 192.168.1.1
  start_idle c1 192.168.1.2
  try -0 lab ping -c 1 -W 5 192.168.1.2
}

@test "network: two containers of one rootfs ping each other" {
  start_idle c1 192.168.1.2
  try -0 ce "$ALPINE" c2 192.168.1.3 ping -c 2 -W 5 192.168.1.2
  [[ $output == *'2 packets transmitted, 2 packets received'* ]]
  start_idle c2 192.168.1.3
  try -0 lab ip netns exec c1 ping -c 2 -W 5 192.168.1.3
}

@test "network: containers see each other's ports, and not each other's loopback" {
  start server "$ENGINE" "$ALPINE" c1 192.168.1.2 \
    sh -c 'nc -lp 5000 -s 127.0.0.1 </dev/null & echo hello | nc -lp 4000'
  wait_until 10 lab test -e /run/netns/c1
  wait_until 10 lab ip netns exec c1 sh -c 'grep -q :0FA0 /proc/net/tcp /proc/net/tcp6'
  try ce "$ALPINE" c2 192.168.1.3 nc -w 3 192.168.1.2 5000
  [[ $status -ne 0 ]]
  try -0 typing '' ce "$ALPINE" c2 192.168.1.3 nc -w 3 192.168.1.2 4000
  [[ $output == hello ]]
}

@test "network: on the host, a veth of 've' and 8 hex digits in the bridge, up; gone at the end" {
  start_idle c1 192.168.1.2
  [[ $(veths) =~ ^ve[0-9a-f]{8}$ ]]
  lab ip -o link show master cebr0 up | grep -q "$(veths)"
  kill -TERM "$pid"
  ended "$pid"
  [[ -z $(veths) ]]
}

@test "network: where IPv6 cannot be switched off there is no start" {
  requires strace
  local file=/proc/sys/net/ipv6/conf/default/disable_ipv6
  try -0 ce --rm "$ALPINE" c1 192.168.1.2 grep -c eth0 /proc/net/dev
  refuses network lab strace -fqq -o /dev/null -P "$file" -e inject=openat:error=ENFILE \
    "$ENGINE" --rm "$ALPINE" c1 192.168.1.2 true
}

# Who has a socket of the container's keeps its network namespace alive.
@test "network: an address does not outlive its container, whoever has a socket of it" {
  requires gcc python3
  local dir=$BATS_TEST_TMPDIR/shared
  mkdir "$dir"
  make_giver "$dir"
  start keeper python3 -uc 'import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print("listens")
kept = socket.recv_fds(s.accept()[0], 1, 1)[1]
print("has", len(kept))
time.sleep(1000)' "$dir/socket"
  wait_until 10 grep -q listens "$BATS_TEST_TMPDIR/keeper.out"
  try -0 ce --rm -v "$dir:/shared" "$ALPINE" c1 192.168.1.2 /shared/give
  wait_until 10 grep -qx 'has 1' "$BATS_TEST_TMPDIR/keeper.out"
  try -1 lab ping -c 1 -W 2 192.168.1.2
}

# After a reboot numbers begin anew: what the state of the last boot says may be another's by now.
@test "network: a number that is another container's by now: its cable stays plugged in" {
  try -0 ce "$ALPINE" old 192.168.1.2 true
  start_idle new 192.168.1.3
  change_state old "s/^pid=.*/pid=$(init_pid new)/; s/^status=.*/status=-1/; s/^boot=./boot=x/"
  try -0 ce list
  [[ $output =~ old\ +'exited (137)' ]]
  try -0 lab ping -c 1 -W 2 192.168.1.3
}

@test "network: 'none' gives loopback and nothing else" {
  try -0 ce "$ALPINE" c1 none ip a
  [[ $output =~ lo:\ \<LOOPBACK,UP && $output != *eth0* ]]
  [[ $(grep -c '^[0-9]' <<<"$output") -eq 1 ]]
  try -0 ce "$ALPINE" c1 none ip route
  [[ -z $output ]]
  try -0 ce "$ALPINE" c1 none ping -c 1 127.0.0.1
}

@test "network: 'none' needs no bridge" {
  try -0 ce --bridge nosuch "$ALPINE" c1 none true
}

@test "network: long names work, also where they differ in the last character only" {
  local long
  long=$(printf 'n%.0s' {1..63})
  start_idle fourteen-chars 192.168.1.2
  start_idle "${long}1" 192.168.1.3
  start_idle "${long}2" 192.168.1.4
  [[ $(veths | sort -u | wc -l) -eq 3 ]]
  try -0 ce "$ALPINE" c1 192.168.1.5 ping -c 1 -W 5 192.168.1.4
}

@test "network: a rootfs without ip and without ping is as good as any" {
  cp -a "$ALPINE" "$LAB/bare"
  # With only what the test itself runs.
  find "$LAB/bare/bin" "$LAB/bare/sbin" "$LAB/bare/usr/bin" "$LAB/bare/usr/sbin" -type l -delete
  ln -s busybox "$LAB/bare/bin/cat"
  try -0 ce "$LAB/bare" c1 192.168.1.2 cat /proc/net/route /proc/net/fib_trie
  rm -r "$LAB/bare"
  [[ $output == *eth0*0101A8C0* && $output == *192.168.1.2* ]]
}

@test "network: addresses that cannot be are refused at once, and nothing is made" {
  local address
  for address in 192.168.1.300 192.168.1 192.168.1.2/24 192.168.1.02 0x7f.1 localhost '' ' ' ::1 \
    192.168.1.2x -1; do
    refuses address ce -- "$ALPINE" c1 "$address" true
    leaks
  done
}

@test "network: addresses that the bridge cannot have are refused, with its subnet named" {
  local address
  for address in 192.168.2.2 10.0.0.1 127.0.0.1 0.0.0.0 255.255.255.255; do
    refuses 192.168.1 ce "$ALPINE" c1 "$address" true
    leaks
  done
  refuses gateway ce "$ALPINE" c1 192.168.1.1 true
  refuses broadcast ce "$ALPINE" c1 192.168.1.255 true
  refuses network ce "$ALPINE" c1 192.168.1.0 true
}

@test "network: an address that another container has is refused, and where to look is said" {
  start_idle c1 192.168.1.2
  refuses 'address 192.168.1.2 is in use' ce "$ALPINE" c2 192.168.1.2 true
  [[ $stderr == *'see container_engine list' ]] # and no reason of something else behind it
  try -0 lab ping -c 1 -W 5 192.168.1.2
  kill -TERM "$pid"
  ended "$pid"
  try -0 ce "$ALPINE" c2 192.168.1.2 true
  # The same address of another bridge is another one; and whoever is killed has none any more.
  lab ip link add br-y type bridge
  lab ip addr add 192.168.1.1/24 dev br-y
  lab ip link set br-y up
  start_idle c1 192.168.1.2
  try -0 ce --bridge br-y "$ALPINE" c2 192.168.1.2 true
  kill -KILL "$pid"
  ended "$pid"
  try -0 ce "$ALPINE" c2 192.168.1.2 true
  lab ip link del br-y
}

@test "network: an address is free when its container is gone, however long --rm takes" {
  local rm
  rm=$(readlink -f "$(type -P rm)")
  printf '#!/bin/sh\nsleep 5\n' >"$BATS_TEST_TMPDIR/slow"
  chmod +x "$BATS_TEST_TMPDIR/slow"
  # shellcheck disable=SC2016  # the variables are those of the inner shell
  start rm unshare --mount sh -c 'mount --bind "$0" "$1" && shift && exec "$@"' \
    "$BATS_TEST_TMPDIR/slow" "$rm" "$ENGINE" --rm "$ALPINE" c1 192.168.1.2 sh -c 'mkdir /x; echo up'
  set_aside() { lab sh -c 'ls -d /var/lib/container_engine/.deleted.c1.*'; }
  wait_until 10 set_aside
  try -0 ce "$ALPINE" c2 192.168.1.2 true
  set_aside # it took longer than that
  ended "$pid"
  try -0 ce list
}

@test "network: without the bridge the line says how to get one" {
  refuses 'env.sh set' ce --bridge nosuch "$ALPINE" c1 192.168.1.2 true
}

@test "network: --bridge, with that bridge's own address and prefix" {
  lab ip link add br-x type bridge
  lab ip addr add 10.5.0.1/16 dev br-x
  lab ip link set br-x up
  try -0 ce --bridge br-x "$ALPINE" c1 10.5.3.4 sh -c 'ip a; ip route; ping -c 1 -W 5 10.5.0.1'
  [[ $output == *'inet 10.5.3.4/16'* && $output == *'default via 10.5.0.1 dev eth0'* ]]
  refuses 10.5 ce --bridge br-x "$ALPINE" c1 192.168.1.2 true
  without_ports() { [[ -z $(lab ip -o link show master br-x) ]]; }
  wait_until 5 without_ports # the kernel takes its moment over a dead namespace
  lab ip link del br-x
}

@test "network: auto: the lowest address of the bridge's network that no container has" {
  local i
  for i in 1 2 3; do
    try -0 ce -d "$ALPINE" "c$i" auto sleep 1000
    [[ $(ce inspect "c$i" address) == "192.168.1.$((i + 1))" ]]
  done
  try -0 lab ping -c 1 -W 5 192.168.1.4
  try -0 ce delete -f c2
  try -0 ce "$ALPINE" c4 auto ip -4 -o addr show eth0
  [[ $output == *' 192.168.1.3/24 '* ]]
  try -0 ce delete -f c1 c3 c4
  # A small network: 10.9.0.1 is the bridge's own, .2 is the only one left.
  lab ip link add br-s type bridge
  lab ip addr add 10.9.0.1/30 dev br-s
  lab ip link set br-s up
  try -0 ce -d --bridge br-s "$ALPINE" c1 auto sleep 1000
  [[ $(ce inspect c1 address) == 10.9.0.2 ]]
  refuses 'no address is free on br-s' ce --bridge br-s "$ALPINE" c2 auto true
  try -0 ce delete -f c1
  lab ip link del br-s
}

@test "network: a bridge that is down is refused" {
  lab ip link set cebr0 down
  refuses 'cebr0 is down' ce "$ALPINE" c1 192.168.1.2 true
  lab ip link set cebr0 up
}

@test "network: a bridge without an address, and a thing that is no bridge, are refused" {
  lab ip link add br-x type bridge
  refuses br-x ce --bridge br-x "$ALPINE" c1 10.5.3.4 true
  lab ip link del br-x
  refuses lo ce --bridge lo "$ALPINE" c1 127.0.0.2 true
  refuses bridge ce --bridge 'x;touch /tmp/owned' "$ALPINE" c1 192.168.1.2 true
  [[ ! -e /tmp/owned ]]
}

@test "network: ip netns knows the container by its name, as long as it lives" {
  start_idle c1 192.168.1.2
  try -0 lab ip netns list
  [[ $output == c1* ]]
  try -0 lab ip netns exec c1 ip -o -4 addr show eth0
  [[ $output == *192.168.1.2/24* ]]
  try -0 lab readlink /run/netns/c1
  [[ $output == "/proc/$(init_pid c1)/ns/net" ]]
  kill -TERM "$pid"
  ended "$pid"
  try -0 lab ip netns list
  [[ -z $output ]]
}

@test "network: the network namespace of somebody else with that name is not taken" {
  lab ip netns add c1
  refuses c1 c1 true
  try -0 lab ip netns exec c1 true
  lab ip netns del c1
  lab umount /run/netns
}

# --- names ----------------------------------------------------------------------------------

# A file system of the laboratory in which FILE holds TEXT; gone with the lab's shell.
with_file() { # FILE TEXT CMD...
  local file=$1 text=$2 result=0
  shift 2
  printf '%s\n' "$text" >"$BATS_TEST_TMPDIR/bound"
  lab mount --bind "$BATS_TEST_TMPDIR/bound" "$file"
  "$@" || result=$?
  lab umount "$file"
  return "$result"
}

@test "network: resolv.conf is the host's" {
  with_file /etc/resolv.conf $'search example.org\nnameserver 10.9.8.7' \
    try -0 c1 cat /etc/resolv.conf
  [[ $output == *'search example.org'* && $output == *'nameserver 10.9.8.7'* ]]
}

@test "network: a systemd-resolved stub is followed to the servers behind it" {
  lab mkdir -p /run/systemd/resolve
  lab tee /run/systemd/resolve/resolv.conf <<<'nameserver 10.9.8.7' >/dev/null
  with_file /etc/resolv.conf 'nameserver 127.0.0.53' try -0 c1 cat /etc/resolv.conf
  lab rm -r /run/systemd
  [[ $output == *'nameserver 10.9.8.7'* && $output != *127.0.0.53* ]]
}

@test "network: names are resolved over the bridge" {
  requires python3
  # A server that says 10.1.2.3 to whatever it is asked.
  start dns python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.168.1.1", 53))
while True:
    q, peer = s.recvfrom(512)
    end = q.index(b"\0", 12) + 5
    a = q[end - 4:end - 2] == b"\0\1"
    s.sendto(q[:2] + b"\x81\x80\0\1" + (b"\0\1" if a else b"\0\0") + b"\0\0\0\0" + q[12:end]
        + (b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\1\2\3" if a else b""), peer)'
  wait_until 5 lab grep -q ':0035 ' /proc/net/udp
  with_file /etc/resolv.conf 'nameserver 192.168.1.1' try -0 c1 nslookup chocolate.example
  [[ $output == *10.1.2.3* ]]
}

@test "network: /etc/hosts holds the name, the address and localhost" {
  try -0 c1 cat /etc/hosts
  [[ $output =~ 192\.168\.1\.2[[:space:]]+c1 && $output =~ 127\.0\.0\.1[[:space:]]+localhost ]]
  try -0 c1 ping -c 1 -W 5 c1
  [[ $output == *'(192.168.1.2)'* ]]
  try -0 ce --hostname box "$ALPINE" c1 none ping -c 1 -W 5 box
}

@test "network: the rootfs's own resolv.conf and hosts stay as they were" {
  local before
  before=$(cd "$ALPINE/etc" && stat -c '%n %i %s %Y' . hosts resolv.conf 2>&1 | cksum)
  try -0 c1 true
  [[ $(cd "$ALPINE/etc" && stat -c '%n %i %s %Y' . hosts resolv.conf 2>&1 | cksum) == "$before" ]]
}

#!/usr/bin/env bats
# env.sh: what it makes, what it refuses, and that clean leaves the host as set found it.
#
# Every test has a machine of its own: a network namespace, a mount namespace with an empty /run and
# an empty /var/lib, and a cgroup of the laboratory in the place of /sys/fs/cgroup.

load helpers

setup() {
  requires root
  unset BRIDGE SUBNET LAN
  lab_snapshot
  machine_make
}

teardown() {
  [[ -n ${machine-} ]] || return 0 # skipped for want of root
  machine_end
  [[ -z ${unload-} ]] || modprobe -r "$unload"
  leak_check
}

machine_make() {
  fake=$BATS_TEST_TMPDIR/fake
  mkdir "$fake" "$LAB_CGROUP/machine"
  # shellcheck disable=SC2016  # the variables are those of the inner shell
  unshare --net --mount bash -euc '
    mount -t tmpfs tmpfs /run
    mount -t tmpfs tmpfs /var/lib
    mount --bind "$1" /sys/fs/cgroup
    ip link set lo up
    touch "$0/ready"
    exec sleep infinity' "$BATS_TEST_TMPDIR" "$LAB_CGROUP/machine" </dev/null 3>&- 4>&- &
  machine=$!
  disown
  wait_until 10 test -e "$BATS_TEST_TMPDIR/ready"
  # What is done inside for the first time makes its mark there; let it not look like set's doing.
  on nft list ruleset
}

machine_end() {
  local id
  for id in "$machine" $(cat "$LAB_CGROUP"/machine/container_engine/*/cgroup.procs 2>&-); do
    kill -KILL "$id" && wait_until 5 gone "$id"
  done
  find "$LAB_CGROUP/machine" -depth -type d -exec rmdir {} +
}

# Runs a command on the machine. Commands in $fake go before the real ones.
on() {
  (on_exec "$@")
}

on_exec() {
  PATH=$fake:$PATH exec nsenter --target "$machine" --net --mount --wdns="$PWD" -- "$@"
}

# In the background: $! is the command's own.
on_start() {
  on_exec "$@" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- 4>&- &
  STARTED+=("$!")
}

# Holds the lock of a directory until stop_started.
hold() { # DIR
  on mkdir -p "$1"
  on_start flock --no-fork "$1" sh -c 'echo held; exec sleep 1000'
  wait_until 5 grep -q held "$BATS_TEST_TMPDIR/out"
}

env_sh() {
  on "$REPO/env.sh" "$@"
}

# A command in $fake that runs BODY, in which $real is the one it stands for.
fake() { # NAME BODY
  printf '#!/bin/bash\nreal=%s\n%s\n' "$(type -P "$1")" "$2" >"$fake/$1"
  chmod +x "$fake/$1"
}

# All that set may touch, but for packet counters.
state() {
  # shellcheck disable=SC2016
  on bash -c '
    ip -br link
    ip -br -4 addr
    ip -4 rule; ip -4 route show table all
    nft -s list ruleset
    ! grep -qx filter /proc/net/ip_tables_names || iptables-legacy -S
    grep -H . /proc/sys/net/ipv4/{ip_forward,conf/*/{forwarding,accept_redirects,send_redirects}} \
      /proc/sys/net/ipv6/conf/*/accept_ra
    find /sys/fs/cgroup -type d
    cat /sys/fs/cgroup/cgroup.subtree_control
    find /run /var/lib -name container_engine
    ls -A /run/container_engine 2>/dev/null || :'
}

snapshot() {
  state >"$BATS_TEST_TMPDIR/state"
}

unchanged() {
  diff "$BATS_TEST_TMPDIR/state" <(state)
}

# Status 1, no claim to be done, one line of error, and that says all the words.
refuses() { # WORD... -- CMD...
  local words=()
  while [[ $1 != -- ]]; do
    words+=("$1")
    shift
  done
  try -1 "${@:2}"
  [[ -z $output && $(wc -l <<<"$stderr") -eq 1 && $stderr == 'env.sh: '* ]]
  for word in "${words[@]}"; do
    [[ $stderr == *"$word"* ]] || { printf 'not said: %s\n' "$word"; return 1; }
  done
}

# What an engine writes about a container, of which the process lives (or the number does). The file
# has one size, whatever is in it.
record() { # NAME pid|engine PID [START]
  local start=${4-}
  [[ -n $start ]] || start=$(sed 's/.*) //' "/proc/$3/stat" | cut -d ' ' -f 20)
  on mkdir -p "/var/lib/container_engine/$1"
  { printf '%s\n' "$2=$3" "$([[ $2 == pid ]] || echo engine_)start=$start" rootfs=/a=b
    head -c 4000 /dev/zero | tr '\0' '\n'; } |
    on dd status=none of="/var/lib/container_engine/$1/state"
}

sysctl_of() { # KEY: without a process more than needed
  on cat "/proc/sys/net/ipv4/$1"
}

# Two neighbours on the bridge, with nothing of the engine in them.
neighbours() {
  local name
  for name in 2 3; do
    on ip netns add "n$name"
    on ip link add "v$name" master cebr0 type veth peer name eth0 netns "n$name"
    on ip link set "v$name" up
    on ip -n "n$name" addr add "192.168.1.$name/24" dev eth0
    on ip -n "n$name" link set eth0 up
    on ip -n "n$name" route add default via 192.168.1.1
  done
}

pings() { # TO
  on ip netns exec n2 ping -q -c 1 -W "${2:-5}" "$1"
}

# --- set ------------------------------------------------------------------------------------

@test "env set: bridge, address, forwarding, rules and cgroup stand, and it says so" {
  try -0 env_sh set
  [[ -z $stderr ]]
  [[ ${lines[0]} == 'net.ipv4.conf.all.forwarding = 1' && ${lines[-1]} == 'ENV SET DONE.' ]]
  [[ $(on ip -o -d link show dev cebr0 up type bridge) ]]
  [[ $(on ip -o -4 addr show dev cebr0) == *' inet 192.168.1.1/24 brd 192.168.1.255 '* ]]
  [[ $(sysctl_of ip_forward) == 1 ]]
  try -0 on nft list table ip container_engine
  [[ $output == *'ip saddr 192.168.1.0/24 oifname != "cebr0" masquerade'* ]]
  [[ $output == *'iifname != "cebr0" oifname "cebr0" ct state invalid,new drop'* ]]
  [[ $(on nft list tables) == 'table ip container_engine' ]]
  on test -d /sys/fs/cgroup/container_engine
}

# The other kind of host has a file of its own, env_controllers.bats: it may need the VM.
@test "env set: a host that keeps controllers in cgroup v1 is told so in one line, and set" {
  on mkdir /sys/fs/cgroup/none # nobody hands it any
  on mount --bind /sys/fs/cgroup/none /sys/fs/cgroup
  try -0 env_sh set
  [[ ${#lines[@]} -eq 3 && ${lines[1]} == 'cgroup v2 has no cpu memory pids here: no such limits' ]]
  on umount /sys/fs/cgroup
}

@test "env set: BRIDGE and SUBNET choose, the address is the subnet's first" {
  BRIDGE=br-lab.7 SUBNET=172.20.128.0/17 try -0 env_sh set
  [[ $(on ip -o -4 addr show dev br-lab.7) == *' inet 172.20.128.1/17 '* ]]
  [[ $(on nft list ruleset) == *'saddr 172.20.128.0/17 oifname != "br-lab.7" masq'* ]]
  try -0 env_sh set # remembers them
  BRIDGE=cebr0 refuses BRIDGE=br-lab.7 'env.sh clean' -- env_sh set
  SUBNET=10.0.0.0/24 refuses SUBNET=172.20.128.0/17 'env.sh clean' -- env_sh set
  try -0 env_sh clean
  [[ -z $(on ip -o link show type bridge) ]]
}

@test "env set: twice is as good as once, and mends what was broken in between" {
  on ip link add eth7 type veth peer name eth8
  on sh -c 'echo 1 >/proc/sys/net/ipv4/conf/eth7/forwarding'
  snapshot
  try -0 env_sh set
  state >"$BATS_TEST_TMPDIR/once"
  on cp /run/container_engine/.env "$BATS_TEST_TMPDIR/journal"
  try -0 env_sh set
  [[ ${lines[-1]} == 'ENV SET DONE.' ]]
  diff "$BATS_TEST_TMPDIR/once" <(state)
  on diff /run/container_engine/.env "$BATS_TEST_TMPDIR/journal"

  on ip link del cebr0
  on nft flush ruleset
  on sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward; rmdir /sys/fs/cgroup/container_engine'
  try -0 env_sh set
  diff "$BATS_TEST_TMPDIR/once" <(state)
  try -0 env_sh clean
  unchanged
}

@test "env set: the bridge keeps its hardware address when containers come" {
  try -0 env_sh set
  before=$(on ip -o link show dev cebr0 | grep -o 'ether [^ ]*')
  on ip link add v1 address 00:00:00:00:00:01 master cebr0 type veth peer name v2
  [[ $(on ip -o link show dev cebr0) == *"$before"* ]]
}

# --- clean ----------------------------------------------------------------------------------

@test "env clean: all is as it was, forwarding off and interfaces of different minds included" {
  on ip link add eth7 type veth peer name eth8
  on sh -c 'cd /proc/sys/net/ipv4/conf && echo 1 >eth7/forwarding && echo 0 >all/accept_redirects'
  snapshot
  try -0 env_sh set
  [[ $(sysctl_of conf/eth8/forwarding) == 1 ]]
  try -0 env_sh clean
  [[ $output == 'ENV CLEAN DONE.' && -z $stderr ]]
  unchanged
}

@test "env clean: forwarding that was on stays on" {
  on sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
  snapshot
  try -0 env_sh set
  try -0 env_sh clean
  [[ $(sysctl_of ip_forward) == 1 ]]
  unchanged
}

@test "env clean: a bridge that was there stays, as it was; others' tables too" {
  on ip link add cebr0 type bridge
  on sh -c 'echo 2 >/proc/sys/net/ipv6/conf/cebr0/accept_ra'
  on nft 'add table inet filter; add chain inet filter mine { type filter hook input priority 0; }'
  on nft 'add rule inet filter mine iifname "cebr0" accept'
  snapshot
  try -0 env_sh set
  [[ $(on nft list chain inet filter mine) == *'iifname "cebr0" accept'* ]]
  [[ $(on cat /proc/sys/net/ipv6/conf/cebr0/accept_ra) -eq 0 ]]
  on sh -c 'echo 1 >/proc/sys/net/ipv6/conf/cebr0/accept_ra'
  try -0 env_sh status
  [[ $output == *'FIX  bridge'* ]]
  try -0 env_sh set
  [[ $(on cat /proc/sys/net/ipv6/conf/cebr0/accept_ra) -eq 0 ]]
  try -0 env_sh clean
  unchanged
}

@test "env clean: without a set, or twice, there is nothing to do, and that is done" {
  try -0 env_sh clean
  [[ $output == 'ENV CLEAN DONE.' ]]
  try -0 env_sh set
  try -0 env_sh clean
  try -0 env_sh clean
  [[ $output == 'ENV CLEAN DONE.' ]]
}

@test "env clean: what is ours by name goes even when the journal was lost" {
  try -0 env_sh set
  on rm /run/container_engine/.env
  on mkdir -p /sys/fs/cgroup/container_engine/left/over
  try -0 env_sh clean
  [[ -z $(on nft list tables) ]]
  on test ! -e /sys/fs/cgroup/container_engine
}

@test "env clean: refuses while a cgroup has a process, and names it" {
  try -0 env_sh set
  on mkdir /sys/fs/cgroup/container_engine/{c1,c2,idle}
  for name in c1 c2; do
    on_start bash -c \
      'echo $$ >"/sys/fs/cgroup/container_engine/$0/cgroup.procs" && exec sleep 1000' "$name"
    wait_until 5 grep -q . "$LAB_CGROUP/machine/container_engine/$name/cgroup.procs"
  done
  state >"$BATS_TEST_TMPDIR/state"
  refuses running 'c1 c2' -- env_sh clean
  [[ $stderr != *idle* ]]
  unchanged
  stop_started
  try -0 env_sh clean
  on test ! -e /sys/fs/cgroup/container_engine
}

@test "env clean: refuses while an engine or a first process lives, and names it" {
  try -0 env_sh set
  on_start sleep 1000
  record c3 engine "${STARTED[-1]}"
  record c4 pid "${STARTED[-1]}"
  record dead pid 999999999 1
  record later engine "${STARTED[-1]}" 77 # the number is in use again
  refuses running 'c3 c4:' -- env_sh clean
  [[ $stderr != *dead* && $stderr != *later* ]]
  [[ $(on ip -br link show dev cebr0) && $(on nft list tables) ]]
  # Ended, and not buried.
  on_start bash -c 'sleep 0.2 & echo $! >"$0"; exec tail -f /dev/null' "$BATS_TEST_TMPDIR/zombie"
  wait_until 5 test -s "$BATS_TEST_TMPDIR/zombie"
  zombie=$(<"$BATS_TEST_TMPDIR/zombie")
  record c3 engine "$zombie"
  record c4 pid "$zombie"
  wait_until 5 gone "$zombie"
  [[ -e /proc/$zombie/stat ]]
  try -0 env_sh clean
  on test -e /var/lib/container_engine/c4/state # what containers keep is not the host's side
}

@test "env clean: the names of network namespaces that are gone go, if they are a container's" {
  try -0 env_sh set
  on_start sleep 1000
  on mkdir -p /run/netns /var/lib/container_engine/{dead,live} /sys/fs/cgroup/container_engine/gone
  on ln -s /proc/999999999/ns/net /run/netns/dead
  on ln -s /proc/999999999/ns/net /run/netns/gone
  on ln -s /proc/999999999/ns/net /run/netns/theirs
  on ln -s "/proc/${STARTED[-1]}/ns/net" /run/netns/live
  try -0 env_sh clean
  [[ $(on ls /run/netns) == $'live\ntheirs' ]]
}

@test "env clean: of a host that never had containers nothing is ours, whatever was tried" {
  snapshot
  try -0 env_sh clean
  unchanged
  try -0 env_sh set
  on test ! -e /var/lib/container_engine # or it would be taken for one with containers
  try -0 env_sh clean
  unchanged
  on mkdir -p /var/lib/container_engine/kept
  try -0 env_sh set
  try -0 env_sh clean
  on test -d /var/lib/container_engine/kept
}

# clean must fail, say all of the words, and not say DONE.
not_clean() { # WORD...
  local word
  try -1 env_sh clean
  for word; do [[ $stderr == *"$word"* ]] || return 1; done
  [[ -z $output ]]
}

@test "env clean: does not say DONE when it is not, and can be run again" {
  snapshot
  try -0 env_sh set
  fake ip '[[ "$1 $2" != "link del" ]] || { echo "Device or resource busy" >&2; exit 2; }
           exec "$real" "$@"'
  not_clean 'ip link del cebr0: Device or resource busy'
  fake ip '[[ "$1 $2" != "link del" ]] || exit 0 # a lie
           exec "$real" "$@"'
  not_clean 'ip link del cebr0: no error, and no effect'
  rm "$fake/ip"
  try -0 env_sh clean
  unchanged
}

@test "env clean: what cannot be seen is not taken for gone" {
  snapshot
  try -0 env_sh set
  fake nft 'echo "Error: no answer" >&2; exit 1'
  not_clean 'no answer'
  rm "$fake/nft"
  try -0 env_sh set # the rest was undone
  fake ip '[[ "$*" != *show* ]] || { echo "no answer" >&2; exit 2; }; exec "$real" "$@"'
  not_clean 'no answer'
  rm "$fake/ip"
  try -0 env_sh clean
  unchanged
}

@test "env clean: rules of an iptables that does not answer are not taken for gone" {
  on iptables-legacy -P FORWARD DROP
  snapshot
  try -0 env_sh set
  [[ $(on iptables-legacy -S FORWARD) == *cebr0* ]]
  fake iptables-legacy '[[ $* != *-C* ]] || { echo "Another app is holding the lock." >&2; exit 4; }
    exec "$real" "$@"'
  not_clean 'holding the lock'
  rm "$fake/iptables-legacy"
  try -0 env_sh clean
  [[ $(on iptables-legacy -S FORWARD) != *cebr0* ]]
  unchanged
}

@test "env status: rules of an iptables that does not answer are not taken for there" {
  try -0 env_sh set
  fake iptables-legacy-save 'exit 4'
  try -0 env_sh status
  [[ $output == *'FIX  rules'* ]]
}

@test "env clean: a bridge that others use by now stays, and who is named" {
  snapshot
  try -0 env_sh set
  on ip link add d0 type veth peer name d1
  on ip link set d0 master cebr0
  not_clean 'cebr0 is used by others: ' d0
  on ip link del d0
  on ip addr add 10.5.5.5/24 dev cebr0
  not_clean 'cebr0 is used by others: ' 10.5.5.5
  on ip addr del 10.5.5.5/24 dev cebr0
  try -0 env_sh clean
  unchanged
}

# --- the LAN --------------------------------------------------------------------------------

# A machine beside ours, in a network namespace of that name.
beside() { # NAME
  on ip netns add "$1"
  on ip link add "${1}0" type veth peer name eth0 netns "$1"
  on ip addr add 10.5.5.1/24 dev "${1}0"
  on ip link set "${1}0" up
  on ip -n "$1" addr add 10.5.5.2/24 dev eth0
  on ip -n "$1" link set eth0 up
}

# One that knows the way to the containers.
lan() {
  beside lan
  on ip -n lan route add 192.168.1.0/24 via 10.5.5.1
}

lan_pings() { # TO
  on ip netns exec lan ping -q -c 1 -W "${2:-5}" "$1"
}

# What is neither the beginning of a connection nor a part of one: an answer nobody asked for.
lan_answers() { # TO
  on ip netns exec lan python3 -c 'import socket, struct, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
raw.sendto(struct.pack("!BBHHH", 0, 0, 0xffff - 0x1234 - 1, 0x1234, 1), (sys.argv[1], 0))' "$1"
}

received() { # how many such answers n2 got
  on ip netns exec n2 awk '/^Icmp: [0-9]/ { print $11 }' /proc/net/snmp
}

everybody_but_the_lan() {
  try -0 on ping -q -c 1 -W 5 192.168.1.2
  try -0 pings 192.168.1.3
  try -0 pings 192.168.1.1
  try -0 pings 10.5.5.2
}

@test "env set: the LAN does not reach containers, they reach it, and the host reaches them" {
  requires python3
  try -0 env_sh set
  neighbours
  lan
  everybody_but_the_lan
  try -1 lan_pings 192.168.1.2 1
  try -0 lan_pings 192.168.1.1 # the host is its neighbour
  try -0 env_sh status
  [[ $output == *'rules: NAT for 192.168.1.0/24, LAN closed'* ]]

  was=$(received)
  lan_answers 192.168.1.2
  sleep 0.5
  [[ $(received) -eq $was ]]
}

@test "env set: LAN=open lets the LAN in, is remembered, and is taken back by clean" {
  on iptables-nft -P FORWARD DROP # what our own table lets in another may drop
  snapshot
  LAN=open try -0 env_sh set
  neighbours
  lan
  everybody_but_the_lan
  try -0 lan_pings 192.168.1.2
  try -0 env_sh set
  try -0 lan_pings 192.168.1.2
  try -0 env_sh status
  [[ $output == *'LAN open'* ]]
  LAN=closed refuses LAN=open 'env.sh clean' -- env_sh set
  on ip netns del n2
  on ip netns del n3
  on ip netns del lan
  wait_until 5 bash -c "! nsenter -t $machine -n ip -o link | grep -q '@'"
  try -0 env_sh clean
  unchanged
  try -0 env_sh set # the next one is closed again
  LAN=open refuses LAN=closed 'env.sh clean' -- env_sh set
  LAN=ajar refuses LAN ajar -- env_sh set
}

# --- firewalls ------------------------------------------------------------------------------

# Modules are the whole machine's. It unloads this one when the test is over.
may_filter_bridges() {
  [[ ! -d /proc/sys/net/bridge ]] || return 0
  [[ -z $(ip -o link show type bridge) ]] || skip 'br_netfilter would filter bridges of the host'
  modprobe br_netfilter
  unload=br_netfilter
}

@test "env set: neighbours ping each other and the gateway though iptables drops by default" {
  may_filter_bridges
  on iptables-nft -P FORWARD DROP
  on iptables-legacy -P FORWARD DROP
  snapshot
  try -0 env_sh set
  neighbours
  try -0 pings 192.168.1.3
  try -0 pings 192.168.1.1
  [[ $(on iptables-nft -S FORWARD; on iptables-legacy -S FORWARD) == *DROP*DROP* ]]

  # And without the passage they would not.
  on iptables-legacy -D FORWARD -i cebr0 -j ACCEPT
  try -1 pings 192.168.1.3 1
  try -0 env_sh set
  try -0 pings 192.168.1.3

  on ip netns del n2
  on ip netns del n3
  wait_until 5 bash -c "! nsenter -t $machine -n ip -o link | grep -q ' v[23]@'"
  try -0 env_sh clean
  unchanged
}

@test "env set: neighbours reach a server behind the host, which sees the host's address" {
  on iptables-nft -P FORWARD DROP
  beside wan
  try -0 env_sh set
  neighbours
  try -0 pings 10.5.5.2 # the server knows no route to 192.168.1.0/24: only NAT brings this back
}

@test "env set: beside Docker's chains FORWARD has the passage, and keeps it" {
  on iptables-nft -P FORWARD DROP
  on iptables-nft -N DOCKER-USER
  on iptables-nft -A FORWARD -j DOCKER-USER
  snapshot
  try -0 env_sh set
  [[ $(on iptables-nft -S FORWARD) == *'-i cebr0 -j ACCEPT'*RELATED,ESTABLISHED*DOCKER-USER* ]]
  [[ $(on iptables-nft -S DOCKER-USER) != *cebr0* ]]
  on iptables-nft -D FORWARD -j DOCKER-USER # as Docker does when it starts again
  on iptables-nft -I FORWARD -j DOCKER-USER
  beside wan
  neighbours
  try -0 pings 10.5.5.2
  for name in n2 n3 wan; do on ip netns del "$name"; done
  wait_until 5 bash -c "! nsenter -t $machine -n ip -o link | grep -q '@'"
  try -0 env_sh clean
  unchanged
}

@test "env set: no filter is opened that is open, and none is made" {
  on iptables-nft -A FORWARD -i eth9 -j DROP # means one interface only
  snapshot
  try -0 env_sh set
  [[ $(on iptables-nft -S) != *cebr0* ]]
  [[ -z $(on cat /proc/net/ip_tables_names) ]]
  try -0 env_sh clean
  unchanged
}

@test "env check: firewalld is named, with what opens it" {
  fake firewall-cmd 'case $1 in --state) echo running ;; *) echo public ;; esac'
  try -0 env_sh check
  [[ $output == *'FIX  firewall: firewall-cmd --zone=trusted --add-interface=cebr0'* ]]
  fake firewall-cmd 'case $1 in --state) echo running ;; *) echo trusted ;; esac'
  try -0 env_sh check
  [[ $output != *firewall* ]]
}

# --- refusals -------------------------------------------------------------------------------

@test "env set: a subnet that the machine has already is refused, and what has it is named" {
  on ip link add d0 type bridge
  while IFS='|' read -r say make; do
    on ip link set d0 up
    on sh -c "$make"
    snapshot
    refuses 192.168.1.0/24 "$say: use SUBNET=" -- env_sh set
    unchanged
    on ip addr flush dev d0
    on ip route flush type blackhole
  done <<'END'
address 192.168.1.77/24 of d0|ip addr add 192.168.1.77/24 dev d0
route 192.168.0.0/16 of d0|ip addr add 192.168.0.5/16 dev d0
address 192.168.1.201/30 of d0|ip addr add 192.168.1.201/30 dev d0
address 192.168.1.9/32 of d0|ip link set d0 down; ip addr add 192.168.1.9/32 dev d0
route 192.168.1.128/25 of d0|ip route add 192.168.1.128/25 dev d0
route 192.168.1.3 of d0|ip addr add 10.0.0.1 peer 192.168.1.3 dev d0
route 192.168.0.0/16|ip route add blackhole 192.168.0.0/16
route 192.168.0.0/23 of d0|ip route add 192.168.0.0/23 dev d0 table 9
END
  on test ! -e /run/container_engine
}

@test "env set: forwarding that is on but for new interfaces is on for the bridge, too" {
  on sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv4/conf/default/forwarding'
  snapshot
  try -0 env_sh set
  [[ $(on cat /proc/sys/net/ipv4/conf/cebr0/forwarding) -eq 1 ]]
  try -0 env_sh clean
  unchanged
}

@test "env set and check: routes that cannot be read are no free subnet" {
  fake ip '[[ $* != *route* ]] || { echo "no answer" >&2; exit 2; }; exec "$real" "$@"'
  snapshot
  try -1 env_sh set
  [[ -z $output && $stderr == *'no answer'* ]]
  try env_sh check
  [[ $output != *'OK   subnet'* ]]
  unchanged
}

@test "env set: a VPN that has all private networks leaves some to name, or none is named" {
  local net free
  for net in 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16; do on ip route add blackhole "$net"; done
  refuses 192.168.0.0/16 SUBNET= -- env_sh set
  free=${stderr##*SUBNET=}
  SUBNET=$free try -0 env_sh set
  try -0 env_sh clean
  for net in 100.64.0.0/10 198.18.0.0/15; do on ip route add blackhole "$net"; done
  refuses 192.168.0.0/16 'choose a SUBNET that is free' -- env_sh set
}

@test "env set: a list that changed while ip read it is read again" {
  on ip link add d0 type bridge
  on ip addr add 192.168.1.200/30 dev d0
  fake ip 'mark=$0-${*//\//_}
    [[ $* != *show* || -e $mark ]] || { touch "$mark"
      echo "Dump was interrupted and may be inconsistent." >&2; exit; }
    exec "$real" "$@"'
  refuses overlaps 192.168.1.200/30 -- env_sh set
}

@test "env set: the subnet that a refusal names is free, and set takes it" {
  on ip route add blackhole 192.168.0.0/17 # the first choice is in the one
  on ip route add blackhole 192.168.177.64/26 # the second is around the other
  refuses 192.168.0.0/17 SUBNET= -- env_sh set
  free=${stderr##*SUBNET=}
  [[ $free == 172.*.0/24 || $free == 10.*.0/24 ]]
  SUBNET=$free try -0 env_sh set
  [[ ${lines[-1]} == 'ENV SET DONE.' ]]
  [[ $(on ip -o -4 addr show dev cebr0) == *" ${free%.0/24}.1/24 "* ]]
}

@test "env set: default routes, even a VPN's in two halves, take nothing" {
  on ip link add d0 type bridge
  on ip addr add 10.0.0.1/24 dev d0
  on ip link set d0 up
  on ip route add default via 10.0.0.2
  on ip route add 0.0.0.0/1 via 10.0.0.2
  on ip route add 128.0.0.0/1 via 10.0.0.2
  try -0 env_sh set
  try -0 env_sh set # nor does our own bridge
}

@test "env set: bad names and networks get one line and change nothing" {
  snapshot
  while read -r value say; do
    BRIDGE=$value refuses BRIDGE "$say" -- env_sh set
  done <<'END'
a234567890123456 letters
-x letters
x;touch/tmp/owned letters
../x letters
a/b letters
br0+ letters
$(id) letters
END
  BRIDGE=$'a\nb' refuses BRIDGE -- env_sh set
  BRIDGE='a b' refuses BRIDGE -- env_sh set
  BRIDGE=lo refuses BRIDGE 'not a bridge' -- env_sh set
  while read -r value say; do
    SUBNET=$value refuses SUBNET "$say" -- env_sh set
  done <<'END'
192.168.1.0 such as
192.168.1.0/ such as
192.168.1.0/31 such as
192.168.1.0/7 such as
192.168.1.0/024 such as
192.168.01.0/24 such as
192.168.300.0/24 such as
192.168.1/24 such as
fd00::/64 such as
1.2.3.4/24;id such as
192.168.1.5/24 192.168.1.0/24
10.200.0.0/8 10.0.0.0/8
127.0.0.0/8 hosts
0.0.0.0/8 hosts
224.0.0.0/24 hosts
END
  unchanged
}

@test "env set: a bridge with another address is refused" {
  on ip link add cebr0 type bridge
  on ip addr add 10.9.0.1/24 dev cebr0
  snapshot
  refuses BRIDGE 10.9.0.1/24 -- env_sh set
  unchanged
}

@test "env set, clean, deps: need root, and say so in one line" {
  for word in set clean deps; do
    refuses "$word" root -- setpriv --reuid 65534 --clear-groups bash "$REPO/env.sh" "$word"
  done
}

@test "env: help on stdout with 0, anything else unknown: usage on stderr with 2" {
  try -0 env_sh help
  for word in set clean status check deps; do
    [[ $output == *"  $word "* ]]
  done
  help=$output
  for words in '' 'nonsense' 'set more' 'deps tests' 'main' 'Set'; do
    # shellcheck disable=SC2086  # words
    try -2 env_sh $words
    [[ -z $output && $stderr == "$help" ]]
  done
}

# --- half-way -------------------------------------------------------------------------------

@test "env set: whichever change fails, all is as before and it does not say DONE" {
  on iptables-legacy -P FORWARD DROP
  on sh -c 'echo 0 >/proc/sys/net/ipv4/conf/all/accept_redirects'
  snapshot
  fail='{ echo "RTNETLINK answers: no
  second line" >&2; exit 2; }'
  while IFS='|' read -r name when say; do
    fake "$name" "[[ \"\$*\" != $when ]] || $fail
                  exec \"\$real\" \"\$@\""
    refuses "$say: RTNETLINK answers: no" -- env_sh set
    rm "$fake/$name"
    unchanged
  done <<'END'
ip|'link add'*|ip link add cebr0 address 02:ce:c0:a8:01:01 type bridge
ip|'addr add'*|ip addr add 192.168.1.1/24 brd + dev cebr0
ip|'link set'*|ip link set cebr0 up
nft|'-f -'|nft -f -
iptables-legacy|*'-I FORWARD -i'*|-i cebr0 -j ACCEPT
mkdir|/sys*|mkdir /sys/fs/cgroup/container_engine
END
}

@test "env set: a command that lies about its success is found out" {
  snapshot
  for name in ip nft mkdir; do
    fake "$name" '[[ "$*" != @(link add*|-f -|/sys/fs/*) ]] || exit 0
                  exec "$real" "$@"'
    try -1 env_sh set
    [[ -z $output ]]
    rm "$fake/$name"
    unchanged
  done
}

@test "env set: a failing second set leaves the first one's work standing" {
  try -0 env_sh set
  on nft delete table ip container_engine
  snapshot
  fake nft '[[ $1 != -f ]] || exit 1; exec "$real" "$@"'
  try -1 env_sh set
  rm "$fake/nft"
  unchanged
  try -0 env_sh set
  try -0 env_sh clean
  [[ -z $(on ip -o link show type bridge) ]]
}

@test "env set: SIGTERM half-way undoes; after SIGKILL clean does" {
  snapshot
  fake nft '[[ $1 != -f ]] || { touch '"$BATS_TEST_TMPDIR"'/there; exec sleep 0.5; }
            exec "$real" "$@"'
  for signal in TERM KILL; do
    rm -f "$BATS_TEST_TMPDIR/there"
    on_start "$REPO/env.sh" set
    wait_until 10 test -e "$BATS_TEST_TMPDIR/there"
    [[ $(on ip -br link show dev cebr0) ]]
    kill "-$signal" "${STARTED[-1]}"
    ended "${STARTED[-1]}"
    ((status > 128)) && [[ ! -s $BATS_TEST_TMPDIR/out ]]
    [[ $signal == TERM ]] || try -0 env_sh clean
    unchanged
  done
}

@test "env set and clean: any number at once end well, or with one line" {
  snapshot
  for name in cebr0 cebr0 cebr1; do
    BRIDGE=$name on_start "$REPO/env.sh" set
  done
  for id in "${STARTED[@]}"; do
    ended "$id"
    printf '%s ' "$status"
  done >"$BATS_TEST_TMPDIR/ended"
  # Whichever bridge was the first, the other one is refused.
  [[ $(<"$BATS_TEST_TMPDIR/ended") == @(0 0 1|1 1 0)' ' ]]
  [[ $(on ip -o link show type bridge | wc -l) -eq 1 ]]
  for _ in 1 2 3; do on_start "$REPO/env.sh" clean; done
  for id in "${STARTED[@]:3}"; do
    ended "$id"
    [[ $status -eq 0 ]]
  done
  unchanged
}

@test "env set and clean: wait for the lock, and give up with one line" {
  hold /var/lib/container_engine
  snapshot
  fake sleep ':' # the patience of five seconds, at once
  refuses locked -- env_sh set
  refuses locked -- env_sh clean
  unchanged
  rm "$fake/sleep"
  fake sleep 'kill '"${STARTED[-1]}"'; exec "$real" "$@"' # so that it comes free while we wait
  try -0 env_sh set
}

# --- status and check -----------------------------------------------------------------------

@test "env status: tells what stands and what runs" {
  try -0 env_sh status
  [[ $output == *'FIX  bridge'*'FIX  forwarding'*'FIX  cgroup'*'FIX  rules'*'running: none' ]]
  snapshot
  try -0 env_sh set
  on_start sleep 1000
  record c7 engine "${STARTED[-1]}"
  try -0 env_sh status
  [[ $output != *FIX* && $output == *'OK   bridge: cebr0 192.168.1.1/24'*'running: c7' ]]
  on nft flush table ip container_engine
  on ip link set cebr0 down
  try -0 env_sh status
  [[ $output == *'FIX  bridge'*'OK   forwarding'*'OK   cgroup'*'FIX  rules'* ]]
}

@test "env check: a line for each thing, and it changes nothing" {
  snapshot
  try -0 env_sh check
  [[ -z $stderr && $output != *$'\n'[!OF]* ]]
  for name in kernel cgroup2 users overlay tools subnet bridge forwarding cgroup rules; do
    [[ $(grep -Ec "^(OK  |FIX ) $name: ." <<<"$output") -eq 1 ]]
  done
  [[ $output == *'FIX  bridge: not set: sudo bash '*'env.sh set'* ]]
  try -0 setpriv --reuid 65534 --clear-groups bash "$REPO/env.sh" check # a mere user
  [[ $output == *'FIX  bridge: '* ]]
  unchanged
  try -0 env_sh set
  try -0 env_sh check
  [[ $output == *'OK   bridge'*'OK   forwarding'*'OK   cgroup'*'OK   rules'* ]]
}

@test "env check: what blocks gives 1, what set or a limit less would mend gives 0" {
  fake uname 'echo 5.14.21-amd64'
  try -1 env_sh check
  [[ $output == *'FIX  kernel: 5.14.21-amd64: install 5.15'* ]]
  fake uname 'echo 5.15.0-28-amd64'
  try -0 env_sh check
  [[ $output == *'OK   kernel: 5.15'*'FIX  users: '*'5.19'* ]]
  fake uname 'echo 6.1.0'
  try -0 env_sh check
  [[ $output == *'OK   users'* ]]
  on ip link add d0 type bridge
  on ip addr add 192.168.1.1/24 dev d0
  on ip link set d0 up
  try -1 env_sh check
  [[ $output == *'FIX  subnet: '*' overlaps the address 192.168.1.1/24 of d0: use SUBNET='* ]]
  SUBNET=10.3.0.0/16 try -0 env_sh check
}

@test "env check: no user namespaces, no place for layers, no cgroup v2" {
  on sh -c 'echo 0 >/tmp/0 && mount --bind /tmp/0 /proc/sys/user/max_user_namespaces; rm /tmp/0'
  try -0 env_sh check
  [[ $output == *'FIX  users'*'sysctl -w user.max_user_namespaces='* ]]
  on sh -c 'mkdir -p /run/l /run/u /run/w /var/lib/container_engine
    mount -t overlay -o lowerdir=/run/l,upperdir=/run/u,workdir=/run/w o /var/lib/container_engine'
  try -1 env_sh check
  [[ $output == *'FIX  overlay'*'/var/lib/container_engine'* ]]
  on umount /var/lib/container_engine
  on mount -t tmpfs tmpfs /sys/fs/cgroup
  try -0 env_sh check
  [[ $output == *'FIX  cgroup2: no cgroup2 is mounted: mount -t cgroup2'* ]]
  [[ $output != *' cgroup: '* ]]
  try -0 env_sh set # and without it, and its limits, all the rest stands
  [[ ${lines[1]} == *'no cpu memory pids'* && ${lines[2]} == 'ENV SET DONE.' ]]
  try -0 env_sh clean
  on umount /sys/fs/cgroup
}

@test "env check: what gives a hybrid host its controllers: a boot option, on WSL2 in .wslconfig" {
  on mkdir /sys/fs/cgroup/none
  on mount --bind /sys/fs/cgroup/none /sys/fs/cgroup
  try -0 env_sh check
  [[ $output == *'FIX  cgroup2: hybrid: '*': boot with systemd.unified_cgroup_hierarchy=1'* ]]
  [[ $output != *wsl* ]]
  on sh -c 'echo "Linux version 5.15.153.1-microsoft-standard-WSL2" >/run/version
    mount --bind /run/version /proc/version'
  try -0 env_sh check
  [[ $output == *'kernelCommandLine = cgroup_no_v1=all'*'[wsl2]'*'.wslconfig'*'wsl --shutdown'* ]]
  [[ $output != *systemd.unified* ]]
  on umount /proc/version
  on umount /sys/fs/cgroup
}

# As `make install` leaves it.
@test "env: messages name the command that is there" {
  on mkdir /run/bin
  on cp "$REPO/env.sh" /run/bin/container_engine-env
  PATH=/run/bin:$PATH try -0 on container_engine-env check
  [[ $output == *'not set: sudo container_engine-env set'* && $output != *env.sh* ]]
  PATH=/run/bin:$PATH try -0 on container_engine-env help
  [[ $output == *'container_engine-env COMMAND'* && $output != *env.sh* ]]
  PATH=/run/bin:$PATH SUBNET=x try -1 on container_engine-env set
  [[ $stderr == 'container_engine-env: SUBNET'* ]]
  try -1 on setpriv --reuid 65534 --clear-groups bash /run/bin/container_engine-env set
  [[ $stderr == *'sudo bash /run/bin/container_engine-env set' ]]
}

# --- deps -----------------------------------------------------------------------------------

# A PATH of nothing but these fakes and what env.sh itself needs; /usr/sbin and headers hidden.
bare() {
  local name
  for name in bash awk sed grep uname; do
    [[ -e $fake/$name ]] || ln -s "$(type -P "$name")" "$fake/$name"
  done
  on mount -t tmpfs tmpfs /usr/sbin
  [[ /sbin -ef /usr/sbin ]] || on mount -t tmpfs tmpfs /sbin
}

bare_env() {
  local nsenter
  nsenter=$(type -P nsenter)
  PATH=$fake "$nsenter" --target "$machine" --net --mount --wdns="$PWD" -- \
    "$fake/bash" "$REPO/env.sh" "$@"
}

# A package manager that writes down how it was called, and after that the COMMANDs are there.
manager() { # NAME [COMMAND...]
  local chmod rm
  chmod=$(type -P chmod) rm=$(type -P rm)
  fake "$1" "echo \"$1 \$*\" >>$BATS_TEST_TMPDIR/calls
             cd $fake
             for name in ${*:2}; do $rm -f \$name; : >\$name; $chmod +x \$name; done"
}

@test "env deps: when nothing is missing it says so, and calls nobody" {
  for name in apt-get dnf pacman apk zypper; do manager $name; done
  try -0 env_sh deps
  [[ $output == 'deps: nothing is missing' && -z $stderr && ! -e $BATS_TEST_TMPDIR/calls ]]
}

@test "env deps: each manager is asked for what is missing, by its own name" {
  present='gcc make nft ping curl jq tar gzip xz zstd debootstrap gpgv update-ca-certificates rm'
  while IFS='|' read -r name call; do
    rm -rf "$fake" "$BATS_TEST_TMPDIR/calls"
    mkdir "$fake"
    manager "$name" ip ps flock
    for word in $present; do manager "$word"; done
    : >"$fake/busybox"
    chmod +x "$fake/busybox"
    ln -s busybox "$fake/flock" # not enough
    bare
    on mount -t tmpfs tmpfs /usr/include
    on mkdir /usr/include/linux
    on touch /usr/include/stdio.h /usr/include/linux/bpf.h
    try -0 bare_env deps
    on umount /usr/include
    on umount /usr/sbin
    [[ $output == 'deps: installed '* ]]
    try -0 tail -n 1 "$BATS_TEST_TMPDIR/calls"
    # shellcheck disable=SC2053  # a pattern
    [[ $output == $call ]]
    [[ $(wc -l <"$BATS_TEST_TMPDIR/calls") -eq $([[ $name == apt-get ]] && echo 2 || echo 1) ]]
  done <<'END'
apt-get|* --no-install-recommends install iproute2 util-linux procps
dnf|dnf -y --setopt=install_weak_deps=False install iproute util-linux procps-ng
pacman|pacman -Sy --noconfirm --needed iproute2 util-linux procps-ng
apk|apk add --no-cache iproute2 util-linux procps
zypper|zypper --non-interactive install --no-recommends iproute2 util-linux procps
END
}

@test "env deps: headers count, test asks for more, and what stays missing is told" {
  fake apt-get 'echo "$*" >>'"$BATS_TEST_TMPDIR"'/calls; exit 100'
  bare
  on mount -t tmpfs tmpfs /usr/include
  try -1 bare_env deps
  [[ $stderr == *'still missing: gcc stdio.h linux/bpf.h make ip nft'* ]]
  grep -q 'install gcc libc6-dev linux-libc-dev make iproute2 nftables' "$BATS_TEST_TMPDIR/calls"
  grep -q 'install gcc$' "$BATS_TEST_TMPDIR/calls" # and one by one, for all at once did not work
  [[ $(<"$BATS_TEST_TMPDIR/calls") != *bats* ]]
  try -1 bare_env deps test
  grep -q 'bats.* bubblewrap .*qemu-system' "$BATS_TEST_TMPDIR/calls"
  [[ $(<"$BATS_TEST_TMPDIR/calls") != *podman* ]]
  try -1 bare_env deps clients
  grep -q 'podman .*containerd .*docker.io' "$BATS_TEST_TMPDIR/calls"
}

@test "env deps: what a shell in a container does not need may stay missing, and that is told" {
  for word in gcc make nft ip flock rm; do fake "$word" :; done
  fake apt-get 'exit 100'
  bare
  try -0 bare_env deps
  [[ -z $output && $stderr == *'going on; still missing: ps ping curl jq'*debootstrap* ]]
  rm "$fake/apt-get"
  try -0 bare_env deps
  [[ $stderr == *'going on; no apt-get, '*' ping '* ]]
  try -1 bare_env deps test
}

@test "env deps: without a package manager it names what to install" {
  bare
  refuses apt-get zypper gcc -- bare_env deps
}

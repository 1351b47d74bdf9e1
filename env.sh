#!/usr/bin/env bash
# Usage: [BRIDGE=NAME] [SUBNET=NETWORK/BITS] [LAN=open] env.sh COMMAND
#
#   set          make the bridge, forwarding, NAT and forward rules, and the parent cgroup
#   clean        undo what set did; not while containers run
#   status       show what stands now
#   check        the doctor: can this machine run containers, and if not, what helps
#   deps [WHAT]  install what is missing to build and use the engine; WHAT is test, for its tests,
#                or clients, for podman, containerd and docker
#   help         show this text
#
# BRIDGE is cebr0 and SUBNET is 192.168.1.0/24 unless the environment says otherwise; the bridge
# gets the subnet's first address. Other machines reach containers only where LAN is open.
# set, clean and deps need root.

# The host's side of container_engine: what all containers share and none can make.
# set writes into a journal how each change is undone, and then makes it; clean walks the journal
# backwards. Either looks afterwards whether the change is there: what they call DONE was seen.
# shellcheck disable=SC2174  # mkdir -pm: /var/lib and /run are there
set -euo pipefail
shopt -s nullglob
export LC_ALL=C

readonly me=${0##*/} # env.sh, or container_engine-env where make installed it
readonly home=/var/lib/container_engine journal=/run/container_engine/.env
readonly conf=/proc/sys/net/ipv4/conf ip_forward=/proc/sys/net/ipv4/ip_forward
looking=''

# --- saying and doing -----------------------------------------------------------------------

complain() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { complain "$@"; exit 1; }
usage() { sed -nE "/^\$/q; s/env\.sh/$me/; s/^#( |\$)//p" "$0"; } # how this file begins
has() { type -P "$1" >/dev/null; }
put() { printf '%s\n' "$1" >"$2"; } # TEXT FILE
has_word() { grep -qsw -- "$2" "$1"; } # FILE WORD
not() { ! "$@"; }

# Those of the words of which it is true.
those() { # "TEST..." WORD...
  local word found=''
  for word in "${@:2}"; do
    ! $1 "$word" || found+=" $word"
  done
  printf '%s' "${found# }"
}

# What a command says; or, when it fails, the end, in one line. Of a list that changed while ip read
# it ip only says so: then from the beginning.
run() {
  local said='Dump was interrupted'
  while [[ $said == *'Dump was interrupted'* ]]; do
    said=$("$@" 2>&1) || die "$*: ${said%%$'\n'*}"
  done
  [[ -z $said ]] || printf '%s\n' "$said"
}

# Every change goes through here. LOOK: true, it is made; false, it is not; the end, nobody knows.
make() { # "LOOK..." CMD...
  ! $1 || return 0
  run "${@:2}" >/dev/null
  $1 || die "${*:2}: no error, and no effect"
}

# The same, and on record before it happens: the words after undo_ that take it back.
ensure() { $1 || { will "$2" && make "$1" "${@:3}"; }; } # "LOOK..." "UNDO..." CMD...
will() { [[ -z $looking ]] || exit 1; printf '%s\n' "$*" >>"$journal"; }
recorded() { sed -n "s/^$1=//p" "$journal" 2>/dev/null | grep . || printf '%s' "$2"; } # KEY DEFAULT

# Only looks: is nothing left for that ensure_ function to do?
stands() { (looking=yes && "ensure_$1") >/dev/null 2>&1; }

# Starting engines take the same lock while they claim a name. An empty directory does not stay: so
# a lock counts only if its directory is still the one that has the name.
lock() {
  local tries=0
  until mkdir -p -m 700 "$home" && exec 9<"$home" && flock -n 9 && [[ $home -ef /dev/fd/9 ]]; do
    ((tries++ < 50)) || die "$home is locked by another $me or an engine: try again"
    sleep 0.1
  done
  trap unlock EXIT # not before: until then it is another's
}
unlock() { rmdir "$home" 2>/dev/null || :; } # fails where there are containers, as it should

# --- what is asked for, what is there -------------------------------------------------------

# The environment's word, else the last set's, else the source documents'; and $address.
settings() {
  local octet='(0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])' a b c d prefix net
  BRIDGE=${BRIDGE:-$(recorded BRIDGE cebr0)}
  SUBNET=${SUBNET:-$(recorded SUBNET 192.168.1.0/24)}
  LAN=${LAN:-$(recorded LAN closed)}
  [[ $LAN =~ ^(open|closed)$ ]] || die "LAN: ${LAN@Q} is neither open nor closed"
  [[ $BRIDGE =~ ^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$ ]] ||
    die "BRIDGE: ${BRIDGE@Q} is not 1 to 15 letters, digits, _ . or -, such as cebr0"
  [[ $SUBNET =~ ^$octet\.$octet\.$octet\.$octet/([89]|[12][0-9]|30)$ ]] ||
    die "SUBNET: ${SUBNET@Q} is not a network with 8 to 30 bits, such as 192.168.1.0/24"
  read -r a b c d prefix <<<"${BASH_REMATCH[*]:1}"
  ((a > 0 && a < 224 && a != 127)) || die "SUBNET: $SUBNET is not for hosts: use 10.77.77.0/24"
  net=$(((a << 24 | b << 16 | c << 8 | d) & -1 << (32 - prefix)))
  printf -v net '%d.%d.%d.%d' $((net >> 24)) $((net >> 16 & 255)) $((net >> 8 & 255)) $((net & 255))
  [[ $net == "${SUBNET%/*}" ]] || die "SUBNET: $SUBNET is in a network: use $net/$prefix"
  address=$a.$b.$c.$((d + 1))/$prefix
}

listed() { run ip -o -4 "$@"; } # SHOW...

# Prints what the machine has in or around the network, but for our own bridge's. A route shorter
# than 8 bits is a default route in disguise (VPNs use 0.0.0.0/1) and takes nothing.
clash() { # NETWORK/BITS
  { # match: the routes it lies in; root: those that lie in it
    listed addr show to "$1" | sed -E 's/^[^ ]+ ([^ ]+) +inet ([^ ]+).*/address \2 dev \1/' &&
      listed route show table all match "$1" && listed route show table all root "$1"
  } | sed -E "/^([a-z]+ )?default|\/[0-7]( |$)| dev ${BRIDGE//./[.]}( |$)/d
    /^address/! s/^([a-z]+ )?/route /
    s/^([^ ]+ [^ ]+)(.* dev ([^ ]+))?.*/\1 of \3/; s/ of \$//"
}

clash_line() {
  local found subnet advice='choose a SUBNET that is free'
  found=$(clash "$SUBNET") || return 1
  [[ -n $found ]] || return 0
  for subnet in {198.18,100.64,10.177,10.77,172.23,172.29}.77.0/24 192.168.{177,77}.0/24; do
    [[ -n $(clash "$subnet") ]] || advice="use SUBNET=$subnet"
  done
  printf '%s overlaps the %s: %s' "$SUBNET" "${found%%$'\n'*}" "$advice"
}

# Where cgroup2 is, if anywhere. The engine looks in the same two places.
top=/sys/fs/cgroup
[[ -e $top/cgroup.controllers ]] || top+=/unified
readonly top cgroup=$top/container_engine

controllers_in() { those "has_word $1" cpu memory pids io cpuset; } # FILE
limits_line() { # FILE: tells which limits there will not be
  local lacking
  lacking=$(those "not has_word $1" cpu memory pids)
  [[ -z $lacking ]] || printf 'cgroup v2 has no %s here: no such limits\n' "$lacking"
}

# A container runs while its cgroup has a process, or while its engine or its own first process
# lives: that counts before it has a cgroup, and where there is no cgroup2. See proc(5): Z and X are
# dead, and a later process with the same number has another start time, the 18th after the state.
running() {
  {
    grep -lsx 'populated 1' "$cgroup"/*/cgroup.events /dev/null | awk -F / '{ print $(NF - 1) }'
    awk -F = 'NR == FNR { lives[$0] }
      $1 == "pid" || $1 == "engine" { pid = $2 }
      $1 ~ /^(engine_)?start$/ && (pid " " $2) in lives { split(FILENAME, dir, "/"); print dir[5] }
      ' <(cat /proc/[0-9]*/stat 2>/dev/null |
      sed -nE 's/^([0-9]+) .*\) [^ZX] ([^ ]+ ){18}([0-9]+) .*/\1 \3/p') "$home"/*/state
  } | sort -u | paste -sd ' '
}

# --- the changes, each next to its undoing --------------------------------------------------

there() { [[ -e $conf/$1 ]]; } # NAME
# Has ip this to say about the link? A link that is not there has nothing.
link_has() { # NAME WORD...
  local said=''
  ! there "$1" || said=$(run ip -d addr show dev "$1") || exit 1 # -e does not get into $( )
  [[ $said == *[\ \<,]"${*:2}"[\ \>,]* ]]
}

reads() { [[ ! -e $1 || $(<"$1") == "$2" ]]; } # FILE VALUE; an interface may be gone, and its file
ensure_sysctl() { ensure "reads $1 $2" "sysctl $1 $(cat "$1" 2>/dev/null)" put "$2" "$1"; }
undo_sysctl() { make "reads $1 $2" put "$2" "$1"; }

# A bridge without an address of its own takes its ports' lowest, which changes as they come and
# go: containers would lose their gateway for a while.
ensure_bridge() {
  ensure "there $BRIDGE" "link $BRIDGE" ip link add "$BRIDGE" address 02:ce:c0:a8:01:01 type bridge
  # No container becomes the host's IPv6 router (CVE-2020-13401), on nobody's bridge.
  ensure_sysctl "/proc/sys/net/ipv6/conf/$BRIDGE/accept_ra" 0
  ensure "link_has $BRIDGE inet $address" "address $BRIDGE $address" \
    ip addr add "$address" brd + dev "$BRIDGE"
  ensure "link_has $BRIDGE UP" "up $BRIDGE" ip link set "$BRIDGE" up
}
undo_up() { make "not link_has $1 UP" ip link set "$1" down; }
undo_address() { make "not link_has $1 inet $2" ip addr del "$2" dev "$1"; } # NAME ADDRESS
undo_link() {
  local others=''
  ! there "$1" || others=$(listed link show master "$1" && listed addr show dev "$1") || exit 1
  [[ -z $others ]] || die "$1 is used by others: ${others%%$'\n'*}"
  make "not there $1" ip link del "$1"
}

# Writing ip_forward also overwrites the value of every interface, and whether redirects count.
ensure_forwarding() {
  [[ $(<$ip_forward) == 1 ]] ||
    will "$(grep . $conf/{*/forwarding,all/accept_redirects} | sed 's/^/sysctl /; s/:/ /')"
  ensure_sysctl $ip_forward 1
  ensure_sysctl "$conf/$BRIDGE/forwarding" 1 # interfaces may differ
}

has_rule() { # IPTABLES CHAIN RULE...
  local said status=0
  said=$("$1" -w 5 -C "${@:2}" 2>&1) || status=$?
  ((status < 3)) || die "$1: ${said%%$'\n'*}" # 1 or 2: not there, or not even its chain
  return "$status"
}
ensure_rule() { ensure "has_rule $*" "rule $*" "$1" -w 5 -I "${@:2}"; }
undo_rule() { make "not has_rule $*" "$1" -w 5 -D "${@:2}"; }

# What containers send may go out, and what answers them may come in; the LAN, which is every other
# machine and interface, begins nothing with them. What the host itself sends is not forwarded.
# One transaction: the old table goes and the new one comes, or nothing happens.
# A packet has to pass every filter, even a bridged one when br_netfilter is loaded: what our
# table accepts another may drop. So the bridge gets a passage through each filter that drops what
# it does not know, as Docker's and ufw's do. Only -save looks without making tables.
readonly no_table='add table ip container_engine; delete table ip container_engine'
ensure_rules() {
  local tool said new=drop answers=(-m conntrack --ctstate 'RELATED,ESTABLISHED') nat wall
  [[ $LAN == closed ]] || new=accept answers=()
  nat="ip saddr $SUBNET oifname != \"$BRIDGE\" masquerade"
  wall="iifname != \"$BRIDGE\" oifname \"$BRIDGE\" ct state invalid,new $new"
  ensure table_is_ours table nft -f - <<<"$no_table
    table ip container_engine {
      chain postrouting { type nat hook postrouting priority 100; $nat; }
      chain forward { type filter hook forward priority 0; $wall; }
    }"
  for tool in iptables-nft iptables-legacy; do
    has "$tool" || continue
    said=$(run "$tool-save") || exit 1
    [[ $said =~ $'\n'(:FORWARD|-A FORWARD -j)' '(DROP|REJECT) ]] || continue
    ensure_rule "$tool" FORWARD -o "$BRIDGE" "${answers[@]}" -j ACCEPT
    ensure_rule "$tool" FORWARD -i "$BRIDGE" -j ACCEPT
  done
}
table_is_ours() {
  [[ $(nft list table ip container_engine 2>&1 | sed -nE 's/^\s+i/i/p') == "$nat"$'\n'"$wall" ]]
}
undo_table() { run nft "$no_table"; }

# Prints what opens firewalld so that it stays open: only its owner can.
closed_firewalld() {
  [[ $(firewall-cmd --state 2>&1) != running ||
    $(firewall-cmd --get-zone-of-interface="$BRIDGE" 2>&1) == trusted ]] ||
    printf 'firewall-cmd --zone=trusted --add-interface=%s\n' "$BRIDGE"
}

ensure_cgroup() {
  local file name
  [[ -d $top ]] || return 0 # no cgroup2, no limits: the engine says so, too
  ensure "test -d $cgroup" "cgroup $cgroup" mkdir "$cgroup"
  for file in {"$top","$cgroup"}/cgroup.subtree_control; do
    for name in $(controllers_in "${file%/*}/cgroup.controllers"); do
      ensure "has_word $file $name" "controller $file $name" put "+$name" "$file"
    done
  done
}
# Someone else may have come to use it; then the kernel says EBUSY, and it is theirs now.
undo_controller() { # FILE NAME
  [[ ! -e $1 ]] || put "-$2" "$1" 2>/dev/null || complain "note: $2 stays in $1: others use it now"
}
# With it goes what is left of containers that did not end well.
undo_cgroup() { make "not test -d $1" find "$1" -depth -type d -exec rmdir {} +; }

# Walks the journal back. What cannot be undone does not stop the rest.
undo_all() {
  local undo failed=0
  while read -r -u 3 undo; do
    # shellcheck disable=SC2086  # words
    [[ $undo == *=* ]] || (undo_$undo) || failed=1
  done 3< <(tac "$journal")
  ((!failed)) && rm "$journal" && rmdir "${journal%/*}"
}

# --- set and clean --------------------------------------------------------------------------

# What stands already, by us or by others, must be what is asked for.
refuse_others() {
  local key was
  for key in BRIDGE SUBNET LAN; do
    was=$(recorded $key "${!key}")
    [[ $was == "${!key}" ]] || die "set: it stands with $key=$was: run $me clean first"
  done
  was=$(clash_line)
  [[ -z $was ]] || die "SUBNET: $was"
  has nft || die "set: nft is not there: run $me deps"
  there "$BRIDGE" || return 0
  link_has "$BRIDGE" bridge || die "BRIDGE: $BRIDGE is there, and is not a bridge"
  was=$(listed addr show dev "$BRIDGE" | awk -v ours="$address" '$4 != ours { print $4; exit }')
  [[ -z $was ]] || die "BRIDGE: $BRIDGE has the address $was already: use another name"
}

do_set() {
  local what
  lock
  refuse_others
  if [[ ! -e $journal ]]; then
    mkdir -p -m 700 "${journal%/*}"
    printf '%s\n' "BRIDGE=$BRIDGE" "SUBNET=$SUBNET" "LAN=$LAN" >"$journal"
    trap 'undo_all; unlock' EXIT # a first set that fails; after a later one clean undoes both
  fi
  for what in bridge forwarding rules cgroup; do "ensure_$what"; done
  trap unlock EXIT
  printf 'net.ipv4.conf.all.forwarding = %s\n' "$(<$conf/all/forwarding)"
  sed -n 's/[a-z]\+/+&/gp' <<<"$(controllers_in "$cgroup/cgroup.subtree_control")"
  limits_line "$cgroup/cgroup.subtree_control"
  closed_firewalld | sed 's/^/a firewall is in the way of containers: /'
  printf 'ENV SET DONE.\n'
}

do_clean() {
  local names name
  lock
  names=$(running)
  [[ -z $names ]] || die "clean: containers are running: $names: stop them first"
  for name in {"$home","$cgroup"}/*/; do # the names of their network namespaces
    name=/run/netns/$(basename "$name")
    [[ ! -L $name || -e $name ]] || rm "$name"
  done
  [[ ! -e $journal ]] || undo_all || die 'clean: mend that, and run it again'
  # Ours by name, whoever made them and whatever became of the journal.
  ! has nft || undo_table
  undo_cgroup "$cgroup"
  printf 'ENV CLEAN DONE.\n'
}

# --- status, and check: the doctor ----------------------------------------------------------

# Tells what is well; or, if anything does, what helps. must: no containers until then.
verdict() { # must|may NAME WELL WHAT-HELPS
  [[ -n $4 ]] || { printf 'OK   %s: %s\n' "$2" "$3"; return; }
  printf 'FIX  %s: %s\n' "$2" "$4"
  [[ $1 == may ]] || blocked=1
}

verdict_on() { verdict may "$1" "$2" "$(stands "$1" || echo "not set: $self set")"; } # NAME WELL
what_stands() {
  verdict_on bridge "$BRIDGE $address"
  verdict_on forwarding on
  [[ ! -d $top ]] || verdict_on cgroup "$cgroup $(controllers_in "$cgroup/cgroup.subtree_control")"
  ((EUID)) || verdict_on rules "NAT for $SUBNET, LAN $LAN" # only root can look
}

do_status() {
  what_stands
  printf 'running: %s\n' "$(running | grep . || echo none)"
}

kernel_since() { printf '%s\n' "$1" "$(uname -r)" | sort -CV; } # MAJOR.MINOR
overlay_there() { has_word /proc/filesystems overlay || modprobe -qn overlay; }

do_check() {
  local what how=may boot='boot with systemd.unified_cgroup_hierarchy=1'
  blocked=0
  verdict must kernel "$(uname -r)" "$(kernel_since 5.15 || echo "$(uname -r): install 5.15")"
  ! grep -qi microsoft /proc/version || # WSL2
    boot='put kernelCommandLine = cgroup_no_v1=all under [wsl2] in .wslconfig, then wsl --shutdown'
  what=$(limits_line "$top/cgroup.controllers")
  what=${what:+hybrid: $what: $boot}
  [[ -d $top ]] || what='no cgroup2 is mounted: mount -t cgroup2 none /sys/fs/cgroup'
  verdict may cgroup2 "$top: $(controllers_in "$top/cgroup.controllers")" "$what"
  # (kernel.unprivileged_userns_clone and its kin do not bind root, who starts the engine.)
  what=''
  ! reads /proc/sys/user/max_user_namespaces 0 || what='sysctl -w user.max_user_namespaces=9999'
  kernel_since 5.19 || what='install kernel 5.19 or newer'
  verdict may users 'user namespaces, idmapped layers' "${what:+root inside is root outside: $what}"
  what=$(overlay_there || echo 'install a kernel with CONFIG_OVERLAY_FS')
  case $(stat -f -c %T "$home" 2>/dev/null || stat -f -c %T "${home%/*}") in
    overlay* | nfs | v9fs | fuse* | msdos | smb* | cifs)
      what="mount ext4, xfs or btrfs on $home: what is there holds no layers" ;;
  esac
  verdict must overlay "layers in $home" "$what"
  # shellcheck disable=SC2086  # words they are
  what=$(lacking $to_build $to_use | sed -E 's/=[^ ]*//g')
  [[ ! " $what " =~ \ (ip|nft)\  ]] || how=must
  verdict $how tools 'all there' "${what:+no $what: $self deps}"
  has ip || return "$blocked"
  what=$(clash_line) || what='the routes cannot be read'
  verdict must subnet "$SUBNET" "$what"
  closed_firewalld | sed 's/^/FIX  firewall: /'
  what_stands
  return "$blocked"
}

# --- deps -----------------------------------------------------------------------------------

# Commands, headers and files, with the package where it is not called like that. A shell in a
# container needs to_build alone; what tests need is written in test/deps.
readonly to_build='gcc stdio.h=glibc-devel linux/bpf.h=kernel-headers make ip=iproute2 nft=nftables
  flock=util-linux rm=coreutils'
readonly to_use='ps=procps-ng ping=iputils curl jq /etc/ssl/certs=ca-certificates tar gzip xz zstd
  debootstrap gpgv'

# Who installs, and what they call it otherwise.
readonly managers="apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install|\
  stdio.h=libc6-dev linux/bpf.h=linux-libc-dev ps=procps ping=iputils-ping xz=xz-utils
dnf -y --setopt=install_weak_deps=False install|ip=iproute gpgv=gnupg2
pacman -Sy --noconfirm --needed|stdio.h=glibc linux/bpf.h=linux-api-headers gpgv=gnupg
apk add --no-cache|stdio.h=musl-dev linux/bpf.h=linux-headers ps=procps
zypper --non-interactive install --no-recommends|linux/bpf.h=linux-glibc-devel ps=procps gpgv=gpg2"

# What busybox does under another's name is not enough.
installed() { # WORD[=PACKAGE]
  local name=${1%%=*} path
  path=$(type -P "$name") || path=/usr/include/$name
  [[ $name != /* ]] || path=$name
  [[ -e $path && ($name == busybox || ! $path -ef $(type -P busybox)) ]]
}
lacking() { those 'not installed' "$@"; }

# shellcheck disable=SC2086  # all these are words
do_deps() { # [test|clients]
  local missing install names word packages='' more='' why
  local -A package
  [[ $# == 0 ]] || more=$(sed -nE "s/^$1(\.$(uname -m))?: //p" "${0%"$me"}test/deps")
  missing=$(lacking $to_build $to_use $more)
  [[ -n $missing ]] || { printf 'deps: nothing is missing\n'; return; }
  while IFS='|' read -r install names && ! has "${install%% *}"; do :; done <<<"$managers"
  for word in $missing $names; do package[${word%%=*}]=${word#*=}; done
  for word in $missing; do packages+=" ${package[${word%%=*}]}"; done
  export DEBIAN_FRONTEND=noninteractive
  [[ $install != apt-get* ]] || apt-get -q update || complain 'deps: going on with the old lists'
  # A package that is not to be had must not keep out the others.
  [[ -z $install ]] || $install $packages || for word in $packages; do $install $word || :; done
  missing=$(lacking $missing | sed -E 's/=[^ ]*//g')
  [[ -n $missing ]] || { printf 'deps: installed%s\n' "$packages"; return; }
  why="still missing: $missing"
  [[ -n $install ]] || why="no apt-get, dnf, pacman, apk or zypper: install $missing"
  # Not everything is needed for a shell in a container, and not everybody has a network.
  [[ $# == 0 && -z $(lacking $to_build) ]] || die "deps: $why"
  complain "deps: going on; $why"
}

main() {
  PATH+=:/usr/sbin:/sbin # su leaves them out
  self="sudo bash $0"
  [[ ! $(type -P "$me") -ef $0 ]] || self="sudo $me" # make installed it
  case $* in
    set | clean | deps | 'deps test' | 'deps clients')
      ((EUID == 0)) || die "$1: needs root: $self $*" ;;
    status | check) ;;
    help | --help | -h) usage && return ;;
    *) usage >&2; exit 2 ;;
  esac
  settings
  "do_$1" "${@:2}"
}

main "$@"

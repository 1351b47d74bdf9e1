#!/usr/bin/env bash
# env.sh: the host's side of container_engine: what all containers share and none can make.
#
# set writes into a journal how each change is undone, and then makes it; clean walks the journal
# backwards. Both go through their work twice: the second time, $verifying, a change that is still
# to be made is an error. So what they call DONE is what they have seen.
set -euo pipefail
export LC_ALL=C

readonly state=/run/container_engine
readonly journal=$state/.env
readonly conf=/proc/sys/net/ipv4/conf
readonly ip_forward=/proc/sys/net/ipv4/ip_forward
readonly controllers='cpu memory pids io cpuset'
verifying=''

usage() {
  cat <<'END'
Usage: [BRIDGE=NAME] [SUBNET=NETWORK/BITS] env.sh COMMAND

  set          make the bridge, forwarding, NAT and forward rules, and the parent cgroup
  clean        undo what set did; not while containers run
  status       show what stands now
  check        the doctor: can this machine run containers, and if not, what helps
  deps [test]  install what is missing to build and use the engine (and to test it)
  help         show this text

BRIDGE is cebr0 and SUBNET is 192.168.1.0/24 unless the environment says otherwise; the bridge
gets the subnet's first address. set, clean and deps need root.
END
}

# --- saying and doing -----------------------------------------------------------------------

complain() { printf 'env.sh: %s\n' "$*" >&2; }
die() { complain "$@"; exit 1; }
has() { type -P "$1" >/dev/null; }
put() { printf '%s\n' "$1" >"$2"; } # TEXT FILE

has_word() { # WORD FILE
  local text=''
  [[ ! -r $2 ]] || IFS= read -rd '' text <"$2" || : # to its end
  [[ " ${text//[$'\n\t']/ } " == *" $1 "* ]]
}

# Every change goes through here. Whatever a command says when it fails becomes one line.
run() {
  local said
  [[ -z $verifying ]] || die "$*: no error, and no effect"
  said=$("$@" 2>&1) && return 0 # a bare return in a trap would return what led to the trap
  complain "$*: ${said%%$'\n'*}"
  return 1
}

# On record before it happens: the words after undo_ that take the next change back.
will() { [[ -n $verifying ]] || printf '%s\n' "$*" >>"$journal"; }
recorded() { [[ ! -e $journal ]] || sed -n "s/^$1=//p" "$journal"; } # BRIDGE|SUBNET

# A look only: true when nothing is left for the ensure_ function to do.
# shellcheck disable=SC2030,SC2031  # only for the look
stands() { (verifying=yes && "$@") >/dev/null 2>&1; }

# Starting engines take the same lock while they claim a name.
lock() {
  local fd tries=0
  # shellcheck disable=SC2174  # /run is there
  mkdir -p -m 700 "$state"
  exec {fd}<"$state"
  until flock -n "$fd"; do
    ((tries++ < 50)) || die "$state is locked by another env.sh or an engine: try again"
    sleep 0.1
  done
}

# --- what is asked for, what is there -------------------------------------------------------

dotted() { # NUMBER
  printf '%d.%d.%d.%d' $(($1 >> 24)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255))
}

# The environment's word, else the one of the last set, else the source documents'. Sets $prefix
# and $gateway.
settings() {
  local octet='(0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])' a b c d net
  BRIDGE=${BRIDGE:-$(recorded BRIDGE)} SUBNET=${SUBNET:-$(recorded SUBNET)}
  BRIDGE=${BRIDGE:-cebr0} SUBNET=${SUBNET:-192.168.1.0/24}
  [[ $BRIDGE =~ ^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$ ]] ||
    die "BRIDGE: ${BRIDGE@Q} is not 1 to 15 letters, digits, _ . or -, such as cebr0"
  [[ $SUBNET =~ ^($octet\.){3}$octet/([89]|[12][0-9]|30)$ ]] ||
    die "SUBNET: ${SUBNET@Q} is not a network with 8 to 30 bits, such as 192.168.1.0/24"
  prefix=${SUBNET#*/}
  IFS=. read -r a b c d <<<"${SUBNET%/*}"
  ((a > 0 && a < 224 && a != 127)) || die "SUBNET: $SUBNET is not for hosts: use 10.77.77.0/24"
  net=$(((a << 24 | b << 16 | c << 8 | d) & -1 << (32 - prefix)))
  [[ $(dotted $net) == "${SUBNET%/*}" ]] ||
    die "SUBNET: $SUBNET is an address in a network: did you mean $(dotted $net)/$prefix?"
  gateway=$(dotted $((net + 1)))
}

# What ip lists: from the beginning when the list changed meanwhile, of which ip only says so.
listed() { # SHOW...
  local said
  for _ in {1..20}; do
    said=$(ip -o -4 "$@" 2>&1) || { complain "ip $*: ${said%%$'\n'*}"; return 1; }
    [[ $said == *'Dump was interrupted'* ]] || break
  done
  printf '%s\n' "$said"
}

# Prints what the machine has in or around the network, but for our own bridge. A route shorter
# than 8 bits is a default route in disguise (VPNs use 0.0.0.0/1) and takes nothing.
clash() { # NETWORK/BITS
  { # match: the routes it lies in; root: those that lie in it
    listed addr show to "$1" | awk 'NF { print "address", $4, "dev", $2 }' &&
      listed route show table all match "$1" &&
      listed route show table all root "$1"
  } | awk -v bridge="$BRIDGE" '{
      net = $1 ~ /^[0-9]/ ? $1 : $2
      dev = ""
      for (i = 1; i < NF; i++) if ($i == "dev") dev = $(i + 1)
      if (net ~ /^[0-9]/ && net !~ /\/[0-7]$/ && dev != bridge && !n++)
        print ($1 == "address" ? $1 : "route"), net, (dev == "" ? "" : "of " dev) }'
}

clash_line() {
  local found subnet advice='choose a SUBNET that is free'
  found=$(clash "$SUBNET") || return 1 # -e does not get into $( )
  [[ -n $found ]] || return 0
  for subnet in {198.18,100.64,10.177,10.77,172.23,172.29}.77.0/24 192.168.{177,77}.0/24; do
    [[ -n $(clash "$subnet") ]] || advice="use SUBNET=$subnet"
  done
  printf '%s overlaps the %s: %s' "$SUBNET" "${found% }" "$advice"
}

# Sets $top and $cgroup by the last cgroup2 mount that no other hides, as the engine does.
find_cgroup2() {
  local dir
  top=/dev/null # where there is none: nothing is below that
  while read -r dir; do
    [[ ! -e $dir/cgroup.procs ]] || top=$dir
  done < <(awk '/ - cgroup2 / { print $5 }' /proc/self/mountinfo)
  cgroup=$top/container_engine
}

controllers_in() { # FILE
  local name found=''
  for name in $controllers; do
    ! has_word "$name" "$1" || found+=" $name"
  done
  printf '%s' "${found# }"
}

limits_line() { # CONTROLLERS...: tells which limits there will not be
  local name lacking=''
  for name in cpu memory pids; do
    [[ " $* " == *" $name "* ]] || lacking+=" $name"
  done
  [[ -z $lacking ]] || printf 'cgroup v2 has no%s here: no such limits\n' "$lacking"
}

# A container runs while its cgroup has a process or its engine holds its directory.
running() {
  local dir
  shopt -s nullglob
  {
    for dir in "$cgroup"/*/; do
      ! grep -qsx 'populated 1' "$dir/cgroup.events" || basename "$dir"
    done
    for dir in "$state"/*/; do
      flock -n "$dir" true 2>/dev/null || [[ ! -d $dir ]] || basename "$dir"
    done
  } | sort -u | paste -sd ' '
}

# --- the changes, each next to its undoing --------------------------------------------------

link_is() { [[ -n $(ip -o link show dev "$@" 2>/dev/null) ]]; } # NAME [up | type bridge]
link_has() { [[ $(listed addr show dev "$1" 2>/dev/null) == *" inet $2 "* ]]; } # NAME ADDRESS

# A bridge without an address of its own takes its ports' lowest, which changes as they come and
# go: containers would lose their gateway for a while.
ensure_bridge() {
  local mac
  if ! link_is "$BRIDGE"; then
    # shellcheck disable=SC2086  # four numbers
    printf -v mac '02:ce:%02x:%02x:%02x:%02x' ${gateway//./ }
    will link "$BRIDGE"
    run ip link add "$BRIDGE" address "$mac" type bridge
    # No container becomes the host's IPv6 router (CVE-2020-13401); this goes with the bridge.
    [[ ! -e /proc/sys/net/ipv6/conf/$BRIDGE ]] ||
      printf 0 >"/proc/sys/net/ipv6/conf/$BRIDGE/accept_ra"
  fi
  if ! link_has "$BRIDGE" "$gateway/$prefix"; then
    will address "$BRIDGE" "$gateway/$prefix"
    run ip addr add "$gateway/$prefix" brd + dev "$BRIDGE"
  fi
  if ! link_is "$BRIDGE" up; then
    will up "$BRIDGE"
    run ip link set "$BRIDGE" up
  fi
}

# Undoing, what cannot be seen is not taken for gone.
undo_up() { ! link_is "$1" up || run ip link set "$1" down; }
undo_address() { # NAME ADDRESS
  local there
  [[ -e $conf/$1 ]] || return 0
  there=$(listed addr show dev "$1") || return 1
  [[ $there != *" inet $2 "* ]] || run ip addr del "$2" dev "$1"
}
undo_link() {
  local others
  [[ -e $conf/$1 ]] || return 0
  others=$(ip -o link show master "$1" && listed addr show dev "$1") || return 1
  [[ -z $others ]] || { complain "$1 is used by others: ${others%%$'\n'*}"; return 1; }
  run ip link del "$1"
}

# Writing ip_forward also overwrites the value of every interface, and whether redirects count.
ensure_forwarding() {
  local file=$conf/$BRIDGE/forwarding
  if [[ $(<$ip_forward) != 0 ]]; then # then interfaces may differ
    [[ $(<"$file") == 0 ]] || return 0
    will sysctl "$file" 0
    run put 1 "$file"
    return
  fi
  if ! has_word "sysctl $ip_forward" "$journal"; then
    for file in $conf/{*/forwarding,all/accept_redirects}; do
      will sysctl "$file" "$(<"$file")"
    done
  fi
  will sysctl $ip_forward 0
  run put 1 $ip_forward
}

# An interface may be gone, and its file with it.
undo_sysctl() { [[ ! -e $1 || $(<"$1") == "$2" ]] || run put "$2" "$1"; }

# One transaction: the old table goes and the new one comes, or nothing happens.
ensure_table() {
  local stands
  stands=$(nft list table ip container_engine 2>/dev/null) || stands=''
  [[ $stands != *" $SUBNET oifname != \"$BRIDGE\" masquerade"*"iifname \"$BRIDGE\" accept"*\
"oifname \"$BRIDGE\" accept"* ]] || return 0
  will table
  run nft -f - <<END
add table ip container_engine
delete table ip container_engine
table ip container_engine {
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    ip saddr $SUBNET oifname != "$BRIDGE" masquerade
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname "$BRIDGE" accept
    oifname "$BRIDGE" accept
  }
}
END
}

undo_table() {
  local tables
  if ! has nft; then
    ! grep -qsx table "$journal" || { complain 'nft, which made the rules, is gone'; return 1; }
    return 0
  fi
  tables=$(nft list tables ip 2>&1) || { complain "nft: ${tables%%$'\n'*}"; return 1; }
  [[ $'\n'$tables$'\n' != *$'\ntable ip container_engine\n'* ]] ||
    run nft delete table ip container_engine
}

# 0: it is there, 1 or 2: it is not, or has no chain; any other status: nobody knows.
has_rule() {
  local said status=0
  said=$("$1" -w 5 -t "$2" -C "${@:3}" 2>&1) || status=$?
  ((status < 3)) || complain "$1: ${said%%$'\n'*}"
  return "$status"
}

ensure_rule() { # iptables TABLE CHAIN RULE...
  ! has_rule "$@" || return 0
  will rule "$@"
  run "$1" -w 5 -t "$2" -I "${@:3}"
}

undo_rule() {
  local status=0
  has_rule "$@" || status=$?
  ((status)) || run "$1" -w 5 -t "$2" -D "${@:3}" || return 1
  ((status < 3))
}

# Prints "iptables CHAIN" for each filter that drops what it does not know, as Docker's and ufw's
# do. (Docker leaves the chain DOCKER-USER alone.) Only to list a table that is not there makes it.
closed_filters() {
  local tool rules
  for tool in iptables-nft iptables-legacy; do
    has "$tool" || continue
    if [[ $tool == *-nft ]]; then
      ! has nft || nft list table ip filter >/dev/null 2>&1 || continue
    else
      has_word filter /proc/net/ip_tables_names || continue
    fi
    rules=$("$tool" -w 5 -S 2>&1) || die "$tool: ${rules%%$'\n'*}"
    if grep -qx -e '-N DOCKER-USER' <<<"$rules"; then
      printf '%s DOCKER-USER\n' "$tool"
    elif grep -Eq -e '^-P FORWARD DROP|^-A FORWARD -j (DROP|REJECT)' <<<"$rules"; then
      printf '%s FORWARD\n' "$tool"
    fi
  done
}

# Prints what to do about those that only their owner can open so that they stay open.
foreign_filters() {
  if has firewall-cmd && [[ $(firewall-cmd --state 2>&1) == running &&
    $(firewall-cmd --get-zone-of-interface="$BRIDGE" 2>&1) != trusted ]]; then
    printf 'firewall-cmd --zone=trusted --add-interface=%s\n' "$BRIDGE"
  fi
  ! has nft || nft list ruleset 2>/dev/null | awk -v ours="iifname \"$BRIDGE\" accept" '
    $1 == "table" { table = $2 " " $3 }
    $1 == "chain" { chain = table " " $2; closed = 0 }
    /hook forward .*policy drop/ { closed = chain ~ /^(ip|inet) / && chain != "ip filter FORWARD" }
    index($0, ours) { closed = 0 }
    $1 == "}" && closed { print "nft insert rule", chain, ours; closed = 0 }'
}

# A packet has to pass every filter, even a bridged one when br_netfilter is loaded: what our
# table accepts another may drop. So the bridge gets a passage through each filter that is closed.
ensure_rules() {
  local filters tool chain
  filters=$(closed_filters)
  if has nft; then
    ensure_table
  else
    ensure_rule iptables nat POSTROUTING -s "$SUBNET" ! -o "$BRIDGE" -j MASQUERADE
    filters+=$'\n'iptables\ FORWARD
  fi
  while read -r tool chain; do
    [[ -n $tool ]] || continue
    ensure_rule "$tool" filter "$chain" -o "$BRIDGE" -m conntrack \
      --ctstate RELATED,ESTABLISHED -j ACCEPT
    ensure_rule "$tool" filter "$chain" -i "$BRIDGE" -j ACCEPT
  done <<<"$filters"
}

ensure_cgroup() {
  local dir name
  [[ -d $top ]] || return 0 # no cgroup2, no limits: the engine says so, too
  if [[ ! -d $cgroup ]]; then
    will cgroup "$cgroup"
    run mkdir "$cgroup"
  fi
  for dir in "$top" "$cgroup"; do
    for name in $(controllers_in "$dir/cgroup.controllers"); do
      ! has_word "$name" "$dir/cgroup.subtree_control" || continue
      will controller "$name" "$dir/cgroup.subtree_control"
      run put "+$name" "$dir/cgroup.subtree_control"
    done
  done
}

# Someone else may have come to use it; then the kernel says EBUSY, and it is theirs now.
# shellcheck disable=SC2031  # stands has nothing to do with it
undo_controller() { # NAME FILE
  [[ -z $verifying ]] && has_word "$1" "$2" || return 0
  put "-$1" "$2" 2>/dev/null || complain "note: $1 stays in $2: others use it now"
}

# With it goes what is left of containers that did not end well.
undo_cgroup() { [[ ! -d $1 ]] || run find "$1" -depth -type d -exec rmdir {} +; }

# Walks the journal back to its line N. What cannot be undone does not stop the rest.
undo_from() { # N
  local lines=() line words i failed=0
  while read -r line; do # a last line without its end: that change was never made
    lines+=("$line")
  done <"$journal"
  for verifying in '' yes; do
    for ((i = ${#lines[@]} - 1; i >= $1 && !(failed && ${#verifying}); i--)); do
      read -ra words <<<"${lines[i]}"
      [[ ${lines[i]} == *=* ]] || "undo_${words[0]}" "${words[@]:1}" || failed=1
    done
  done
  verifying=''
  ((!failed)) || return 1
  if (($1)); then printf '%s\n' "${lines[@]:0:$1}" >"$journal"; else rm "$journal"; fi
}

# --- set and clean --------------------------------------------------------------------------

refuse_other_settings() {
  local key was
  for key in BRIDGE SUBNET; do
    was=$(recorded $key)
    [[ ${was:-${!key}} == "${!key}" ]] ||
      die "set: it stands with $key=$was: run env.sh clean before you change that"
  done
}

# Under the lock, because a clean might be taking it away while we look.
refuse_other_bridge() {
  local was
  link_is "$BRIDGE" || return 0
  link_is "$BRIDGE" type bridge || die "BRIDGE: $BRIDGE is there, and is not a bridge"
  was=$(listed addr show dev "$BRIDGE" |
    awk -v ours="$gateway/$prefix" '$4 != ours { print $4; exit }')
  [[ -z $was ]] || die "BRIDGE: $BRIDGE has the address $was already: use another name"
}

set_up() {
  local found
  refuse_other_settings
  found=$(clash_line)
  [[ -z $found ]] || die "SUBNET: $found"
  has nft || has iptables || die 'set: neither nft nor iptables is there: run env.sh deps'

  lock
  refuse_other_settings # again: another set may have been here first
  refuse_other_bridge
  mark=0
  [[ ! -e $journal ]] || mark=$(wc -l <"$journal")
  trap 'undo_from "$mark"' EXIT
  ((mark)) || printf 'BRIDGE=%s\nSUBNET=%s\n' "$BRIDGE" "$SUBNET" >"$journal"
  for verifying in '' yes; do
    ensure_bridge
    ensure_forwarding
    ensure_rules
    ensure_cgroup
  done
  trap - EXIT
  printf 'net.ipv4.conf.all.forwarding = %s\n' "$(<$conf/all/forwarding)"
  found=$(controllers_in "$cgroup/cgroup.subtree_control")
  [[ -z $found ]] || printf '+%s\n' "${found// / +}"
  limits_line "$found"
  foreign_filters | sed 's/^/a firewall is in the way of containers: /'
  printf 'ENV SET DONE.\n'
}

clean_up() {
  local names
  lock
  names=$(running)
  [[ -z $names ]] || die "clean: containers are running: $names: stop them first"
  [[ ! -e $journal ]] || undo_from 0 || die 'clean: mend that, and run it again'
  # Ours by name, whoever made them and whatever became of the journal.
  for verifying in '' yes; do
    undo_table
    undo_cgroup "$cgroup"
  done
  printf 'ENV CLEAN DONE.\n'
}

# --- status, and check: the doctor ----------------------------------------------------------

# Tells what is well, or what is not and what helps. must: containers cannot run until then.
verdict() { # must|may NAME WELL [WHAT HELPS]
  if [[ -z ${4-} ]]; then
    printf 'OK   %s: %s\n' "$2" "$3"
  else
    printf 'FIX  %s: %s\n' "$2" "$4"
    [[ $1 == may ]] || blocked=1
  fi
}

what_stands() {
  local what unset="not set: sudo bash $0 set"
  local -A well=([bridge]="$BRIDGE $gateway/$prefix" [forwarding]='on' [rules]="NAT for $SUBNET"
    [cgroup]="$cgroup $(controllers_in "$cgroup/cgroup.subtree_control")")
  for what in bridge forwarding cgroup rules; do
    [[ $what != cgroup || -d $top ]] || continue
    [[ $what != rules || $EUID -eq 0 ]] || continue # only root can look
    if stands "ensure_$what"; then
      verdict may $what "${well[$what]}"
    else
      verdict may $what '' "$unset"
    fi
  done
}

status() {
  local names
  names=$(running)
  what_stands
  printf 'running: %s\n' "${names:-none}"
}

kernel_since() { # MAJOR MINOR
  local major minor
  IFS=. read -r major minor _ < <(uname -r)
  ((major > $1 || major == $1 && ${minor%%[!0-9]*} >= $2))
}

check() {
  local what='' dir=/var/lib/container_engine max=/proc/sys/user/max_user_namespaces
  blocked=0
  kernel_since 5 10 || what="$(uname -r): install 5.10 or newer"
  verdict must kernel "$(uname -r)" "$what"

  what=$(limits_line "$(controllers_in "$top/cgroup.controllers")")
  [[ -z $what ]] || what="hybrid: $what: boot with systemd.unified_cgroup_hierarchy=1"
  [[ -d $top ]] || what='no cgroup2 is mounted: mount -t cgroup2 none /sys/fs/cgroup'
  verdict may cgroup2 "$top: $(controllers_in "$top/cgroup.controllers")" "$what"

  # (kernel.unprivileged_userns_clone and its kin do not bind root, who starts the engine.)
  what=''
  kernel_since 5 19 || what='root inside is root outside: install kernel 5.19 or newer'
  [[ -e $max && $(<$max) != 0 ]] ||
    what='root inside is root outside: sysctl -w user.max_user_namespaces=9999'
  verdict may users 'user namespaces, idmapped layers' "$what"

  # By number: overlay, NFS, 9p, FUSE, FAT and SMB cannot be an upper layer.
  what=''
  while [[ ! -d $dir ]]; do dir=${dir%/*}; done
  [[ ! $(stat -f -c %t "$dir") =~ ^(794c7630|6969|1021997|65735546|4d44|f[ef]534d42)$ ]] ||
    what='mount ext4, xfs or btrfs on /var/lib/container_engine: what is there holds no layers'
  has_word overlay /proc/filesystems || modprobe -qn overlay ||
    what='install a kernel with CONFIG_OVERLAY_FS'
  verdict must overlay 'layers in /var/lib/container_engine' "$what"

  # shellcheck disable=SC2086  # words they are
  what=$(lacking $to_use)
  verdict may tools 'all there' "${what:+no $what: sudo bash $0 deps}"
  [[ " $what " != *" ip "* && $what != *nft* ]] || blocked=1
  ! has ip || check_network
  return $blocked
}

check_network() {
  local what
  what=$(clash_line) || what='the routes cannot be read'
  verdict must subnet "$SUBNET" "$what"
  while read -r what; do
    [[ -z $what ]] || verdict may firewall '' "$what"
  done < <(foreign_filters)
  what_stands
}

# --- deps -----------------------------------------------------------------------------------

# Commands (a|b: one of them) and headers.
readonly to_use='gcc stdio.h linux/bpf.h make ip nft|iptables flock ping ps curl jq
  update-ca-certificates|update-ca-trust tar gzip xz zstd debootstrap gpgv'
# shellcheck disable=SC2155  # uname does not fail
readonly to_test="bats strace socat tmux script docker-registry skopeo hyperfine crun valgrind
  shellcheck cppcheck clang-tidy clang-format qemu-system-$(uname -m) busybox cpio modprobe
  mkfs.ext4 capsh setpriv findmnt iptables python3"

# What the package is called where it is not called like what is in it.
readonly packages='
any     update-ca-certificates|update-ca-trust=ca-certificates
any     nft|iptables=nftables ip=iproute2 ping=iputils ps=procps flock=util-linux
any     script=util-linux setpriv=util-linux findmnt=util-linux modprobe=kmod mkfs.ext4=e2fsprogs
apt-get stdio.h=libc6-dev linux/bpf.h=linux-libc-dev ping=iputils-ping xz=xz-utils
apt-get script=bsdutils busybox=busybox-static capsh=libcap2-bin
apt-get qemu-system-x86_64=qemu-system-x86 qemu-system-aarch64=qemu-system-arm
dnf     stdio.h=glibc-devel linux/bpf.h=kernel-headers ip=iproute ps=procps-ng gpgv=gnupg2
dnf     shellcheck=ShellCheck clang-tidy=clang-tools-extra clang-format=clang-tools-extra
dnf     qemu-system-x86_64=qemu-system-x86-core qemu-system-aarch64=qemu-system-aarch64-core
dnf     capsh=libcap iptables=iptables-nft
pacman  stdio.h=glibc linux/bpf.h=linux-api-headers ps=procps-ng gpgv=gnupg
pacman  python3=python bats=bash-bats
pacman  clang-tidy=clang clang-format=clang qemu-system-x86_64=qemu-system-x86 capsh=libcap
apk     stdio.h=musl-dev linux/bpf.h=linux-headers capsh=libcap-utils
apk     clang-tidy=clang-extra-tools clang-format=clang-extra-tools
zypper  update-ca-certificates|update-ca-trust=ca-certificates-mozilla
zypper  stdio.h=glibc-devel linux/bpf.h=linux-glibc-devel
zypper  shellcheck=ShellCheck clang-tidy=clang-tools clang-format=clang-tools gpgv=gpg2
zypper  qemu-system-x86_64=qemu-x86 qemu-system-aarch64=qemu-arm capsh=libcap-progs'

readonly -A install=(
  [apt-get]='apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install'
  [dnf]='dnf -y --setopt=install_weak_deps=False install'
  [pacman]='pacman -Sy --noconfirm --needed'
  [apk]='apk add --no-cache'
  [zypper]='zypper --non-interactive install --no-recommends')

# What busybox does under another's name is not enough.
lacking() { # WORD...
  local word name path found=''
  for word; do
    for name in ${word//|/ }; do
      path=$(type -P "$name") || path=/usr/include/$name
      [[ ! -e $path || $name != busybox && $path -ef $(type -P busybox) ]] || continue 2
    done
    found+=" $word"
  done
  printf '%s' "${found# }"
}

package() { # MANAGER WORD
  awk -v manager="$1" -v word="$2" '
    $1 == "any" || $1 == manager {
      for (i = 2; i <= NF; i++) if (index($i, word "=") == 1) name = substr($i, length(word) + 2) }
    END { print name == "" ? word : name }' <<<"$packages"
}

# shellcheck disable=SC2086  # all these are words
deps() { # [test]
  local missing manager word names=''
  missing=$(lacking $to_use ${1:+$to_test})
  [[ -n $missing ]] || { printf 'deps: nothing is missing\n'; return; }
  for manager in apt-get dnf pacman apk zypper ''; do
    ! has "$manager" || break
  done
  [[ -n $manager ]] || die "deps: no apt-get, dnf, pacman, apk or zypper: install $missing"
  for word in $missing; do
    names+=" $(package "$manager" "$word")"
  done
  export DEBIAN_FRONTEND=noninteractive
  [[ $manager != apt-get ]] || apt-get -q update || complain 'deps: going on with the old lists'
  # A package that is not to be had must not keep out the others.
  ${install[$manager]} $names || for word in $names; do ${install[$manager]} $word || :; done
  missing=$(lacking $missing)
  [[ -z $missing ]] || die "deps: still missing: $missing"
  printf 'deps: installed%s\n' "$names"
}

# --------------------------------------------------------------------------------------------

bad_usage() {
  usage >&2
  exit 2
}

main() {
  local max=1
  PATH+=:/usr/sbin:/sbin # su leaves them out
  [[ ${1-} != deps || ${2-} != test ]] || max=2
  (($# > 0 && $# <= max)) || bad_usage
  case $1 in
    set | clean | deps) ((EUID == 0)) || die "$1: needs root: sudo bash $0 $*" ;;
    status | check) ;;
    help | --help | -h) usage && return ;;
    *) bad_usage ;;
  esac
  settings
  find_cgroup2
  case $1 in
    set) set_up ;;
    clean) clean_up ;;
    deps) deps "${2-}" ;;
    *) "$1" ;;
  esac
}

main "$@"

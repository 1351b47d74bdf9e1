#!/usr/bin/env bash
# env.sh: the host's side of container_engine: what all containers share and none can make.
#
# set writes into a journal how each change is undone, and then makes it; clean walks the journal
# backwards. Both go through their work twice: the second time, $verifying, a change that is still
# to be made is an error. So what they call DONE is what they have seen.
set -euo pipefail
shopt -s nullglob
export LC_ALL=C

readonly me=${0##*/} # env.sh, or container_engine-env where make installed it
readonly home=/var/lib/container_engine state=/run/container_engine
readonly journal=$state/.env
readonly conf=/proc/sys/net/ipv4/conf ip_forward=/proc/sys/net/ipv4/ip_forward
verifying=''

usage() {
  cat <<END
Usage: [BRIDGE=NAME] [SUBNET=NETWORK/BITS] [LAN=open] $me COMMAND

  set          make the bridge, forwarding, NAT and forward rules, and the parent cgroup
  clean        undo what set did; not while containers run
  status       show what stands now
  check        the doctor: can this machine run containers, and if not, what helps
  deps [WHAT]  install what is missing to build and use the engine; WHAT is test, for its tests,
               or clients, for podman, containerd and docker
  help         show this text

BRIDGE is cebr0 and SUBNET is 192.168.1.0/24 unless the environment says otherwise; the bridge
gets the subnet's first address. Other machines reach containers only where LAN is open.
set, clean and deps need root.
END
}

# --- saying and doing -----------------------------------------------------------------------

complain() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { complain "$@"; exit 1; }
has() { type -P "$1" >/dev/null; }
put() { printf '%s\n' "$1" >"$2"; } # TEXT FILE
has_word() { grep -qsw -- "$1" "$2"; } # WORD FILE

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
recorded() { [[ ! -e $journal ]] || sed -n "s/^$1=//p" "$journal"; } # BRIDGE|SUBNET|LAN

# A change: "LOOK" tells whether it is made already, "UNDO" goes on record, and the rest makes it.
ensure() { $1 || { will "$2" && run "${@:3}"; }; } # "LOOK..." "UNDO..." CMD...

# A look only: true when nothing is left for the ensure_ function to do.
# shellcheck disable=SC2030,SC2031  # only for the look
stands() { (verifying=yes && "$@") >/dev/null 2>&1; }

# Starting engines take the same lock while they claim a name. An empty directory does not stay: so
# a lock counts only if its directory is still the one that has the name.
lock() {
  local tries=0
  # shellcheck disable=SC2174  # /var/lib is there
  until mkdir -p -m 700 "$home" && exec 9<"$home" && flock -n 9 && [[ $home -ef /dev/fd/9 ]]; do
    ((tries++ < 50)) || die "$home is locked by another $me or an engine: try again"
    sleep 0.1
  done
  trap unlock EXIT # not before: until then it is another's
}

unlock() { rmdir "$home" 2>/dev/null || :; } # fails where there are containers, as it should

# --- what is asked for, what is there -------------------------------------------------------

dotted() { # NUMBER
  printf '%d.%d.%d.%d' $(($1 >> 24)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255))
}

# The environment's word, else the one of the last set, else the source documents'. Sets $prefix
# and $gateway, too.
settings() {
  local octet='(0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])' a b c d net
  BRIDGE=${BRIDGE:-$(recorded BRIDGE)} SUBNET=${SUBNET:-$(recorded SUBNET)}
  LAN=${LAN:-$(recorded LAN)}
  BRIDGE=${BRIDGE:-cebr0} SUBNET=${SUBNET:-192.168.1.0/24} LAN=${LAN:-closed}
  [[ $LAN =~ ^(open|closed)$ ]] || die "LAN: ${LAN@Q} is neither open nor closed"
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
      listed route show table all match "$1" && listed route show table all root "$1"
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

# Sets $top and $cgroup. The engine looks in the same two places.
find_cgroup2() {
  for top in /sys/fs/cgroup{,/unified} /dev/null; do # nothing is below the last
    [[ ! -e $top/cgroup.controllers ]] || break
  done
  cgroup=$top/container_engine
}

controllers_in() { # FILE
  local name found=''
  for name in cpu memory pids io cpuset; do
    ! has_word "$name" "$1" || found+=" $name"
  done
  printf '%s' "${found# }"
}

limits_line() { # FILE: tells which limits there will not be
  local name lacking=''
  for name in cpu memory pids; do
    has_word "$name" "$1" || lacking+=" $name"
  done
  [[ -z $lacking ]] || printf 'cgroup v2 has no%s here: no such limits\n' "$lacking"
}

# The process is there, not dead and unburied, nor a later one with its number: proc(5) has the
# state first and the start time as the 20th after the name, which may have blanks in it.
alive() { # PID START
  local stat
  [[ -n $1 && -e /proc/$1/stat ]] && read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
  read -ra stat <<<"${stat##*) }"
  [[ ${stat[0]} != [ZX] && ${stat[19]} == "$2" ]]
}

# A container runs while its cgroup has a process, or while its engine or its own first process
# lives: that counts before it has a cgroup, and where there is no cgroup2.
running() {
  local file key value
  {
    grep -lsx 'populated 1' "$cgroup"/*/cgroup.events /dev/null | awk -F / '{ print $(NF - 1) }'
    for file in "$home"/*/state; do
      local pid='' start='' engine='' engine_start=''
      while IFS='=' read -r key value && [[ -n $key ]]; do # the rest of the file is empty
        case $key in pid | start | engine | engine_start) printf -v "$key" %s "$value" ;; esac
      done <"$file"
      file=${file%/state}
      ! { alive "$pid" "$start" || alive "$engine" "$engine_start"; } || printf '%s\n' "${file##*/}"
    done
  } | sort -u | paste -sd ' '
}

# --- the changes, each next to its undoing --------------------------------------------------
# Undoing, what cannot be seen is not taken for gone.

link_is() { [[ -n $(ip -o link show dev "$@" 2>/dev/null) ]]; } # NAME [up | type bridge]
link_has() { [[ $(listed addr show dev "$1" 2>/dev/null) == *" inet $2 "* ]]; } # NAME ADDRESS
reads() { [[ ! -e $1 || $(<"$1") == "$2" ]]; } # FILE VALUE; an interface may be gone, and its file

# Of a file that is changed twice the first value counts.
will_sysctl() { grep -qsF "sysctl $1 " "$journal" || will sysctl "$1" "$(<"$1")"; } # FILE
ensure_sysctl() { reads "$@" || { will_sysctl "$1" && run put "$2" "$1"; }; } # FILE VALUE
undo_sysctl() { reads "$@" || run put "$2" "$1"; }

# A bridge without an address of its own takes its ports' lowest, which changes as they come and
# go: containers would lose their gateway for a while.
ensure_bridge() {
  local mac address="$BRIDGE $gateway/$prefix"
  # shellcheck disable=SC2086  # four numbers
  printf -v mac '02:ce:%02x:%02x:%02x:%02x' ${gateway//./ }
  ensure "link_is $BRIDGE" "link $BRIDGE" ip link add "$BRIDGE" address "$mac" type bridge
  # No container becomes the host's IPv6 router (CVE-2020-13401), on nobody's bridge.
  ensure_sysctl "/proc/sys/net/ipv6/conf/$BRIDGE/accept_ra" 0
  ensure "link_has $address" "address $address" ip addr add "${address#* }" brd + dev "$BRIDGE"
  ensure "link_is $BRIDGE up" "up $BRIDGE" ip link set "$BRIDGE" up
}
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
  if [[ $(<$ip_forward) == 0 ]]; then # else interfaces may differ
    for file in $conf/{*/forwarding,all/accept_redirects}; do will_sysctl "$file"; done
    file=$ip_forward
  fi
  ensure_sysctl "$file" 1
}

# What containers send may go out, and what answers them may come in; the LAN, which is every other
# machine and interface, begins nothing with them. What the host itself sends is not forwarded.
# One transaction: the old table goes and the new one comes, or nothing happens.
ensure_table() {
  local nat forward there
  nat="ip saddr $SUBNET oifname != \"$BRIDGE\" masquerade"
  forward="iifname \"$BRIDGE\" accept"$'\n'"oifname \"$BRIDGE\" accept"
  [[ $LAN == open ]] ||
    forward="iifname != \"$BRIDGE\" oifname \"$BRIDGE\" ct state invalid,new drop"$'\n'$forward
  there=$(nft list table ip container_engine 2>/dev/null | sed -En 's/^\t\t([io])/\1/p') || there=''
  [[ $there != "$nat"$'\n'"$forward" ]] || return 0
  will table
  run nft -f - <<END
add table ip container_engine
delete table ip container_engine
table ip container_engine {
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    $nat
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    $forward
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
has_rule() { # iptables TABLE CHAIN RULE...
  local said status=0
  said=$("$1" -w 5 -t "$2" -C "${@:3}" 2>&1) || status=$?
  ((status < 3)) || complain "$1: ${said%%$'\n'*}"
  return "$status"
}
ensure_rule() { ensure "has_rule $*" "rule $*" "$1" -w 5 -t "$2" -I "${@:3}"; }
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
  local filters tool chain answers='-m conntrack --ctstate RELATED,ESTABLISHED'
  [[ $LAN == closed ]] || answers=''
  filters=$(closed_filters)
  if has nft; then
    ensure_table
  else
    ensure_rule iptables nat POSTROUTING -s "$SUBNET" ! -o "$BRIDGE" -j MASQUERADE
    [[ $LAN == open ]] || ensure_rule iptables filter FORWARD ! -i "$BRIDGE" -o "$BRIDGE" \
      -m conntrack --ctstate INVALID,NEW -j DROP
    filters+=$'\n'iptables\ FORWARD
  fi
  while read -r tool chain; do
    [[ -n $tool ]] || continue
    # shellcheck disable=SC2086  # words
    ensure_rule "$tool" filter "$chain" -o "$BRIDGE" $answers -j ACCEPT
    ensure_rule "$tool" filter "$chain" -i "$BRIDGE" -j ACCEPT
  done <<<"$filters"
}

ensure_cgroup() {
  local file name
  [[ -d $top ]] || return 0 # no cgroup2, no limits: the engine says so, too
  ensure "test -d $cgroup" "cgroup $cgroup" mkdir "$cgroup"
  for file in {"$top","$cgroup"}/cgroup.subtree_control; do
    for name in $(controllers_in "${file%/*}/cgroup.controllers"); do
      ensure "has_word $name $file" "controller $name $file" put "+$name" "$file"
    done
  done
}
# Someone else may have come to use it; then the kernel says EBUSY, and it is theirs now.
# shellcheck disable=SC2031  # stands has nothing to do with it
undo_controller() { # NAME FILE
  [[ -z $verifying ]] && has_word "$1" "$2" || return 0
  put "-$1" "$2" 2>/dev/null || complain "note: $1 stays in $2: others use it now"
}
# With it goes what is left of containers that did not end well,
undo_cgroup() { [[ ! -d $1 ]] || run find "$1" -depth -type d -exec rmdir {} +; }

# and the names of their network namespaces.
undo_names() {
  local dir
  for dir in {"$home","$cgroup"}/*/; do
    dir=${dir%/}
    dir=/run/netns/${dir##*/}
    [[ ! -L $dir || -e $dir ]] || run rm "$dir"
  done
}

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
  if (($1)); then
    printf '%s\n' "${lines[@]:0:$1}" >"$journal"
  else
    rm "$journal"
    rmdir "$state"
  fi
}

# --- set and clean --------------------------------------------------------------------------

refuse_other_settings() {
  local key was
  for key in BRIDGE SUBNET LAN; do
    was=$(recorded $key)
    [[ ${was:-${!key}} == "${!key}" ]] ||
      die "set: it stands with $key=$was: run $me clean before you change that"
  done
}

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
  has nft || has iptables || die "set: neither nft nor iptables is there: run $me deps"
  lock
  refuse_other_settings # again, under the lock: another set may have been here first
  refuse_other_bridge
  # shellcheck disable=SC2174  # /run is there
  mkdir -p -m 700 "$state"
  mark=0
  [[ ! -e $journal ]] || mark=$(wc -l <"$journal")
  trap 'undo_from "$mark"; unlock' EXIT
  ((mark)) || printf '%s\n' "BRIDGE=$BRIDGE" "SUBNET=$SUBNET" "LAN=$LAN" >"$journal"
  for verifying in '' yes; do
    ensure_bridge
    ensure_forwarding
    ensure_rules
    ensure_cgroup
  done
  trap unlock EXIT
  printf 'net.ipv4.conf.all.forwarding = %s\n' "$(<$conf/all/forwarding)"
  found=$(controllers_in "$cgroup/cgroup.subtree_control")
  [[ -z $found ]] || printf '+%s\n' "${found// / +}"
  limits_line "$cgroup/cgroup.subtree_control"
  foreign_filters | sed 's/^/a firewall is in the way of containers: /'
  printf 'ENV SET DONE.\n'
}

clean_up() {
  local names
  lock
  names=$(running)
  [[ -z $names ]] || die "clean: containers are running: $names: stop them first"
  undo_names
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
  [[ -n ${4-} ]] || { printf 'OK   %s: %s\n' "$2" "$3"; return; }
  printf 'FIX  %s: %s\n' "$2" "$4"
  [[ $1 == may ]] || blocked=1
}

what_stands() {
  local what helps
  local -A well=([bridge]="$BRIDGE $gateway/$prefix" [forwarding]='on'
    [rules]="NAT for $SUBNET, LAN $LAN"
    [cgroup]="$cgroup $(controllers_in "$cgroup/cgroup.subtree_control")")
  for what in bridge forwarding cgroup rules; do
    [[ $what != cgroup || -d $top ]] || continue
    [[ $what != rules || $EUID -eq 0 ]] || continue # only root can look
    helps="not set: $self set"
    ! stands "ensure_$what" || helps=''
    verdict may $what "${well[$what]}" "$helps"
  done
}

status() {
  local names
  names=$(running)
  what_stands
  printf 'running: %s\n' "${names:-none}"
}

kernel_since() { printf '%s\n' "$1" "$(uname -r)" | sort -CV; } # MAJOR.MINOR

check() {
  local what='' dir=$home max=/proc/sys/user/max_user_namespaces
  local boot='boot with systemd.unified_cgroup_hierarchy=1'
  blocked=0
  kernel_since 5.15 || what="$(uname -r): install 5.15 or newer"
  verdict must kernel "$(uname -r)" "$what"

  what=$(limits_line "$top/cgroup.controllers")
  ! grep -qi microsoft /proc/version || # WSL2
    boot='put kernelCommandLine = cgroup_no_v1=all under [wsl2] in .wslconfig, then wsl --shutdown'
  what=${what:+hybrid: $what: $boot}
  [[ -d $top ]] || what='no cgroup2 is mounted: mount -t cgroup2 none /sys/fs/cgroup'
  verdict may cgroup2 "$top: $(controllers_in "$top/cgroup.controllers")" "$what"

  # (kernel.unprivileged_userns_clone and its kin do not bind root, who starts the engine.)
  what=''
  kernel_since 5.19 || what='root inside is root outside: install kernel 5.19 or newer'
  [[ -e $max && $(<$max) != 0 ]] ||
    what='root inside is root outside: sysctl -w user.max_user_namespaces=9999'
  verdict may users 'user namespaces, idmapped layers' "$what"

  # By number: overlay, NFS, 9p, FUSE, FAT and SMB cannot be an upper layer.
  what=''
  while [[ ! -d $dir/ ]]; do dir=${dir%/*}; done
  [[ ! $(stat -f -c %t "$dir/") =~ ^(794c7630|6969|1021997|65735546|4d44|f[ef]534d42)$ ]] ||
    what="mount ext4, xfs or btrfs on $home: what is there holds no layers"
  has_word overlay /proc/filesystems || modprobe -qn overlay ||
    what='install a kernel with CONFIG_OVERLAY_FS'
  verdict must overlay "layers in $home" "$what"

  # shellcheck disable=SC2086  # words they are
  what=$(lacking $to_build $to_use | sed -E 's/=[^ ]*//g')
  verdict may tools 'all there' "${what:+no $what: $self deps}"
  [[ " $what " != *" ip "* && $what != *nft* ]] || blocked=1
  ! has ip || check_network
  return $blocked
}

check_network() {
  local what
  what=$(clash_line) || what='the routes cannot be read'
  verdict must subnet "$SUBNET" "$what"
  while read -r what; do
    verdict may firewall '' "$what"
  done < <(foreign_filters)
  what_stands
}

# --- deps -----------------------------------------------------------------------------------

# Commands (a|b: one of them), headers and files, with Debian's package where it is not called like
# that. A shell in a container needs to_build alone; what tests need is written in test/deps.
readonly to_build='gcc stdio.h=libc6-dev linux/bpf.h=linux-libc-dev make ip=iproute2
  nft|iptables=nftables flock=util-linux'
readonly to_use='ps=procps ping=iputils-ping curl jq
  update-ca-certificates|update-ca-trust=ca-certificates tar gzip xz=xz-utils zstd debootstrap gpgv'

readonly -A install=(
  [apt-get]='apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install'
  [dnf]='dnf -y --setopt=install_weak_deps=False install'
  [pacman]='pacman -Sy --noconfirm --needed'
  [apk]='apk add --no-cache'
  [zypper]='zypper --non-interactive install --no-recommends')

# What others than Debian call it.
readonly elsewhere='ping=iputils xz=xz'
readonly -A called=([apt-get]=''
  [dnf]="stdio.h=glibc-devel linux/bpf.h=kernel-headers ip=iproute ps=procps-ng gpgv=gnupg2
    $elsewhere"
  [pacman]="stdio.h=glibc linux/bpf.h=linux-api-headers ps=procps-ng gpgv=gnupg $elsewhere"
  [apk]="stdio.h=musl-dev linux/bpf.h=linux-headers $elsewhere"
  [zypper]="stdio.h=glibc-devel linux/bpf.h=linux-glibc-devel gpgv=gpg2 $elsewhere")

# Prints those that are not there. What busybox does under another's name is not enough.
lacking() { # WORD[=PACKAGE]...
  local word name path found=''
  for word; do
    name=${word%%=*}
    for name in ${name//|/ }; do
      path=$(type -P "$name") || path=/usr/include/$name
      [[ $name != /* ]] || path=$name
      [[ ! -e $path || $name != busybox && $path -ef $(type -P busybox) ]] || continue 2
    done
    found+=" $word"
  done
  printf '%s' "${found# }"
}

package() { # MANAGER WORD[=PACKAGE]
  local name=${2%%=*} other
  for other in ${called[$1]} "$2"; do # the manager's name for it, else Debian's, else its own
    [[ ${other%%=*} != "$name" ]] || { printf '%s' "${other#*=}"; return; }
  done
}

# shellcheck disable=SC2086  # all these are words
deps() { # [test|clients]
  local missing manager word packages='' more='' why='still missing:'
  [[ -z $1 ]] || more=$(sed -nE "s/^$1(\.$(uname -m))?: //p" "${0%"$me"}test/deps")
  missing=$(lacking $to_build $to_use $more)
  [[ -n $missing ]] || { printf 'deps: nothing is missing\n'; return; }
  for manager in apt-get dnf pacman apk zypper ''; do
    ! has "$manager" || break
  done
  if [[ -n $manager ]]; then
    for word in $missing; do packages+=" $(package "$manager" "$word")"; done
    export DEBIAN_FRONTEND=noninteractive
    [[ $manager != apt-get ]] || apt-get -q update || complain 'deps: going on with the old lists'
    # A package that is not to be had must not keep out the others.
    ${install[$manager]} $packages ||
      for word in $packages; do ${install[$manager]} $word || :; done
    missing=$(lacking $missing)
    [[ -n $missing ]] || { printf 'deps: installed%s\n' "$packages"; return; }
  else
    why='no apt-get, dnf, pacman, apk or zypper: install'
  fi
  why+=" $(sed -E 's/=[^ ]*//g' <<<"$missing")"
  # Not everything is needed for a shell in a container, and not everybody has a network.
  [[ -z $1 && -z $(lacking $to_build) ]] || die "deps: $why"
  complain "deps: going on; $why"
}

# --------------------------------------------------------------------------------------------

bad_usage() { usage >&2; exit 2; }

main() {
  local max=1
  PATH+=:/usr/sbin:/sbin # su leaves them out
  self="sudo bash $0"
  [[ ! $(type -P "$me") -ef $0 ]] || self="sudo $me" # make installed it
  [[ ${1-} != deps || ! ${2-} =~ ^(test|clients)$ ]] || max=2
  (($# > 0 && $# <= max)) || bad_usage
  case $1 in
    set | clean | deps) ((EUID == 0)) || die "$1: needs root: $self $*" ;;
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

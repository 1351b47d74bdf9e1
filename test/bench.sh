#!/usr/bin/env bash
# `make bench`, or test/bench.sh [PART...]: how fast and how light, next to other runtimes.
#
#   start    start to exit of `true`: floor, bwrap, crun, runc and ours in one run, interleaved,
#            back to back and with pauses (a loop without hides what the kernel puts off)
#   stopped  the same start with no stopped container and with 1,000
#   calls    system calls of engine and child, and the engine's peak RSS
#   many     250 containers alive on one bridge: starts, list, RSS
#   iperf    two containers, next to the same bridge and veth pairs made by hand
#   walls    what filter and layer cost a busy program
#   cpus     --cpus 0.1, 0.5, 1.5 over 10 s; in the VM, where cgroup v2 has no controllers here
#   oci      create, start, delete with podman's bundle, next to crun
#
# Without a part: all, and what they say goes to test/bench-results.md, too. RUNS=50 samples a row,
# PAUSE=150 milliseconds, MANY=250, STOPPED=1000 may be set; ENGINE is the one to measure. VALUES=FILE
# gets the figures as NAME=VALUE lines.
#
# All of it happens in mount and network namespaces of the benchmark's own, with an own /run, an own
# /var/lib/container_engine and a tiny rootfs. Processor time is that of all processes of a run, also
# of those that outlive it; what the kernel does in its own threads (ending a network namespace) is
# in nobody's.
set -euo pipefail

cd "${BASH_SOURCE[0]%/*}/.."
RUNS=${RUNS:-50} PAUSE=${PAUSE:-150} MANY=${MANY:-250} STOPPED=${STOPPED:-1000}
readonly all_parts='start stopped calls many iperf walls cpus oci'
readonly lib=/var/lib/container_engine

die() { printf 'bench: %s\n' "$*" >&2 && exit 1; }
have() { [[ -n $(type -P "$1") ]]; }

# --- figures --------------------------------------------------------------------------------

# Of the numbers on stdin.
median() {
  sort -n | awk '{ n[NR] = $1 } END { if (NR) print (n[int((NR + 1) / 2)] + n[int(NR / 2) + 1]) / 2 }'
}

# FILE has samples, as bench.c prints them; COLUMN 2: time, 3: processor time.
samples() { # FILE ROW COLUMN
  awk -F'\t' -v row="$2" -v column="$3" '$1 == row { print $column }' "$1"
}

calculate() { # FORMAT EXPRESSION
  awk "BEGIN { printf \"$1\", $2 }"
}

# Prints a figure with what it should be, and keeps it for VALUES.
verdict() { # NAME VALUE at-most|at-least LIMIT TEXT
  local sign='<=' mark=yes
  [[ $3 == at-most ]] || sign='>='
  awk "BEGIN { exit !($2 $sign $4) }" || mark=NO
  printf '  %-62s %8s  (%s %s: %s)\n' "$5" "$2" "$sign" "$4" "$mark"
  keep "$1" "$2"
}

keep() { # NAME VALUE
  printf '%s=%s\n' "$1" "$2" >>"$values"
}

title() {
  printf '\n## %s\n\n' "$*"
}

# --- the place ------------------------------------------------------------------------------

# Layers cannot lie on overlay, 9p or NFS.
disk() {
  local dir
  for dir in ${CE_DISK:+"$CE_DISK"} /var/tmp; do
    case $(stat -fc %T "$dir") in
      ext2/ext3 | xfs | btrfs | tmpfs) printf '%s\n' "$dir" && return ;;
    esac
  done
  die 'no ext4, xfs, btrfs or tmpfs for the layers: set CE_DISK to a directory on one'
}

# Runs this script again in namespaces. On a hybrid host in a cgroup, too, which is then what it sees
# at /sys/fs/cgroup: crun looks for cgroup2 there and nowhere else.
enter() {
  local status=0
  made=false group='' # global: the trap reads them
  [[ -d $lib ]] || { mkdir "$lib" && made=true; }
  tmp=$(mktemp -d "$(disk)/ce-bench.XXXXXX")
  if [[ $(stat -fc %T /sys/fs/cgroup) != cgroup2fs ]]; then
    group=$(findmnt -rnt cgroup2 -o TARGET | tail -n 1)
    [[ -n $group ]] || die 'no cgroup2 is mounted'
    group=$group/${tmp##*/}
    mkdir "$group"
  fi
  # The group's processes end when this shell's child has: it is the first in a namespace of its own.
  trap leave EXIT
  # We go to a leaf of it. With a process in the group itself, crun cannot hand controllers down, and
  # tries that again for seconds (EBUSY).
  # shellcheck disable=SC2016,SC2086  # the inner shell expands it
  CE_BENCH=$tmp CE_BENCH_GROUP=$group bash -euc '
    unshare="unshare --mount --net --pid --fork --kill-child --mount-proc"
    [[ -n $CE_BENCH_GROUP ]] || exec $unshare "$0" "$@"
    mkdir "$CE_BENCH_GROUP/bench"
    echo 0 >"$CE_BENCH_GROUP/cgroup.procs"
    exec unshare --cgroup bash -c "echo 0 >\$CE_BENCH_GROUP/bench/cgroup.procs; exec $unshare \"\$0\" \"\$@\"" "$0" "$@"' "$0" "$@" || status=$?
  return "$status"
}

leave() {
  local i
  rm -rf --one-file-system "$tmp"
  ! "$made" || rmdir "$lib" 2>/dev/null || :
  [[ -n $group ]] || return 0
  for i in {1..50}; do # the kernel takes its moment over dead processes
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || :
    [[ -d $group ]] || return 0
    sleep 0.1
  done
  printf 'bench: left behind: the cgroup %s\n' "${group##*/}" >&2
}

prepare() {
  [[ -z $CE_BENCH_GROUP ]] || mount -t cgroup2 none /sys/fs/cgroup
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir "$tmp/lib" "$tmp/root" "$tmp/root"/{proc,sys,dev,etc,run,tmp,bin}
  mount --bind "$tmp/lib" "$lib"
  ip link set lo up
  ip link add cebench type bridge
  ip addr add 10.222.0.1/16 dev cebench
  ip link set cebench up
  cp "${ENGINE:-container_engine}" "$tmp/container_engine" # whatever runs this file is ours
  gcc -O2 -std=gnu11 -static test/bench.c -o "$tmp/bench"
  echo 'int main(void) { return 0; }' >"$tmp/true.c"
  gcc -O2 -static "$tmp/true.c" -o "$tmp/root/bin/true"
  cp "$tmp/bench" "$tmp/root/bin/"
  head -c 65536 /dev/zero >"$tmp/root/etc/data"
  engine=$tmp/container_engine root=$tmp/root
  have_controllers=false
  [[ " $(<"$(cgroup_top)/cgroup.controllers") " != *' cpu '* ]] || have_controllers=true
}

cgroup_top() {
  findmnt -rnt cgroup2 -o TARGET | tail -n 1
}

quietly() { # CMD...: what it says is shown only if it fails
  "$@" >"$tmp/log" 2>&1 </dev/null || { cat "$tmp/log" >&2 && die "failed: $*"; }
}

# What runs NAME; `engine` is the one process that looks after it.
engine_of() {
  cat "$lib/$1/state" "/run/container_engine/$1/state" 2>/dev/null | sed -n 's/^engine=//p' | tail -n 1
}

pid_of() {
  cat "$lib/$1/state" "/run/container_engine/$1/state" 2>/dev/null | sed -n 's/^pid=//p' | tail -n 1
}

# --- rows -----------------------------------------------------------------------------------

declare -A label
rows=() order=()

# A row takes part if its command works.
row() { # KEY LABEL CMD...
  local key=$1 text=$2
  shift 2
  if ! "$tmp/bench" sample "$key" "$@" ';' >"$tmp/log" 2>&1 </dev/null; then
    printf 'bench: left out: %s: %s\n' "$text" "$(grep -v warning "$tmp/log" | tail -n 2 | tr '\n' ' ')" >&2
    return 0
  fi
  rows+=("$key" "$@" ';')
  order+=("$key")
  label[$key]=$text
}

measure() { # FILE OPTION...
  local file=$1
  shift
  "$tmp/bench" sample "$@" "${rows[@]}" </dev/null >>"$file" 2>"$tmp/log" ||
    die "$(grep '^bench' "$tmp/log" || tail -n 1 "$tmp/log")"
}

# A bar is as long as the time back to back, crun's being 30 characters.
table() { # BASE FILE FILE_WITH_PAUSES
  local key base base_paused a b
  base=$(samples "$2" "$1" 2 | median)
  base_paused=$(samples "$3" "$1" 2 | median)
  printf '%-37s  %21s   %21s   %s\n' '' '---- back to back ----' "-- pauses of $PAUSE ms -" 'CPU'
  printf '%-37s %7s %7s %7s   %7s %7s %7s %7s\n' 'milliseconds' min median ratio min median ratio median
  for key in "${order[@]}"; do
    a=$(samples "$2" "$key" 2 | median)
    b=$(samples "$3" "$key" 2 | median)
    awk -v label="${label[$key]}" -v a="$a" -v b="$b" -v base="${base:-0}" -v paused="${base_paused:-0}" \
      -v min="$(samples "$2" "$key" 2 | sort -n | head -n 1)" \
      -v min_paused="$(samples "$3" "$key" 2 | sort -n | head -n 1)" \
      -v cpu="$(samples "$2" "$key" 3 | median)" 'BEGIN {
        printf "%-37s %7.2f %7.2f %7s   %7.2f %7.2f %7s %7.2f\n", label, min / 1000, a / 1000,
          base ? sprintf("%.2f", a / base) : "-", min_paused / 1000, b / 1000,
          paused ? sprintf("%.2f", b / paused) : "-", cpu / 1000 }'
  done
  printf '\n'
  for key in "${order[@]}"; do
    awk -v label="${label[$key]}" -v a="$(samples "$2" "$key" 2 | median)" -v base="${base:-10000}" 'BEGIN {
      for (n = int(30 * a / base + 0.5); n > 0 && length(bar) < 60; n--) bar = bar "#"
      printf "%-37s %s %.1f\n", label, bar, a / 1000 }'
  done
}

ratio() { # FILE ROW BASE [COLUMN]
  calculate %.3f "$(samples "$1" "$2" "${4:-2}" | median) / $(samples "$1" "$3" "${4:-2}" | median)"
}

crun_bundle() {
  mkdir "$tmp/bundle"
  crun spec --bundle "$tmp/bundle"
  jq --arg root "$root" '.process.args = ["/bin/true"] | .process.terminal = false |
    .root = {path: $root, readonly: false} | del(.linux.resources)' \
    "$tmp/bundle/config.json" >"$tmp/config.json"
  mv "$tmp/config.json" "$tmp/bundle/"
}

# --- parts ----------------------------------------------------------------------------------

part_start() {
  local a=$tmp/start b=$tmp/start_paused bwrap=(bwrap --unshare-all --bind "$root" / --proc /proc --dev /dev)
  title "Start to exit of \`true\`, $RUNS runs each, interleaved"
  rows=() order=()
  have crun && crun_bundle
  row floor 'floor: clone, exec, wait' "$tmp/bench" floor "$root/bin/true"
  row bwrap 'bwrap, all namespaces' "${bwrap[@]}" /bin/true
  row crun 'crun, as in crun spec' crun run --bundle "$tmp/bundle" cebench-crun
  row runc 'runc, same bundle' runc run --bundle "$tmp/bundle" cebench-runc
  row none 'ours, no network' "$engine" "$root" cebench1 none /bin/true
  row none_rm 'ours, no network, --rm' "$engine" --rm "$root" cebench2 none /bin/true
  row net 'ours, network' "$engine" --bridge cebench "$root" cebench3 10.222.0.3 /bin/true
  row net_rm 'ours, network, --rm' "$engine" --rm --bridge cebench "$root" cebench4 10.222.0.4 /bin/true
  row bare 'ours, no users, layer, network' "$engine" --userns off --write-through "$root" cebench5 none /bin/true
  measure "$a" -n "$RUNS"
  measure "$b" -n "$RUNS" -p "$PAUSE"
  table crun "$a" "$b"
  quietly "$engine" delete cebench1 cebench3
  printf '\n'
  [[ -n ${label[crun]-} && -n ${label[none]-} ]] || { printf '  no ratios: crun is missing\n' && return; }
  verdict ratio_none "$(ratio "$a" none crun)" at-most 0.55 'no network : crun, back to back'
  verdict ratio_none_paused "$(ratio "$b" none crun)" at-most 0.55 'no network : crun, with pauses'
  [[ -z ${label[bwrap]-} ]] ||
    verdict ratio_bwrap "$(ratio "$a" none bwrap)" at-most 1 'no network : bwrap, back to back'
  [[ -z ${label[bwrap]-} ]] ||
    verdict ratio_bwrap_paused "$(ratio "$b" none bwrap)" at-most 1 'no network : bwrap, with pauses'
  verdict ratio_net "$(ratio "$a" net crun)" at-most 1 'network : crun without one, back to back'
  verdict ratio_net_paused "$(ratio "$b" net crun)" at-most 1 'network : crun without one, with pauses'
  verdict ratio_cpu "$(ratio "$a" none crun 3)" at-most 1 'processor time, no network : crun, back to back'
  verdict ratio_cpu_paused "$(ratio "$b" none crun 3)" at-most 1 'processor time, no network : crun, with pauses'
}

# Copies of one that is stopped, as many as wanted. Names of one length, so that the state keeps its.
make_stopped() { # DIR
  local name state i
  mount --bind "$1" "$lib"
  quietly "$engine" "$root" stopped-0000 none /bin/true
  flock "$lib/stopped-0000" true # until its layer has ended, a little after the engine
  IFS= read -r -d '' state <"$lib/stopped-0000/state" || :
  for ((i = 1; i < STOPPED; i++)); do
    printf -v name 'stopped-%04d' "$i"
    cp -a "$lib/stopped-0000" "$lib/$name"
    printf %s "${state//stopped-0000/$name}" >"$lib/$name/state"
  done
  (($("$engine" list 2>/dev/null | grep -c '^stopped-') == STOPPED)) || die "list does not show $STOPPED stopped ones"
  umount "$lib"
}

# Two directories take turns, five samples each.
part_stopped() {
  local samples=$tmp/stopped i dir pair rounds=$(((RUNS + 4) / 5))
  title "The same start, with $STOPPED stopped containers"
  mkdir "$tmp/few" "$tmp/lots"
  make_stopped "$tmp/lots"
  for ((i = 0; i < rounds; i++)); do
    pair=("few lots" "lots few")
    for dir in ${pair[i % 2]}; do
      mount --bind "$tmp/$dir" "$lib"
      "$tmp/bench" sample -n 5 "$dir" "$engine" "$root" cebench1 none /bin/true ';' \
        </dev/null >>"$samples" 2>"$tmp/log" || die "$(tail -n 1 "$tmp/log")"
      umount "$lib"
    done
  done
  rm -rf --one-file-system "$tmp/few" "$tmp/lots"
  for dir in few lots; do
    printf '  %-24s %8.2f ms\n' "with $([[ $dir == few ]] && echo none || echo "$STOPPED")" \
      "$(calculate %.2f "$(samples "$samples" "$dir" 2 | median) / 1000")"
  done
  verdict stopped "$(ratio "$samples" lots few)" at-most 1.05 'ratio'
}

part_calls() {
  local rss
  title 'System calls and memory, no network'
  quietly "$engine" "$root" cebench1 none /bin/true
  # Of all processes, and a few are those of strace's own exec and of `true` itself.
  if have strace; then
    strace -f -c -o "$tmp/strace" "$engine" "$root" cebench1 none /bin/true >/dev/null 2>&1 </dev/null
    verdict calls "$(awk '$NF == "total" { print $(NF > 5 ? 4 : 3) }' "$tmp/strace" | tail -n 1)" \
      at-most 400 'system calls of engine and child, strace -fc'
    printf '  most often: %s\n' "$(awk '$1 ~ /^[0-9.]+$/ && $NF != "total" { print $4, $NF }' "$tmp/strace" |
      sort -rn | head -n 8 | awk '{ printf "%s%s %s", n++ ? ", " : "", $2, $1 }')"
  fi
  quietly "$engine" -d "$root" cebench1 none /bin/bench pause
  rss=$(awk '$1 == "VmHWM:" { print $2 / 1024 }' "/proc/$(engine_of cebench1)/status")
  quietly "$engine" delete -f cebench1
  verdict rss "$(calculate %.2f "$rss")" at-most 1.5 'peak RSS of the engine (VmHWM of the one that looks on), MiB'
  rss=$("$tmp/bench" sample -n 5 one "$engine" --rm "$root" cebench1 none /bin/true ';' 2>/dev/null </dev/null |
    cut -f 4 | median)
  verdict rss_run "$(calculate %.2f "$rss / 1024")" at-most 1.5 'the largest peak RSS among all processes of a run, MiB'
}

part_many() {
  local i names=() file=$tmp/many what rss pss n
  title "$MANY containers alive on one bridge"
  for ((i = 0; i < MANY; i++)); do
    names+=("many-$i")
    timeout 60 "$tmp/bench" sample -d start "$engine" -d --bridge cebench "$root" "many-$i" \
      "10.222.$((1 + i / 200)).$((1 + i % 200))" /bin/bench pause ';' \
      </dev/null >>"$file" 2>"$tmp/log" || die "$(tail -n 1 "$tmp/log")"
  done
  printf '  first ten starts %s ms, last ten %s ms (medians)\n' \
    "$(head -n 10 "$file" | cut -f 2 | median | awk '{ print $1 / 1000 }')" \
    "$(tail -n 10 "$file" | cut -f 2 | median | awk '{ print $1 / 1000 }')"
  verdict many "$(calculate %.2f "$(tail -n 10 "$file" | cut -f 2 | median) / $(head -n 10 "$file" |
    cut -f 2 | median)")" at-most 1.5 'the last ten starts : the first ten'
  for what in list 'list -q' 'list --json'; do
    # shellcheck disable=SC2086  # two words
    "$tmp/bench" sample -n 5 list "$engine" $what ';' >"$tmp/list" 2>"$tmp/log" ||
      die "$what: $(tail -n 1 "$tmp/log")"
    verdict "${what//[ -]/_}" "$(calculate %.1f "$(cut -f 2 "$tmp/list" | median) / 1000")" at-most 150 "$what, ms"
  done
  read -r n rss pss < <(find /proc/[0-9]*/exe -maxdepth 0 -lname "$engine" -printf '%h/smaps_rollup\n' |
    xargs cat 2>/dev/null |
    awk '$1 == "Rss:" { n++; rss += $2 } $1 == "Pss:" { pss += $2 } END { print n, rss / 1024, pss / 1024 }')
  printf '  %s engine processes\n' "$n"
  verdict many_rss "$(calculate %.2f "$rss / $MANY")" at-most 0.6 'engine Rss for each container, MiB'
  verdict many_pss "$(calculate %.2f "$pss / $MANY")" at-most 0.6 'engine Pss (shared pages divided) for each container, MiB'
  i=${EPOCHREALTIME/[.,]/}
  quietly timeout 120 "$engine" delete -f "${names[@]}"
  printf '  all ended and deleted in %s s\n' "$(calculate %.1f "(${EPOCHREALTIME/[.,]/} - $i) / 1000000")"
}

# iperf3 is the host's, and enters the network namespaces with nsenter: it is the network that is
# compared, not limits or the filter.
part_iperf() {
  local i seconds=3
  title 'Network throughput between two containers (iperf3, by nsenter from the host)'
  have iperf3 || { printf '  left out: iperf3 is not installed\n' && return; }
  mkdir -p /run/netns
  ip link add cehand type bridge
  ip link set cehand up
  for i in 1 2; do
    quietly "$engine" -d --bridge cebench "$root" "iperf-$i" "10.222.0.1$i" /bin/bench pause
    ip netns add "hand$i"
    ip link add "cehand$i" type veth peer name eth0 netns "hand$i"
    ip link set "cehand$i" master cehand up
    ip -n "hand$i" addr add "10.223.0.1$i/16" dev eth0
    ip -n "hand$i" link set eth0 up
    ip -n "hand$i" link set lo up
  done
  for ((i = 0; i < ${ROUNDS:-5}; i++)); do
    throughput "/proc/$(pid_of iperf-1)/ns/net" "/proc/$(pid_of iperf-2)/ns/net" 10.222.0.11 >>"$tmp/iperf_ours"
    throughput /run/netns/hand1 /run/netns/hand2 10.223.0.11 >>"$tmp/iperf_hand"
  done
  quietly "$engine" delete -f iperf-1 iperf-2
  ip netns del hand1 && ip netns del hand2
  ip link del cehand
  printf '  containers %s Gbit/s, by hand %s Gbit/s (medians of %s times %s s)\n' \
    "$(median <"$tmp/iperf_ours")" "$(median <"$tmp/iperf_hand")" "${ROUNDS:-5}" "$seconds"
  verdict iperf "$(calculate %.3f "$(median <"$tmp/iperf_ours") / $(median <"$tmp/iperf_hand")")" at-least 0.95 'ratio'
}

throughput() { # SERVER_NETNS CLIENT_NETNS ADDRESS
  local server
  nsenter --net="$1" iperf3 -s -1 -i 0 >"$tmp/server" 2>&1 &
  server=$!
  local tries=100
  until nsenter --net="$1" ss -Hltn 'sport = 5201' 2>/dev/null | grep -q . || ((--tries == 0)); do sleep 0.05; done
  timeout 60 nsenter --net="$2" iperf3 -J -t "$seconds" -c "$3" >"$tmp/client" ||
    die "iperf3: $(jq -r .error "$tmp/client")"
  wait "$server" || :
  jq '.end.sum_received.bits_per_second / 1e9 * 1000 | round / 1000' "$tmp/client"
}

# The program says itself how much processor time its loop took: starts are not in it, nor is who else
# uses the machine. `pack` is a program at work; the other two do nothing else than what is made dearer.
part_walls() {
  local i free=()
  title 'What filter and layer cost a busy program (processor time)'
  ! "$have_controllers" || free=(--cpus max --memory max)
  for ((i = 0; i < ${ROUNDS:-9}; i++)); do
    busy pack 500
    busy pack_filter 500 --seccomp off
    busy pack_layer 500 --write-through
    busy calls 500000
    busy calls_filter 500000 --seccomp off
    busy files 1500
    busy files_layer 1500 --write-through
  done
  cost pack filter 'read 64 KiB, sum up, write 32 KiB, remove: with : without filter'
  cost pack layer 'read 64 KiB, sum up, write 32 KiB, remove: with : without layer'
  worst calls filter 500000 'the cheapest system call: with and without filter'
  worst files layer 1500 'create, write, read, remove a file of 64 KiB: with and without layer'
}

busy() { # MODE[_WALL] N OPTION...
  local file=$tmp/busy_$1 mode=${1%_*} n=$2
  shift 2
  "$engine" --rm "${free[@]}" "$@" "$root" cebench1 none /bin/bench "$mode" "$n" \
    </dev/null >>"$file" 2>"$tmp/log" || die "$(tail -n 1 "$tmp/log")"
}

# The median of the ratios of neighbours: what else goes on meanwhile hits both.
cost() { # MODE WALL TEXT
  verdict "cost_$1_$2" "$(paste "$tmp/busy_$1" "$tmp/busy_$1_$2" | awk '{ print $1 / $2 }' | median |
    awk '{ printf "%.3f", $1 }')" at-most 1.03 "$3"
}

worst() { # MODE WALL N TEXT
  printf '  worst case: %s: %s and %s us\n' "$4" \
    "$(calculate %.2f "$(median <"$tmp/busy_$1") * 1000000 / $3")" \
    "$(calculate %.2f "$(median <"$tmp/busy_$1_$2") * 1000000 / $3")"
}

part_cpus() {
  local cpus used
  title 'How exact --cpus is, over 10 s'
  if ! "$have_controllers"; then
    [[ -z ${CE_IN_VM-} ]] || die 'no controllers in the VM'
    [[ -x test/vm.sh ]] || { printf '  left out: no controllers in cgroup v2, and no VM\n' && return; }
    printf '  in the VM: cgroup v2 has no controllers here\n'
    in_vm cpus
    return
  fi
  for cpus in 0.1 0.5 1.5; do
    quietly "$engine" --rm -d --cpus "$cpus" "$root" cebench1 none /bin/bench spin 2
    sleep 1
    used=$("$tmp/bench" usage "$(cgroup_top)/container_engine/cebench1/cpu.stat" 10)
    quietly "$engine" stop -t 0 cebench1
    verdict "cpus_$cpus" "$(calculate %.4f "$used < $cpus ? $cpus / $used - 1 : $used / $cpus - 1")" at-most 0.02 \
      "--cpus $cpus: $used, off by"
  done
}

# One part of this script in the VM. Its figures come as lines of output.
in_vm() { # PART
  # shellcheck disable=SC2016  # the VM's shell expands it
  CE_IN_VM=1 env -u CE_BENCH -u CE_BENCH_GROUP test/vm.sh --timeout 600 \
    bash -c 'VALUES=/tmp/values test/bench.sh "$0" >/tmp/out 2>&1 || { cat /tmp/out; exit 1; }
      grep "^  " /tmp/out; sed "s/^/VALUE /" /tmp/values' "$1" >"$tmp/vm" ||
    { cat "$tmp/vm" && die "$1: failed in the VM"; }
  sed -n 's/^VALUE //p' "$tmp/vm" >>"$values"
  grep -v '^VALUE ' "$tmp/vm"
}

# All get the config.json that podman 4.3.1 wrote for `podman run --network none --rootfs`, with this
# rootfs and program, files of its own to bind, and without the limits that this machine may not have.
part_oci() {
  local key run bundle=$tmp/podman
  title "create, start, delete with podman's bundle, $RUNS runs each, interleaved"
  if ! "$engine" features >/dev/null 2>&1; then
    printf '  skipped: this engine has no create\n'
    return
  fi
  mkdir "$bundle" "$bundle/shm"
  touch "$bundle"/{hostname,hosts,.containerenv}
  jq --arg root "$root" --arg bundle "$bundle" '.root.path = $root | .process.args = ["/bin/true"] |
    .linux.cgroupsPath = "/cebench-oci" | del(.linux.resources, .process.rlimits) |
    .mounts |= map(if .type == "bind" then .source |= sub("^.*/"; $bundle + "/") else . end)' \
    test/bundles/podman.json >"$bundle/config.json"
  rows=() order=()
  mkdir "$tmp/oci"
  for key in crun runc oci; do
    run=("$key")
    [[ $key != oci ]] || run=("$engine" --root "$tmp/oci")
    row "$key" "${key/oci/ours}" "${run[@]}" create --bundle "$bundle" cebench-oci THEN \
      "${run[@]}" start cebench-oci FINALLY "${run[@]}" delete cebench-oci
  done
  measure "$tmp/oci_samples" -n "$RUNS"
  measure "$tmp/oci_paused" -n "$RUNS" -p "$PAUSE"
  table crun "$tmp/oci_samples" "$tmp/oci_paused"
  printf '\n'
  [[ -n ${label[crun]-} && -n ${label[oci]-} ]] || return 0
  verdict ratio_oci "$(ratio "$tmp/oci_samples" oci crun)" at-most 0.7 'ours : crun, back to back'
  verdict ratio_oci_paused "$(ratio "$tmp/oci_paused" oci crun)" at-most 0.7 'ours : crun, with pauses'
}

# --- all of it ------------------------------------------------------------------------------

machine() {
  # shellcheck disable=SC2016  # markdown
  printf '# What `make bench` measured\n\n'
  printf -- '- %s, commit %s\n' "$(date -u '+%Y-%m-%d %H:%M UTC')" \
    "$(git describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)"
  printf -- '- %s, %s processors, Linux %s, load %s at the start\n' \
    "$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1 | grep . || uname -m)" "$(nproc)" \
    "$(uname -r)" "$(cut -d' ' -f1 /proc/loadavg)"
  printf -- '- next to %s\n' "$({ crun --version; runc --version; bwrap --version; } 2>/dev/null |
    grep -E '^(crun|runc|bubblewrap) ' | paste -sd, | sed 's/,/, /g')"
}

# What a terminal shows, as markdown: each part's lines in a block of code.
as_markdown() {
  awk '
    /^## / { if (code) print "```"; code = 0; parts++ }
    !NF    { blank++; next }
    {
      opens = parts && !code && !/^## /
      while (blank > 0) { print ""; blank-- }
      if (opens) { print "```text"; code = 1 }
      print
    }
    END { if (code) print "```" }'
}

main() {
  local part
  for part; do
    [[ " $all_parts " == *" $part "* ]] || die "no part $part: there are $all_parts"
  done
  ((EUID == 0)) || die 'it needs root: sudo make bench'
  if [[ -z ${CE_BENCH-} ]]; then
    if (($#)); then
      enter "$@"
    else
      result=$(mktemp)
      { machine && enter; } | tee "$result"
      as_markdown <"$result" >test/bench-results.md
      rm -f "$result"
    fi
    return
  fi
  trap 'exit 130' INT # PID 1 has no default actions
  trap 'exit 143' TERM
  tmp=$CE_BENCH values=$tmp/values
  : >"$values"
  prepare
  # shellcheck disable=SC2086  # words
  (($#)) || set -- $all_parts
  for part; do "part_$part"; done
  [[ -z ${VALUES-} ]] || cat "$values" >"$VALUES"
}

main "$@"

#!/usr/bin/env bats
# Living with containers, with Alpine's and with the host's own root file system: list, inspect,
# exec, -d, stop, kill, delete. What the controllers of cgroup v2 count and limit is in
# lifecycle-limits.bats.

load helpers

setup() {
  requires root alpine host_rootfs jq
  BOTH=("$ALPINE" "$HOST_ROOTFS")
  lab_snapshot
}

teardown() {
  local names
  [[ -z ${BATS_TEST_SKIPPED-} ]] || return 0
  mapfile -t names < <(ce list -q)
  ((${#names[@]} == 0)) || ce delete -f "${names[@]}" >/dev/null
  leak_check
}

# In the background, and ready. Its first process says so, and ends with 3 when it gets SIGTERM.
up() { # ROOTFS NAME IP [OPTION...]
  try -0 ce -d "${@:4}" "$1" "$2" "$3" \
    sh -c 'trap "echo got TERM; exit 3" TERM; echo ready; sleep 1000 & wait'
  [[ $output == "$2" ]]
  wait_until 10 said "$2" ready
}

log() { # NAME
  lab cat "/var/lib/container_engine/$1/log"
}

said() { # NAME WORD
  log "$1" 2>/dev/null | grep -q -- "$2"
}

# The engine of NAME has ended, and cleaned up.
over() {
  lab test ! -e "/run/container_engine/$1"
}

# What jq's FILTER gives for NAME in the list.
listed() { # NAME FILTER
  ce list --json | jq -r --arg name "$1" ".[] | select(.name == \$name) | $2"
}

# FILTER is true for NAME.
is_listed() { # NAME FILTER
  [[ $(listed "$1" "$2") == true ]]
}

namespaces_of() { # PID
  (cd "/proc/$1/ns" && for kind in *; do echo "$kind $(readlink "$kind")"; done)
}

# The one line of $output that says WORD.
line_with() { # WORD
  [[ $(grep -cF -- "$1" <<<"$output") -eq 1 ]] || return 1
  grep -F -- "$1" <<<"$output"
}

# --- list -----------------------------------------------------------------------------------

@test "lifecycle: list, a row each: name, status, pid, address, start and command" {
  local column
  up "$ALPINE" c1 192.168.1.2
  up "$HOST_ROOTFS" c2 none
  try -7 ce "$ALPINE" c3 none sh -c 'exit 7'
  try -0 ce list
  for column in NAME STATUS PID ADDRESS STARTED CPU MEMORY PIDS COMMAND; do
    [[ ${lines[0]} == *"$column"* ]]
  done
  [[ ${#lines[@]} -eq 4 && -z $stderr ]]
  local today='[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}'
  [[ ${lines[1]} =~ ^c1\ +running\ +$(init_pid c1)\ +192\.168\.1\.2\ +$today\ .*\ sh\ -c\ trap ]]
  [[ ${lines[2]} =~ ^c2\ +running\ +$(init_pid c2)\ +none\ +$today\ .*\ sh\ -c\ trap ]]
  [[ ${lines[3]} =~ ^c3\ +exited\ \(7\)\ +[^0-9]*\ none\ +$today\ .*\ sh\ -c\ exit\ 7$ ]]
}

@test "lifecycle: list shows no figure where there is none to show" {
  [[ -n $(lacks controllers) ]] || skip 'this host has them all: lifecycle-limits.bats'
  up "$ALPINE" c1 none
  try -0 ce "$ALPINE" c2 none true
  try -0 ce list
  [[ $output != *' -1'* && $output != *-0.0* && $output != *-1/* ]]
  try -0 ce inspect c1
  [[ $output != *' -1'* && $output == *cpu_usec* ]]
}

@test "lifecycle: ps is list, and -q prints names only" {
  try -0 ce list -q
  [[ -z $output ]]
  try -0 ce list --json
  [[ $(jq -c . <<<"$output") == '[]' ]]
  up "$ALPINE" c2 none
  try -0 ce "$ALPINE" c1 none true
  try -0 ce ps -q
  [[ $(sort <<<"$output") == $'c1\nc2' ]]
  try -0 ce ps
  [[ ${lines[0]} == NAME* && ${#lines[@]} -eq 3 ]]
}

@test "lifecycle: list --json says what /proc and the clock say" {
  local before after rootfs
  for rootfs in "${BOTH[@]}"; do
    before=$EPOCHSECONDS
    up "$rootfs" c1 192.168.1.2
    after=$EPOCHSECONDS
    [[ $(listed c1 .state) == running ]]
    [[ $(listed c1 .pid) == "$(init_pid c1)" && -d /proc/$(init_pid c1) ]]
    [[ $(listed c1 .start) == "$(cut -d ' ' -f 22 "/proc/$(init_pid c1)/stat")" ]]
    is_listed c1 ".started >= $before and .started <= $after"
    [[ $(listed c1 .rootfs) == "$rootfs" && $(listed c1 .address) == 192.168.1.2 ]]
    try -0 ce delete -f c1
  done
}

# Strictly, as the standard wants it: RFC 8259 allows no control character in a string.
strict_json() {
  python3 -c 'import json, sys; json.loads(sys.stdin.buffer.read().decode("utf-8", "strict"))'
}

@test "lifecycle: list --json is JSON, whatever the command is" {
  local command
  requires python3
  try -0 ce "$ALPINE" c1 none \
    true $'"quo\'ted" \\back\\slash tab\there new\nline bell\a ünï→😀 \x7f end'
  try -0 ce list --json
  strict_json <<<"$output"
  command=$(listed c1 .command)
  [[ $command == 'true "quo'\''ted" \back\slash tab'*'here new'*'line bell'*' ünï→😀 '*' end' ]]
  # A row stays a row, and moves no cursor.
  try -0 ce list
  [[ ${#lines[@]} -eq 2 && $output != *[$'\a\t\x7f']* && $output == *'ünï→😀'* ]]
}

@test "lifecycle: list --json is UTF-8, also where a long command is cut, or was none" {
  local i
  requires python3
  for i in '' x xx xxx; do
    try -0 ce "$ALPINE" c1 none true "$i$(printf '😀%.0s' {1..100})"
    try -0 ce list --json
    strict_json <<<"$output"
  done
  try -0 ce "$ALPINE" c1 none true $'\xff\xfe\xc3('
  try -0 ce list --json
  strict_json <<<"$output"
}

@test "lifecycle: list --json is JSON, whatever the rootfs is called" {
  local rootfs=$LAB/$'al"p\\i\tne'
  requires python3
  cp -a "$ALPINE" "$rootfs"
  try -0 ce "$rootfs" c1 none true
  try -0 ce list --json
  rm -r "$rootfs"
  strict_json <<<"$output"
  [[ $(jq -r '.[0].rootfs' <<<"$output") == "$rootfs" ]]
}

@test "lifecycle: list, CPU: a busy program and one that sleeps" {
  up "$ALPINE" c2 none
  start busy "$ENGINE" "$ALPINE" c1 none timeout 20 sh -c 'while :; do :; done'
  # How much it gets, depends on the limits and the other work of this host.
  wait_until 10 is_listed c1 '.cpu_percent > 10 and .cpu_percent < 150'
  is_listed c2 '.cpu_percent < 5'
}

@test "lifecycle: what is in the directories and is no container disturbs nobody" {
  lab mkdir -p /var/lib/container_engine/lost+found '/run/container_engine/no name'
  lab touch /var/lib/container_engine/file /run/container_engine/file
  try -0 ce "$ALPINE" c1 none true
  try -0 ce list -q
  lab rm -f /run/container_engine/file
  lab rm -rf '/run/container_engine/no name'
  [[ $output == c1 ]]
}

# --- inspect --------------------------------------------------------------------------------

# Each kind in a line: the host's number, the container's, and whether they differ.
shows_namespaces() { # PID
  local kind host inside line
  for kind in cgroup ipc mnt net pid time user uts; do
    host=$(lab readlink "/proc/self/ns/$kind")
    inside=$(readlink "/proc/$1/ns/$kind")
    line=$(grep -E "^ *$kind " <<<"$output")
    [[ $line == *"$host"*"$inside"* ]]
    if [[ $host == "$inside" ]]; then [[ $line != *own* ]]; else [[ $line == *own* ]]; fi
  done
}

# The process's number in its own namespace.
innermost() { # PID
  awk '/^NSpid:/ { print $NF }' "/proc/$1/status"
}

@test "lifecycle: inspect shows the namespaces, the pids and the user ids that /proc has" {
  local rootfs pid inside outside count
  for rootfs in "${BOTH[@]}"; do
    up "$rootfs" c1 none
    pid=$(init_pid c1)
    try -0 ce inspect c1
    shows_namespaces "$pid"
    [[ $(grep '^pid ' <<<"$output") == *" $pid "*" $(innermost "$pid") "* ]]
    read -r inside outside count <"/proc/$pid/uid_map"
    grep -Ex " *$inside +$outside +$count" <<<"$output"
    [[ $(line_with rootfs) == *" $rootfs" ]]
    try -0 ce delete -f c1
  done
}

@test "lifecycle: inspect says so when the user namespace is the host's" {
  up "$ALPINE" c1 none --userns off
  try -0 ce inspect c1
  shows_namespaces "$(init_pid c1)"
  [[ $(line_with 'user:[') != *own* ]]
  grep -E ' *0 +0 +4294967295' <<<"$output"
}

@test "lifecycle: inspect shows every mount of the container" {
  local rootfs place type count
  mkdir "$BATS_TEST_TMPDIR/volume"
  for rootfs in "${BOTH[@]}"; do
    up "$rootfs" c1 none -v "$BATS_TEST_TMPDIR/volume:/some/volume:ro"
    try -0 ce inspect c1
    count=0
    while read -r place type; do
      grep -E "^ *$place .* $type( |$)" <<<"$output"
      ((count += 1))
    done < <(sed -E 's/^([^ ]+ ){4}([^ ]+) .* - ([^ ]+) .*/\2 \3/' "/proc/$(init_pid c1)/mountinfo")
    ((count > 15))
    [[ $(line_with /some/volume) == *ro,* ]]
    try -0 ce delete -f c1
  done
}

# The host's end of the cable whose other end is NAME's eth0.
veth_of() { # NAME
  local index
  index=$(lab ip netns exec "$1" ip -j link show eth0 | jq '.[0].link_index')
  lab ip -j link | jq -r ".[] | select(.ifindex == $index) | .ifname"
}

address_of() { # JSON of ip addr
  jq -r '.[0].addr_info[] | select(.family == "inet") | "\(.local)/\(.prefixlen)"'
}

@test "lifecycle: inspect draws the network that ip has: bridge, veth, eth0, and the peers" {
  local name line
  lab ip link add br-x type bridge
  lab ip addr add 10.5.0.1/16 dev br-x
  lab ip link set br-x up
  up "$ALPINE" c1 192.168.1.2
  up "$HOST_ROOTFS" c2 192.168.1.3
  up "$ALPINE" c3 192.168.1.4
  up "$ALPINE" other 10.5.0.2 --bridge br-x
  up "$ALPINE" lonely none
  try -0 ce inspect c1
  line=$(line_with "$(veth_of c1)")
  [[ $line == *cebr0*"$(lab ip -j addr show cebr0 | address_of)"*"$(veth_of c1)"*eth0* ]]
  [[ $line == *"$(lab ip netns exec c1 ip -j addr show eth0 | address_of)"* ]]
  for name in c2 c3; do
    line=$(line_with "$(veth_of "$name")")
    [[ $line == *eth0*"$(lab ip netns exec "$name" ip -j addr show eth0 | address_of | cut -d/ -f1)"* ]]
    [[ $line == *"$name"* ]]
  done
  [[ $output != *other* && $output != *br-x* && $output != *lonely* ]]
  ce delete -f other
  lab ip link del br-x
}

@test "lifecycle: inspect of a container without a network draws none" {
  up "$ALPINE" c2 192.168.1.2
  up "$ALPINE" c1 none
  try -0 ce inspect c1
  [[ $output == *lo* && $output != *eth0* && $output != *cebr0* && $output != *c2* ]]
}

@test "lifecycle: inspect of one that ended says how, and what there is" {
  try -3 ce "$HOST_ROOTFS" c1 none sh -c 'exit 3'
  try -0 ce inspect c1
  [[ $output == *'exited (3)'* && $output == *"$HOST_ROOTFS"* && $output == *'sh -c exit 3'* ]]
  [[ $output == */var/lib/container_engine/c1* && $output != *namespaces* && -z $stderr ]]
}

# --- exec -----------------------------------------------------------------------------------

# A program beside the first, and its pid on the host: $program.
exec_up() { # NAME
  local seconds=$((5000 + RANDOM))
  start exec "$ENGINE" exec "$1" sleep "$seconds"
  wait_until 10 pgrep -fx "sleep $seconds" >/dev/null
  program=$(pgrep -fx "sleep $seconds")
}

@test "lifecycle: exec is in all namespaces of the first process, and in its cgroup" {
  local rootfs options
  for rootfs in "${BOTH[@]}"; do
    for options in '--userns on' '--userns off'; do
      # shellcheck disable=SC2086  # two words
      up "$rootfs" c1 none $options
      exec_up c1
      diff <(namespaces_of "$(init_pid c1)") <(namespaces_of "$program")
      diff "/proc/$(init_pid c1)/cgroup" "/proc/$program/cgroup"
      grep -q /container_engine/c1 "/proc/$program/cgroup"
      diff "/proc/$(init_pid c1)/uid_map" "/proc/$program/uid_map"
      [[ /proc/$program/root -ef /proc/$(init_pid c1)/root ]]
      try -0 ce delete -f c1
    done
  done
}

# Identity and rights, as the kernel tells them.
rights_of() { # PID
  grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp|Seccomp_filters):' "/proc/$1/status"
}

# The filter itself, instruction by instruction. ptrace(2), PTRACE_SECCOMP_GET_FILTER
filter_of() { # PID
  cat >"$BATS_TEST_TMPDIR/filter.c" <<'END'
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
int main(int argc, char **argv) {
    static struct sock_filter code[4096];
    int pid = argc > 1 ? atoi(argv[1]) : 0;
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0)) return 1;
    waitpid(pid, NULL, __WALL);
    long n = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, code);
    for (long i = 0; i < n; i++)
        printf("%04x %d %d %08x\n", code[i].code, code[i].jt, code[i].jf, code[i].k);
    return n <= 0;
}
END
  [[ -x $BATS_TEST_TMPDIR/filter ]] ||
    gcc -o "$BATS_TEST_TMPDIR/filter" "$BATS_TEST_TMPDIR/filter.c"
  "$BATS_TEST_TMPDIR/filter" "$1"
}

@test "lifecycle: exec has the rights of the first process: user, capabilities, filter" {
  local rootfs options
  for rootfs in "${BOTH[@]}"; do
    for options in '' '--userns off' '-u 1000:1001' '--cap-drop ALL --cap-add CHOWN' \
      '--cap-add SYS_ADMIN' '--cap-add ALL --seccomp off'; do
      # shellcheck disable=SC2086  # words
      up "$rootfs" c1 none $options
      exec_up c1
      rights_of "$program"
      diff <(rights_of "$(init_pid c1)") <(rights_of "$program")
      try -0 ce delete -f c1
    done
  done
}

@test "lifecycle: exec has the first process's very filter, instruction by instruction" {
  local options
  requires gcc
  for options in '' '--cap-add SYS_ADMIN'; do
    # shellcheck disable=SC2086  # words
    up "$ALPINE" c1 none $options
    exec_up c1
    filter_of "$(init_pid c1)" >"$BATS_TEST_TMPDIR/first"
    filter_of "$program" >"$BATS_TEST_TMPDIR/second"
    (($(wc -l <"$BATS_TEST_TMPDIR/first") > 20))
    cmp "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/second"
    try -0 ce delete -f c1
  done
}

@test "lifecycle: exec can do no more than the first: no mount, no new user namespace" {
  local rootfs
  for rootfs in "${BOTH[@]}"; do
    up "$rootfs" c1 none
    try ce exec c1 mount -t tmpfs none /mnt
    [[ $status -ne 0 && $status -ne 127 ]]
    try ce exec c1 unshare -U true
    [[ $status -ne 0 && $status -ne 127 ]]
    try -0 ce delete -f c1
  done
}

@test "lifecycle: exec gets no file of the caller's, and a session and keys of its own" {
  local keys
  up "$ALPINE" c1 none
  exec 9<"$BATS_TEST_FILENAME" 200<"$BATS_TEST_FILENAME"
  try -0 ce exec c1 ls /proc/self/fd
  exec 9<&- 200<&-
  [[ $output == $'0\n1\n2\n3' ]] # 3 is the directory that ls reads
  exec_up c1
  [[ $(ps -o sid= -p "$program") -eq $program ]]
}

@test "lifecycle: exec -e, -w and -u; else the same clean environment, / and the same user" {
  local rootfs
  for rootfs in "${BOTH[@]}"; do
    up "$rootfs" c1 none --hostname box
    SECRET=1 TERM=vt100 try -0 ce exec -e A=1 -e 'B=x y=z' -e HOME=/tmp -w /usr/bin -u 1000:1001 \
      c1 sh -c 'echo "$A|$B|$HOME|$SECRET|$HOSTNAME|$TERM"; pwd; id -u; id -g; id -G'
    [[ $output == $'1|x y=z|/tmp||box|vt100\n/usr/bin\n1000\n1001\n1001' ]]
    try -0 ce exec c1 sh -c 'echo "$HOME $PATH"; pwd; id -u'
    [[ $output == "/root "*/usr/bin*$'\n/\n0' ]]
    refuses -w ce exec -w /none c1 true
    refuses -u ce exec -u wheel c1 true
    refuses -e ce exec -e =x c1 true
    try -0 ce delete -f c1
  done
}

@test "lifecycle: exec passes the exit status on: 0, 7, 255, 126, 127, 128+n" {
  local rootfs
  for rootfs in "${BOTH[@]}"; do
    up "$rootfs" c1 none
    try -0 ce exec c1 true
    try -7 ce exec c1 sh -c 'exit 7'
    try -255 ce exec c1 sh -c 'exit 255'
    refuses -126 /etc/passwd ce exec c1 /etc/passwd
    refuses -127 chocolate ce exec c1 chocolate
    try -137 ce exec c1 sh -c 'kill -KILL $$'
    try -143 ce exec c1 sh -c 'kill -TERM $$'
    [[ -z $output && -z $stderr ]]
    try -0 ce delete -f c1
  done
}

@test "lifecycle: exec: pipes go through, in both directions; a shell when no command is given" {
  up "$ALPINE" c1 none
  head -c 1000000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
  ce exec c1 cat <"$BATS_TEST_TMPDIR/in" | cat >"$BATS_TEST_TMPDIR/out"
  cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
  try -0 typing 'readlink /proc/$$/exe; echo err >&2' ce exec c1
  [[ $output == /bin/busybox && $stderr == err ]]
  up "$HOST_ROOTFS" c2 none
  try -0 typing 'echo "$BASH"' ce exec c2
  [[ $output == */bash ]]
}

@test "lifecycle: exec: -- ends its options, and what follows the name is the command's" {
  up "$ALPINE" c1 none
  try -0 ce exec c1 echo -e -w -u --help
  [[ $output == '-w -u --help' ]] # busybox's echo has a -e
  try -0 ce exec -- c1 echo hello
  [[ $output == hello ]]
}

@test "lifecycle: exec on a terminal gets one of the container's own, in the same size" {
  local rootfs
  requires script
  for rootfs in "${BOTH[@]}"; do
    up "$rootfs" c1 none
    try -0 lab script -qefc \
      "stty rows 33 cols 77; '$ENGINE' exec c1 sh -c 'tty; stty size'" /dev/null
    [[ $output == */dev/pts/0*'33 77'* ]]
    try -9 lab script -qefc "'$ENGINE' exec c1 sh -c 'exit 9'" /dev/null
    try -0 ce delete -f c1
  done
}

@test "lifecycle: exec, interrupted: all that it started ends, 128+n, and the container goes on" {
  local signal seconds
  up "$ALPINE" c1 none
  for signal in INT TERM HUP; do
    for script in 'exec sleep' 'sleep'; do
      seconds=$((5000 + RANDOM))
      start exec "$ENGINE" exec c1 sh -c "echo started; $script $seconds; echo not reached"
      wait_until 10 grep -q started "$BATS_TEST_TMPDIR/exec.out"
      kill "-$signal" "$pid"
      ended "$pid"
      [[ $status -eq $((128 + $(kill -l "$signal"))) ]]
      try -1 pgrep -fx "sleep $seconds"
      try -0 ce exec c1 true
    done
  done
}

@test "lifecycle: exec: a program that handles the signal gets it, and ends as it likes" {
  local signal
  up "$ALPINE" c1 none
  for signal in INT TERM; do
    start exec "$ENGINE" exec c1 \
      sh -c 'trap "echo got it; exit 9" INT TERM; echo started; while :; do sleep 0.1; done'
    wait_until 10 grep -q started "$BATS_TEST_TMPDIR/exec.out"
    kill "-$signal" "$pid"
    ended "$pid"
    [[ $status -eq 9 ]]
    grep 'got it' "$BATS_TEST_TMPDIR/exec.out"
  done
}

@test "lifecycle: exec ends with its engine, even by SIGKILL, and with its container" {
  up "$ALPINE" c1 none
  exec_up c1
  kill -KILL "$pid"
  wait_until 5 gone "$program"
  exec_up c1
  try -0 ce kill c1
  ended "$pid"
  [[ $status -eq 137 ]]
  gone "$program"
}

# Looks, as fast as it can, into processes that came from outside (their parent is 0) and are not
# yet the program. Whether they were not, is asked again after the look. $1: the program's name.
ATTACK='
echo ready
while :; do
  for p in /proc/[0-9]*; do
    [ "$p" != /proc/1 ] && grep -q "^PPid:.0$" $p/status || continue
    read -r name <$p/comm && [ "$name" != "$1" ] || continue
    seen=
    ls $p/fd/ && seen=names
    readlink $p/fd/* && seen="$seen fd"
    ls $p/root/ && seen="$seen root"
    ls $p/cwd/ && seen="$seen cwd"
    readlink $p/exe && seen="$seen exe"
    cat $p/environ && seen="$seen environ"
    read -r name <$p/comm && [ "$name" != "$1" ] || continue
    echo "saw ${seen:-nothing}" >&3
  done
done 3>&1 >/dev/null 2>&1'

# What that sees of an exec that is held back at each call on its way in. strace follows it from
# the host.
seen_from_inside() { # OPTION...
  try -0 ce -d "$@" "$ALPINE" c1 none sh -c "$ATTACK" attack sleep
  wait_until 10 said c1 ready
  try -0 lab strace -f -qq -o "$BATS_TEST_TMPDIR/trace" \
    -e inject=setns,setsid,setresuid,capset,seccomp,chdir:delay_enter=200ms \
    "$ENGINE" exec c1 sleep 0.1
  seen=$(log c1 | grep ^saw | sort | uniq -c)
  printf '%s\n' "$seen"
  try -0 ce delete -f c1
}

@test "lifecycle: exec: from inside nobody can look into it while it enters" {
  requires strace
  seen_from_inside
  [[ $seen =~ ^\ *[0-9]+\ saw\ nothing$ ]]
}

@test "lifecycle: exec: nor where root inside is root outside, but for the files' numbers" {
  requires strace
  # /proc/PID/fd belongs to root, who is the same there; where they lead to, is kept from it.
  seen_from_inside --userns off
  [[ $seen =~ ^\ *[0-9]+\ saw\ (nothing|names)$ ]]
}

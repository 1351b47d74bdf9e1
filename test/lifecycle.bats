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

# With -d. A file takes the output: a pipe that the engine kept open would make the test hang.
background() { # [OPTION...] ROOTFS NAME IP [COMMAND...]
  ce -d "$@" </dev/null >"$BATS_TEST_TMPDIR/name" 3>&- 4>&-
  output=$(<"$BATS_TEST_TMPDIR/name")
}

# In the background, and ready. Its first process says so, and ends with 3 when it gets SIGTERM.
up() { # ROOTFS NAME IP [OPTION...]
  background "${@:4}" "$1" "$2" "$3" \
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

# Its status, as inspect has it: list takes its time, for the use of CPU.
state_of() { # NAME
  ce inspect "$1" | sed -n 's/^status *//p'
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

# Runs the command with an output that takes nothing, or that nobody reads.
to_full() { "$@" >/dev/full; }
to_nobody() { "$@" > >(:); }

@test "lifecycle: an answer that cannot be written is an error; one that nobody reads is not" {
  up "$ALPINE" c1 none
  local words
  for words in --help --version list 'list -q' 'list --json' 'inspect c1'; do
    # shellcheck disable=SC2086  # words, not one word
    refuses 'No space left' to_full ce $words
    [[ $words != --* ]] || continue # SIGPIPE ends these two, as it ends most programs
    # shellcheck disable=SC2086
    try -0 to_nobody ce $words
    [[ -z $stderr ]]
  done
  refuses 'No space left' to_full ce stop c1
  # Running where nobody was told of it is worse than not running.
  refuses 'No space left' to_full ce -d "$ALPINE" c2 none sleep 1000
  lab test ! -e /var/lib/container_engine/c2
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
  try -0 ce list --json -q
  [[ $(sort <<<"$output") == $'c1\nc2' ]]
  try -0 ce ps
  [[ ${lines[0]} == NAME* && ${#lines[@]} -eq 3 ]]
}

@test "lifecycle: list --json says what /proc and the clock say" {
  local before after rootfs init start
  for rootfs in "${BOTH[@]}"; do
    before=$EPOCHSECONDS
    up "$rootfs" c1 192.168.1.2
    after=$EPOCHSECONDS
    init=$(init_pid c1)
    start=$(cut -d ' ' -f 22 "/proc/$init/stat")
    try -0 listed c1 '.state, .pid, .start, .rootfs, .address'
    [[ $output == "running"$'\n'"$init"$'\n'"$start"$'\n'"$rootfs"$'\n'192.168.1.2 ]]
    is_listed c1 ".started >= $before and .started <= $after"
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
  # What moves a cursor may be replaced.
  local ctl="[?[:cntrl:]]"
  [[ $command == 'true "quo'\''ted" \back\slash tab'$ctl'here new'$ctl'line bell'$ctl* ]]
  [[ $command == *' ünï→😀 '$ctl' end' ]]
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
  local rootfs=$LAB/$'al "p\\ïn→e'
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
  wait_until 20 is_listed c1 '.cpu_usec > 1000000'
  # How much it gets, depends on the limits and the other work of this host.
  wait_until 10 is_listed c1 '.cpu_percent > 10 and .cpu_percent < 150'
  is_listed c2 '.cpu_percent < 5'
}

@test "lifecycle: what is in the directories and is no container disturbs nobody" {
  lab mkdir -p /var/lib/container_engine/{lost+found,'no name'}
  lab touch /var/lib/container_engine/file
  try -0 ce "$ALPINE" c1 none true
  try -0 ce list -q
  [[ $output == c1 ]]
}

# --- inspect --------------------------------------------------------------------------------

# Each kind in a line: the host's number, the container's, and whether they differ.
shows_namespaces() { # PID
  local kind host inside line
  for kind in cgroup ipc mnt net pid user uts; do
    host=$(lab readlink "/proc/self/ns/$kind")
    inside=$(readlink "/proc/$1/ns/$kind")
    line=$(grep -E "^ *$kind " <<<"$output")
    [[ $line == *"$host"*"$inside"* ]]
    if [[ $host == "$inside" ]]; then [[ $line != *own* ]]; else [[ $line == *own* ]]; fi
  done
}

@test "lifecycle: inspect shows the namespaces, the pid and the user ids that /proc has" {
  local rootfs pid inside outside count
  for rootfs in "${BOTH[@]}"; do
    up "$rootfs" c1 none
    pid=$(init_pid c1)
    try -0 ce inspect c1
    shows_namespaces "$pid"
    grep -Ex "pid +$pid" <<<"$output"
    read -r inside outside count <"/proc/$pid/uid_map"
    ((inside == 0 && count == 65536))
    grep -Ex 'users +1' <<<"$output"
    grep -Ex "base +$outside" <<<"$output"
    [[ $(line_with rootfs) == *" $rootfs" ]]
    try -0 ce delete -f c1
  done
}

@test "lifecycle: inspect says so when the user namespace is the host's" {
  up "$ALPINE" c1 none --userns off
  try -0 ce inspect c1
  shows_namespaces "$(init_pid c1)"
  [[ $(line_with 'user:[') != *own* ]]
  grep -Ex 'users +0' <<<"$output"
}

@test "lifecycle: inspect of one that ended says how, and what there is" {
  try -3 ce "$HOST_ROOTFS" c1 none sh -c 'exit 3'
  try -0 ce inspect c1
  [[ $output == *'exited (3)'* && $output == *"$HOST_ROOTFS"* && $output == *'sh -c exit 3'* ]]
  [[ $output == */var/lib/container_engine/c1* && $output != *namespaces* && -z $stderr ]]
}

@test "lifecycle: inspect NAME KEY: one value" {
  up "$ALPINE" c1 192.168.1.2
  for words in "pid $(init_pid c1)" 'address 192.168.1.2' 'status running' "rootfs $ALPINE" \
    'layer /var/lib/container_engine/c1' 'hostname c1'; do
    try -0 ce inspect c1 "${words% *}"
    [[ $output == "${words#* }" ]]
  done
  refuses "'nosuch'" ce inspect c1 nosuch
}

@test "lifecycle: env.sh clean refuses while a container runs, and names it" {
  up "$ALPINE" c1 192.168.1.2
  try -1 lab "$REPO/env.sh" clean
  [[ -z $output && $stderr == 'env.sh: '*c1* ]]
  try -0 ce exec c1 ping -c 1 -W 5 192.168.1.1
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
    for options in on off; do
      up "$rootfs" c1 none --userns "$options"
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
  local rootfs=$HOST_ROOTFS options
  for options in '' '--userns off' '-u 1000:1001' '--cap-drop ALL --cap-add CHOWN' \
    '--cap-add SYS_ADMIN' '--cap-add ALL --seccomp off'; do
    # shellcheck disable=SC2086  # words
    up "$rootfs" c1 none $options
    exec_up c1
    rights_of "$program"
    diff <(rights_of "$(init_pid c1)") <(rights_of "$program")
    try -0 ce delete -f c1
    rootfs=$ALPINE
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

@test "lifecycle: exec gets no file of the caller's, and a session of its own" {
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

@test "lifecycle: exec into a container that holds it up: a signal ends it all the same" {
  local signal
  up "$ALPINE" c1 none
  for signal in INT TERM HUP; do
    echo 1 >"$LAB_CGROUP/container_engine/c1/cgroup.freeze"
    SECONDS=0
    try -124 lab timeout --foreground -s "$signal" -k 8 1 "$ENGINE" exec c1 true
    ((SECONDS < 5 * ${CE_SLOW:-1})) && [[ -z $stderr ]]
    start ex "$ENGINE" exec c1 true
    sleep 0.3
    kill -s "$signal" "$pid"
    ended "$pid"
    [[ $status -eq $((128 + $(kill -l "$signal"))) ]]
    echo 0 >"$LAB_CGROUP/container_engine/c1/cgroup.freeze"
    [[ $(ce exec c1 ps | grep -c .) -eq 4 ]] # its head, the shell, its sleep, itself
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

@test "lifecycle: exec that cannot make its child leaves the container as it is" {
  local n
  start_idle c1 none
  for n in {7..12}; do
    try lab prlimit --nofile="$n" "$ENGINE" exec c1 true
    try -0 ce exec c1 true
  done
}

# A shell on a terminal: types the words and Enter.
type_in_terminal() { # WORDS
  lab tmux -S "$BATS_TEST_TMPDIR/tmux" send-keys -t t "$1" Enter
}

open_terminal() {
  local tmux=(tmux -S "$BATS_TEST_TMPDIR/tmux")
  lab env SHELL=/bin/sh "${tmux[@]}" -f /dev/null new-session -d -s t 3>&- 4>&-
  terminal=$(lab "${tmux[@]}" display -p '#{pid}')
}

close_terminal() {
  lab tmux -S "$BATS_TEST_TMPDIR/tmux" kill-session -t t
  wait_until 10 gone "$terminal"
}

@test "lifecycle: exec on a terminal: ^C ends the program; when the terminal goes, it goes" {
  local n=$((5000 + RANDOM))
  requires tmux
  up "$ALPINE" c1 none
  open_terminal
  type_in_terminal "'$ENGINE' exec c1 sleep $n; echo status \$? >'$BATS_TEST_TMPDIR/status'"
  wait_until 10 pgrep -fx "sleep $n"
  lab tmux -S "$BATS_TEST_TMPDIR/tmux" send-keys -t t C-c
  wait_until 10 grep -sx 'status 130' "$BATS_TEST_TMPDIR/status"
  try -1 pgrep -fx "sleep $n"
  type_in_terminal "'$ENGINE' exec c1 sleep $n"
  wait_until 10 pgrep -fx "sleep $n"
  close_terminal
  wait_until 10 bash -c '! pgrep -fx "sleep $0"' "$n"
  [[ $(state_of c1) == running ]]
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

@test "lifecycle: an exec that cannot make a process, or join, does the container no harm" {
  local call
  requires strace
  up "$ALPINE" c1 none
  for call in clone3:error=EAGAIN pipe2:error=EMFILE setns:error=EPERM; do
    refuses container_engine lab strace -qq -o /dev/null -e "inject=$call:when=1" \
      "$ENGINE" exec c1 true
    try -0 ce exec c1 true
  done
  # In the child, which strace follows.
  refuses setsid lab strace -f -qq -o /dev/null -e inject=setsid:error=EPERM \
    "$ENGINE" exec c1 true
  try -0 ce exec c1 true
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
    for f in $p/fd/*; do readlink $f && seen="$seen fd" && break; done
    ls $p/root/ && seen="$seen root"
    ls $p/cwd/ && seen="$seen cwd"
    readlink $p/exe && seen="$seen exe"
    cat $p/environ && seen="$seen environ"
    read -r name <$p/comm && [ "$name" != "$1" ] || continue
    echo "saw ${seen:-nothing}" >&3
  done
done 3>&1 >/dev/null 2>&1'

# What that sees of an exec that strace, on the host, stops after each step on its way in, and that
# goes on when it has been looked at.
seen_from_inside() { # OPTION...
  local stops=0
  background "$@" "$ALPINE" c1 none sh -c "$ATTACK" attack sleep
  wait_until 10 said c1 ready
  start exec strace -f -qq -o "$BATS_TEST_TMPDIR/exec.trace" -e trace=setsid,capset,seccomp,chdir \
    -e inject=setsid,capset,seccomp,chdir:signal=STOP "$ENGINE" exec c1 sleep 0
  wait_until 60 looked_at_every_stop
  ended "$pid"
  ((status == 0 && stops == 4))
  seen=$(log c1 | grep ^saw | sort | uniq -c)
  printf '%s\n' "$seen"
  try -0 ce delete -f c1
}

looked_at_every_stop() {
  local looks
  ! gone "$pid" || return 0
  (($(stopped_by exec | wc -l) > stops)) || return 1
  looks=$(log c1 | wc -l)
  wait_until 20 said_more c1 $((looks + 2)) # one of the two began after the stop
  kill -CONT "$(stopped_by exec | tail -n 1)"
  ((stops += 1))
  return 1
}

said_more() { # NAME LINES
  (($(log "$1" | wc -l) >= $2))
}

stopped_by() { # TAG
  [[ ! -e $BATS_TEST_TMPDIR/$1.trace ]] ||
    awk '/stopped by SIGSTOP/ { print $1 }' "$BATS_TEST_TMPDIR/$1.trace"
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

# --- -d -------------------------------------------------------------------------------------

@test "lifecycle: -d prints the name and returns when the container runs, network and all" {
  local rootfs
  for rootfs in "${BOTH[@]}"; do
    background "$rootfs" c1 192.168.1.2 sleep 1000
    [[ $output == c1 ]]
    [[ $(readlink "/proc/$(init_pid c1)/exe") == *@(busybox|sleep) ]]
    try -0 lab ping -c 1 -W 5 192.168.1.2
    try -0 ce delete -f c1
  done
}

engine_of() { # NAME
  ps -o ppid= -p "$(init_pid "$1")" | tr -d ' '
}

@test "lifecycle: -d: its engine has no terminal, no file of the caller's, and is in /" {
  local engine fd
  exec 9<"$BATS_TEST_FILENAME"
  up "$ALPINE" c1 none
  exec 9<&-
  engine=$(engine_of c1)
  try -0 ls -l "/proc/$engine/fd"
  [[ $output != *"$BATS_TEST_FILENAME"* ]]
  for fd in 0 1 2; do
    [[ $(readlink "/proc/$engine/fd/$fd") == /dev/null ]]
  done
  [[ $(ps -o sid=,tty= -p "$engine" | xargs) == "$engine ?" ]]
  [[ $(readlink "/proc/$engine/cwd") == / ]]
}

@test "lifecycle: -d outlives its terminal; a container that was not detached ends with it" {
  local init
  requires tmux
  open_terminal
  type_in_terminal \
    "'$ENGINE' -d '$ALPINE' c1 none sleep 1000; '$ENGINE' '$ALPINE' c2 none sleep 1000"
  wait_until 10 is_listed c2 '.state == "running"'
  init=$(init_pid c1)
  close_terminal
  wait_until 10 over c2
  [[ $(state_of c2) == 'exited (129)' ]]
  [[ $(state_of c1) == running && $(init_pid c1) == "$init" ]]
  try -0 ce exec c1 true
}

@test "lifecycle: -d: what it says is in the layer's log, stdout and stderr; its stdin is empty" {
  local rootfs
  for rootfs in "${BOTH[@]}"; do
    ce -d "$rootfs" c1 none sh -c 'echo out; echo err >&2; cat; echo name >/dev/stderr; exit 4' \
      <"$BATS_TEST_FILENAME" >/dev/null 3>&- 4>&-
    wait_until 10 over c1
    [[ $(log c1) == $'out\nerr\nname' ]]
    [[ $(state_of c1) == 'exited (4)' ]]
    try -0 ce delete c1
  done
}

@test "lifecycle: -d: the log is the end of what was said, without a gap, and never over 2 MiB" {
  local size
  background "$ALPINE" c1 none sh -c 'seq 800000; echo last' # more than 5 MB
  wait_until 30 over c1
  [[ $(state_of c1) == 'exited (0)' ]]
  lab sh -c 'cd /var/lib/container_engine/c1 && cat log.1 log' >"$BATS_TEST_TMPDIR/log"
  size=$(lab sh -c 'cat /var/lib/container_engine/c1/log* | wc -c')
  echo "$size bytes"
  ((size > 1000000 && size <= 2 << 20 + 16384))
  { seq 800000; echo last; } | tail -c "$(stat -c %s "$BATS_TEST_TMPDIR/log")" |
    cmp - "$BATS_TEST_TMPDIR/log"
}

# The engine of NAME: processor time used so far, in hundredths of a second.
used_by_engine() { # PID
  awk '{ print $14 + $15 }' "/proc/$1/stat"
}

@test "lifecycle: -d: who floods the log costs the host little, and goes on" {
  local engine before used size mode
  for mode in --userns=on --userns=off; do
    background "$mode" --cpus max "$ALPINE" c1 none yes 2>/dev/null ||
      background "$mode" "$ALPINE" c1 none yes
    engine=$(engine_of c1)
    sleep 0.5 # a second of anything may be had at the beginning
    before=$(used_by_engine "$engine")
    sleep 3
    used=$(($(used_by_engine "$engine") - before))
    size=$(lab sh -c 'cat /var/lib/container_engine/c1/log* | wc -c')
    echo "$used hundredths of a second in 3 seconds, a log of $size bytes"
    ((used < 20 * ${CE_SLOW:-1}))
    ((size > 0 && size <= (2 << 20) + 16384))
    [[ $(state_of c1) == running ]]
    try -0 ce exec c1 pgrep -x yes
    try -0 ce stop -t 1 c1
    try -0 ce delete c1
  done
}

# To whom it sent its output, it may be another container, can write on when it has ended.
@test "lifecycle: -d: its end does not wait for somebody else who has its output" {
  requires gcc python3
  local dir=$BATS_TEST_TMPDIR/shared
  mkdir "$dir"
  make_giver "$dir"
  start keeper python3 -uc 'import fcntl, os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print("listens")
kept = socket.recv_fds(s.accept()[0], 1, 1)[1][0]
fcntl.fcntl(kept, 1031, 1 << 20) # F_SETPIPE_SZ
while True:
    os.write(kept, bytes(1 << 16))' "$dir/socket"
  wait_until 10 grep -q listens "$BATS_TEST_TMPDIR/keeper.out"
  background -v "$dir:/shared" "$ALPINE" c1 none sh -c '/shared/give 1 && sleep 1'
  wait_until 10 over c1
  [[ $(state_of c1) == 'exited (0)' ]]
}

@test "lifecycle: -d: what fails, fails in front of the user, with its status, and leaves nothing" {
  CHECK_LAYERS=1
  lab_snapshot
  refuses -127 chocolate ce -d "$ALPINE" c1 none chocolate
  refuses -126 /etc/passwd ce -d "$ALPINE" c1 none /etc/passwd
  refuses /none ce -d /none c1 none true
  refuses -w ce -d -w /none "$ALPINE" c1 none true
  wait_until 5 leaks
}

@test "lifecycle: -d --rm: the layer goes when the container ends" {
  up "$ALPINE" c1 none --rm
  lab test -d /var/lib/container_engine/c1
  try -0 ce stop c1
  lab test ! -e /var/lib/container_engine/c1
  try -0 ce list -q
  [[ -z $output ]]
}

@test "lifecycle: the exit status is kept: of one that ended, was killed, was detached" {
  local rootfs
  for rootfs in "${BOTH[@]}"; do
    try -0 ce "$rootfs" c1 none true
    try -3 ce "$rootfs" c2 none sh -c 'exit 3'
    up "$rootfs" c3 none
    kill -KILL "$(init_pid c3)"
    wait_until 10 over c3
    try -0 ce list
    [[ $(line_with c1) == *'exited (0)'* && $(line_with c2) == *'exited (3)'* ]]
    [[ $(line_with c3) == *'exited (137)'* && $(listed c3 .status) == 137 ]]
    try -0 ce delete c1 c2 c3
  done
}

# --- start and logs -------------------------------------------------------------------------

@test "lifecycle: start: once more with its options, words, layer and directory" {
  mkdir -m 777 "$BATS_TEST_TMPDIR/d"
  cd "$BATS_TEST_TMPDIR"
  try -3 ce -e A=1 -v d:/d --hostname h -w /tmp -u 5:6 "$ALPINE" c1 none \
    sh -c 'echo x >>/d/f; echo "$A" $(hostname) $(pwd) $(id -u) "$#" "$@"; exit 3' sh 'a b' ''
  cd /
  try -3 ce start c1
  [[ $output == '1 h /tmp 5 2 a b ' && $(<"$BATS_TEST_TMPDIR/d/f") == $'x\nx' ]]
  # Another command, this time.
  try -0 ce start c1 sh -c 'echo "$A" "$#"' sh 1 2 3
  [[ $output == '1 3' ]]
  try -3 ce start c1
  [[ $output == '1 h /tmp 5 2 a b ' ]]
  refuses 'no container named c2' ce start c2
}

@test "lifecycle: start: a shorter command leaves nothing of a longer one" {
  try -0 ce "$ALPINE" c1 none echo a much longer command with many more words than the next
  try -0 ce "$ALPINE" c1 none echo short
  try -0 ce start c1
  [[ $output == short ]]
}

@test "lifecycle: start: none of 100,000 words is lost" {
  local words
  mapfile -t words < <(seq 100000)
  try -0 ce "$ALPINE" c1 none sh -c 'echo $# ${100000}' sh "${words[@]}"
  [[ $output == '100000 100000' ]]
  try -0 ce start c1
  [[ $output == '100000 100000' ]]
}

@test "lifecycle: start: one with -d runs in the background again; one that runs is refused" {
  up "$ALPINE" c1 192.168.1.2
  refuses 'runs already' ce start c1
  try -0 ce stop c1
  ce start c1 </dev/null >"$BATS_TEST_TMPDIR/name" 3>&- 4>&-
  [[ $(<"$BATS_TEST_TMPDIR/name") == c1 && $(state_of c1) == running ]]
  wait_until 10 said_times 2 c1 '^ready$'
  try -0 lab ping -c 1 -W 5 192.168.1.2
}

@test "lifecycle: logs: all, the last lines, of both files" {
  background "$ALPINE" c1 none sh -c 'seq 250000; echo last'
  wait_until 30 over c1
  try -0 ce logs c1
  [[ ${lines[-1]} == last && $output == "$(lab sh -c 'cd /var/lib/container_engine/c1 && cat log.1 log')" ]]
  try -0 ce logs -n 2 c1
  [[ $output == $'250000\nlast' ]]
  try -0 ce logs -f -n 1 c1 # which is over
  [[ $output == last ]]
  try -0 ce "$ALPINE" c2 none true
  refuses 'without -d' ce logs c2
}

# logs -f of c1, which has said `one`, goes on when /stop is there, and says `last`; to logs.out.
follow_to_the_end() {
  wait_until 10 said c1 one
  start logs "$ENGINE" logs -f c1
  wait_until 10 grep -q one "$BATS_TEST_TMPDIR/logs.out"
  try -0 ce exec c1 touch /stop
  ended "$pid"
  [[ $status -eq 0 && $(tail -n 1 "$BATS_TEST_TMPDIR/logs.out") == last ]]
}

@test "lifecycle: logs -f: as it is written, until the container ends" {
  background "$ALPINE" c1 none \
    sh -c 'echo one; while [ ! -e /stop ]; do sleep 0.1; done; seq 200000; echo last'
  follow_to_the_end
  [[ $(sort -u "$BATS_TEST_TMPDIR/logs.out" | wc -l) -eq 200002 ]]
}

@test "lifecycle: logs -f: where there are two files already, nothing is said twice" {
  background "$ALPINE" c1 none \
    sh -c 'seq 200000; echo one; while [ ! -e /stop ]; do sleep 0.1; done; seq 200001 400000; echo last'
  follow_to_the_end
  [[ -z $(sort "$BATS_TEST_TMPDIR/logs.out" | uniq -d) ]]
}

# --- stop -----------------------------------------------------------------------------------

# Runs the command; tenths of a second: $took.
timed() {
  local t0=${EPOCHREALTIME/[.,]/}
  "$@" || return
  took=$(((${EPOCHREALTIME/[.,]/} - t0) / 100000))
  echo "took $took tenths of a second"
}

@test "lifecycle: stop: a program that handles TERM gets it, and ends with its own status" {
  local rootfs
  for rootfs in "${BOTH[@]}"; do
    up "$rootfs" c1 none
    timed try -0 ce stop c1
    ((took < 50))
    [[ $output == c1 && -z $stderr ]]
    over c1
    said c1 'got TERM'
    [[ $(state_of c1) == 'exited (3)' ]]
    try -0 ce delete c1
  done
}

@test "lifecycle: stop: a program that does not handle TERM is killed at once, and told of" {
  local rootfs
  for rootfs in "${BOTH[@]}"; do
    background "$rootfs" c1 none sleep 1000
    timed try -0 ce stop c1
    ((took < 50))
    [[ $stderr == *c1*TERM*kill* && $output == c1 ]]
    over c1
    [[ $(state_of c1) == 'exited (137)' ]]
    try -0 ce delete c1
  done
}

@test "lifecycle: stop -t: one that does not care for TERM is killed after so many seconds" {
  background "$ALPINE" c1 none sh -c 'trap "" TERM; echo ready; while :; do sleep 1000; done'
  wait_until 10 said c1 ready
  timed try -0 ce stop -t 2 c1
  ((took >= 20 && took < 80))
  [[ ${stderr_lines[0]} == *'c1: waiting for its end, up to 2 seconds' ]]
  [[ ${stderr_lines[1]} == *c1*2*TERM*kill* && $output == c1 ]]
  [[ $(state_of c1) == 'exited (137)' ]]
  refuses -t ce stop -t x c1
  refuses -t ce stop -t -1 c1
}

@test "lifecycle: stop -t: one that is slow gets its time" {
  background "$ALPINE" c1 none \
    sh -c 'trap "sleep 1; exit 6" TERM; echo ready; sleep 1000 & wait'
  wait_until 10 said c1 ready
  try -0 ce stop -t 30 c1
  [[ $output == c1 && $(state_of c1) == 'exited (6)' ]]
}

@test "lifecycle: stop: what a program calls itself is not taken for its handlers" {
  start c1 "$ENGINE" --rm "$ALPINE" c1 none sh -c '
    echo SigCgt:ffffffff >/proc/self/comm; echo ready; while :; do sleep 1; done'
  wait_until 10 grep -q ready "$BATS_TEST_TMPDIR/c1.out"
  SECONDS=0
  try -0 ce stop -t 9 c1
  [[ $stderr == *'no handler for TERM'* ]] && ((SECONDS < 5 * ${CE_SLOW:-1}))
}

@test "lifecycle: stop: an init that waits for the signal, and has no handler, is not killed" {
  requires gcc
  # tini, dumb-init and systemd are like that: a blocked signal reaches PID 1 as well.
  gcc -static -xc -o "$BATS_TEST_TMPDIR/init" - <<'END'
#include <signal.h>
#include <unistd.h>
int main(void) {
    int number;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, 0);
    write(1, "ready\n", 6);
    sigwait(&set, &number);
    return 5;
}
END
  background -v "$BATS_TEST_TMPDIR/init:/init:ro" "$ALPINE" c1 none /init
  wait_until 10 said c1 ready
  try -0 ce stop c1
  [[ $output == c1 && $(state_of c1) == 'exited (5)' ]]
  # The same, when it is the engine that gets it.
  start c2 "$ENGINE" -v "$BATS_TEST_TMPDIR/init:/init:ro" "$ALPINE" c2 none /init
  wait_until 10 grep -qs ready "$BATS_TEST_TMPDIR/c2.out"
  kill -TERM "$pid"
  ended "$pid"
  [[ $status -eq 5 ]]
}

@test "lifecycle: stop ends a container that is frozen by STOP, too" {
  up "$ALPINE" c1 none
  try -0 ce kill c1 STOP
  timed try -0 ce stop -t 1 c1
  ((took >= 10))
  [[ $(state_of c1) == 'exited (137)' ]]
}

@test "lifecycle: stop: an engine whose output nobody reads is not waited for, for ever" {
  mkfifo "$BATS_TEST_TMPDIR/fifo"
  exec 7<>"$BATS_TEST_TMPDIR/fifo"
  lab_exec "$ENGINE" "$ALPINE" c1 none sh -c 'touch /up; yes' \
    </dev/null >"$BATS_TEST_TMPDIR/fifo" 2>/dev/null 3>&- 4>&- 7>&- &
  pid=$!
  STARTED+=("$pid")
  wait_until 10 lab test -e /var/lib/container_engine/c1/upper/up
  sleep 0.5
  try -0 ce stop -t 1 c1
  [[ $output == c1 ]]
  ended "$pid"
  exec 7>&-
}

@test "lifecycle: stop, several at once; one that is unknown or over does not save the others" {
  local name
  for name in c1 c2 c3 c4; do
    up "$ALPINE" "$name" none
  done
  try -0 ce stop c1 c2
  [[ $output == $'c1\nc2' ]]
  try -125 ce stop c3 nosuch c1 c4
  [[ $output == $'c3\nc4' && $stderr == *nosuch*c1* && ${#stderr_lines[@]} -eq 2 ]]
  for name in c1 c2 c3 c4; do
    [[ $(state_of "$name") == 'exited (3)' ]]
  done
}

# --- kill -----------------------------------------------------------------------------------

@test "lifecycle: kill sends what it is told: names, with and without SIG, in any case; numbers" {
  local n times=1
  background "$ALPINE" c1 none sh -c '
    n=1
    while [ $n -lt 32 ]; do
      case $n in 9 | 17 | 19) ;; *) trap "echo got $n" $n ;; esac
      n=$((n + 1))
    done
    echo ready
    sleep 1000 &
    while :; do wait; done'
  wait_until 10 said c1 ready
  for n in {1..31}; do
    [[ ! $n =~ ^(9|17|19)$ ]] || continue
    try -0 ce kill c1 "$(kill -l "$n")"
    [[ -z $stderr ]]
    wait_until 10 said c1 "^got $n\$"
  done
  for n in term SIGTERM sigterm 15; do
    try -0 ce kill c1 "$n"
    wait_until 10 said_times "$((++times))" c1 '^got 15$'
  done
}

said_times() { # COUNT NAME WORD
  [[ $(log "$2" | grep -c -- "$3") -eq $1 ]]
}

@test "lifecycle: kill: STOP and CONT, and without a signal KILL" {
  local rootfs
  for rootfs in "${BOTH[@]}"; do
    up "$rootfs" c1 none
    try -0 ce kill c1 STOP
    wait_until 5 grep -q '^State:.T' "/proc/$(init_pid c1)/status"
    try -0 ce kill c1 CONT
    wait_until 5 grep -q '^State:.S' "/proc/$(init_pid c1)/status"
    try -0 ce kill c1
    wait_until 5 over c1
    [[ $(state_of c1) == 'exited (137)' ]]
    try -0 ce delete c1
  done
}

@test "lifecycle: kill refuses what is no signal, and does no harm" {
  local bad
  up "$ALPINE" c1 none
  for bad in 0 65 999 15x 1.5 SIG NOSUCH SIGNOSUCH '' ' 9' 99999999999999999999; do
    refuses signal ce kill c1 "$bad"
  done
  refuses "signal '-9'" ce kill c1 -9
  refuses many ce kill c1 TERM c2
  [[ $(state_of c1) == running ]]
  try -1 said c1 'got TERM'
}

# --- delete ---------------------------------------------------------------------------------

@test "lifecycle: delete takes the layer, too, and refuses one that runs; -f ends it first" {
  local rootfs init
  CHECK_LAYERS=1
  lab_snapshot
  for rootfs in "${BOTH[@]}"; do
    up "$rootfs" c1 192.168.1.2
    init=$(init_pid c1)
    refuses running ce delete c1
    [[ $(state_of c1) == running ]]
    try -0 ce delete -f c1
    [[ $output == c1 ]]
    gone "$init"
    wait_until 5 leaks
    try -0 ce "$rootfs" c1 none true
    try -0 ce delete c1
    [[ $output == c1 ]]
    leaks
    refuses c1 ce delete c1
  done
}

@test "lifecycle: delete, several at once; one that runs or is unknown does not save the others" {
  try -0 ce "$ALPINE" c1 none true
  up "$ALPINE" c2 none
  try -0 ce "$ALPINE" c3 none true
  try -125 ce delete c1 c2 nosuch c3
  [[ $output == $'c1\nc3' && $stderr == *c2*nosuch* && ${#stderr_lines[@]} -eq 2 ]]
  try -0 ce list -q
  [[ $output == c2 ]]
}

@test "lifecycle: delete goes deep, and stays inside: links are not followed" {
  CHECK_LAYERS=1
  mkdir "$BATS_TEST_TMPDIR/host"
  touch "$BATS_TEST_TMPDIR/host/file"
  lab_snapshot
  try -0 ce -v "$BATS_TEST_TMPDIR/host:/vol" "$ALPINE" c1 none sh -c "
    ln -s '$BATS_TEST_TMPDIR/host' /link; ln -s / /root/link; mkfifo /fifo
    mkdir -p /a/b && chmod 0 /a/b /a
    i=0
    while [ \$i -lt 100 ]; do
      mkdir deep-directory && cd deep-directory || exit 1
      i=\$((i + 1))
    done
    touch end"
  try -0 ce delete c1
  leaks
  [[ -f $BATS_TEST_TMPDIR/host/file ]]
}

@test "lifecycle: delete of one that wrote through leaves its rootfs alone" {
  cp -a "$ALPINE" "$LAB/copy"
  try -0 ce --write-through "$LAB/copy" c1 none sh -c 'echo new >/root/file'
  try -0 ce delete c1
  [[ $(<"$LAB/copy/root/file") == new && -e $LAB/copy/bin/busybox ]]
  rm -r "$LAB/copy"
}

# --- again ----------------------------------------------------------------------------------

@test "lifecycle: a stopped container that is run again goes on with its layer" {
  local rootfs
  for rootfs in "${BOTH[@]}"; do
    try -0 ce "$rootfs" c1 none sh -c 'echo one >/root/file; rm /etc/passwd'
    try -5 ce "$rootfs" c1 none sh -c 'cat /root/file; ls /etc/passwd; exit 5'
    [[ $output == one && $(state_of c1) == 'exited (5)' ]]
    up "$rootfs" c1 none
    try -0 ce exec c1 sh -c 'cat /root/file; echo two >/root/file'
    [[ $output == one && $(state_of c1) == running ]]
    try -0 ce stop c1
    try -0 ce "$rootfs" c1 none cat /root/file
    [[ $output == two && -e $rootfs/etc/passwd && ! -e $rootfs/root/file ]]
    try -0 ce delete c1
    try -1 ce "$rootfs" c1 none cat /root/file
    try -0 ce delete c1
  done
}

@test "lifecycle: with another rootfs it does not, and the line says what to do" {
  try -0 ce "$ALPINE" c1 none sh -c 'echo one >/root/file'
  refuses delete ce "$HOST_ROOTFS" c1 none true
  refuses "$ALPINE" ce -d "$HOST_ROOTFS" c1 none true
  try -0 ce "$ALPINE" c1 none cat /root/file
  [[ $output == one && $(listed c1 .rootfs) == "$ALPINE" ]]
}

@test "lifecycle: one whose engine was killed is over, and can be run again, or deleted" {
  local init
  up "$ALPINE" c1 192.168.1.2
  try -0 ce exec c1 sh -c 'echo one >/root/file'
  init=$(init_pid c1)
  kill -KILL "$(engine_of c1)"
  wait_until 10 gone "$init"
  [[ $(state_of c1) == 'exited (137)' ]]
  refuses 'not running' ce stop c1
  try -0 ce "$ALPINE" c1 192.168.1.2 cat /root/file
  [[ $output == one && $(state_of c1) == 'exited (0)' ]]
  try -0 ce delete c1
}

# --- what cannot be -------------------------------------------------------------------------

@test "lifecycle: an unknown name is refused by each command, in one line" {
  local command
  for command in inspect exec 'update --pids max' stop kill delete 'delete -f'; do
    # What is to be gone, whatever it was, may be gone already: as OCI's clients want it.
    if [[ $command == 'delete -f' ]]; then
      try -0 ce delete -f nosuch
      [[ -z $output$stderr ]]
    else
      # shellcheck disable=SC2086  # words
      refuses nosuch ce $command nosuch
    fi
    # shellcheck disable=SC2086
    refuses name ce $command ../nosuch
    # shellcheck disable=SC2086
    refuses name ce $command ''
  done
}

@test "lifecycle: what only a running container can do is refused after its end, in one line" {
  local command
  try -0 ce "$ALPINE" c1 none true
  for command in exec 'update --pids max' stop kill; do
    # shellcheck disable=SC2086  # words
    refuses 'not running' ce $command c1
  done
}

@test "lifecycle: options and words that a command has no use for are refused" {
  up "$ALPINE" c1 none
  refuses many ce list c1
  refuses few ce inspect
  refuses "'c2'" ce inspect c1 c2
  refuses few ce exec
  refuses few ce stop
  refuses --cpus ce list --cpus 1
  refuses -f ce stop -f c1
  refuses -t ce delete -t 1 c1
  refuses --rm ce exec --rm c1 true
  refuses --pids ce update c1
  refuses pids ce update --pids 0 c1
  [[ $(state_of c1) == running ]]
}

@test "lifecycle: who is not root is told so" {
  local command
  chmod 755 "$BATS_TEST_TMPDIR"
  for command in 'list' 'inspect c1' 'exec c1 true' 'stop c1'; do
    # shellcheck disable=SC2086  # words
    refuses root lab setpriv --reuid 65534 --clear-groups "$ENGINE" $command
  done
}

@test "lifecycle: update on a host without controllers says what is missing" {
  [[ -n $(lacks controllers) ]] || skip 'this host has them all: lifecycle-limits.bats'
  up "$ALPINE" c1 none
  refuses cpu ce update --cpus 0.2 c1
  refuses memory ce update --memory 20M c1
  refuses pids ce update --pids 20 c1
}

@test "lifecycle: a pid is only trusted together with its start: it may be somebody else's now" {
  local init
  up "$ALPINE" c1 none
  init=$(init_pid c1)
  change_state c1 's/^start=.*/start=1/'
  try ce kill c1
  try ce stop -t 0 c1
  try ce exec c1 true
  try ce list
  [[ ! -e /proc/none && -d /proc/$init && $output != *"$init"* ]]
  change_state c1 "s/^start=.*/start=$(cut -d ' ' -f 22 "/proc/$init/stat")/"
}

@test "lifecycle: list of a copy of the directories, below a --root, ends nothing" {
  local copy=$BATS_TEST_TMPDIR/copy
  up "$ALPINE" c1 none
  lab cp -a /var/lib/container_engine "$copy"
  try -0 ce --root "$copy" list
  try -0 ce exec c1 true
  try -0 ce stop c1
  refuses '--root: only for a container with a bundle' ce --root "$copy" start c1
}

@test "lifecycle: exec into one that runs --without pivot comes to its files, not to the host's" {
  start_idle c1 none --without pivot
  try -0 ce exec c1 cat /etc/alpine-release
}

@test "lifecycle: a name that runs with another directory of all containers is refused, and goes on" {
  local other=$BATS_TEST_TMPDIR/other
  up "$ALPINE" c1 none
  mkdir "$other"
  # shellcheck disable=SC2016
  refuses 'another /var/lib' lab unshare -m sh -c 'mount --bind "$1" /var/lib/container_engine
    shift; exec "$@"' - "$other" "$ENGINE" "$ALPINE" c1 none true
  [[ -z $(ls -A "$other") ]]
  try -0 ce exec c1 true
  try -0 ce stop c1
}

@test "lifecycle: --root is refused for a container without a bundle: one place knows all addresses" {
  refuses '--root: only for a container with a bundle' \
    ce --root "$BATS_TEST_TMPDIR/other" "$ALPINE" c1 none true
  refuses 'there is no container named c1' ce --root "$BATS_TEST_TMPDIR/other" start c1
}

@test "lifecycle: state files that are rubbish crash nobody" {
  local junk state=/var/lib/container_engine/c1/state
  for junk in '' '=' 'pid' $'pid=x\nstatus=99999999999999999999\ncommand' \
    "command=$(printf 'x%.0s' {1..9000})" $'\x00\xff\xfe' 'rootfs=' \
    'started=9223372036854775807'; do
    try -0 ce "$ALPINE" c1 none true
    printf '%s' "$junk" | lab tee "$state" >/dev/null
    try -0 ce list
    try -0 ce list --json
    jq -e '.[0].name == "c1" and (.[0].state | startswith("exited"))' <<<"$output"
    try -0 ce inspect c1
    try -0 ce delete c1
  done
}

@test "lifecycle: stop sees the TERM handler of a process with 5,000 groups" {
  requires gcc
  mkdir "$LAB/many"
  gcc -std=gnu11 -O1 -static -o "$LAB/many/attack" "$BATS_TEST_DIRNAME/attacks/attack.c"
  background -v "$LAB/many:/many:ro" "$ALPINE" c1 none /many/attack groups 5000
  wait_until 10 said c1 ready
  try -0 ce stop -t 20 c1
  rm -r "$LAB/many"
  [[ $(state_of c1) == 'exited (3)' ]]
}

# --- races ----------------------------------------------------------------------------------

# In the background, and stopped right after its first CALL; strace does that.
hold() { # CALL[:PATH] TAG ARG...
  local trace=$BATS_TEST_TMPDIR/$2.trace call=${1%%:*} filter=()
  [[ $1 != *:* ]] || filter=(-P "${1#*:}")
  start "$2" strace -f -qq -o "$trace" -e "trace=$call" "${filter[@]}" \
    -e "inject=$call:signal=STOP:when=1" "$ENGINE" "${@:3}"
  wait_until 10 grep -qs 'stopped by SIGSTOP' "$trace"
}

let_go() { # TAG PID
  kill -CONT "$(stopped_by "$1")"
  ended "$2"
}

# It ended as it may, and said no more than one line; or strace did.
said_one_line() { # TAG STATUS...
  local said
  said=$(grep -v '^strace: ' "$BATS_TEST_TMPDIR/$1.err" || :)
  echo "$1: status $status: $said"
  [[ " ${*:2} " == *" $status "* ]] || return 1
  if ((status)); then [[ $said == container_engine:* ]]; fi
  [[ $said != *$'\n'* ]]
}

@test "lifecycle: the container ends while a command looks it up: one line, 125" {
  local command words pids=() want
  requires strace
  up "$ALPINE" c1 none
  for command in exec stop kill inspect 'update --pids max' 'delete -f'; do
    read -ra words <<<"$command c1"
    [[ $command != exec ]] || words+=(true)
    hold pidfd_open "${command%% *}" "${words[@]}"
    pids+=("$pid")
  done
  kill -KILL "$(init_pid c1)"
  wait_until 10 over c1
  for command in exec stop kill inspect update delete; do
    want=(125)
    [[ $command != inspect ]] || want=(0 125) # it may as well show what is left
    [[ $command != delete ]] || want=(0)      # it is gone, as was asked for
    let_go "$command" "${pids[0]}"
    said_one_line "$command" "${want[@]}"
    pids=("${pids[@]:1}")
  done
}

@test "lifecycle: the container ends between a command's look and its deed: one line, 125" {
  local command
  requires strace
  up "$ALPINE" c1 none
  for command in 'pidfd_open exec c1 true' 'pidfd_open stop c1' 'pidfd_open kill c1' \
    'pidfd_open update --pids max c1' 'pidfd_send_signal kill c1' 'setns exec c1 true'; do
    # shellcheck disable=SC2086  # words
    refuses c1 lab strace -f -qq -o /dev/null -e "inject=${command%% *}:error=ESRCH:when=1" \
      "$ENGINE" ${command#* }
  done
  try -0 ce exec c1 true
}

@test "lifecycle: the container ends while exec enters it: one line, 125, nothing left" {
  local procs=$LAB_CGROUP/container_engine/c1/cgroup.procs
  requires strace
  up "$ALPINE" c1 none
  # The child alone calls setsid, when it has joined.
  start exec strace -f -qq -o /dev/null -e inject=setsid:delay_enter=2s "$ENGINE" exec c1 true
  wait_until 10 bash -c '[[ $(wc -l <"$0") -eq 3 ]]' "$procs"
  try -0 ce kill c1
  ended "$pid"
  said_one_line exec 125 137
  over c1
}

@test "lifecycle: who looks at the others on a bridge, is in the way of none that starts" {
  local inspect
  requires strace
  up "$ALPINE" c1 192.168.1.2
  hold readlink inspect inspect c1
  inspect=$pid
  # It has made its directory, and not locked it yet.
  hold mkdirat:c2 c2 "$ALPINE" c2 192.168.1.3 echo hello
  kill -CONT "$(stopped_by inspect)"
  sleep 0.5 # it may wait for c2, or not
  let_go c2 "$pid"
  cat "$BATS_TEST_TMPDIR/c2".{out,err}
  [[ $status -eq 0 && $(<"$BATS_TEST_TMPDIR/c2.out") == hello ]]
  ended "$inspect"
  said_one_line inspect 0
}

# In a PID namespace of the test's, where a number can be given out again at will. What has it now is
# harmless; what the state means is over. strace holds the sweeper between its look and its deed.
@test "lifecycle: a number that is given out again while the sweeper looks: nobody else is killed" {
  requires strace
  local script='
    mount -t proc proc /proc
    "$0" -d "$1" c1 none sleep 1000 >/dev/null
    engine=$(sed -n "s/^engine=//p" "$STATE")
    kill -KILL "$engine" # and so the container
    while [ -n "$(cat "$CGROUP/cgroup.procs")" ]; do sleep 0.05; done
    sleep 1000 &
    old=$!
    start=$(cut -d " " -f 22 "/proc/$old/stat")
    sed -i "s/^pid=.*/pid=$old/; s/^start=.*/start=$start/" "$STATE"
    strace -fqq -o "$2" -e trace=pidfd_open -e inject=pidfd_open:delay_enter=1000000 "$0" list &
    list=$!
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
      grep -q "pidfd_open($old" "$2" 2>/dev/null && break
      sleep 0.05
    done
    kill -KILL "$old"
    wait "$old"
    echo "$((old - 1))" >/proc/sys/kernel/ns_last_pid
    sleep 1000 &
    [ "$!" = "$old" ] && echo again
    wait "$list"
    sleep 0.2
    grep -q . "/proc/$old/cmdline" && echo lives
    kill "$old"'
  try lab env STATE=/var/lib/container_engine/c1/state CGROUP=/sys/fs/cgroup/container_engine/c1 \
    unshare --pid --fork --kill-child --mount sh -c "$script" "$ENGINE" "$ALPINE" \
    "$BATS_TEST_TMPDIR/trace"
  cat "$BATS_TEST_TMPDIR/trace"
  [[ $output == *$'again\n'* ]]
  [[ $output == *lives ]]
}

@test "lifecycle: two stops at once: both end, and one of them did it" {
  local first all
  up "$ALPINE" c1 none
  start one "$ENGINE" stop c1
  first=$pid
  start two "$ENGINE" stop c1
  ended "$pid"
  said_one_line two 0 125
  all=$status
  ended "$first"
  said_one_line one 0 125
  ((all == 0 || status == 0))
  [[ $(state_of c1) == 'exited (3)' ]]
}

@test "lifecycle: while its engine still cleans up, a container is neither running nor starting" {
  local init engine
  up "$ALPINE" c1 none
  init=$(init_pid c1)
  engine=$(engine_of c1)
  kill -STOP "$engine"
  kill -KILL "$init"
  wait_until 5 grep -q '^State:.Z' "/proc/$init/status"
  try -0 ce list
  line_with c1
  [[ $output != *running* && $output != *starting* ]]
  refuses c1 ce exec c1 true
  kill -CONT "$engine"
  wait_until 10 over c1
}

# Starts containers that live for a moment, one after the other, until the file is gone; or, when
# the test has failed, for as long as that takes at most.
come_and_go() { # FILE
  local end=$((SECONDS + 10))
  while [[ -e $1 ]] && ((SECONDS < end)); do
    status=0
    ce "$ALPINE" c1 none sleep 0.02 2>"$1.err" || status=$?
    echo "run: $status: $(grep -v warning: "$1.err" || :)"
  done
}

@test "lifecycle: whatever is asked while containers come and go: one line, and no crash" {
  local file=$BATS_TEST_TMPDIR/go end=$((SECONDS + 4)) command n=0 coming
  echo >"$file"
  come_and_go "$file" >"$BATS_TEST_TMPDIR/runs" 3>&- 4>&- &
  coming=$!
  while ((SECONDS < end)); do
    for command in list 'inspect c1' 'exec c1 true' 'kill c1' 'list --json' 'stop c1' \
      'update --pids max c1' 'delete c1' 'delete -f c1'; do
      # shellcheck disable=SC2086  # words
      try ce $command
      [[ $status =~ ^(0|125|137)$ && ${#stderr_lines[@]} -le 1 ]]
      [[ $status -ne 137 || $command == exec* ]]
      [[ $command != list* || $status -eq 0 ]]
      ((n += 1))
    done
  done
  rm "$file"
  wait "$coming"
  sort "$BATS_TEST_TMPDIR/runs" | uniq -c
  echo "$n commands"
  grep -q '^run: 0' "$BATS_TEST_TMPDIR/runs"
  try -1 grep -vE '^run: (0|137): $|^run: 125: container_engine: ' "$BATS_TEST_TMPDIR/runs"
}

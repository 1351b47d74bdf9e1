#!/usr/bin/env bats
# The engine without its network and its limits: what a program inside finds, what the caller gets.

load helpers

setup() {
  requires root alpine
  lab_snapshot
}

# Runs a command in a container of the Alpine rootfs, without a network.
c1() {
  ce "$ALPINE" c1 none "$@"
}

# --- asking for help ------------------------------------------------------------------------

@test "engine: --help goes to stdout with status 0 and names every option" {
  try -0 ce --help
  [[ -z $stderr ]]
  local option
  for option in --cpus --memory --pids --bridge -e -w -u -v --hostname --help --version; do
    [[ $output == *"$option"* ]]
  done
}

@test "engine: --version is one line" {
  try -0 ce --version
  [[ $output =~ ^container_engine\ [0-9]+\.[0-9]+ && ${#lines[@]} -eq 1 && -z $stderr ]]
}

@test "engine: too few arguments give status 125 and a hint" {
  refuses help ce
  refuses help ce "$ALPINE"
  refuses help ce "$ALPINE" c1
}

@test "engine: --help of a command is about that one; help and version are words, too" {
  local command
  for command in list inspect exec start logs update stop kill delete; do
    try -0 ce "$command" --help
    [[ ${lines[0]} == "Usage: container_engine $command "* && -z $stderr ]]
    help=$output
    try -0 ce help "$command"
    [[ $output == "$help" ]]
  done
  try -0 ce help stop
  [[ $output == *SECONDS* && $output != *--cpus* ]]
  try -0 ce --help
  help=$output
  for command in help 'run --help' -h; do
    # shellcheck disable=SC2086  # words, not one word
    try -0 ce $command
    [[ $output == "$help" ]]
  done
  try -0 ce version
  [[ $output == 'container_engine '* ]]
}

@test "engine: an unknown command is refused by name" {
  for words in launch 'launch c1'; do
    # shellcheck disable=SC2086  # words, not one word
    refuses "neither a command nor a rootfs: 'launch'" ce $words
  done
  refuses 'knows the commands' ce launch c1 none
  refuses "option --rm: options come before" ce "$ALPINE" --rm c1
}

@test "engine: an unknown option is refused by name" {
  refuses --chocolate ce --chocolate "$ALPINE" c1 none true
  refuses 'option -x:' ce --rm -ix "$ALPINE" c1 none true
  refuses 'option --chocolate:' ce --chocolate -d "$ALPINE" c1 none true
  # None is abbreviated.
  refuses 'option --user-ns:' ce --user-ns on "$ALPINE" c1 none true
  refuses 'option --mem:' ce --mem 1G "$ALPINE" c1 none true
}

@test "engine: an option behind the words is named, and not run as a program" {
  refuses 'option -it: options come before' ce "$ALPINE" c1 none -it sh
  refuses 'option --rm: options come before' ce "$ALPINE" c1 none --rm true
  refuses 'option --memory=1G: options come before' ce "$ALPINE" c1 none --memory=1G
  refuses 'option -e: options come before' ce exec c1 -e A=1 true
  refuses 'option -t: options come before' ce stop c1 -t 1
}

# As docker spells them. The way to say it here leads to the same.
@test "engine: docker's spellings: run, -it, --name, long options" {
  echo seen >"$BATS_TEST_TMPDIR/f"
  try -0 ce run -it --rm --name c1 --env A=1 --volume "$BATS_TEST_TMPDIR:/mnt" --workdir /tmp \
    --user 5:6 --hostname h --userns=on "$ALPINE" none \
    sh -c 'echo $A; cat /mnt/f; pwd; id -u; id -g; hostname'
  [[ $output == $'1\nseen\n/tmp\n5\n6\nh' ]]
  try -0 ce create --interactive --tty --rm "$ALPINE" c1 none true
  refuses "--pids-limit '0'" ce run --pids-limit 0 "$ALPINE" c1 none true
  refuses "-m 'x'" ce run -m x "$ALPINE" c1 none true
}

@test "engine: what docker has and this has not is answered with what to do" {
  refuses 'no ports' ce -p 80:80 "$ALPINE" c1 none true
  refuses 'no ports' ce --publish=80:80 "$ALPINE" c1 none true
  refuses 'auto or none' ce --network host "$ALPINE" c1 none true
  refuses --cap-add ce --privileged "$ALPINE" c1 none true
  refuses systemd ce --restart always "$ALPINE" c1 none true
  refuses 'kill NAME TERM' ce kill -9 c1
  refuses 'kill NAME TERM' ce kill -s TERM c1
  refuses rootfs-fetch.sh ce pull alpine
  refuses rootfs-fetch.sh ce images
  refuses 'inspect NAME layer' ce cp c1:/f f
  refuses 'exec NAME' ce attach c1
  refuses list ce stats
}

@test "engine: -- ends the engine's options; what follows the address belongs to the command" {
  try -0 ce --hostname h1 -- "$ALPINE" c1 none echo --hostname -- -e
  [[ $output == '--hostname -- -e' ]]
}

# --- what runs, and as what -----------------------------------------------------------------

@test "engine: the command is PID 1 and sees no process of the host" {
  try -0 c1 sh -c 'echo $$; ps -o pid,comm | tail -n +2'
  [[ ${lines[0]} == 1 ]]
  [[ ${lines[1]} =~ ^\ *1\ +sh$ ]]
  ((${#lines[@]} <= 4)) # ps and tail
}

@test "engine: without a command, /bin/sh where there is no bash" {
  try -0 typing 'echo "$$ $(readlink /proc/1/exe)"' c1
  [[ $output == '1 /bin/busybox' ]]
}

@test "engine: without a command, /bin/bash where there is one" {
  requires host_rootfs
  try -0 typing 'echo "$$ $BASH $BASH_VERSION"' ce "$HOST_ROOTFS" c1 none
  [[ $output =~ ^1\ /.*bash\ [0-9] ]]
}

@test "engine: arguments arrive as they were given" {
  try -0 c1 printf '<%s>' 'a b' '' '$HOME' "it's" $'tab\there'
  [[ $output == "<a b><><\$HOME><it's><tab	here>" ]]
}

@test "engine: pipes are binary clean in both directions" {
  head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
  c1 cat <"$BATS_TEST_TMPDIR/in" | cat >"$BATS_TEST_TMPDIR/out"
  cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
}

@test "engine: the hostname is the name, or what --hostname says; the host keeps its own" {
  local before
  before=$(uname -n)
  try -0 c1 hostname
  [[ $output == c1 ]]
  try -0 ce --hostname box.example "$ALPINE" c1 none hostname
  [[ $output == box.example ]]
  [[ $(uname -n) == "$before" ]]
}

@test "engine: the environment is a clean one" {
  SECRET=1 TERM=vt100 LANG=C.UTF-8 try -0 c1 env
  local names
  names=$(printf '%s\n' "${lines[@]%%=*}" | sort | xargs)
  [[ $names == 'HOME HOSTNAME LANG PATH TERM' ]]
  [[ $output == *HOME=/root* && $output == *HOSTNAME=c1* ]]
  [[ $output == *TERM=vt100* && $output == *LANG=C.UTF-8* ]]
}

@test "engine: LANG is not set when the caller has none" {
  try -0 env -u LANG bash -c 'source "$0/test/helpers.bash"; ce "$@"' "$REPO" "$ALPINE" c1 none env
  [[ $output != *LANG=* ]]
}

@test "engine: -e adds to the environment, and wins" {
  try -0 ce -e A=1 -e 'B=x y=z' -e HOME=/tmp "$ALPINE" c1 none sh -c 'echo "$A|$B|$HOME"'
  [[ $output == '1|x y=z|/tmp' ]]
  refuses -e ce -e =x "$ALPINE" c1 none true
}

@test "engine: the PATH of -e is the one that the command is looked for in" {
  try -0 ce -e PATH=/sbin "$ALPINE" c1 none apk --version
  refuses -127 apk ce -e PATH=/bin "$ALPINE" c1 none apk --version
}

@test "engine: the working directory is /, or what -w says" {
  try -0 c1 pwd
  [[ $output == / ]]
  try -0 ce -w /usr/bin "$ALPINE" c1 none pwd
  [[ $output == /usr/bin ]]
  refuses /none ce -w /none "$ALPINE" c1 none pwd
}

@test "engine: -u sets user and group, and leaves no other group" {
  try -0 ce -u 1000:1001 "$ALPINE" c1 none sh -c 'id -u; id -g; id -G'
  [[ $output == $'1000\n1001\n1001' ]]
  try -0 lab setpriv --groups 4,5 "$ENGINE" -u 1000:1001 "$ALPINE" c1 none id -G
  [[ $output == 1001 ]]
  try -0 ce -u 1000 "$ALPINE" c1 none sh -c 'id -u; id -G | wc -w'
  [[ $output == $'1000\n1' ]]
  refuses "/etc/passwd" ce -u wheel "$ALPINE" c1 none true
  refuses -u ce -u 1000:-1 "$ALPINE" c1 none true
}

# Names are looked up inside, where the host's mean nothing.
@test "engine: -u takes names of the container's own files, which may have changed in its layer" {
  local script='echo $(id -u) $(id -g) $(id -G); grep CapEff /proc/self/status; echo >/dev/stdout'
  for options in '' '--userns off'; do
    # shellcheck disable=SC2086  # words
    try -0 ce $options "$ALPINE" c1 none sh -c 'echo me::77:78: >>/etc/passwd; addgroup -g 79 us'
    # shellcheck disable=SC2086
    try -0 ce $options -u me "$ALPINE" c1 none sh -c "$script"
    [[ ${lines[0]} == '77 78 78' && ${lines[1]} == *$'\t'0000000000000000 ]]
    # shellcheck disable=SC2086
    try -0 ce $options -u 5:us "$ALPINE" c1 none id
    [[ $output == 'uid=5('*') gid=79(us)'* ]]
    # shellcheck disable=SC2086
    try -0 ce $options -u root:us "$ALPINE" c1 none sh -c "$script"
    [[ ${lines[0]} == '0 79 79' && ${lines[1]} != *0000000000000000 ]]
    ce delete c1
  done
  # Numbers that would leave it root: setresuid(2) takes -1 for no change.
  for id in -1 4294967295 4294967296 65536 x ''; do
    try -0 ce "$ALPINE" c1 none sh -c "echo 'bad:x:$id:$id:' >/etc/passwd"
    refuses "no 'bad'" ce -u bad "$ALPINE" c1 none true
    ce delete c1
  done
}

@test "engine: -v shows a directory of the host, and writes reach it" {
  mkdir "$BATS_TEST_TMPDIR/d"
  echo hello >"$BATS_TEST_TMPDIR/d/f"
  try -0 ce -v "$BATS_TEST_TMPDIR/d:/new/target" "$ALPINE" c1 none \
    sh -c 'cat /new/target/f; echo back >/new/target/g'
  [[ $output == hello ]]
  [[ $(<"$BATS_TEST_TMPDIR/d/g") == back ]]
}

@test "engine: -v with :ro can be read and not written; a file works as well" {
  echo hello >"$BATS_TEST_TMPDIR/f"
  try ce -v "$BATS_TEST_TMPDIR/f:/etc/motd:ro" "$ALPINE" c1 none \
    sh -c 'cat /etc/motd; echo back >/etc/motd'
  [[ $status -ne 0 && $output == hello && $stderr == *[Rr]ead-only* ]]
  [[ $(<"$BATS_TEST_TMPDIR/f") == hello ]]
}

# The root is on /tmp then, from where .. leads to the host's files.
@test "engine: -v to a place with .. stays below the root, --without pivot as well" {
  local place=/var/lib/container_engine/place
  ce --userns off --without pivot -v /etc:"/proc/../../../../..$place" "$ALPINE" c1 none true
  try -2 lab ls "$place"
}

@test "engine: -v of something that is not there is refused" {
  refuses /none/at/all ce -v /none/at/all:/mnt "$ALPINE" c1 none true
  refuses -v ce -v relative "$ALPINE" c1 none true
}

# --- the file system ------------------------------------------------------------------------

@test "engine: / is the rootfs, and nothing of the host's tree is to be seen" {
  echo secret >"$LAB/secret"
  try -0 c1 ls -A /
  [[ $output == "$(cd "$ALPINE" && LC_ALL=C ls -A)" ]]
  try c1 cat "$LAB/secret"
  [[ $status -ne 0 ]]
  try c1 cat "/../../../../$LAB/secret" "/proc/1/root/$LAB/secret"
  [[ $status -ne 0 && -z $output ]]
}

@test "engine: every mount inside is below /, and none is left of the old root" {
  try -0 c1 awk '{ print $5 }' /proc/self/mountinfo
  local dir allowed='^/($|proc|sys|dev|etc/(hosts|hostname|resolv\.conf)$)'
  for dir in "${lines[@]}"; do
    [[ $dir =~ $allowed ]]
  done
  [[ $(grep -cx / <<<"$output") -eq 1 ]]
}

@test "engine: no mount inside can propagate to the host" {
  try -0 c1 cat /proc/self/mountinfo
  [[ -n $output && $output != *shared:* ]]
}

@test "engine: nothing is added to the host's mount table while a container runs" {
  local before
  before=$(lab cat /proc/self/mountinfo)
  start_idle c1 none
  [[ $(lab cat /proc/self/mountinfo) == "$before" ]]
}

@test "engine: proc, sysfs and cgroup2 are mounted as they should be" {
  try -0 c1 cat /proc/mounts
  [[ $output =~ proc\ /proc\ proc\ rw,nosuid,nodev,noexec ]]
  [[ $output =~ \ /sys\ sysfs\ ro,nosuid,nodev,noexec ]]
  [[ $output =~ \ /sys/fs/cgroup\ cgroup2\ ro,nosuid,nodev,noexec ]]
}

@test "engine: /sys and /sys/fs/cgroup cannot be written" {
  try c1 mkdir /sys/fs/cgroup/x
  [[ $status -ne 0 && $stderr == *[Rr]ead-only* ]]
  try c1 sh -c 'echo 1 >/sys/fs/cgroup/cgroup.procs'
  [[ $status -ne 0 ]]
  try c1 sh -c 'echo x >/sys/power/state'
  [[ $status -ne 0 ]]
}

@test "engine: /proc/self/cgroup of the very first process is 0::/, 50 times of 50" {
  local i
  for ((i = 0; i < 50; i++)); do
    c1 cat /proc/self/cgroup 2>/dev/null | grep '^0::'
  done | sort | uniq -c | grep -x ' *50 0::/'
}

# --- /dev -----------------------------------------------------------------------------------

@test "engine: the devices have their type, their number and mode 666" {
  try -0 c1 stat -c '%n %F %t:%T %a' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty
  [[ $output == "/dev/null character special file 1:3 666
/dev/zero character special file 1:5 666
/dev/full character special file 1:7 666
/dev/random character special file 1:8 666
/dev/urandom character special file 1:9 666
/dev/tty character special file 5:0 666" ]]
}

@test "engine: the devices work" {
  try -0 c1 sh -c 'echo x >/dev/null; wc -c </dev/null; head -c 3 /dev/zero | wc -c
    head -c 5 /dev/random | wc -c; head -c 7 /dev/urandom | wc -c'
  [[ $output == $'0\n3\n5\n7' ]]
  try c1 sh -c 'echo x >/dev/full'
  [[ $status -ne 0 && $stderr == *[Nn]o\ space* ]]
}

@test "engine: /dev holds these and nothing else" {
  try -0 c1 ls -A /dev
  [[ $(xargs <<<"$output") == \
    'console fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero' ]]
}

@test "engine: fd, stdin, stdout, stderr point where they should" {
  try -0 c1 sh -c 'for f in fd stdin stdout stderr; do readlink /dev/$f; done'
  [[ $output == $'/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2' ]]
}

@test "engine: a pipe can be opened by the names /dev/stdout and /dev/stderr" {
  local said
  said=$(echo hello | c1 sh -c 'cat >/dev/stdout; echo err >/dev/stderr' 2>&1 | cat)
  echo "$said"
  [[ $said == *hello*err ]]
}

@test "engine: /dev/pts, /dev/shm and /dev/mqueue are file systems of the container's own" {
  try -0 c1 sh -c 'grep -E " /dev(/pts|/shm|/mqueue)? " /proc/mounts | cut -d" " -f2,3 | sort
    stat -c %a /dev/shm; stat -Lc "%t:%T %a" /dev/ptmx'
  [[ $output == "/dev tmpfs
/dev/mqueue mqueue
/dev/pts devpts
/dev/shm tmpfs
1777
5:2 666" ]]
}

@test "engine: /dev/shm can be written by everybody, and is empty each time" {
  try -0 ce -u 1000:1000 "$ALPINE" c1 none sh -c 'echo x >/dev/shm/f; ls /dev/shm'
  [[ $output == f ]]
  try -0 c1 ls -A /dev/shm
  [[ -z $output ]]
}

# --- namespaces -----------------------------------------------------------------------------

@test "engine: pid, mnt, uts, ipc, net and cgroup namespaces are not the host's" {
  local kind
  try -0 c1 sh -c 'for k in pid mnt uts ipc net cgroup; do readlink /proc/self/ns/$k; done'
  for kind in pid mnt uts ipc net cgroup; do
    [[ $output == *"$kind:["* ]]
    [[ $output != *"$(lab readlink "/proc/self/ns/$kind")"* ]]
  done
}

# What 0, 1 and 2 are inside; the answer goes to a file, whatever they are.
ENDS='for n in 0 1 2; do readlink /proc/$$/fd/$n; done | cut -d : -f 1 | xargs >/ends'

@test "engine: files, devices and sockets as input, output and error arrive as pipes" {
  requires python3
  local run file=$BATS_TEST_TMPDIR/file mode
  for mode in --userns=on --userns=off; do
    for run in '"$@" </dev/null >/dev/null 2>/dev/null' '"$@" <"$0" >"$0.out" 2>"$0.err"' \
      '"$@" <>"$0" >>"$0" 2>&1' 'true | "$@" 2>&1 | cat' \
      'python3 -c "import os, socket, sys
a, b = socket.socketpair()
for n in 0, 1, 2: os.dup2(a.fileno(), n)
os.execv(sys.argv[1], sys.argv[1:])" "$@"'; do
      echo text >"$file"
      try -0 lab timeout 20 bash -c "$run" "$file" "$ENGINE" "$mode" "$ALPINE" c1 none sh -c "$ENDS"
      [[ $(<"$LAB/layers/c1/upper/ends") == 'pipe pipe pipe' ]]
      try -0 ce delete c1
      try -0 ce "$mode" -d "$ALPINE" c1 none sleep 1000
      try -0 lab timeout 20 bash -c "$run" "$file" "$ENGINE" exec c1 sh -c "$ENDS"
      [[ $(<"$LAB/layers/c1/upper/ends") == 'pipe pipe pipe' ]]
      try -0 ce delete -f c1
    done
  done
}

@test "engine: what is in a file, or comes over a socket, is read to its end; >> appends" {
  requires python3
  local mode file=$BATS_TEST_TMPDIR/file
  seq 100000 >"$file.in"
  for mode in --userns=on --userns=off; do
    echo first >"$file"
    lab bash -c '"$@" <"$0.in" >>"$0"' "$file" "$ENGINE" "$mode" --rm "$ALPINE" c1 none cat
    { echo first; seq 100000; } | cmp - "$file"
    # Two who append at once: nothing of either is lost.
    lab bash -c '{ "$@" & for ((i = 0; i < 100; i++)); do echo ours; done; wait; } >>"$0"' "$file" \
      "$ENGINE" "$mode" --rm "$ALPINE" c1 none sh -c 'for i in $(seq 100); do echo its; done'
    [[ $(grep -c ours "$file") -eq 100 && $(grep -c its "$file") -eq 100 ]]
    [[ $(grep -c . "$file") -eq 100201 ]]
    # Half a file that somebody else reads on from: bash leaves its place at the end of a line.
    try -0 lab bash -c '{ read -r x; "$@"; } <"$0.in"' "$file" \
      "$ENGINE" "$mode" --rm "$ALPINE" c1 none head -n 1
    [[ $output == 2 ]]
  done
  try -0 lab python3 -c '
import socket, subprocess, sys
a, b = socket.socketpair()
p = subprocess.Popen(sys.argv[1:], stdin=a, stdout=a)
a.close()
b.sendall(b"word\n" * 1000)
b.shutdown(socket.SHUT_WR)
got = b""
while more := b.recv(65536): got += more
print(len(got), p.wait())' "$ENGINE" --rm "$ALPINE" c1 none cat
  [[ $output == '5000 0' ]]
}

@test "engine: each of 0, 1, 2 may be closed: nothing of the engine's takes its place" {
  local run mode ends
  for mode in --userns=on --userns=off; do
    for run in '"$@" <&-' '"$@" >&-' '"$@" 2>&-' '"$@" <&- >&-' '"$@" <&- 2>&-' '"$@" >&- 2>&-' \
      '"$@" <&- >&- 2>&-'; do
      try -3 lab timeout 20 bash -c "$run" bash "$ENGINE" "$mode" "$ALPINE" c1 192.168.1.2 \
        sh -c "$ENDS; cat; exit 3"
      ends=$(<"$LAB/layers/c1/upper/ends")
      echo "$run: $ends"
      [[ $ends == 'pipe pipe pipe' ]]
      try -0 ce delete c1
      try -0 ce "$mode" -d "$ALPINE" c1 none sleep 1000
      try -3 lab timeout 20 bash -c "$run" bash "$ENGINE" exec c1 sh -c "$ENDS; cat; exit 3"
      ends=$(<"$LAB/layers/c1/upper/ends")
      echo "exec $run: $ends"
      [[ $ends == 'pipe pipe pipe' ]]
      # And of the other commands: no answer goes where it may not.
      try lab timeout 20 bash -c "$run" bash "$ENGINE" list --json
      try lab timeout 20 bash -c "$run" bash "$ENGINE" delete -f c1
      [[ -z $(lab "$ENGINE" list -q) ]]
    done
  done
}

# Of what a process hands down: the kernel's victim when memory is short, its turn, its limits.
@test "engine: what the caller was given by the system is not handed down" {
  local mode show='cat /proc/self/oom_score_adj; cut -d " " -f 19,41 /proc/self/stat
    grep -E "^Max (open files|core file|file size|cpu time|processes|data size|realtime|nice)" \
      /proc/self/limits'
  caller() { # PRLIMIT-OPTION... CMD...
    try -0 lab sh -c 'echo -1000 >/proc/self/oom_score_adj 2>/dev/null || echo 500 >/proc/self/oom_score_adj
      exec chrt --fifo 1 "$@" 2>/dev/null' sh prlimit "$@"
    given "$output"
    try -0 lab nice -n -20 prlimit "$@"
    given "$output"
  }
  given() { # LINES
    local hard
    hard=$(sed -En 's/^Max open files +1024 +([0-9]+) .*/\1/p' <<<"$1")
    mapfile -t got <<<"$1"
    [[ ${got[0]} == 0 && ${got[1]} == '0 0' ]] &&
      ((hard == 1048576 || hard == $(ulimit -Hn))) &&
      grep -qE '^Max core file size +0 +unlimited' <<<"$1" &&
      grep -qE '^Max file size +unlimited +unlimited' <<<"$1" &&
      grep -qE '^Max cpu time +unlimited +unlimited' <<<"$1" &&
      grep -qE '^Max realtime priority +0 +0' <<<"$1" && # or it would not be under cpu.max
      grep -qE '^Max nice priority +0 +0' <<<"$1" &&
      grep -qE '^Max data size +unlimited +unlimited' <<<"$1"
  }
  for mode in --userns=on --userns=off; do
    caller --nofile=500: --core=unlimited: --fsize=50000000: --cpu=1000: \
      "$ENGINE" "$mode" --rm "$ALPINE" c1 none sh -c "$show"
    caller --nofile="$(ulimit -Hn):" --core=0: --data=100000000: \
      "$ENGINE" "$mode" --rm "$ALPINE" c1 none sh -c "$show"
    try -0 ce "$mode" -d "$ALPINE" c1 none sleep 1000
    caller --nofile=500: --core=unlimited: --fsize=50000000: "$ENGINE" exec c1 sh -c "$show"
    try -0 ce delete -f c1
  done
}

@test "engine: an ignored SIGCHLD is not handed down, and every exit status is the right one" {
  local mode ignoring=(env --ignore-signal=CHLD)
  try -0 lab "${ignoring[@]}" grep ^SigIgn /proc/self/status
  [[ $((16#${output#*:$'\t'} & 0x10000)) -ne 0 ]]
  for mode in --userns=on --userns=off; do
    try -7 lab "${ignoring[@]}" "$ENGINE" "$mode" --rm "$ALPINE" c1 none \
      sh -c 'grep ^SigIgn /proc/self/status; exit 7'
    [[ $output == *0000000000000000 ]]
    try -0 lab "${ignoring[@]}" "$ENGINE" "$mode" --rm "$ALPINE" c1 192.168.1.2 true
    try -137 lab "${ignoring[@]}" "$ENGINE" "$mode" --rm "$ALPINE" c1 none \
      sh -c 'sh -c "kill -KILL \$\$; true"; exit $?'
    try -127 lab "${ignoring[@]}" "$ENGINE" "$mode" --rm -d "$ALPINE" c1 none no-such-program
    try -0 lab "${ignoring[@]}" "$ENGINE" "$mode" -d "$ALPINE" c1 none \
      sh -c 'until [ -e /tmp/end ]; do sleep 0.1; done; exit 5'
    try -6 lab "${ignoring[@]}" "$ENGINE" exec c1 sh -c 'touch /tmp/end; exit 6'
    wait_until 10 lab sh -c '"$@" | grep -q "exited (5)"' sh "$ENGINE" list
    try -125 lab "${ignoring[@]}" "$ENGINE" delete c1 'not a name'
    [[ -z $(lab "$ENGINE" list -q) ]]
  done
}

@test "engine: no file of the caller's is open inside" {
  exec 9<"$BATS_TEST_FILENAME" 200<"$BATS_TEST_FILENAME"
  try -0 c1 ls /proc/1/fd /proc/self/fd
  exec 9<&- 200<&-
  # 3 is the directory that ls reads.
  [[ $output == $'/proc/1/fd:\n0\n1\n2\n3\n\n/proc/self/fd:\n0\n1\n2\n3' ]]
}

# --- how it ends ----------------------------------------------------------------------------

@test "engine: the exit status is the program's own" {
  try -0 c1 true
  try -7 c1 sh -c 'exit 7'
  try -255 c1 sh -c 'exit 255'
}

@test "engine: killed by a signal: 128+n" {
  start_idle c1 none
  lab kill -KILL "$(init_pid c1)"
  ended "$pid"
  [[ $status -eq 137 ]]
}

@test "engine: a program that crashes: 128+SIGSEGV" {
  requires gcc
  echo 'int main(void) { return *(volatile int *)0; }' >"$BATS_TEST_TMPDIR/crash.c"
  gcc -w -static -o "$BATS_TEST_TMPDIR/crash" "$BATS_TEST_TMPDIR/crash.c"
  try -139 ce -v "$BATS_TEST_TMPDIR/crash:/crash:ro" "$ALPINE" c1 none /crash
}

@test "engine: 127 for a command that is not there, and the line names it" {
  refuses -127 chocolate c1 chocolate
  refuses -127 /bin/chocolate c1 /bin/chocolate
}

@test "engine: 127 when it is the interpreter that is missing, and the line says so" {
  printf '#!/bin/chocolate\n' >"$BATS_TEST_TMPDIR/script"
  chmod 755 "$BATS_TEST_TMPDIR/script"
  refuses -127 'interpreter' ce -v "$BATS_TEST_TMPDIR/script:/script" "$ALPINE" c1 none /script
}

@test "engine: 127 when it is the loader of a program that is missing, and the line says so" {
  # The host's own programs want glibc's loader, which Alpine does not have.
  refuses -127 loader ce -v /bin/true:/glibc-true "$ALPINE" c1 none /glibc-true
}

@test "engine: 126 for what cannot be executed" {
  refuses -126 /etc/passwd c1 /etc/passwd
  refuses -126 /etc c1 /etc
}

@test "engine: 125 when the engine itself cannot do it, in one line" {
  refuses /none ce /none c1 none true
  refuses /etc/passwd ce /etc/passwd c1 none true
  mkdir "$BATS_TEST_TMPDIR/empty"
  refuses -127 /bin/sh ce "$BATS_TEST_TMPDIR/empty" c1 none
}

@test "engine: SIGTERM, SIGINT and SIGHUP reach a program that handles them" {
  local signal
  for signal in TERM INT HUP; do
    start c1 "$ENGINE" "$ALPINE" c1 none \
      sh -c 'trap "echo got it; exit 3" TERM INT HUP; echo ready; while :; do sleep 0.1; done'
    wait_until 10 grep -qs ready "$BATS_TEST_TMPDIR/c1.out"
    kill "-$signal" "$pid"
    ended "$pid"
    [[ $status -eq 3 ]]
    grep 'got it' "$BATS_TEST_TMPDIR/c1.out"
  done
}

@test "engine: SIGTERM, SIGINT and SIGHUP end a PID 1 without a handler too: 128+n" {
  local signal
  for signal in TERM INT HUP; do
    start c1 "$ENGINE" "$ALPINE" c1 none sh -c 'echo ready; exec sleep 1000'
    wait_until 10 grep -qs ready "$BATS_TEST_TMPDIR/c1.out"
    kill "-$signal" "$pid"
    ended "$pid"
    [[ $status -eq $((128 + $(kill -l "$signal"))) ]]
    leaks
  done
}

@test "engine: when PID 1 ends, everything else in the container does too" {
  local seconds=$((4000 + RANDOM))
  try -0 c1 sh -c "sleep $seconds >/dev/null 2>&1 & sleep $seconds >/dev/null 2>&1 & exit 0"
  wait_until 5 leaks
  try -1 pgrep -fx "sleep $seconds"
}

@test "engine: after nohup a hang-up does not end it, and the program does not ignore it" {
  start c1 env --ignore-signal=HUP "$ENGINE" "$ALPINE" c1 none \
    sh -c 'grep ^SigIgn /proc/self/status; echo up; until [ -e /tmp/end ]; do sleep 0.1; done; exit 4'
  wait_until 10 grep -q up "$BATS_TEST_TMPDIR/c1.out"
  grep -q 'SigIgn:.0000000000000000' "$BATS_TEST_TMPDIR/c1.out"
  kill -HUP "$pid"
  try -0 ce exec c1 touch /tmp/end
  wait "$pid" || [[ $? -eq 4 ]]
  [[ $(lab "$ENGINE" inspect c1 status) == 'exited (4)' ]]
  try -0 ce delete c1
}

@test "engine: SIGKILL of the engine ends the container, and the next command sweeps up" {
  local init
  start_idle c1 none
  init=$(init_pid c1)
  kill -KILL "$pid"
  wait_until 5 gone "$init"
  try -0 c1 true
  wait_until 5 leaks # the host's init has to reap what lost its parent
}

# --- names ----------------------------------------------------------------------------------

@test "engine: names that are good" {
  local name
  for name in a A.b_c-9 1 fourteen-chars "$(printf '%064d' 1)"; do
    try -0 ce "$ALPINE" "$name" none hostname
    [[ $output == "$name" ]]
  done
}

@test "engine: names that are not are refused, and nothing is made" {
  local name
  for name in '' . .. .a -a _a a/b ../a 'a b' $'a\nb' 'ä' 'a;b' "$(printf '%065d' 1)"; do
    refuses name ce -- "$ALPINE" "$name" none true
    leaks
  done
}

@test "engine: a name is never a command: x;touch /tmp/owned" {
  rm -f /tmp/owned
  refuses name ce "$ALPINE" 'x;touch /tmp/owned' 192.168.1.2 true
  refuses name ce "$ALPINE" '$(touch /tmp/owned)' 192.168.1.2 true
  refuses 192 ce "$ALPINE" x '192.168.1.2;touch /tmp/owned' true
  [[ ! -e /tmp/owned ]]
}

@test "engine: a name that is in use is refused, and its owner goes on" {
  start_idle c1 none
  refuses c1 c1 true
  try -0 ce "$ALPINE" c2 none true
  kill -TERM "$pid"
  ended "$pid"
  [[ $status -eq 0 ]]
  try -0 c1 true
}

# --- limits (what they do is in limits.bats) ------------------------------------------------

@test "engine: figures that are no limits are refused, with the option named" {
  local bad
  for bad in 0 -1 x 1e9 '' 0.5x 99999999999 nan inf; do
    refuses cpus ce --cpus "$bad" "$ALPINE" c1 none true
  done
  for bad in 0 -1 x 1e9 '' 50MM 99999999999G 50T0; do
    refuses memory ce --memory "$bad" "$ALPINE" c1 none true
  done
  for bad in 0 -1 x 1.5 '' 20K 99999999999; do
    refuses pids ce --pids "$bad" "$ALPINE" c1 none true
  done
  leaks
}

# --- a host without controllers -------------------------------------------------------------

@test "engine: on a host without controllers default limits are dropped with one warning" {
  [[ -n $(lacks controllers) ]] || skip 'this host has them all: limits.bats'
  try -0 c1 true
  [[ $(grep -c '^container_engine: warning: ' <<<"$stderr") -eq 1 && ${#stderr_lines[@]} -eq 1 ]]
}

@test "engine: on a host without controllers a limit that was asked for is an error" {
  [[ -n $(lacks controllers) ]] || skip 'this host has them all: limits.bats'
  refuses cpu ce --cpus 0.5 "$ALPINE" c1 none true
  refuses memory ce --memory 50M "$ALPINE" c1 none true
  refuses pids ce --pids 20 "$ALPINE" c1 none true
  try -0 ce --cpus max --memory max --pids max "$ALPINE" c1 none true
  [[ -z $stderr ]]
}

@test "engine: output that cannot be written is said, and is no success" {
  to_full() { "$@" >/dev/full; }
  try -125 to_full ce "$ALPINE" c1 none echo lost
  [[ $stderr == *'standard output: No space left on device'* ]]
  try -3 to_full ce "$ALPINE" c1 none sh -c 'echo lost; exit 3'
  [[ $stderr == *'standard output: No space left on device'* ]]
  to_nobody() { "$@" > >(:); }
  try -0 to_nobody ce "$ALPINE" c1 none sh -c 'sleep 1; echo lost; exit 0'
  [[ $stderr != *output* ]]
}

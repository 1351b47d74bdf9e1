#!/usr/bin/env bats
# Bad input: every argument of every command. Each case gets one line and status 125 (126 and 127
# where they are right), with no control character in it, and nothing is made.

load helpers

LONG=$(printf '%0300d' 1)

# What can go wrong with any word.
WORDS=('' "$LONG" . .. / -x ä $'a\nb' $'\n' $'a\tb' $'\e[2J' $'\177' $'\u009b2J' 'a b' ../x a/b)

setup_file() {
  export FIGURES=$BATS_FILE_TMPDIR/figures
  : >"$FIGURES"
}

teardown_file() {
  [[ ! -s $FIGURES ]] || printf '# input: %d bad inputs, %d not well answered, %d leftovers\n' \
    "$(grep -c . "$FIGURES")" "$(grep -c ';' "$FIGURES")" "$(grep -c left "$FIGURES")" >&3
}

setup() {
  requires root alpine
  lab_snapshot
  T=$BATS_TEST_TMPDIR
  wrong=0
}

# All the cases of a test are run, then it fails or not.
teardown() {
  [[ -n ${T-} ]] || return 0
  leak_check || return 1
  ((wrong == 0))
}

# What a container leaves on its host; without starting a program, because it is done so often.
made() (
  shopt -s nullglob
  keeper=/proc/$(<"$LAB/pid")
  echo "$keeper"/root/run/netns/* "$LAB_CGROUP"/container_engine/*/ "$LAB"/layers/{*,.deleted.*}
  while read -r word _; do [[ $word != ve* ]] || echo "$word"; done <"$keeper/net/dev"
)

# One case: status, and what the line must say.
bad() { # STATUS WORD ARGUMENT...
  local want=$1 word=$2 before all lines why='' LC_ALL=C
  shift 2
  before=$(made)
  status=0
  CE_TIMEOUT=10 ce "$@" </dev/null >"$T/out" 2>"$T/err" || status=$?
  all=$(<"$T/err")
  mapfile -t lines <<<"$all"
  until [[ ${lines[0]-} != 'container_engine: warning: '* ]]; do lines=("${lines[@]:1}"); done
  [[ $status -eq $want ]] || why+="status $status, not $want; "
  [[ ${#lines[@]} -eq 1 ]] || why+="${#lines[@]} lines; "
  [[ ! -s $T/out ]] || why+='output; '
  [[ ${lines[0]} == 'container_engine: '* ]] || why+='not in its own name; '
  [[ ${lines[0],,} == *"${word,,}"* ]] || why+="no word of $word; "
  all=${all//$'\n'/}
  [[ $all != *[[:cntrl:]]* && $all != *$'\xc2'[$'\x80'-$'\x9f']* ]] || why+='control characters; '
  [[ $(made) == "$before" ]] || why+='something is left; '
  echo "case $why" >>"$FIGURES"
  [[ -n $why ]] || return 0
  wrong=$((wrong + 1))
  printf '%s\n ' "$why"
  printf ' %q' "$@"
  printf '\n  %s\n' "$(cat -v "$T/err")"
}

# A case for each value, which stands where @ is.
each() { # STATUS WORD ARGUMENT... ::: VALUE...
  local want=$1 word=$2 arguments=() value
  shift 2
  until [[ $1 == ::: ]]; do
    arguments+=("$1")
    shift
  done
  shift
  for value; do
    bad "$want" "$word" "${arguments[@]//@/"$value"}"
  done
}

# --- names and addresses ----------------------------------------------------------------------

@test "input: the name of a new container" {
  each 125 name -- "$ALPINE" @ none true ::: "${WORDS[@]}" -- _a .a é 名 $'\377' ' a' 'a ' 'a;b' \
    "a'b" 'a"b' 'a$b' 'a`id`' '$(id)' 'a&b' 'a|b' 'a*' 'a?' '%s%n' 'a=b' 'a,b' 'a:b' 'a\b' \
    "$(printf '%065d' 1)" a/../b
}

@test "input: the name of a container that is there or not, in every command" {
  local command
  for command in 'inspect --' 'exec --' 'update --pids 9 --' 'stop --' 'stop -t 1 --' 'kill --' \
    'delete --' 'delete -f --'; do
    # shellcheck disable=SC2086  # a command and its options
    each 125 name $command @ ::: "${WORDS[@]}"
    # With -f, as with rm -f, what is not there is as it should be.
    # shellcheck disable=SC2086
    [[ $command == *-f* ]] || bad 125 'no container named nobody' $command nobody
  done
}

@test "input: --hostname and --bridge" {
  each 125 --hostname --hostname @ "$ALPINE" c1 none true ::: "${WORDS[@]}" 'a;b' "$LONG"
  each 125 bridge --bridge @ "$ALPINE" c1 192.168.1.2 true ::: "${WORDS[@]}" lo none \
    sixteen-letters-
}

@test "input: the address" {
  each 125 address -- "$ALPINE" c1 @ true ::: "${WORDS[@]}" None NONE localhost \
    192.168.1 192.168.1.2.3 192.168.1.2. .192.168.1.2 192..168.1.2 192.168.1.300 192.168.1.256 \
    192.168.1.-2 192.168.1.02 192.168.01.2 0192.168.1.2 192.168.1.0x2 0xc0a80102 3232235778 \
    ' 192.168.1.2' '192.168.1.2 ' $'192.168.1.2\n' 192.168.1.2/24 192.168.1.2:80 192.168.1.２ \
    192.168.2.2 10.0.0.2 127.0.0.1 0.0.0.0 224.0.0.1 255.255.255.255 \
    192.168.1.0 192.168.1.1 192.168.1.255 \
    ::1 fe80::1 ::ffff:192.168.1.2 '[::1]'
}

# --- figures ----------------------------------------------------------------------------------

@test "input: --cpus, --memory, --pids, of a new container and in update" {
  local any=("${WORDS[@]}" -1 +1 0 00 01 -0 ' 1' '1 ' 1e9 1e-9 1E3 0x10 nan inf infinity maxx
    Max '1,' 99999999999999999999 $'1\n' １)
  start_idle c0 none
  each 125 --cpus --cpus @ "$ALPINE" c1 none true ::: "${any[@]}" . .. 1..2 1.2.3 0.5.
  each 125 --memory --memory @ "$ALPINE" c1 none true ::: "${any[@]}" M 50MM 50MB '50 M' 50T -1M \
    0x10M 1.5 99999999999G 1e9M 50M50
  each 125 --pids --pids @ "$ALPINE" c1 none true ::: "${any[@]}" 0.5 1.5 20K 1M 99999999999
  each 125 --cpus update --cpus @ c0 ::: '' -1 0 1e9 x
  each 125 --memory update --memory @ c0 ::: '' -1 0 1e9 99999999999G 50X
  each 125 --pids update --pids @ c0 ::: '' -1 0 1e9 1.5
  bad 125 update update c0
  bad 125 'option --force' update --force --memory 1G c0
}

@test "input: -t of stop, the signal of kill" {
  start_idle c0 none
  each 125 -t stop -t @ c0 ::: "${WORDS[@]}" -1 1.5 1e3 01 0x1 99999999999999999999 86401 ' 1'
  each 125 signal kill c0 @ ::: '' "$LONG" . .. / ä $'a\nb' $'\e[2J' 0 00 65 999 FOO SIG SIGFOO \
    9x ' 9' TERM, 99999999999999999999
  [[ -d /proc/$(init_pid c0) ]] # and it has not noticed
}

# --- who, where, with what ---------------------------------------------------------------------

@test "input: -u, of a new container and in exec" {
  local users=("${WORDS[@]}" wheel nobody:none 0: :0 : :: 0:0:0 -1 +0 0:-1 65536 0:65536 99999999999999999999
    0x0 00 0:00 1.5 ' 0' '0 ' '0 :0' 4294967296 4294967295)
  start_idle c0 none
  each 125 -u -u @ "$ALPINE" c1 none true ::: "${users[@]}"
  each 125 -u exec -u @ c0 true ::: "${users[@]}"
}

@test "input: -w, of a new container and in exec" {
  start_idle c0 none
  each 125 -w -w @ "$ALPINE" c1 none true ::: '' . .. '~' a a/b ./a ä $'a\nb' $'\e[2J' /none \
    /etc/passwd /etc/passwd/x "/$LONG" "/$(printf '%05000d' 1)" $'/\e[2J' /ä $'/a\nb'
  each 125 -w exec -w @ c0 true ::: '' . .. a /none /etc/passwd "/$LONG" $'/\e[2J'
}

@test "input: -e, of a new container and in exec" {
  local many=() i
  for ((i = 0; i < 600; i++)); do many+=(-e "V$i=$i"); done
  start_idle c0 none
  each 125 -e -e @ "$ALPINE" c1 none true ::: '' = =x == =A=B A ä "$LONG" $'\n' $'\e[2J' -x
  each 125 -e exec -e @ c0 true ::: '' = =x A ä $'\e[2J'
  bad 125 -e "${many[@]}" "$ALPINE" c1 none true
}

@test "input: --userns, --seccomp, --cap-add, --cap-drop" {
  local option
  for option in --userns --seccomp; do
    each 125 "$option" "$option" @ "$ALPINE" c1 none true ::: "${WORDS[@]}" ON yes 1 0 true on, \
      $'on\n' auto
  done
  for option in --cap-add --cap-drop; do
    each 125 capability "$option" @ "$ALPINE" c1 none true ::: "${WORDS[@]}" NONE CAP_ CAP_ALLES \
      41 0 NET_RAW,CHOWN ' CHOWN' CAP_CAP_CHOWN
  done
}

@test "input: --cap-add, --cap-drop: one name each, not a piece of the list of names" {
  local option
  for option in --cap-add --cap-drop; do
    each 125 capability "$option" @ "$ALPINE" c1 none true ::: 'chown dac_override' 'CHOWN ' \
      'cap_kill setgid' 'sys_admin sys_boot ' 'checkpoint_restore ' ' ' 'bpf checkpoint_restore'
  done
}

@test "input: --bridge: what no interface may be called, or no line could show" {
  each 125 --bridge --bridge @ "$ALPINE" c1 none true ::: $'a\x01b' $'\x01' $'a\x1fb' $'a\rb' \
    $'a\vb' $'a\fb' $'\e[2J' $'a\177b' $'a\xffb' $'\xc2\x9b2J' 'a b' $'a\nb' a/b a:b . ..
}

@test "input: --bridge: a name that is too long is not cut to that of another bridge" {
  lab ip link add fifteen-letters type bridge
  lab ip addr add 10.6.0.1/24 dev fifteen-letters
  lab ip link set fifteen-letters up
  bad 125 "--bridge 'fifteen-letters-'" --bridge fifteen-letters- "$ALPINE" c1 10.6.0.2 true
  bad 125 "--bridge 'fifteen-letters-'" --bridge fifteen-letters- "$ALPINE" c1 none true
  try -0 ce --bridge fifteen-letters "$ALPINE" c1 10.6.0.2 true
  lab ip link del fifteen-letters
}

@test "input: -v: the host's side" {
  mkdir "$T/loop"
  ln -s b "$T/loop/a"
  ln -s a "$T/loop/b"
  ln -s none "$T/loop/none-at-all"
  each 125 -v -v @:/mnt "$ALPINE" c1 none true ::: '' "$LONG" /none /none/at/all ä $'a\nb' \
    $'\e[2J' "/$LONG" "/$(printf '%05000d' 1)" "$T/loop/a" "$T/loop/none-at-all" /etc/passwd/x
}

@test "input: -v: the container's side" {
  local many=() i
  mkdir "$T/d" "$T/upper"
  echo f >"$T/f"
  each 125 -v -v @ "$ALPINE" c1 none true ::: '' : :: ::: / "$T/d" "$T/d:" "$T/d:/" "$T/d://" \
    "$T/d:rel" "$T/d:./x" "$T/d:.." "$T/d::ro" "$T/d:/x:" "$T/d:/x:rw2" "$T/d:/x:RO" \
    "$T/d:/x:ro:ro" "$T/d:/x:ro," "$T/d:ä" $'a\nb' $'\e[2J'
  # What only the container's own tree can say: a directory on a file, a file on a directory.
  each 125 mounts -v "$T/@" "$ALPINE" c1 none true ::: d:/etc/passwd f:/etc d:/etc/passwd/x \
    "d:/$LONG" "f:/$LONG" d:/proc/none/x
  for ((i = 0; i < 260; i++)); do many+=(-v "$T/d:/v$i"); done
  bad 125 -v "${many[@]}" "$ALPINE" c1 none true
}

# --- options and words ------------------------------------------------------------------------

@test "input: options that are none, that are for other commands, that lack their value" {
  local option
  each 125 option @ "$ALPINE" c1 none true ::: -x --x --chocolate --rm=yes --cpu- -é --é \
    $'-\e' $'--\e[2J' $'--a\nb' "-$LONG" "--$LONG" -= --=x ---
  each 125 option list @ ::: -x --rm --cpus=1 -f -d --hostname=x -e
  each 125 option inspect @ c1 ::: -q --json -f --rm
  each 125 option exec @ c1 true ::: --rm -v --cpus=1 --json
  start_idle c0 none
  bad 125 'option -d' exec -d c0 true # for OCI's alone
  for option in --pid-file --console-socket; do
    bad 125 "$option" exec "$option" /nonexistent c0 true
    bad 125 "$option" "$option" /nonexistent "$ALPINE" c1 none true
  done
  each 125 option update @ c1 ::: -e -f=x --rm -u
  each 125 option stop @ c1 ::: -f -q --rm --cpus=1
  each 125 option kill @ c1 ::: -f -t -9 -TERM
  each 125 option delete @ c1 ::: -t -r --rm
  for option in --cpus --memory --pids --bridge --hostname --userns --cap-add --cap-drop \
    --seccomp -e -w -u -v; do
    bad 125 "$option" "$option"
  done
  for option in -e -w -u; do
    bad 125 "$option" exec "$option"
  done
}

@test "input: too few words, too many words" {
  bad 125 ''
  bad 125 ''  --
  bad 125 '' "$ALPINE"
  bad 125 '' "$ALPINE" c1
  bad 125 '' nonsense
  bad 125 inspect inspect
  bad 125 inspect inspect a pid c
  bad 125 exec exec
  bad 125 update update --pids 5
  bad 125 update update --pids 5 a b
  bad 125 stop stop
  bad 125 stop stop -t 5
  bad 125 kill kill
  bad 125 kill kill a TERM b
  bad 125 delete delete
  bad 125 delete delete -f
  bad 125 list list a
  bad 125 list ps a
}

# --- the rootfs -------------------------------------------------------------------------------

@test "input: a rootfs that is none" {
  ln -s / "$T/root"
  ln -s none "$T/dangling"
  ln -s loop "$T/loop"
  echo f >"$T/file"
  mkfifo "$T/fifo"
  mkdir "$T/new"$'\n'line
  each 125 rootfs -- @ c1 none true ::: '' "$LONG" "/$LONG" "/$(printf '%05000d' 1)" / // /. /.. \
    /etc/.. ../../../../../../../../../.. -x ä none /none $'a\nb' $'\e[2J' $'/\u009b2J' \
    "$T/root" "$T/dangling" "$T/loop" "$T/file" "$T/file/" "$T/fifo" /dev/null \
    "$T/new"$'\n'line "$ALPINE/etc/passwd" "$ALPINE/bin/sh"
}

@test "input: a rootfs that has not what it takes" {
  mkdir "$T/empty" "$T/noshell" "$T/other" "$T/alien"
  # Empty: the program is not there, and that is what is said.
  bad 127 true "$T/empty" c1 none /bin/true
  bad 127 /bin/sh "$T/empty" c1 none
  bad 127 nope "$ALPINE" c1 none nope
  # For another machine: the same program with another number in its header.
  mkdir -p "$T/alien/bin"
  cp "$ALPINE/bin/busybox" "$T/alien/bin/sh"
  printf '\xf7\x00' | dd of="$T/alien/bin/sh" bs=1 seek=18 conv=notrunc status=none
  bad 126 'not a program for this machine' "$T/alien" c1 none
  # Only the program, and not its loader.
  mkdir -p "$T/noshell/bin"
  cp "$ALPINE/bin/busybox" "$T/noshell/bin/sh"
  bad 127 loader "$T/noshell" c1 none
  # Directories that are links, or files.
  local name
  for name in proc sys dev; do
    rm -rf "$T/other"
    mkdir "$T/other"
    ln -s / "$T/other/$name"
    bad 125 "/$name" "$T/other" c1 none true
    rm "$T/other/$name"
    echo file >"$T/other/$name"
    bad 125 "/$name" "$T/other" c1 none true
  done
}

@test "input: a rootfs on noexec: its layer is not, itself it is" {
  mkdir "$T/small"
  lab mount -t tmpfs -o noexec small "$T/small"
  lab cp -a "$ALPINE/." "$T/small"
  bad 126 'Permission denied' --write-through "$T/small" c1 none true
  try -0 ce "$T/small" c1 none true
  lab umount "$T/small"
}

@test "input: what looks bad, and is not: a rootfs behind a link, one that only root may read" {
  ln -s "$ALPINE" "$T/link"
  try -0 ce "$T/link" c1 none true
  cp -a "$ALPINE" "$T/closed"
  chmod 0 "$T/closed"
  try -0 ce "$T/closed" c2 none true
}

@test "input: what looks bad, and is not: words for the program, values of variables" {
  local value
  for value in "${WORDS[@]}"; do
    try -0 ce -e "V=$value" "$ALPINE" c1 none sh -c 'printf "%s|" "$V" "$1"; echo .' sh "$value"
    [[ $output == "$value|$value|." ]]
  done
}

@test "input: what looks bad, and is not: a volume whose place is not there, or behind .." {
  echo there >"$T/f"
  try -0 ce -v "$T:/new/place" -v "$T/f:/../../other" "$ALPINE" c1 none cat /new/place/f /other
  [[ $output == $'there\nthere' ]]
}

@test "input: a rootfs on a file system that cannot be one" {
  each 125 layer -- @ c1 none true ::: /proc /proc/self/fd
  each 125 "--userns off" -- @ c1 none true ::: /sys /dev/pts /sys/fs/cgroup
  each 127 true --userns off -- @ c1 none true ::: /sys /dev/pts /sys/fs/cgroup
}

# --- the command ------------------------------------------------------------------------------

@test "input: the command" {
  each 127 '' -- "$ALPINE" c1 none @ ::: '' none ä $'a\nb' $'\n' $'\e[2J' $'\u009b' ./none ../x \
    /none /none/x a/b /etc/passwd/x
  each 126 '' -- "$ALPINE" c1 none @ ::: / . .. /etc /etc/passwd "$LONG" "/$LONG"
  start_idle c0 none
  each 127 '' exec c0 @ ::: '' none ä $'a\nb' $'\e[2J' /none /etc/passwd/x
  each 126 '' exec c0 @ ::: / /etc /etc/passwd "/$LONG"
}

# --- the checks of this file --------------------------------------------------------------------

@test "input: at least 200 cases have been tried" {
  (($(grep -c . "$FIGURES") >= 200))
}

@test "input: an answer that is not right is seen" {
  local wrong=0 FIGURES=$T/figures engine=$ENGINE
  ENGINE=$T/engine
  answer() { # SCRIPT
    printf '#!/bin/sh\n%s\n' "$1" >"$T/engine"
    chmod +x "$T/engine"
    bad 125 word x
  }
  answer 'echo "container_engine: word" >&2; exit 125'
  ((wrong == 0))
  answer 'echo "container_engine: word" >&2; exit 1'
  answer 'echo "container_engine: word" >&2; echo more >&2; exit 125'
  answer 'printf "container_engine: word\033\n" >&2; exit 125'
  answer 'printf "container_engine: word\302\233\n" >&2; exit 125'
  answer 'printf "container_engine: \n" >&2; exit 125'
  answer 'echo "oops: word" >&2; exit 125'
  answer 'echo "container_engine: word" >&2; echo out; exit 125'
  answer 'exit 125'
  answer 'mkdir /var/lib/container_engine/x; echo "container_engine: word" >&2; exit 125'
  ((wrong == 9))
  lab rmdir /var/lib/container_engine/x
  ENGINE=$engine
  wrong=0
}

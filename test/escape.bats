#!/usr/bin/env bats
# Ways out of a container, each tried with the Alpine and with the host's own root file system.
#
# Each check is first shown to see the weakness: where a wall is missing (`weak`, which is no more
# than unshare --root; an option of the engine's that leaves the wall out; or the host itself)
# the attack must work. Programs are in test/attacks; 0: it worked, 1: it was stopped.
#
# What a container can eat (processes, memory, processor) is in limits.bats and walkthrough.bats.

load helpers

setup() {
  requires root alpine host_rootfs gcc
  OPTIONS=()
  HOSTILE=$LAB/hostile VICTIM=$LAB/victim SECRET=$LAB/secret
  ROOTS=("$LAB/attacked/alpine" "$LAB/attacked/host")
  MODES=(--userns=on --userns=off)
  [[ -d $LAB/attacked ]] || make_attacked
  mkdir "$VICTIM"
  echo secret >"$SECRET"
  lab_snapshot
}

teardown() {
  rm -rf --one-file-system "$HOSTILE" "$VICTIM"
  [[ -n ${BATS_TEST_SKIPPED-} ]] || leak_check # the last, or its failure would not count
}

# Copies of both, with the attacks in them.
make_attacked() {
  local dir=$LAB/attacked.part
  mkdir "$dir"
  gcc -std=gnu11 -O1 -static -o "$dir/attack" "$BATS_TEST_DIRNAME/attacks/attack.c"
  gcc -O1 -static-pie -fPIE -nostdlib -ffreestanding -fno-stack-protector -o "$dir/loader" \
    "$BATS_TEST_DIRNAME/attacks/loader.c"
  cp -a "$ALPINE" "$dir/alpine"
  cp -a "$HOST_ROOTFS" "$dir/host"
  tee "$dir/alpine/attack" "$dir/host/attack" <"$dir/attack" >/dev/null
  chmod 755 "$dir"/*/attack
  mv "$dir" "$LAB/attacked"
}

# A container of $R with $OPTIONS. It is called after its root file system.
inside() {
  ce --rm "${OPTIONS[@]}" "$R" "${R##*/}" none "$@"
}

start_inside() {
  start c1 "$ENGINE" --rm "${OPTIONS[@]}" "$R" "${R##*/}" none "$@"
  wait_until 10 grep -q ready "$BATS_TEST_TMPDIR/c1.out"
}

end_inside() {
  kill -TERM "$pid"
  ended "$pid"
}

# What many take for a container.
weak() {
  lab "${WEAK[@]}" --root="$R" -- "$@"
}
WEAK=(unshare --mount --pid --fork --uts --ipc --mount-proc)

# --- the file system --------------------------------------------------------------------------

@test "escape: a second chroot" {
  for R in "${ROOTS[@]}"; do
    try -0 weak /attack chroot_break "$SECRET"
    try -1 inside /attack chroot_break "$SECRET"
    OPTIONS=(--userns off --cap-add SYS_ADMIN --seccomp off)
    try -1 inside /attack chroot_break "$SECRET"
    OPTIONS=()
  done
}

# There, pivot_root would leave the root of the mount namespace below the container's. In a chroot
# on a mount point; and in one that is a mere directory.
@test "escape: an engine that is in a chroot itself starts nothing" {
  local make cage=$LAB/cage go='; cd "$0" && exec chroot . "$@"'
  for make in 'mount --rbind / "$0"' 'for i in bin dev lib lib64 proc run sys tmp usr var; do
      [ ! -e "/$i" ] || { mkdir -p "$0/$i" && mount --rbind "/$i" "$0/$i"; }
    done'; do
    mkdir -p "$cage"
    try -0 lab unshare --mount sh -c "$make$go" "$cage" \
      "$LAB/attacked/attack" chroot_break "$SECRET"
    refuses chroot lab unshare --mount sh -c "$make$go" "$cage" \
      "$ENGINE" --rm "$LAB/attacked/alpine" c1 none /attack chroot_break "$SECRET"
  done
  find "$cage" -depth -exec rmdir {} +
}

# strace holds the child before it exchanges its root, which still is the host's.
@test "escape: exec into a container that is only starting" {
  requires strace
  local mode
  for mode in "${MODES[@]}"; do
    start c1 strace -fqq -o "$BATS_TEST_TMPDIR/trace" -e trace=pivot_root \
      -e inject=pivot_root:delay_enter=1500000 "$ENGINE" "$mode" --rm "$ALPINE" c1 none true
    wait_until 10 grep -q pivot_root "$BATS_TEST_TMPDIR/trace"
    refuses 'not running: c1 is starting' ce exec c1 cat "$SECRET"
    [[ $(ce list) =~ c1\ +starting ]]
    ended "$pid"
    [[ $status -eq 0 ]]
    rm "$BATS_TEST_TMPDIR/trace"
  done
}

@test "escape: a descriptor or a working directory that leads outside (CVE-2024-21626)" {
  for R in "${ROOTS[@]}"; do
    # With / as descriptor 9, and a secret as 200.
    local open='exec 9</ 200<"$0"; exec "$@"'
    try -0 lab bash -c "$open" "$SECRET" "${WEAK[@]}" --root="$R" /attack leaked "$SECRET"
    [[ $output == *'descriptor 9 leads to'* && $output == *'descriptor 200 is open'* ]]
    try -1 lab bash -c "$open" "$SECRET" "$ENGINE" "$R" "${R##*/}" none /attack leaked "$SECRET"
    [[ -z $output ]]
  done
}

@test "escape: -w into a descriptor of the engine's, also by a link in the image" {
  local n mode
  for R in "${ROOTS[@]}"; do
    try -0 lab bash -c 'exec 9</; "$@"' bash "${WEAK[@]}" --root="$R" \
      sh -c 'cd /proc/self/fd/9 && /attack leaked "$0"' "$SECRET"
    [[ $output == *'descriptor -1 leads to'* ]]
    make_hostile x
    for n in 3 4 5 6 7 8; do
      ln -sfn "/proc/self/fd/$n" "$HOSTILE/app"
      try -125 ce --userns off --rm -w /app "$HOSTILE" hostile none /attack leaked "$SECRET"
    done
    for mode in "${MODES[@]}"; do
      try -125 ce "$mode" --rm -w /proc/self/fd/5 "$R" "${R##*/}" none /attack leaked "$SECRET"
    done
  done
}

@test "escape: a directory of the host as standard input, output or error" {
  for R in "${ROOTS[@]}"; do
    try -0 lab bash -c '"$@" </' bash "${WEAK[@]}" --root="$R" /attack leaked "$SECRET"
    [[ $output == *'descriptor 0 leads to'* ]]
    refuses 'directory' lab bash -c '"$@" </' bash "$ENGINE" "$R" c1 none true
    try -125 lab bash -c '"$@" 2</' bash "$ENGINE" "$R" c1 none true
  done
}

@test "escape: no mount inside is shared with the host" {
  local mode
  for R in "${ROOTS[@]}"; do
    try -0 lab unshare --mount --propagation unchanged cat /proc/self/mountinfo
    [[ $output == *' shared:'* ]]
    for mode in "${MODES[@]}"; do
      # What is mounted inside, even in a volume, is not seen outside.
      try -0 ce "$mode" --rm --cap-add SYS_ADMIN -v "$VICTIM:/v" "$R" "${R##*/}" none sh -c '
        mkdir -p /v/m && mount -t tmpfs escaped /v/m; cat /proc/self/mountinfo'
      [[ $output == *escaped* && $output != *shared:* && $output != *master:* ]]
      [[ $(lab cat /proc/mounts) != *escaped* ]]
    done
  done
}

@test "escape: the root of another process is the container's, too" {
  local keeper look='cat "/proc/self/root/$0" "/proc/1/root/$0" "/proc/1/cwd/../../$0" \
    "/proc/$1/root/$0"'
  keeper=$(<"$LAB/pid")
  for R in "${ROOTS[@]}"; do
    try lab unshare --mount --root="$R" sh -c "mount -t proc p /proc; $look" "$SECRET" "$keeper"
    [[ $output == *secret* ]]
    try inside sh -c "$look" "$SECRET" "$keeper"
    [[ $status -ne 0 && -z $output ]]
  done
}

# --- images that are traps ----------------------------------------------------------------------

# A copy of $R in which PLACE is a link to the victim's directory.
make_hostile() { # PLACE
  rm -rf --one-file-system "$HOSTILE"
  cp -a "$R" "$HOSTILE"
  rm -rf "${HOSTILE:?}/$1"
  ln -s "${2-$VICTIM}" "$HOSTILE/$1"
}

# What happens to those who mount on paths.
mounts_on_victim() { # PLACE
  try -0 lab unshare --mount sh -c 'mount -t tmpfs trap "$0" && findmnt -rno TARGET' "$HOSTILE/$1"
  grep -qFx "$VICTIM" <<<"$output"
}

@test "escape: an image in which proc, sys or dev is a link is refused (CVE-2019-19921)" {
  local place
  for R in "${ROOTS[@]}"; do
    for place in proc sys dev; do
      make_hostile "$place"
      mounts_on_victim "$place"
      refuses "/$place is a symbolic link" ce "$HOSTILE" hostile none true
      refuses "/$place is a symbolic link" \
        ce --userns off --write-through "$HOSTILE" hostile none true
      [[ -z $(ls -A "$VICTIM") ]]
    done
  done
}

@test "escape: links in the image's dev do nothing (CVE-2025-31133, CVE-2025-52565)" {
  local mode
  for R in "${ROOTS[@]}"; do
    make_hostile dev/pts
    mounts_on_victim dev/pts
    rm -f "$HOSTILE"/dev/{null,shm,console}
    ln -s "$SECRET" "$HOSTILE/dev/null"
    ln -s "$VICTIM" "$HOSTILE/dev/shm"
    ln -s "$VICTIM/console" "$HOSTILE/dev/console"
    for mode in "${MODES[@]}" --write-through; do
      try -0 ce "$mode" --rm "$HOSTILE" hostile none \
        sh -c 'stat -c %t:%T /dev/null /dev/console; echo x >/dev/shm/f; ls -A /dev/pts'
      [[ $output == $'1:3\n1:3\nptmx' && -z $(ls -A "$VICTIM") && $(<"$SECRET") == secret ]]
    done
  done
}

@test "escape: tmp, etc and root as links stay below the root" {
  local mode
  for R in "${ROOTS[@]}"; do
    make_hostile tmp ../victim
    mounts_on_victim tmp
    rm -rf --one-file-system "${HOSTILE:?}"/{etc,root}
    ln -s ../../victim/../victim "$HOSTILE/etc"
    ln -s "$VICTIM" "$HOSTILE/root"
    for mode in "${MODES[@]}" --write-through; do
      try ce "$mode" --rm "$HOSTILE" hostile none \
        sh -c 'for f in /tmp/f /etc/f /etc/hosts /root/f; do echo x >>$f; done; cat "$0"' "$SECRET"
      [[ -z $output && $status -ne 125 && -z $(ls -A "$VICTIM") ]]
    done
  done
}

@test "escape: a volume on a link lands inside (CVE-2021-30465)" {
  local link mode
  echo volume >"$LAB/attacked/file"
  for R in "${ROOTS[@]}"; do
    for link in "$VICTIM" "../../../../../../..$VICTIM"; do
      make_hostile m "$link"
      mounts_on_victim m
      [[ $link == /* ]] || mkdir -p "$HOSTILE$VICTIM" # to nowhere, or somewhere in the image
      for mode in "${MODES[@]}" --write-through; do
        try -0 ce "$mode" --rm -v "$LAB/attacked:/m" "$HOSTILE" hostile none cat /m/file
        [[ $output == volume && -z $(ls -A "$VICTIM") ]]
      done
    done
  done
}

@test "escape: a volume's place that changes while it is mounted (CVE-2021-30465)" {
  local i held=0
  for R in "${ROOTS[@]}"; do
    make_hostile x
    mkdir "$HOSTILE/m"
    start swap "$LAB/attacked/attack" swap "$HOSTILE/m" "$HOSTILE/x"
    # The careless: in some of 12 tries it is the victim that is mounted on.
    for ((i = 0; i < 12; i++)); do
      lab unshare --mount sh -c 'mount -t tmpfs trap "$0"; tail -n 1 /proc/mounts' "$HOSTILE/m"
    done >"$BATS_TEST_TMPDIR/mounts"
    grep "^trap $VICTIM " "$BATS_TEST_TMPDIR/mounts"
    for ((i = 0; i < 8; i++)); do
      try ce --userns off --write-through -v "$LAB/attacked:/m/v" "$HOSTILE" hostile none true
      held=$((held + (status == 0)))
    done
    stop_started
    [[ -z $(ls -A "$VICTIM") ]]
  done
  ((held > 0))
}

# Starts "hostile" on $HOSTILE itself; strace holds it once, at that call. Its state is in $state.
start_held() { # CALL DELAY COMMAND...
  state=$LAB/layers/hostile/state
  start c1 strace -f -o "$BATS_TEST_TMPDIR/strace" -e "trace=$1" -e "inject=$1:$2:when=1" \
    "$ENGINE" --userns off --write-through "$HOSTILE" hostile none "${@:3}"
}

# It is held before it makes the links in /dev; meanwhile dev is exchanged.
@test "escape: dev changes while it is filled" {
  requires strace
  local state
  for R in "${ROOTS[@]}"; do
    make_hostile x
    start_held symlinkat delay_enter=2000000 true
    wait_until 10 dev_is_there
    mv "$HOSTILE/dev" "$HOSTILE/away"
    mv "$HOSTILE/x" "$HOSTILE/dev"
    ended "$pid"
    grep DELAYED "$BATS_TEST_TMPDIR/strace"
    echo "in the victim's directory: $(ls -A "$VICTIM")"
    [[ -z $(ls -A "$VICTIM") ]]
  done
}

dev_is_there() {
  local id
  id=$(cat "$LAB_CGROUP/container_engine/hostile/cgroup.procs" 2>/dev/null)
  grep -q '/dev/tty ' "/proc/$id/mountinfo" 2>/dev/null
}

# Likewise, between the mount of proc and the first of its parts that is hidden; then it comes back.
@test "escape: proc changes before it is protected" {
  requires strace
  local state
  for R in "${ROOTS[@]}"; do
    make_hostile x
    try -0 lab unshare --mount --root="$HOSTILE" sh -c 'mount -t proc proc /proc &&
      : >>/proc/sys/kernel/core_pattern' # opened, and not written to
    start_held symlinkat delay_exit=1500000 sh -c '
      until [ -e /proc/self/mountinfo ]; do sleep 0.1; done; : >>/proc/sys/kernel/core_pattern'
    wait_until 10 grep -q symlinkat "$BATS_TEST_TMPDIR/strace"
    mv "$HOSTILE/proc" "$HOSTILE/away"
    mkdir "$HOSTILE/proc"
    wait_until 10 grep -qs '^started=[1-9]' "$state"
    rmdir "$HOSTILE/proc"
    mv "$HOSTILE/away" "$HOSTILE/proc"
    ended "$pid"
    cat "$BATS_TEST_TMPDIR/c1.err"
    [[ $status -ne 0 && $(<"$BATS_TEST_TMPDIR/c1.err") == *'core_pattern: Read-only file system'* ]]
    rm "$BATS_TEST_TMPDIR/strace"
  done
}

@test "escape: a set-user-ID program in the image gives nothing" {
  local mode
  for R in "${ROOTS[@]}"; do
    make_hostile x
    chmod 4755 "$HOSTILE/attack"
    try -0 lab unshare --root="$HOSTILE" --setuid 1000 /attack euid
    for mode in "${MODES[@]}"; do
      try -1 ce "$mode" --rm -u 1000 "$HOSTILE" hostile none /attack euid
      [[ $output == 1000 ]]
    done
  done
}

# A device of the host's that can be opened, and is none of the container's: TYPE MAJOR MINOR.
some_device() {
  local file
  for file in /dev/vda /dev/sda /dev/nvme0n1 /dev/loop0 /dev/fuse; do
    (: <"$file") 2>/dev/null || continue
    [[ ! -b $file ]] || printf 'b '
    [[ ! -c $file ]] || printf 'c '
    stat -c '%Hr %Lr' "$file"
    return
  done
  echo "no device of this machine's can be opened" >&2
}

@test "escape: mknod of the host's disk: made or not, it cannot be opened" {
  local mode device
  read -ra device < <(some_device)
  for R in "${ROOTS[@]}"; do
    try -0 lab unshare --mount --root="$R" /attack device "${device[@]}"
    try -1 inside /attack device "${device[@]}"
    for mode in "${MODES[@]}" --write-through; do
      try -1 ce "$mode" --rm --cap-add MKNOD "$R" "${R##*/}" none /attack device "${device[@]}"
    done
  done
}

@test "escape: owner and mode of the host's devices stay as they are" {
  local mode mask
  for R in "${ROOTS[@]}"; do
    for mode in "${MODES[@]}"; do
      # On a /dev of its own, where the check can do no harm, and sees that it would.
      try -0 lab unshare --mount bash -c '
        mount -t tmpfs dev "$0" && cd "$0" || exit 99
        for i in null zero full random urandom tty; do cp -a "/dev/$i" .; done
        mkdir pts && mount --rbind /dev/pts pts && mount --move . /dev && cd / || exit 99
        chmod 600 /dev/full && stat -c "%a %u" /dev/full && chmod 666 /dev/full
        "$@" sh -c "chmod 600 /dev/null /dev/console; chown 1000 /dev/zero; chmod 0 /proc/keys"
        "$@" sh -c "chmod 600 /proc/self/fd/0 /proc/self/fd/1 || :; cat" </dev/null >/dev/null
        "$1" -d "${@:2}" sh -c "chmod 600 /proc/self/fd/0; sleep 100"
        "$1" exec c1 chmod 600 /proc/self/fd/0 /proc/self/fd/1 </dev/null >/dev/null
        "$1" delete -f c1
        stat -c "%a %u" /dev/null /dev/zero' "$VICTIM" "$ENGINE" "$mode" "$R" c1 none
      [[ $output == $'600 0\nc1\nc1\n666 0\n666 0' ]]
    done
  done
}

@test "escape: a device node in the image, or in a volume, cannot be opened" {
  local mode device open=': </node'
  read -ra device < <(some_device)
  for R in "${ROOTS[@]}"; do
    make_hostile x
    mknod -m 666 "$HOSTILE/node" "${device[@]}"
    mknod -m 666 "$VICTIM/node" "${device[@]}"
    try -0 lab unshare --root="$HOSTILE" sh -c "$open"
    for mode in "${MODES[@]}" --write-through --read-only; do
      try -1 ce "$mode" --rm -v "$VICTIM:/v" "$HOSTILE" hostile none \
        sh -c "($open) || (${open/node/v/node}) || exit 1"
      [[ $(grep -c 'ermission denied' <<<"$stderr") -eq 2 ]]
    done
    rm "$VICTIM/node"
  done
}

# --- the engine ---------------------------------------------------------------------------------

# A second engine, MODE, runs COMMAND in a container whose image has a loader that waits for it:
# $report is what came of it. (The first one cannot be overwritten: it is busy.)
meet_engine() { # MODE COMMAND
  local loader dir=$LAB/attacked/meeting
  # Linked statically it would not ask the image for a loader.
  [[ -e $LAB/attacked/engine ]] || gcc "$REPO/container_engine.c" -o "$LAB/attacked/engine"
  loader=$(readelf -l "$LAB/attacked/engine" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
  [[ -n $loader ]]
  mkdir "$dir" "$dir/out"
  printf '#!/proc/self/exe\n' >"$dir/out/script"
  chmod 755 "$dir/out/script"
  cp "$LAB/attacked/engine" "$dir/container_engine"
  chmod "$1" "$dir/container_engine"
  OPTIONS+=(-v "$LAB/attacked/loader:$loader:ro" -v "$dir/out:/out")
  start_inside /attack idle
  lab timeout 10 "$dir/container_engine" exec "${R##*/}" "$2" || :
  wait_until 10 test -s "$dir/out/report"
  report=$(<"$dir/out/report")
  end_inside
  cmp "$LAB/attacked/engine" "$dir/container_engine" && echo unharmed || report+=', and changed'
  rm -rf "$dir"
}

@test "escape: the engine cannot be overwritten from inside (CVE-2019-5736)" {
  local sum command report
  sum=$(sha256sum "$ENGINE")
  for R in "${ROOTS[@]}"; do
    # If all users could write to it, this is how.
    meet_engine 777 /proc/self/exe
    [[ $report == 'overwritten, and changed' ]]
    for command in /proc/self/exe /out/script; do
      OPTIONS=()
      meet_engine 755 "$command"
      [[ $report == 'not overwritten: Permission denied' ]]
      OPTIONS=(--userns off) # even then: what runs is a sealed copy
      meet_engine 777 "$command"
      [[ $report == 'not overwritten: Operation not permitted' ]]
    done
    OPTIONS=()
    try inside /proc/self/exe
    [[ $status -ne 0 || $R == *host ]]
  done
  [[ $(sha256sum "$ENGINE") == "$sum" ]]
}

@test "escape: who enters cannot be reached into (CVE-2016-9962)" {
  local i mode
  for R in "${ROOTS[@]}"; do
    start c1 "${WEAK[@]}" --root="$R" /attack spy true "$SECRET" "$((3 * ${CE_SLOW:-1}))"
    wait_until 10 grep -q ready "$BATS_TEST_TMPDIR/c1.out"
    try lab "$LAB/attacked/attack" enter "$(pgrep -P "$pid")" /bin/true
    ended "$pid"
    grep 'engine: root descriptors memory trace' "$BATS_TEST_TMPDIR/c1.out"
    [[ $status -eq 0 ]]
    for mode in "${MODES[@]}"; do
      OPTIONS=("$mode")
      start_inside /attack spy true "$SECRET" "$((2 * ${CE_SLOW:-1}))"
      for ((i = 0; i < 5; i++)); do
        ce exec "${R##*/}" true
      done
      ended "$pid"
      cat "$BATS_TEST_TMPDIR/c1.out"
      [[ $status -eq 1 ]] # it saw them, and could not
    done
  done
}

# --- who one is, and what one may -----------------------------------------------------------------

# strace holds what enters before it joins; by then the container sees it.
@test "escape: who enters shows neither the host's mounts nor its network" {
  requires strace
  local mode
  lab mount -t tmpfs a-mount-of-the-host "$VICTIM"
  try -0 lab unshare --pid --fork --mount-proc grep -c a-mount-of-the-host /proc/1/mountinfo
  try -0 lab grep -c cebr0 /proc/self/net/dev
  for R in "${ROOTS[@]}"; do
    for mode in "${MODES[@]}"; do
      OPTIONS=("$mode")
      start_inside sh -c 'echo ready; while :; do
        for i in /proc/[0-9]*; do
          cat "$i/mountinfo" "$i/net/dev" "$i/cmdline"; echo
        done
      done 2>/dev/null'
      try -0 lab strace -fqq -o "$BATS_TEST_TMPDIR/strace" -e trace=setns,setsid \
        -e inject=setns,setsid:delay_enter=500000 "$ENGINE" exec "${R##*/}" true
      grep -q DELAYED "$BATS_TEST_TMPDIR/strace"
      kill -TERM "$pid"
      ended "$pid"
      tr '\0' ' ' <"$BATS_TEST_TMPDIR/c1.out" | sort -u >"$BATS_TEST_TMPDIR/seen"
      grep "^$ENGINE exec" "$BATS_TEST_TMPDIR/seen"
      try -1 grep -E ' - tmpfs a-mount-of-the-host|^ *cebr0:' "$BATS_TEST_TMPDIR/seen"
    done
  done
  lab umount "$VICTIM"
}

@test "escape: root inside is nobody on the host" {
  local uid
  for R in "${ROOTS[@]}"; do
    OPTIONS=(--userns off)
    start_inside /attack idle
    [[ $(stat -c %u "/proc/$(init_pid "${R##*/}")") -eq 0 ]]
    end_inside
    OPTIONS=()
    try -0 inside id -u
    [[ $output == 0 ]]
    start_inside /attack idle
    uid=$(awk '/^Uid:/ { print $2, $3, $4, $5 }' "/proc/$(init_pid "${R##*/}")/status")
    echo "uid on the host: $uid"
    ((${uid%% *} >= 524288 && ${uid%% *} < 1879048192))
    [[ $(tr ' ' '\n' <<<"$uid" | sort -u | wc -l) -eq 1 ]]
    # Whoever is added by exec is no better.
    try -0 lab "$ENGINE" exec "${R##*/}" cat /proc/self/uid_map
    [[ $(xargs <<<"$output") == "0 ${uid%% *} 65536" ]]
    end_inside
  done
}

# The sets as words: `caps CapBnd`, from /proc/self/status in $output.
caps() {
  sed -n "s/^$1:\t//p" <<<"$output"
}

@test "escape: 13 capabilities, none inheritable, none ambient (CVE-2022-29162)" {
  local set
  for R in "${ROOTS[@]}"; do
    try -0 lab setpriv --inh-caps +chown,+kill --ambient-caps +chown,+kill \
      unshare --root="$R" --mount --mount-proc cat /proc/self/status
    [[ $((16#$(caps CapInh))) -ne 0 && $((16#$(caps CapAmb))) -ne 0 ]]
    [[ $(caps CapBnd) != 00000000a00425fb ]]
    for set in "${MODES[@]}"; do
      try -0 lab setpriv --inh-caps +chown,+kill --ambient-caps +chown,+kill \
        "$ENGINE" --rm "$set" "$R" "${R##*/}" none cat /proc/self/status
      [[ $(caps CapInh) == 0000000000000000 && $(caps CapAmb) == 0000000000000000 ]]
      [[ $(caps CapBnd) == 00000000a00425fb && $(caps CapPrm) == 00000000a00425fb ]]
      [[ $(caps CapEff) == 00000000a00425fb && $(caps NoNewPrivs) == 1 ]]
    done
  done
}

@test "escape: a user who is not root has no capability at all, also in exec" {
  local mode
  for R in "${ROOTS[@]}"; do
    for mode in "${MODES[@]}"; do
      OPTIONS=("$mode")
      try -0 ce "$mode" --rm -u 1000 "$R" "${R##*/}" none cat /proc/self/status
      [[ $((16#$(caps CapEff)$(caps CapPrm))) -eq 0 && $((16#$(caps CapInh)$(caps CapAmb))) -eq 0 ]]
      start_inside /attack idle
      try -0 lab "$ENGINE" exec "${R##*/}" cat /proc/self/status
      [[ $(caps CapEff) == 00000000a00425fb && $(caps CapBnd) == 00000000a00425fb ]]
      [[ $(caps CapInh) == 0000000000000000 && $(caps NoNewPrivs) == 1 && $(caps Seccomp) == 2 ]]
      try -0 lab "$ENGINE" exec -u 1000 "${R##*/}" cat /proc/self/status
      [[ $((16#$(caps CapEff)$(caps CapPrm))) -eq 0 && $((16#$(caps CapInh)$(caps CapAmb))) -eq 0 ]]
      end_inside
    done
  done
}

@test "escape: --cap-add and --cap-drop, by name or ALL, in the order given" {
  R=${ROOTS[0]}
  has() { # WANTED OPTION...
    local want=$1
    shift
    try -0 ce "$@" "$R" "${R##*/}" none cat /proc/self/status
    [[ $(caps CapBnd) == "$want" && $(caps CapEff) == "$want" && $(caps CapPrm) == "$want" ]]
  }
  has 0000000000000000 --cap-drop ALL
  has 0000000000000001 --cap-drop all --cap-add chown
  has 00000000a00425fa --cap-drop CAP_CHOWN
  has 00000000a80425fb --cap-add MKNOD
  has 0000000000200000 --cap-add ALL --cap-drop ALL --cap-add Sys_Admin
  refuses CAP_FLY ce --cap-add CAP_FLY "$R" "${R##*/}" none true
  # What is not there is not there: chown by a root that may not.
  try ce --cap-drop CHOWN "$R" "${R##*/}" none chown 1 /tmp
  [[ $status -ne 0 ]]
  try -0 inside chown 1 /tmp
}

@test "escape: a user namespace, where one has all capabilities" {
  for R in "${ROOTS[@]}"; do
    OPTIONS=(--seccomp off)
    try -0 inside /attack newuser
    [[ $output == $'clone3: worked\nclone: worked\nunshare: worked' ]]
    OPTIONS=()
    try -1 inside /attack newuser
    [[ $output == 'clone3: Function not implemented
clone: Operation not permitted
unshare: Operation not permitted' ]]
    OPTIONS=(--userns off)
    try -1 inside /attack newuser
    OPTIONS=()
    try inside unshare -U true
    [[ $status -ne 0 && $stderr == *ermitted* ]]
  done
}

# --- system calls -------------------------------------------------------------------------------

@test "escape: what only the host's root may: modules, clock, swap, kexec, bpf, keys, mounts, ..." {
  for R in "${ROOTS[@]}"; do
    try -0 lab /bin/true
    try -0 weak /attack calls
    [[ $(grep -c ': ' <<<"$output") -eq ${#lines[@]}-1 ]]
    ((${lines[-1]%% *} >= 20)) # or this kernel has hardly any
    try -1 inside /attack calls
    OPTIONS=(--userns off)
    try -1 inside /attack calls
    OPTIONS=()
  done
}

@test "escape: the filter is opened by a capability only for what belongs to it" {
  R=${ROOTS[0]}
  OPTIONS=(--cap-add SYS_TIME)
  try -0 inside /attack calls
  [[ $output == *clock_settime:* && $output != *mount:* && $output != *bpf:* ]]
  OPTIONS=(--cap-add ALL)
  try -0 inside /attack calls
  [[ $output == *mount:* && $output != *keyctl:* && $output != *io_uring_setup:* ]]
  [[ $output == *pidfd_getfd:* && $output == *process_madvise:* ]]
  OPTIONS=(--cap-add SYS_PTRACE)
  try -0 inside /attack calls
  [[ $output == *pidfd_getfd:* && $output == *process_madvise:* && $output != *lsm_* ]]
}

@test "escape: the machine's clock: it can be asked for, and not be changed" {
  for R in "${ROOTS[@]}"; do
    try -0 weak /attack clock
    OPTIONS=()
    try -1 inside /attack clock
    [[ $output == 'clock: Operation not permitted' ]]
    OPTIONS=(--userns off)
    try -1 inside /attack clock
    [[ $output == 'clock: Operation not permitted' ]]
  done
  OPTIONS=(--userns off --cap-add SYS_TIME)
  try -0 inside /attack clock
}

# The kernel counts both for the user who made the namespace; what one container holds, the host's
# root would not get any more.
@test "escape: inotify instances and message queues are not taken from the host's root" {
  local before now
  for R in "${ROOTS[@]}"; do
    read -ra before < <(lab "$LAB/attacked/attack" quota)
    ((before[0] >= 60 && before[1] >= 6))
    OPTIONS=(--userns off)
    start_inside /attack hold 50 5
    read -ra now < <(lab "$LAB/attacked/attack" quota)
    end_inside
    echo "${before[*]}, with a container of the host's root ${now[*]}"
    ((now[0] <= before[0] - 40 && now[1] <= before[1] - 4))
    OPTIONS=(--userns on)
    start_inside /attack hold 50 5
    [[ $(head -n 1 "$BATS_TEST_TMPDIR/c1.out") == '50 5' ]]
    read -ra now < <(lab "$LAB/attacked/attack" quota)
    end_inside
    echo "${before[*]}, with a container of its own ${now[*]}"
    ((now[0] >= before[0] - 10 && now[1] >= before[1] - 1)) # others on this machine take some, too
  done
}

@test "escape: system calls by the numbers of another ABI" {
  local i386=0x40000003 x86_64=0xC000003E aarch64=0xC00000B7
  verdict() {
    "$LAB/attacked/attack" verdict "$(init_pid "${R##*/}")" "$@"
  }
  for R in "${ROOTS[@]}"; do
    OPTIONS=(--seccomp off)
    if [[ $(uname -m) == x86_64 ]]; then
      try inside /attack i386
      [[ $status -eq 0 || $status -eq 139 ]] # 139: this kernel has no 32-bit door
    fi
    start_inside /attack idle
    try -2 verdict "$x86_64" 39
    end_inside
    OPTIONS=()
    start_inside /attack idle
    if [[ $(uname -m) == x86_64 ]]; then
      [[ $(verdict "$x86_64" 39) == allow ]]               # getpid
      [[ $(verdict "$x86_64" 165) == EPERM ]]              # mount
      [[ $(verdict "$x86_64" 0x40000027) == ENOSYS ]]      # getpid of x32
      [[ $(verdict "$x86_64" $((0x40000000 + 165))) == ENOSYS ]]
      [[ $(verdict "$x86_64" 435) == ENOSYS ]]             # clone3
      [[ $(verdict "$i386" 20) == kill && $(verdict "$aarch64" 172) == kill ]]
    else
      [[ $(verdict "$aarch64" 172) == allow && $(verdict "$aarch64" 435) == ENOSYS ]]
      [[ $(verdict "$aarch64" 40) == EPERM ]]
      [[ $(verdict "$x86_64" 39) == kill && $(verdict 0x40000028 20) == kill ]]
    fi
    end_inside
    # 128+SIGSYS; or as without a filter, where the kernel has no such door (SIGSEGV).
    try lab "$LAB/attacked/attack" i386
    ((status == 139)) || status=159
    [[ $(uname -m) != x86_64 ]] || try "-$status" inside /attack i386
  done
}

@test "escape: the terminal's and the namespaces' flags are seen in their low 32 bits" {
  R=${ROOTS[0]}
  local arch=0xC000003E ioctl=16 unshare=272
  [[ $(uname -m) == x86_64 ]] || arch=0xC00000B7 ioctl=29 unshare=97
  verdict() {
    "$LAB/attacked/attack" verdict "$(init_pid "${R##*/}")" "$arch" "$@"
  }
  start_inside /attack idle
  [[ $(verdict "$ioctl" 0 0x5413) == allow ]]              # TIOCGWINSZ
  [[ $(verdict "$ioctl" 0 0x5412) == EPERM ]]              # TIOCSTI
  [[ $(verdict "$ioctl" 0 0xffffffff00005412) == EPERM ]]
  [[ $(verdict "$ioctl" 0 0x10000541c) == EPERM ]]         # TIOCLINUX
  [[ $(verdict "$unshare" 0x20000000) == allow ]]          # CLONE_NEWPID: for capabilities to say
  [[ $(verdict "$unshare" 0x10000000) == EPERM ]]          # CLONE_NEWUSER
  [[ $(verdict "$unshare" 0xff30000000) == EPERM ]]
  end_inside
}

@test "escape: vsock: there are no namespaces for it" {
  for R in "${ROOTS[@]}"; do
    OPTIONS=(--seccomp off)
    try inside /attack sockets
    [[ ${lines[0]} == vsock || ${lines[0]} == vsock:*'not supported' ]]
    OPTIONS=()
    try inside /attack sockets
    [[ ${lines[0]} == 'vsock: Operation not permitted' ]]
  done
}

# Asked of the filter: a kernel without these would refuse them anyhow.
@test "escape: sockets of the kernel's ciphers and of AFS (CVE-2026-31431, CVE-2026-43500)" {
  R=${ROOTS[0]}
  local family arch=0xC000003E socket=41
  [[ $(uname -m) == x86_64 ]] || arch=0xC00000B7 socket=198
  verdict() {
    "$LAB/attacked/attack" verdict "$(init_pid "${R##*/}")" "$arch" "$socket" "$@"
  }
  OPTIONS=(--cap-add ALL)
  start_inside /attack idle
  for family in 2 1 10 16 17; do # inet, unix, inet6, netlink, packet
    [[ $(verdict "$family") == allow ]]
  done
  for family in 38 33; do # alg, rxrpc
    [[ $(verdict "$family") =~ ^E ]]
    [[ $(verdict $((0xffffffff00000000 + family))) =~ ^E ]] # the kernel looks at 32 bits
  done
  end_inside
  OPTIONS=()
  for R in "${ROOTS[@]}"; do
    try -1 inside /attack sockets
  done
}

@test "escape: a system call that is not known (yet) is not there" {
  R=${ROOTS[0]}
  local number arch=0xC000003E getpid=39
  [[ $(uname -m) == x86_64 ]] || arch=0xC00000B7 getpid=172
  verdict() {
    "$LAB/attacked/attack" verdict "$(init_pid "${R##*/}")" "$arch" "$@"
  }
  for OPTIONS in '' --cap-add=ALL; do
    [[ -n $OPTIONS ]] || OPTIONS=()
    start_inside /attack idle
    [[ $(verdict "$getpid") == allow ]]
    for number in 490 512 547 600 1000 0x3fffffff 0x7fffffff 0xffffffff; do
      [[ $(verdict "$number") == ENOSYS ]]
    done
    end_inside
  done
  OPTIONS=()
}

@test "escape: the session's keyring is the container's own" {
  local host
  for R in "${ROOTS[@]}"; do
    host=$(lab "$LAB/attacked/attack" keyring)
    [[ $(weak /attack keyring) == "$host" ]]
    OPTIONS=(--seccomp off)
    try -0 inside /attack keyring
    [[ $output != "$host" ]]
    OPTIONS=(--seccomp off --userns off)
    try -0 inside /attack keyring
    [[ $output != "$host" ]]
    OPTIONS=()
    try -1 inside /attack keyring # not even to be asked about
  done
}

@test "escape: a router advertisement does not change the host's routes (CVE-2020-13401)" {
  local accept=/proc/sys/net/ipv6/conf/cebr0/accept_ra before
  lab test -e "$accept" || skip 'this kernel has no IPv6'
  before=$(lab cat "$accept")
  for R in "${ROOTS[@]}"; do
    try -0 ce "$R" "${R##*/}" 192.168.1.2 /attack advertise 3
    try -0 lab ip -6 route show proto ra
    [[ -z $output ]]
  done
  # On a bridge that believes them:
  lab sh -c "echo 1 >$accept"
  try -0 ce "$R" "${R##*/}" 192.168.1.2 /attack advertise 3
  try -0 lab ip -6 route show proto ra
  lab sh -c "echo $before >$accept; ip -6 route flush proto ra"
  [[ $output == *'default via fe80:'*'dev cebr0'* ]]
}

@test "escape: a router advertisement of one container does not change another's routes" {
  local id addresses
  lab test -e /proc/sys/net/ipv6 || skip 'this kernel has no IPv6'
  for R in "${ROOTS[@]}"; do
    OPTIONS=(--seccomp off)
    start c1 "$ENGINE" --rm "$R" c1 192.168.1.2 /attack idle
    id=$pid
    wait_until 10 grep -q ready "$BATS_TEST_TMPDIR/c1.out"
    try -0 ce "$R" "${R##*/}" 192.168.1.3 /attack advertise 3
    [[ $output =~ sent\ [1-9] ]]
    try -0 lab ip -n c1 -6 route show default
    addresses=$(lab ip -n c1 -6 -o addr show dev eth0)
    kill -TERM "$id"
    ended "$id"
    [[ -z $output && -z $addresses ]]
  done
}

# --- the terminal -------------------------------------------------------------------------------

# Runs a command in a terminal as a person would, and prints what the shell there reads next.
then_typed() { # CMD...
  local fifo=$BATS_TEST_TMPDIR/keyboard
  [[ -e $fifo ]] || mkfifo "$fifo"
  lab script -qec "$(printf '%q ' "$@"); read -rt 1 x; echo \"typed: <\$x>\"" \
    /dev/null <>"$fifo"
}

@test "escape: a terminal that is there for output alone is not the container's" {
  requires script
  # Those of 1 and 2 that are the first terminal of this /dev/pts.
  local mode ends='own=$(stat -c %d.%i /dev/pts/0); for n in 1 2; do
    [ "$(stat -Lc %d.%i /proc/$$/fd/$n)" != "$own" ] || echo "its own"; done'
  for R in "${ROOTS[@]}"; do
    try -0 then_typed bash -c 'echo x | "$@"' bash "${WEAK[@]}" --root="$R" -- sh -c "$ends"
    [[ $output != *'its own'* ]]
    for mode in "${MODES[@]}"; do
      try -0 then_typed bash -c 'echo x | "$@"' bash \
        "$ENGINE" "$mode" --rm "$R" c1 none sh -c "$ends"
      [[ $(grep -c '^its own' <<<"$output") -eq 2 ]]
    done
  done
}

@test "escape: what the host writes into the same pipe later is not read, nor whose it is changed" {
  local mode fifo=$BATS_TEST_TMPDIR/fifo
  # shellcheck disable=SC2016  # the variables are those of the inner shell
  local later='{ "$@"; sleep 0.3; echo secret; sleep 0.5; } | { sleep 0.5; cat; }'
  local reader='exec 3>&1; timeout 1 cat /proc/self/fd/3 >/stolen &'
  mkfifo "$fifo"
  for R in "${ROOTS[@]}"; do
    [[ -e $R/dev/null ]] || mknod -m 666 "$R/dev/null" c 1 3 # ash wants it for its &
    # Not in a PID namespace, which would end what is left behind.
    try -0 lab bash -c "$later" bash chroot "$R" sh -c "mount -t proc p /proc; $reader"
    lab umount "$R/proc"
    grep -q secret "$R/stolen"
    rm "$R/stolen" "$R/dev/null"
    for mode in "${MODES[@]}"; do
      try -0 ce "$mode" -d "$R" c1 none sleep 1000
      try -0 lab bash -c "$later" bash "$ENGINE" exec c1 sh -c "$reader"
      [[ $output == secret ]]
      lab bash -c '"$@" <>"$0" >"$0" 2>&1' "$fifo" "$ENGINE" exec c1 chmod 666 /proc/self/fd/2
      [[ $(stat -c '%u %a' "$fifo") == '0 644' ]]
      try -0 ce exec c1 sh -c 'test -e /stolen; ! grep secret /stolen'
      try -0 ce delete -f c1
    done
  done
}

@test "escape: a file that is there for input or output is not written over, nor made set-user-ID" {
  local mode fd file=$VICTIM/file run
  for R in "${ROOTS[@]}"; do
    for fd in 0 1 2; do
      for run in '"$@" <"$0"' '"$@" <>"$0"' '"$@" >>"$0"' '"$@" 2>>"$0"'; do
        printf 'what was there\n' >"$file"
        chmod 600 "$file"
        case $fd:$run in
          0:*' <'*)
            try lab bash -c "$run" "$file" "${WEAK[@]}" --root="$R" /attack rewrite "$fd"
            ;;
          1:*' >'* | 2:*' 2>'*)
            try -0 lab bash -c "$run" "$file" "${WEAK[@]}" --root="$R" /attack rewrite "$fd"
            ;;
          *) continue ;;
        esac
        [[ $(<"$file") == owned* && $(stat -c %a "$file") == 4777 ]]
        for mode in "${MODES[@]}"; do
          printf 'what was there\n' >"$file"
          chmod 600 "$file"
          try lab bash -c "$run" "$file" "$ENGINE" "$mode" --rm "$R" c1 none /attack rewrite "$fd"
          ls -l "$file"
          [[ $(head -n 1 "$file") == 'what was there' && $(stat -c %a:%u "$file") == 600:0 ]]
          [[ $status -eq 1 ]]
          try -0 ce "$mode" -d "$R" c1 none sleep 1000
          try lab bash -c "$run" "$file" "$ENGINE" exec c1 /attack rewrite "$fd"
          try -0 ce delete -f c1
          [[ $(head -n 1 "$file") == 'what was there' && $(stat -c %a:%u "$file") == 600:0 ]]
        done
      done
    done
  done
}

@test "escape: nothing is put into the pipe that standard input is" {
  local mode into='echo injected >/proc/self/fd/0' fifo=$BATS_TEST_TMPDIR/fifo
  local later='exec 5<>"$0"; "$@" <&5 >/dev/null; read -rt 1 -u 5 x; echo "read: <$x>"'
  mkfifo "$fifo"
  for R in "${ROOTS[@]}"; do
    try -0 lab bash -c "$later" "$fifo" "${WEAK[@]}" --root="$R" -- sh -c "$into"
    [[ $output == 'read: <injected>' ]]
    for mode in "${MODES[@]}"; do
      try lab bash -c "$later" "$fifo" "$ENGINE" "$mode" --rm "$R" c1 none sh -c "$into"
      [[ $output == 'read: <>' ]]
      try -0 ce "$mode" -d "$R" c1 none sleep 1000
      try lab bash -c "$later" "$fifo" "$ENGINE" exec c1 sh -c "$into"
      lab "$ENGINE" delete -f c1
      [[ $output == 'read: <>' ]]
    done
  done
}

@test "escape: nothing is typed into the host's shell (TIOCSTI: CVE-2017-5226, CVE-2019-10063)" {
  requires script
  local mode
  for R in "${ROOTS[@]}"; do
    try -0 then_typed "${WEAK[@]}" --root="$R" -- /attack push $'owned\n'
    [[ $output == *'typed: <owned>'* ]]
    OPTIONS=(--rm "$R" "${R##*/}" none /attack push $'owned\n')
    # Its own terminal; its own, and no filter; the host's as input and error, but not as output.
    try -0 then_typed "$ENGINE" "${OPTIONS[@]}"
    [[ $output == *'TIOCSTI: Operation not permitted'*'typed: <>'* ]]
    try -0 then_typed "$ENGINE" --seccomp off "${OPTIONS[@]}"
    [[ $output == *'pushed'*'typed: <>'* ]]
    for mode in --seccomp=off "${MODES[@]}"; do
      try -0 then_typed bash -c '"$@" | cat' bash "$ENGINE" "$mode" "${OPTIONS[@]}"
      [[ $output == *'typed: <>'* && $output != *'typed: <owned'* ]]
    done
  done
}

# --- the kernel's files ---------------------------------------------------------------------------

# Those of the words for which `sh -c SCRIPT WORD` works on the host.
work_outside() { # SCRIPT WORD...
  local script=$1 word
  shift
  for word; do
    ! lab sh -c "$script" "$word" >/dev/null 2>&1 || printf '%s\n' "$word"
  done
}

@test "escape: the kernel's switches cannot be opened for writing: core_pattern, sysrq, ..." {
  local mode files open=': >>"$0"' # opens it, and writes nothing
  mapfile -t files < <(work_outside "$open" \
    /proc/sys/{kernel/core_pattern,kernel/modprobe,kernel/panic,vm/panic_on_oom} \
    /proc/sys/{fs/binfmt_misc/register,net/ipv4/ip_forward} /proc/sysrq-trigger \
    /proc/{irq/default_smp_affinity,bus/pci/00/00.0,fs/nfsd/threads} \
    /sys/{kernel/uevent_helper,kernel/mm/ksm/run,power/state,fs/cgroup/cgroup.procs})
  [[ ${files[0]} == *core_pattern ]]
  for R in "${ROOTS[@]}"; do
    for mode in "${MODES[@]}"; do
      try -0 ce "$mode" --rm "$R" "${R##*/}" none sh -c 'for f; do
        (: >>"$f") 2>/dev/null && echo "$f can be written"; done; echo all' sh "${files[@]}"
      [[ $output == all ]]
    done
  done
}

# Inside, each FILE is an empty directory or /dev/null.
masked() { # FILE...
  local mode
  (($# > 0))
  for R in "${ROOTS[@]}"; do
    for mode in "${MODES[@]}"; do
      try -0 ce "$mode" --rm "$R" "${R##*/}" none sh -c 'for f; do
        [ -d "$f" ] && [ -z "$(ls -A "$f")" ] || [ "$(stat -c %t:%T "$f")" = 1:3 ] ||
        echo "$f"; done; echo all' sh "$@"
      [[ $output == all ]]
    done
  done
}

@test "escape: what speaks of the whole machine is masked: kcore, keys, timers, firmware, ..." {
  local mode files
  mapfile -t files < <(work_outside 'head -c 9 "$0" | grep -q .' \
    /proc/{kcore,keys,interrupts,timer_list,timer_stats,latency_stats,sched_debug} \
    /proc/{kpagecount,kpageflags,pagetypeinfo,slabinfo,vmallocinfo})
  ((${#files[@]} > 0))
  mapfile -tO "${#files[@]}" files < <(work_outside 'ls -A "$0" | grep -q .' \
    /proc/{acpi,asound,scsi} /sys/firmware /sys/devices/virtual/powercap)
  for R in "${ROOTS[@]}"; do
    for mode in "${MODES[@]}"; do
      try -0 ce "$mode" --rm "$R" "${R##*/}" none sh -c 'for f; do
        [ -d "$f" ] && [ -z "$(ls -A "$f")" ] || [ "$(stat -c %t:%T "$f")" = 1:3 ] ||
        echo "$f"; done; echo all' sh "${files[@]}"
      [[ $output == all ]]
    done
  done
}

@test "escape: masked as elsewhere: memory cgroups by page, heat of processors, block devices" {
  local mode files
  mapfile -t files < <(work_outside 'head -c 8 "$0" | wc -c | grep -qx 8' /proc/kpagecgroup
    work_outside 'ls -A "$0" | grep -q .' /sys/dev/block \
      /sys/devices/system/cpu/cpu[0-9]*/thermal_throttle)
  printf '%s\n' "${files[@]}"
  masked "${files[@]}"
}

@test "escape: terminals are bounded: one container does not use up those of the machine" {
  local mode
  for R in "${ROOTS[@]}"; do
    try -0 lab "$LAB/attacked/attack" ptys
    for mode in "${MODES[@]}"; do
      try -1 ce "$mode" --rm "$R" "${R##*/}" none /attack ptys
      ((output <= 256))
    done
  done
}

@test "escape: the engine's own files in /etc can be written, and no more" {
  local mode want
  for R in "${ROOTS[@]}"; do
    for mode in "${MODES[@]}"; do
      try -0 ce "$mode" --rm "$R" "${R##*/}" 192.168.1.2 sh -c '
        for f in /etc/hosts /etc/resolv.conf; do
          echo "127.0.0.9 more" >>"$f" && grep " $f " /proc/self/mountinfo
        done'
      for want in nosuid nodev noexec; do
        [[ $(cut -d ' ' -f 6 <<<"$output" | grep -cw "$want") -eq 2 ]]
      done
    done
  done
}

# The program can reopen its pipes, take back what it wrote between the engine's poll and its read,
# or fill up its input: an engine that waits in such a read hears no signal any more.
@test "escape: the engine waits in no pipe that the container can empty or fill" {
  local id i file flags
  start_idle c1 none --rm
  id=$(init_pid c1)
  for i in 1 2; do # the input has ended
    flags=0
    for file in "/proc/$pid/fd"/*; do
      [[ $(readlink "$file") != "$(readlink "/proc/$id/fd/$i")" ]] ||
        flags=$(sed -n 's/^flags:[[:blank:]]*//p' "/proc/$pid/fdinfo/${file##*/}")
    done
    ((8#$flags & 8#4000))
  done
  try -0 ce delete -f c1
}

@test "escape: exec does not enter where the programs could take over who enters" {
  OPTIONS=(--userns=off --cap-add SYS_PTRACE)
  try -0 ce "${OPTIONS[@]}" -d "$ALPINE" c1 none sleep 1000
  refuses SYS_PTRACE ce exec c1 true
  try -0 ce delete -f c1
  try -0 ce --cap-add SYS_PTRACE -d "$ALPINE" c1 none sleep 1000
  try -0 ce exec c1 true
  try -0 ce delete -f c1
}

@test "escape: a mask cannot be taken off" {
  local mode
  for R in "${ROOTS[@]}"; do
    OPTIONS=(--userns off --cap-add SYS_ADMIN --seccomp off)
    try -0 inside sh -c 'umount /proc/keys && mount -o remount,rw /proc/sys && mount -t proc p /mnt'
    for mode in "${MODES[@]}" '--seccomp=off'; do
      try -0 ce "$mode" --rm "$R" "${R##*/}" none sh -c 'umount /proc/keys || umount -l /proc/keys ||
        mount -o remount,rw /proc/sys || mount -o remount,bind,rw /proc/sys ||
        mount -t proc p /mnt || mount --bind /proc /mnt || echo held'
      [[ $output == held ]]
    done
  done
}

@test "escape: cgroups that root inside makes below its own go with the container" {
  try -0 ce --userns off --cap-add SYS_ADMIN --rm "${ROOTS[0]}" c1 none sh -c '
    mkdir /cg && mount -t cgroup2 none /cg && mkdir -p /cg/sub/sub && umount /cg && echo made'
  [[ $output == made && ! -e $LAB_CGROUP/container_engine/c1 ]]
}

@test "escape: a cgroup of one's own, or another's (CVE-2022-0492)" {
  local mode
  for R in "${ROOTS[@]}"; do
    try -0 lab sh -c 'mkdir /sys/fs/cgroup/x && rmdir /sys/fs/cgroup/x'
    for mode in "${MODES[@]}" '--seccomp=off'; do
      try -0 ce "$mode" --rm "$R" "${R##*/}" none sh -c 'grep ^0:: /proc/self/cgroup
        mkdir /sys/fs/cgroup/x || mount -o remount,rw /sys/fs/cgroup ||
        mount -t cgroup2 x /mnt || mount -t cgroup -o rdma x /mnt || echo held'
      [[ $output == $'0::/\nheld' ]]
    done
  done
}

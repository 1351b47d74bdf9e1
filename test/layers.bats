#!/usr/bin/env bats
# What is written where: the layer of each name, the root file system that stays as it was,
# volumes; and what happens where users cannot be mapped.

load helpers

setup() {
  requires root alpine userns
  DIR=$LAB/dir # on a disk whose files can be mapped
  mkdir "$DIR"
  lab_snapshot
}

teardown() {
  rm -rf --one-file-system "$DIR"
  [[ -n ${BATS_TEST_SKIPPED-} ]] || leak_check # the last, or its failure would not count
}

# Runs a shell script in container NAME of the Alpine rootfs; with OPTIONS, if any.
in_c() { # NAME [OPTION...] SCRIPT
  local name=$1 script=${*: -1}
  ce "${@:2:$#-2}" "$ALPINE" "$name" none sh -c "$script"
}

layer() {
  printf '/var/lib/container_engine/%s' "$1"
}

# Everything about a tree that a program could see, but for the time of the last look.
picture() { # DIR
  (
    cd "$1" || return
    find . -printf '%P %y %m %U:%G %n %s %T@ %C@ %l\n' | sort
    find . -type f -print0 | sort -z | xargs -0 sha256sum
  )
}

# --- layers -------------------------------------------------------------------------------------

@test "layers: two containers of one rootfs do not see each other's writes" {
  try -0 in_c c1 'echo one >/file; rm /etc/motd; echo one >/etc/issue'
  try -0 in_c c2 'ls /file; cat /etc/motd >/dev/null && cat /etc/issue'
  [[ $stderr == *'/file: No such'* && $output == "$(<"$ALPINE/etc/issue")" ]]
  start c1 "$ENGINE" "$ALPINE" c1 none sh -c 'echo ready; while [ ! -e /stop ]; do sleep 0.1; done'
  wait_until 10 grep -q ready "$BATS_TEST_TMPDIR/c1.out"
  try -0 in_c c2 'touch /stop; cat /file || echo none'
  [[ $output == none ]]
  lab "$ENGINE" exec c1 sh -c 'cat /file; touch /stop' | grep one
  ended "$pid"
}

@test "layers: a name keeps what was written, until delete" {
  local mode
  for mode in --userns=on --userns=off; do
    try -0 in_c c1 "$mode" 'cd /root; echo one >file; chmod 640 file; chown 7:8 file; rm /bin/arch'
    try -1 in_c c1 "$mode" 'cd /root; stat -c "%a %u:%g" file; cat file; ls /bin/arch'
    [[ $output == $'640 7:8\none' ]]
    try -0 ce delete c1
    try -0 in_c c1 "$mode" 'ls /bin/arch /root'
    [[ $output == $'/bin/arch\n\n/root:' ]]
    try -0 ce delete c1
  done
}

@test "layers: what an engine that was killed had written is still there" {
  start c1 "$ENGINE" "$ALPINE" c1 none sh -c 'echo one >/file; echo ready; exec sleep 1000'
  wait_until 10 grep -q ready "$BATS_TEST_TMPDIR/c1.out"
  kill -KILL "$pid"
  try -0 in_c c1 'cat /file'
  [[ $output == one ]]
}

@test "layers: --rm removes it, however the program ends" {
  local script
  for script in 'exit 0' 'exit 3' 'kill -KILL $$' 'mkdir -p /a/b; chmod 0 /a/b /a; mkfifo /p'; do
    try in_c c1 --rm "echo x >/file; $script"
    try -0 lab ls -A /var/lib/container_engine
    [[ -z $output ]]
  done
}

@test "layers: none is left when nothing ran, and none is lost" {
  try -127 in_c c1 -w / 'exec nosuch'
  try -127 ce "$ALPINE" c2 none nosuch
  try -125 ce -w /none "$ALPINE" c2 none true
  [[ ! -e $LAB/layers/c2 ]]
  try -0 in_c c2 'echo one >/file'
  try -127 ce "$ALPINE" c2 none nosuch
  try -0 in_c c2 'cat /file'
  [[ $output == one ]]
}

@test "layers: nobody else on the host can look into one" {
  try -0 in_c c1 'echo secret >/file; chmod 4777 /file'
  try -0 lab stat -c '%a %u' "$(layer c1)"
  [[ $output == '700 0' ]]
  try -0 lab cat "$(layer c1)/upper/file"
  try lab setpriv --reuid 1000 --clear-groups cat "$(layer c1)/upper/file"
  [[ $status -ne 0 ]]
  # Whose it is inside, is nobody's outside.
  try -0 lab stat -c '%u' "$(layer c1)/upper/file"
  ((output >= 524288))
}

@test "layers: what is written to /etc/hosts and /etc/resolv.conf is in it, not on the host's /run" {
  start_idle c1 192.168.1.2
  try -0 ce exec c1 sh -c 'for f in hosts resolv.conf; do yes | head -c 3000000 >/etc/$f; done'
  [[ $(stat -c %s "$LAB/layers/c1/hosts" "$LAB/layers/c1/resolv.conf") == $'3000000\n3000000' ]]
  (($(lab du -sk /run | cut -f 1) < 1000))
}

@test "layers: --rm takes no earlier one with it, whether a program ran on it or not" {
  cp -a "$ALPINE" "$DIR/rootfs"
  try -0 in_c c1 'echo kept >/file'
  refuses "belongs to $ALPINE" ce --rm "$DIR/rootfs" c1 none true
  try -127 ce --rm "$ALPINE" c1 none /no/such/program
  refuses '--userns off' ce --rm --userns off "$ALPINE" c1 none true
  try -0 in_c c1 'cat /file'
  [[ $output == kept ]]
  try -0 in_c c1 --rm 'cat /file'
  [[ $output == kept ]]
  try -0 in_c c1 'cat /file'
  [[ $output == kept ]]
}

@test "layers: one that cannot be removed is an error that names it, and no wedge" {
  try -0 in_c c1 'echo x >/file'
  lab chattr +i "$(layer c1)/hosts" || skip 'no file can be made immutable here'
  refuses /var/lib/container_engine/.deleted. ce delete c1
  try -0 in_c c1 --rm 'ls /file || echo none' # the name is free
  [[ $output == none ]]
  try -0 in_c c2 true # and other names have nothing to do with it
  try -0 ce delete c2
  [[ $output == c2 && -z $stderr ]]
  lab chattr -R -i /var/lib/container_engine
  try -0 ce list -q
  [[ -z $output ]]
  wait_until 10 no_layers
}

@test "layers: delete where nothing can be renamed does not say that it is done" {
  try -0 in_c c1 true
  # shellcheck disable=SC2016  # expands inside
  refuses 'Read-only file system' lab unshare --mount bash -c 'dir=/var/lib/container_engine
    mount --bind "$dir" "$dir"
    mount -o remount,bind,ro "$dir"
    exec "$0" delete c1' "$ENGINE"
  try -0 ce delete c1
}

@test "layers: one that could not be removed does not take the next one of its name with it" {
  try -0 in_c c1 'echo x >/file'
  lab chattr +i "$(layer c1)/upper/file" || skip 'no file can be made immutable here'
  try -125 ce delete c1
  try -0 in_c c1 'ls /file || echo kept >/file2'
  try -0 ce list -q
  lab chattr -R -i /var/lib/container_engine
  try -0 in_c c1 'cat /file2'
  [[ $output == kept ]]
  try -0 ce list -q
  [[ $output == c1 ]]
  try -0 in_c c1 'cat /file2'
  [[ $output == kept ]]
}

@test "layers: whatever lies beside it under a name with a dot, a layer stays" {
  local words
  try -0 in_c c1 'echo kept >/file'
  for words in 'list' 'inspect c1' 'delete c2' "$ALPINE c3 none true" "$ALPINE c1 none true"; do
    lab mkdir -p /var/lib/container_engine/{.c1,.c3}/upper
    # shellcheck disable=SC2086  # words
    try ce $words
    [[ $(lab cat "$(layer c1)/upper/file") == kept ]]
  done
  lab rm -rf /var/lib/container_engine/{.c1,.c3}
}

@test "layers: list where /run is another one takes nothing from a container that runs" {
  local option words
  for option in --rm --hostname=x; do
    start_idle c1 none "$option"
    for words in 'list' 'inspect c1' 'delete c1' "$ALPINE c2 none true" 'delete c2'; do
      # shellcheck disable=SC2086  # words
      try lab unshare --mount sh -c 'mount -t tmpfs run /run && exec "$@"' sh "$ENGINE" $words
      lab test -d "$(layer c1)/upper"
      try -0 ce exec c1 sh -c 'echo x >/file && cat /file'
      [[ $output == x ]]
    done
    try -0 ce stop c1
    ended "$pid"
    [[ $status -eq 0 ]]
  done
}

@test "layers: --rm keeps what was there, even when its state is torn" {
  local content
  for content in '' '\n\n\n' r rootfs= 'rootfs=\n' 'rootfs=/no' 'rootfs=/none\nremove=1\n' 'pid=1\n' \
    '\0\0\0\0' "$(printf '%09000d=' 1)" none; do
    try -0 in_c c1 'echo kept >/file'
    case $content in
      none) lab rm "$(layer c1)/state" ;;
      *) printf '%b' "$content" | lab tee "$(layer c1)/state" >/dev/null ;;
    esac
    try in_c c1 --rm true
    [[ $(lab cat "$(layer c1)/upper/file") == kept ]]
    try -0 ce list -q
    [[ $(lab cat "$(layer c1)/upper/file") == kept ]]
    try -0 ce delete c1
  done
}

# Of strace's making: each entry takes 20 ms to be removed.
@test "layers: what is left to be removed holds up no start" {
  requires strace
  local slow
  lab mkdir /var/lib/container_engine/.deleted.x
  lab sh -c 'cd /var/lib/container_engine/.deleted.x && seq 400 | xargs touch'
  start slow strace -f -qq -o "$BATS_TEST_TMPDIR/trace" -e trace=unlinkat \
    -e inject=unlinkat:delay_enter=20000 "$ENGINE" list
  slow=$pid
  wait_until 10 test -s "$BATS_TEST_TMPDIR/trace"
  SECONDS=0
  try -0 in_c c1 true
  ((SECONDS < 3 * ${CE_SLOW:-1}))
  wait_until 30 gone "$slow"
  ended "$slow"
  [[ $status -eq 0 ]]
  try -0 ce list -q
  [[ $output == c1 ]]
  wait_until 10 lab test ! -e /var/lib/container_engine/.deleted.x
}

no_layers() {
  [[ -z $(ls -A "$LAB/layers") ]]
}

# One that is out of the way, and not removed yet.
being_deleted() {
  compgen -G "$LAB/layers/.deleted.*" >/dev/null
}

@test "layers: nobody waits while one is being deleted" {
  requires strace
  try -0 in_c c1 'cd /root; i=0; while [ $i -lt 50 ]; do mkdir d; cd d; i=$((i + 1)); done'
  start slow strace -f -qq -o /dev/null -e trace=unlinkat -e inject=unlinkat:delay_enter=20000 \
    "$ENGINE" delete c1
  wait_until 10 being_deleted
  SECONDS=0
  try -0 in_c c2 true
  try -0 in_c c1 --rm 'ls -A /root'
  [[ -z $output ]]
  ((SECONDS < 3 * ${CE_SLOW:-1}))
  ended "$pid"
  [[ $status -eq 0 && ! -e $LAB/layers/c1 ]]
  wait_until 10 lab sh -c '! ls -d /var/lib/container_engine/.deleted.*'
}

@test "layers: a delete that is killed sets the name free, and the next command goes on with it" {
  requires strace
  local n
  for n in 1 2 3 5 8 13; do
    try -0 in_c c1 'for i in 1 2 3 4 5; do mkdir -p $i/e/f/g; touch $i/f $i/e/f; done'
    lab strace -fqq -o "$DIR/trace" -e trace=unlinkat -e "inject=unlinkat:signal=KILL:when=$n" \
      "$ENGINE" delete c1 || :
    grep -q 'killed by SIGKILL' "$DIR/trace"
    if [[ -e $LAB/layers/c1/state ]]; then # that was before it began
      try -0 ce delete c1
    else
      [[ -n $(ls -A "$LAB/layers") ]]
      try -0 ce list -q
      [[ -z $output ]]
    fi
    wait_until 10 no_layers
  done
}

@test "layers: one whose users were mapped otherwise is refused, until it is deleted" {
  try -0 in_c c1 'mkdir /root/d; echo x >/root/d/f'
  refuses 'leave out --userns off' ce --userns off "$ALPINE" c1 none true
  try -0 ce --userns off --write-through --rm "$ALPINE" c2 none true # which has no layer
  try -0 ce delete c1
  try -0 in_c c1 --userns off 'ls /root; mkdir /root/d; echo x >/root/d/f'
  [[ -z $output ]]
  refuses 'use --userns off' ce --userns on "$ALPINE" c1 none true
  refuses 'use --userns off' ce "$ALPINE" c1 none true
  try -0 ce start c1 cat /root/d/f # with its options: as it was
  [[ $output == x && $stderr != *'user namespace'* ]]
}

@test "layers: one from another rootfs is refused, until it is deleted" {
  cp -a "$ALPINE" "$DIR/other"
  try -7 in_c c1 'echo one >/file; exit 7'
  refuses 'delete c1' ce "$DIR/other" c1 none sh -c 'echo the second'
  [[ $stderr == *"$ALPINE"* ]]
  # It stays as it was, with its status and its command.
  [[ $(lab "$ENGINE" inspect c1 status) == 'exited (7)' ]]
  try -7 ce start c1
  [[ $output != *second* ]]
  # It is the place that counts, not how it is written.
  try -0 lab "$ENGINE" "$ALPINE/../alpine/." c1 none cat /file
  try -0 ce delete c1
  try -0 ce "$DIR/other" c1 none sh -c 'ls /file || echo none'
  [[ $output == none ]]
}

@test "layers: a very deep tree goes, too" {
  local script='i=0; while [ $i -lt 150 ]; do
    p=d; for j in 1 2 3 4 5 6 7 8 9; do p=$p/d; done; mkdir -p $p; cd $p; i=$((i+1)); done'
  try -0 in_c c1 "cd /root; $script; touch file; cd /root; echo x >.moved1; mkdir -p .moved2/x"
  [[ $(lab find "$(layer c1)" -type d | wc -l) -gt 1500 ]]
  try -0 ce delete c1
  try -0 lab ls -A /var/lib/container_engine
  [[ -z $output ]]
}

@test "layers: --read-only: the root cannot be written, volumes and /dev/shm can" {
  local mode
  for mode in --userns=off --userns=on; do
    try in_c c1 "$mode" --read-only -v "$DIR:/v" 'echo x >/v/f; echo x >/dev/shm/f; cat /dev/shm/f
      touch /file; touch /etc/passwd; mkdir /d; rm /etc/motd; mount -o remount,rw /; touch /file'
    [[ $status -ne 0 && $output == x && $(<"$DIR/f") == x ]]
    [[ $(grep -c 'Read-only' <<<"$stderr") -eq 5 ]]
    rm "$DIR/f"
    try -0 in_c c1 "$mode" 'touch /file' # the same name, without it
    try -0 ce delete c1
  done
}

@test "layers: --read-only: neither can hosts and resolv.conf be written" {
  local mode
  for mode in --userns=off --userns=on; do
    try ce "$mode" --read-only --rm "$ALPINE" c1 192.168.1.2 \
      sh -c 'for f in /etc/hosts /etc/resolv.conf; do test -s $f && (echo x >>$f) || echo held; done'
    [[ $output == $'held\nheld' && $(grep -c 'Read-only' <<<"$stderr") -eq 2 ]]
  done
}

@test "layers: --write-through writes to the rootfs itself, as its owner" {
  local mode
  cp -a "$ALPINE" "$DIR/rootfs"
  for mode in --userns=on --userns=off; do
    try -0 ce "$mode" --write-through "$DIR/rootfs" c1 none \
      sh -c 'echo one >/file; echo two >/bin/file; chown 7:8 /bin/file; rm -f /etc/motd'
    [[ $(<"$DIR/rootfs/file") == one && $(stat -c %u:%g "$DIR/rootfs/file") == 0:0 ]]
    [[ $(stat -c %u:%g "$DIR/rootfs/bin/file") == 7:8 && ! -e $DIR/rootfs/etc/motd ]]
    try -0 ce --userns on "$DIR/rootfs" c2 none cat /file /bin/file
    [[ $output == $'one\ntwo' ]]
    rm "$DIR/rootfs/file" "$DIR/rootfs/bin/file"
    try -0 ce delete c1 c2
  done
}

# --- the rootfs -----------------------------------------------------------------------------------

# What sessions do to it.
vandalize='
  echo x >/new; mkdir -p /new.d/sub; echo x >/new.d/sub/f; ln -s /etc /new.link; mkfifo /new.pipe
  echo x >>/etc/passwd; : >/etc/group; rm -rf /home /srv /usr/share; rm /bin/ls; chmod 0 /etc
  chmod 4777 /bin/sh; chown 1000:1000 /etc/hostname /bin; touch -d 2001-01-01 /etc/profile /usr
  cp /bin/cat /bin/replaced; mv /bin/replaced /bin/mv; mv /etc/profile /etc/moved; mv /root /toor
  ln /etc/shells /etc/hard; chmod 711 /; dd if=/dev/zero of=/bin/cat bs=1 count=9 conv=notrunc
  rm -rf /etc /lib /sbin; echo done'

@test "layers: the rootfs is bit-identical after all that can be done to it" {
  requires host_rootfs
  local root mode
  for root in "$ALPINE" "$HOST_ROOTFS"; do
    picture "$root" >"$BATS_TEST_TMPDIR/picture"
    for mode in --userns=on --userns=off; do
      try ce "$mode" --rm -v "$DIR:/not/there/yet" "$root" c1 none sh -c "$vandalize"
      [[ $output == *done ]]
      picture "$root" | diff "$BATS_TEST_TMPDIR/picture" -
    done
  done
  # The picture shows a single changed mode, owner, time, name or byte.
  cp -a "$ALPINE" "$DIR/rootfs"
  picture "$DIR/rootfs" >"$BATS_TEST_TMPDIR/picture"
  local change
  for change in 'chmod 600 /etc/motd' 'chown 1 /etc/motd' 'touch /etc/motd' 'ln -s a /b' \
    'printf x | dd of=/etc/motd conv=notrunc'; do
    try -0 ce --write-through "$DIR/rootfs" c1 none sh -c "$change"
    try -1 diff "$BATS_TEST_TMPDIR/picture" <(picture "$DIR/rootfs")
    picture "$DIR/rootfs" >"$BATS_TEST_TMPDIR/picture"
  done
}

# --- volumes --------------------------------------------------------------------------------------

@test "volumes: owners are the same inside and outside" {
  local mode
  for mode in --userns=on --userns=off; do
    mkdir -m 777 "$DIR/v"
    touch "$DIR/v/mine" "$DIR/v/theirs"
    chown 1000:1001 "$DIR/v/theirs"
    try -0 in_c c1 "$mode" -v "$DIR/v:/v" 'stat -c "%n %u:%g" /v/mine /v/theirs; touch /v/new
      mkdir /v/new.d; chown 33:44 /v/new.d; chown 5:6 /v/mine'
    [[ $output == $'/v/mine 0:0\n/v/theirs 1000:1001' ]]
    try -0 in_c c1 "$mode" -u 1000:1001 -v "$DIR/v:/v" 'echo x >>/v/theirs; touch /v/by1000'
    try -0 stat -c '%n %u:%g' "$DIR"/v/{new,new.d,mine,theirs,by1000}
    [[ ${output//"$DIR/v/"/} == \
      $'new 0:0\nnew.d 33:44\nmine 5:6\ntheirs 1000:1001\nby1000 1000:1001' ]]
    # What only others may read stays so.
    try in_c c1 "$mode" -u 1002 -v "$DIR/v:/v" 'echo x >>/v/theirs'
    [[ $status -ne 0 ]]
    rm -rf "$DIR/v"
    ce delete c1
  done
}

@test "volumes: :ro is read-only all the way down, mounts below it included" {
  local mode
  mkdir -p "$DIR/v/sub" "$DIR/other"
  lab mount --bind "$DIR/other" "$DIR/v/sub"
  for mode in --userns=on --userns=off; do
    try -0 in_c c1 --rm "$mode" -v "$DIR/v:/v" 'touch /v/f /v/sub/f && rm /v/f /v/sub/f'
    try in_c c1 --rm "$mode" -v "$DIR/v:/v:ro" 'touch /v/f || touch /v/sub/f ||
      mount -o remount,rw /v || mount -o remount,bind,rw /v/sub || echo held'
    [[ $output == held && -z $(ls -A "$DIR/other") ]]
  done
  lab umount "$DIR/v/sub"
}

@test "volumes: a mount that is made on the host later does not get in" {
  mkdir -p "$DIR/v/sub"
  start_idle c1 none -v "$DIR/v:/v"
  lab mount -t tmpfs late "$DIR/v/sub"
  lab touch "$DIR/v/sub/late"
  try -0 ce exec c1 ls -A /v/sub
  lab umount -l "$DIR/v/sub"
  [[ -z $output ]]
}

@test "volumes: a file, also one that is replaced by its name" {
  echo one >"$DIR/f"
  try -0 in_c c1 -v "$DIR/f:/etc/motd" -v "$DIR/f:/new/file" \
    'cat /etc/motd /new/file; echo two >/new/file; mv /new/file /elsewhere || echo busy'
  [[ $output == $'one\none\nbusy' && $(<"$DIR/f") == two ]]
}

@test "volumes: places that are not there are made, in the layer" {
  local mode
  echo one >"$DIR/f"
  for mode in --userns=on --userns=off; do
    try -0 in_c c1 "$mode" -v "$DIR:/a/b//./c/d/" -v "$DIR/f:/x/y/z" 'cat /a/b/c/d/f /x/y/z
      stat -c "%n %a %u" /a /a/b /a/b/c /x/y'
    [[ $output == $'one\none\n/a 755 0\n/a/b 755 0\n/a/b/c 755 0\n/x/y 755 0' ]]
    [[ ! -e $ALPINE/a && ! -e $ALPINE/x ]]
    ce delete c1
  done
}

@test "layers: one that was not finished is, and a finished one stays as it is" {
  try -0 ce --write-through "$ALPINE" c1 none true
  lab mkdir -m 700 "$(layer c1)/upper" # and here the engine was killed
  try -0 in_c c1 'echo x >/root/x; stat -c %a:%u /; chmod 711 /'
  [[ $output == 755:0 ]]
  try -0 in_c c1 'stat -c %a:%u / /root/x'
  [[ $output == $'711:0\n644:0' ]]
}

@test "volumes: a place for a file may end in a slash" {
  echo one >"$DIR/f"
  try -0 in_c c1 -v "$DIR/f:/data/" 'cat /data'
  [[ $output == one ]]
}

@test "volumes: in one on /dev nothing is made" {
  try -0 in_c c1 -v "$DIR:/dev/" 'echo in; : >/dev/x'
  [[ $output == in && $(ls -A "$DIR") == x ]]
}

@test "volumes: places are found through the container's own links" {
  cp -a "$ALPINE" "$DIR/rootfs"
  mkdir "$DIR/v" "$DIR/rootfs/real"
  echo one >"$DIR/v/f"
  ln -s /real "$DIR/rootfs/absolute"
  ln -s ../real "$DIR/rootfs/opt/relative"
  ln -s nowhere "$DIR/rootfs/dangling"
  try -0 ce -v "$DIR/v:/absolute/v" -v "$DIR/v:/opt/relative/w" -v "$DIR/v:/dangling/x" \
    "$DIR/rootfs" c1 none cat /real/v/f /real/w/f /dangling/x/f
  [[ $output == $'one\none\none' ]]
}

@test "volumes: in the order given: one may be in another, read-only in writable" {
  mkdir -p "$DIR/a/sub" "$DIR/b"
  echo b >"$DIR/b/f"
  try in_c c1 -v "$DIR/a:/v" -v "$DIR/b:/v/sub:ro" 'cat /v/sub/f; touch /v/f; touch /v/sub/g'
  [[ $output == b && $stderr == *sub/g*Read-only* && -e $DIR/a/f ]]
}

@test "volumes: on /dev/shm, and over a file of the engine's" {
  mkdir "$DIR/shm"
  echo '10.9.8.7 given' >"$DIR/hosts"
  try -0 in_c c1 -v "$DIR/shm:/dev/shm" -v "$DIR/hosts:/etc/hosts:ro" \
    'echo x >/dev/shm/f; cat /etc/hosts'
  [[ $output == '10.9.8.7 given' && -e $DIR/shm/f ]]
}

@test "volumes: a directory on a file, or a file on a directory, is refused in words" {
  touch "$DIR/f"
  refuses directory ce -v "$DIR:/etc/passwd" "$ALPINE" c1 none true
  refuses directory ce -v "$DIR/f:/etc" "$ALPINE" c1 none true
  refuses /etc/passwd/x ce -v "$DIR:/etc/passwd/x" "$ALPINE" c1 none true
}

@test "volumes: a place that cannot be made is refused at once, and with the reason" {
  local deep
  deep=$(printf '/a%.0s' {1..40})
  mkdir -p "$DIR/fixed"
  lab mount --bind "$ALPINE" "$DIR/fixed"
  lab mount -o remount,bind,ro "$DIR/fixed"
  CE_TIMEOUT=10 refuses 'read-only file system' ce --write-through -v "$DIR:$deep" "$DIR/fixed" c1 none true
  lab umount "$DIR/fixed"
}

@test "volumes: a place 2,000 directories deep is made, or refused in words" {
  local mode deep
  deep=$(printf '/a%.0s' {1..2000})
  echo there >"$DIR/f"
  for mode in --userns=on --userns=off; do
    try in_c c1 "$mode" -v "$DIR:$deep" "cd $deep && cat f"
    if [[ $status -eq 0 ]]; then
      [[ $output == there ]]
    else
      [[ $status -eq 125 && $stderr == *'/a/a'* && $stderr != *died* ]]
    fi
    try ce delete c1
  done
  [[ -z $(ls -A "$LAB/layers") ]]
}

@test "volumes: names with blanks, relative ones, links on the host, /.. as the place" {
  mkdir "$DIR/a b"
  echo one >"$DIR/a b/f"
  ln -s 'a b' "$DIR/link"
  try -0 lab sh -c 'cd "$0" && "$@"' "$DIR" "$ENGINE" -v 'a b:/with blank' -v "./link:/l" \
    -v "$DIR/link/:/../../up" "$ALPINE" c1 none cat '/with blank/f' /l/f /up/f
  [[ $output == $'one\none\none' ]]
}

# --- where users cannot be mapped -----------------------------------------------------------------

# A rootfs on an overlay: such a file system cannot be mapped anywhere.
on_overlay() { # CMD...
  mkdir -p "$DIR"/{upper,work,rootfs}
  lab unshare --mount sh -c 'mount -t overlay -o "lowerdir=$1,upperdir=$0/upper,workdir=$0/work" \
    overlay "$0/rootfs"; shift; exec "$@"' "$DIR" "$ALPINE" "$@"
}

# The one line, beside the one for hosts without controllers.
warns_once() {
  [[ $(grep -v 'no cpu, memory and pids controllers' <<<"$stderr" | grep -c .) -eq 1 ]] &&
    grep -q '^container_engine: warning: no user namespace' <<<"$stderr"
}

@test "fallback: a rootfs that cannot be mapped runs without a user namespace, with one warning" {
  mkdir "$DIR/v"
  try -7 on_overlay "$ENGINE" -u 1000:1001 -w /tmp -e 'A=x y' -v "$DIR/v:/v:ro" -- "$DIR/rootfs" \
    c1 none sh -c 'awk "{ print \$2 }" /proc/self/uid_map; id -u; id -g; pwd; echo "$A"
      touch /v/f; touch /tmp/f; exit 7'
  [[ $output == $'0\n1000\n1001\n/tmp\nx y' && $stderr == */v/f*Read-only* ]]
  grep -v Read-only <<<"$stderr" >"$BATS_TEST_TMPDIR/rest"
  stderr=$(<"$BATS_TEST_TMPDIR/rest") warns_once
  # The layer is the same one, and all other walls stand.
  try -0 on_overlay "$ENGINE" "$DIR/rootfs" c1 none \
    sh -c 'ls /tmp/f; umount /proc/keys || echo held'
  [[ $output == $'/tmp/f\nheld' ]]
}

# Whatever refuses, early or late: of mounts that an older kernel does not know, EINVAL is the answer.
@test "fallback: relative paths are looked up where the user is" {
  requires strace
  local call n
  mkdir "$DIR/v"
  echo there >"$DIR/v/f"
  cd "$DIR"
  try -0 on_overlay "$ENGINE" -v v:/v -v ./v/f:/f rootfs c1 none cat /v/f /f
  [[ $output == $'there\nthere' ]]
  warns_once
  cd "${ALPINE%/*}"
  for call in mount fsconfig fsmount move_mount mount_setattr; do
    for n in 1 2 3 4 5 6; do
      try lab strace -qq -o "$BATS_TEST_TMPDIR/trace" -e "trace=$call" \
        -e "inject=$call:error=EINVAL:when=$n" "$ENGINE" --rm "./${ALPINE##*/}" c2 none echo ran
      grep -q INJECTED "$BATS_TEST_TMPDIR/trace" || break
      [[ ($status -eq 0 && $output == ran) || $status -eq 125 ]]
      [[ $stderr != *'No such file'* ]]
    done
  done
}

@test "fallback: --userns on fails there, with the reason; --userns off runs without a word" {
  refuses userns on_overlay "$ENGINE" --userns on "$DIR/rootfs" c1 none true
  [[ $stderr == *"$DIR/rootfs"* || $stderr == *mapped* ]]
  try -0 on_overlay "$ENGINE" --userns off "$DIR/rootfs" c1 none true
  [[ $stderr != *'user namespace'* ]]
  # A volume that cannot be mapped is the same case, and is named.
  try -0 on_overlay "$ENGINE" -v "$DIR/rootfs:/v" "$ALPINE" c2 none ls /v/etc/motd
  warns_once
  [[ $stderr == *"$DIR/rootfs"* ]]
}

@test "fallback: layers on a file system that cannot hold them are refused in words" {
  mkdir -p "$DIR"/{upper,work}
  try -125 lab unshare --mount sh -c 'mount -t overlay -o "lowerdir=$1,upperdir=$0/upper,\
workdir=$0/work" overlay /var/lib/container_engine; shift; exec "$@"' "$DIR" "$ALPINE" \
    "$ENGINE" "$ALPINE" c1 none true
  [[ $stderr == *ext4* && $stderr == */var/lib/container_engine* ]]
}

# The VM's root is 9p, with a tmpfs over it. Its disk is ext4, where users can be mapped since 5.19.
in_vm() { # KERNEL
  "$REPO/test/vm.sh" --again --timeout 300 --kernel "$1" bash -c '
    try() { "$@" 2>&1; echo "status $?"; }
    "$2/env.sh" set >/dev/null
    echo "kernel $(uname -r)"
    try "$0" "$1" c1 none cat /proc/self/uid_map
    try "$0" --userns on "$1" c1 none true
    mkdir /var/lib/ce-disk/v
    cp -a "$1" /var/lib/ce-disk/alpine
    try "$0" -v /var/lib/ce-disk/v:/v -u 5:6 /var/lib/ce-disk/alpine c2 none \
      sh -c "umask 0; cut -c 1-21 /proc/self/uid_map; touch /tmp/f; echo layer"
    try "$0" /var/lib/ce-disk/alpine c2 none ls /tmp/f
    try "$0" --userns on /var/lib/ce-disk/alpine c3 none true' "$ENGINE" "$ALPINE" "$REPO"
}

@test "fallback: on 9p (Linux 6.1) the default warns and runs, on ext4 it does not need to" {
  try -0 in_vm bookworm
  [[ ${lines[0]} == 'kernel 6.1'* ]]
  [[ ${lines[1]} == 'container_engine: warning: no user namespace'* ]]
  [[ ${lines[2]} =~ ^\ *0\ +0\ +4294967295$ && ${lines[3]} == 'status 0' ]]
  [[ ${lines[4]} == 'container_engine: '*'--userns on: '* && ${lines[5]} == 'status 125' ]]
  [[ ${lines[6]} =~ ^\ *0\ +[0-9]{6,}$ && ${lines[7]} == layer && ${lines[8]} == 'status 0' ]]
  [[ ${lines[9]} == /tmp/f && ${lines[10]} == 'status 0' && ${lines[11]} == 'status 0' ]]
}

@test "fallback: a kernel that is too old is named with each --userns, and by uname(2)'s word" {
  local users
  for users in '' '--userns on' '--userns off' '--without user --userns off'; do
    # shellcheck disable=SC2086  # an option and its value
    try -125 lab setarch --uname-2.6 "$ENGINE" $users "$ALPINE" c1 none true
    [[ $stderr == *'Linux 5.15 or newer is needed, not 2.6.'* ]]
  done
}

@test "fallback: Linux 5.10 is too old, and that is said, whatever is wanted" {
  local i
  try -0 in_vm bullseye
  [[ ${lines[0]} == 'kernel 5.10'* ]]
  for i in 1 3 5 7 9; do
    [[ ${lines[i]} == 'container_engine: Linux 5.15 or newer is needed, not 5.10'* ]]
    [[ ${lines[i + 1]} == 'status 125' ]]
  done
}

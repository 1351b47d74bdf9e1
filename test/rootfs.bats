#!/usr/bin/env bats
# rootfs-fetch.sh: each kind of source, and everything that can go wrong with one.
#
# Images come from a real registry (docker-registry, on a port of its own on loopback); what
# skopeo would refuse to push is pushed by hand, with curl. Whatever a hostile archive or image
# tries is aimed at $VICTIM, which must be the same afterwards.

load helpers

FETCH=$REPO/rootfs-fetch.sh

setup_file() {
  ((EUID == 0)) || return 0
  for tool in docker-registry skopeo jq curl; do
    [[ -n $(type -P "$tool") ]] || return 0
  done
  cd "$BATS_FILE_TMPDIR" || return 1
  registry_start "$BATS_FILE_TMPDIR" ''
}

teardown_file() {
  [[ ! -e $BATS_FILE_TMPDIR/pid ]] || kill -KILL "$(<"$BATS_FILE_TMPDIR/pid")"
}

setup() {
  requires root
  DIR=$BATS_TEST_TMPDIR/dir
  VICTIM=$BATS_TEST_TMPDIR/victim
  mkdir "$VICTIM" "$VICTIM/sub"
  echo precious >"$VICTIM/secret"
  echo precious >"$VICTIM/sub/secret"
  fingerprint "$VICTIM" >"$BATS_TEST_TMPDIR/before"
  cd "$BATS_TEST_TMPDIR" || return 1
}

# Ends what a test has started beside the fetch, and thaws what it froze.
end_servers() {
  [[ ! -e $BATS_FILE_TMPDIR/pid ]] || thaw
  [[ ! -e servers ]] || xargs kill <servers 2>/dev/null || : # some the test has ended itself
}

# After every test, whatever it did: the victim is as it was, and no half of a fetch is left.
teardown() {
  [[ -z ${BATS_TEST_SKIPPED-} ]] || return 0
  end_servers
  fingerprint "$VICTIM" | diff "$BATS_TEST_TMPDIR/before" - || return 1
  [[ -z $(halves) ]] || { halves; return 1; }
  [[ -z $(ours) ]] || { echo 'left behind:'; ours | xargs ps; ours | xargs kill -KILL; return 1; }
}

# --- helpers ------------------------------------------------------------------------------------

# Everything about a tree but its times: types, modes, owners, links, contents.
fingerprint() { # DIR
  (cd "$1" && find . -printf '%p %y %m %U:%G %n %l\n' | sort &&
    find . -type f -exec sha256sum {} + | sort)
}

halves() { find "$BATS_TEST_TMPDIR" -name '.*.rootfs-fetch' -print -prune; }

# Our processes are those that have this test's own variable in their environment.
ours() {
  grep -lz "^FETCH_OF=$BATS_TEST_TMPDIR\$" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3
}

fetch() { FETCH_OF=$BATS_TEST_TMPDIR "$FETCH" "$@"; }

# In the background: $pid. Its stdout and stderr go to a file.
fetch_start() {
  FETCH_OF=$BATS_TEST_TMPDIR env --default-signal=INT "$FETCH" "$@" \
    >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- 4>&- &
  pid=$!
}

# It must fail with one line that has WORD in it, and leave nothing.
fails() { # [-N] WORD ARG...
  local want=-1 word
  [[ ! $1 =~ ^-[0-9]$ ]] || { want=$1; shift; }
  word=$1
  shift
  try "$want" fetch "$@" || return 1
  # what it says about its progress is not the error
  grep -v -e ': layer [0-9]* of ' -e ': unpacking ' -e ': try [0-9]' <<<"$stderr" \
    >"$BATS_TEST_TMPDIR/said"
  [[ -z $output && $(wc -l <"$BATS_TEST_TMPDIR/said") -eq 1 ]] &&
    grep -q '^rootfs-fetch.sh: ' "$BATS_TEST_TMPDIR/said" &&
    grep -qiF -- "$word" "$BATS_TEST_TMPDIR/said" && [[ -z $(halves) ]]
}

missing() { [[ ! -e $DIR && ! -L $DIR ]]; }

needs() { # TOOL...
  local tool
  for tool; do
    [[ -n $(type -P "$tool") ]] && continue
    [[ ${MUST_WORK-} != 1 ]] || { echo "MUST_WORK=1, but $tool is not installed"; return 1; }
    skip "$tool is not installed"
  done
}

# registry_start DIR AUTH [PORT] - in the background; its pid and port are in files in DIR.
registry_start() {
  printf '%s\n' 'version: 0.1' 'log: {level: info}' "http: {addr: '127.0.0.1:${3-0}'}" \
    "storage: {filesystem: {rootdirectory: $1/storage}}" "$2" >"$1/config.yml"
  docker-registry serve "$1/config.yml" >"$1/log" 2>&1 3>&- 4>&- &
  echo "$!" | tee "$1/pid" >>servers
  disown
  wait_until 10 grep -q 'listening on' "$1/log"
  sed -n 's/.*listening on 127.0.0.1:\([0-9]*\)".*/\1/p' "$1/log" >"$1/port"
}

# Sets $R to the registry, with a repository of this test's own.
registry() {
  needs docker-registry skopeo jq curl
  R=127.0.0.1:$(<"$BATS_FILE_TMPDIR/port")/test$BATS_TEST_NUMBER
}

api() { # METHOD PATH ARG...
  curl -sS --fail-with-body -X "$1" "http://${R/\//\/v2\/}/$2" "${@:3}"
}

sum() { sha256sum "$1" | cut -d ' ' -f 1; }

push_blob() { # FILE
  local location
  location=$(curl -sS -X POST -D - -o /dev/null "http://${R/\//\/v2\/}/blobs/uploads/" |
    sed -n 's/^Location: \(.*\)\r$/\1/p')
  curl -sS --fail-with-body -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$1" \
    "$location&digest=sha256:$(sum "$1")"
}

arch() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
  esac
}

# push TAG LAYER... - an OCI image of these tar files, as they are. TYPE is the layers' media type,
# ARCH the architecture, DOCKER=1 makes it docker's own kind (schema 2).
push() {
  local tag=$1 file kind=application/vnd.oci.image manifest config type
  manifest=$kind.manifest.v1+json config=$kind.config.v1+json
  type=${TYPE:-$kind.layer.v1.tar}
  if [[ -n ${DOCKER-} ]]; then
    kind=application/vnd.docker
    manifest=$kind.distribution.manifest.v2+json config=$kind.container.image.v1+json
    type=${TYPE:-$kind.image.rootfs.diff.tar.gzip}
  fi
  shift
  printf '{"os":"linux","architecture":"%s","rootfs":{"type":"layers","diff_ids":[]}}' \
    "${ARCH:-$(arch)}" >config.json
  push_blob config.json
  for file; do
    push_blob "$file"
    jq -n --arg t "$type" --arg d "sha256:$(sum "$file")" --argjson s "$(stat -c %s "$file")" \
      '{mediaType: $t, digest: $d, size: $s}'
  done | jq -s --arg m "$manifest" --arg c "$config" --arg d "sha256:$(sum config.json)" \
    --argjson s "$(stat -c %s config.json)" '{schemaVersion: 2, mediaType: $m,
      config: {mediaType: $c, digest: $d, size: $s}, layers: .}' >"manifest.$tag"
  api PUT "manifests/$tag" -H "Content-Type: $manifest" --data-binary "@manifest.$tag"
}

# push_index TAG ARCH=TAG... - a list of images that were pushed before; an ARCH may have a variant.
push_index() {
  local tag=$1 entry platform file
  shift
  for entry; do
    IFS=/ read -r -a platform <<<"${entry%%=*}"
    file=manifest.${entry#*=}
    jq -n --arg d "sha256:$(sum "$file")" --argjson s "$(stat -c %s "$file")" \
      --arg m "$(jq -r .mediaType "$file")" --arg a "${platform[0]}" --arg v "${platform[1]-}" \
      '{mediaType: $m, digest: $d, size: $s, platform:
        ({os: "linux", architecture: $a} + if $v == "" then {} else {variant: $v} end)}'
  done | jq -s '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: .}' >"manifest.$tag"
  api PUT "manifests/$tag" -H 'Content-Type: application/vnd.oci.image.index.v1+json' \
    --data-binary "@manifest.$tag"
}

# layer FILE - packs the directory `l`, and empties it for the next layer.
layer() {
  tar -C l -cf "$1" --xattrs .
  rm -rf l
  mkdir l
}

# --- host ---------------------------------------------------------------------------------------

@test "rootfs: host: works without a network, and runs what it brings" {
  try -0 unshare --net "$FETCH" host "$DIR"
  for command in 'bash --version' 'ls /' 'ps -e' 'top -bn 1' 'ip -V' 'ping -V' 'sed --version' \
    'awk "BEGIN { exit }"' 'tput -T xterm-256color clear' 'tput -T linux clear' 'mount -V'; do
    try -0 inside "$command"
  done
}

# A shell in the new tree, with /proc, which ps wants to see.
inside() { # COMMAND
  unshare --mount sh -euc 'mount -t proc proc "$0/proc"; exec chroot "$0" bash -c "$1"' "$DIR" "$1"
}

@test "rootfs: host: each program finds its libraries inside" {
  local file loader
  fetch host "$DIR"
  loader=$(ldd /bin/sh | sed -n 's/^\s*\(\/[^ ]*ld[^ ]*\) .*/\1/p')
  checked=0
  for file in "$DIR"/usr/{bin,sbin}/*; do
    # neither links, nor scripts, nor static programs
    [[ ! -L $file && $(ldd "${file#"$DIR"}" 2>/dev/null) == *'=>'* ]] || continue
    try -0 chroot "$DIR" "$loader" --list "${file#"$DIR"}"
    [[ $output != *'not found'* ]]
    checked=$((checked + 1))
  done
  ((checked > 60))
}

@test "rootfs: host: root is root, the links into /usr and the modes are as they should be" {
  fetch host "$DIR"
  [[ $(chroot "$DIR" /bin/sh -c 'whoami; id -nu 65534; echo ~root') == $'root\nnobody\n/root' ]]
  [[ $(stat -c %a "$DIR" "$DIR/tmp" "$DIR/root") == $'755\n1777\n700' ]]
  for link in bin sbin lib lib64; do
    [[ ! -L /$link ]] || [[ $(readlink "$DIR/$link") == "$(readlink "/$link")" ]]
  done
  for dir in proc sys dev run etc home mnt opt var/log; do [[ -d $DIR/$dir ]]; done
  [[ -z $(find "$DIR" -xtype l) && -z $(ls "$DIR/dev") ]]
}

# --- the target ---------------------------------------------------------------------------------

# Each test has an archive of its own: the registry keeps what is the same only once, and some tests
# change what it keeps.
archive() { # FILE
  mkdir -p l/bin
  echo hello >l/bin/hello
  tar -C l --mtime="@$BATS_TEST_NUMBER" -cf "$1" .
}

@test "rootfs: one that a container lives on is not exchanged, or only when that is deleted" {
  requires alpine
  archive a.tar
  cp -a "$ALPINE" "$DIR"
  printf 'source=/some\ndigest=\n' >"$DIR/.rootfs-fetch"
  fetch_in_lab() { lab env FETCH_OF="$BATS_TEST_TMPDIR" "$FETCH" "$@"; }
  try -0 ce -d "$DIR" c1 none sleep 1000
  try -1 fetch_in_lab a.tar "$DIR" --force
  [[ $stderr == *"$DIR is in use by the container c1"* ]]
  try -0 ce exec c1 ls /bin
  try -0 ce stop -t 0 c1 # its layer is still one of this rootfs
  try -1 fetch_in_lab a.tar "$DIR" --force
  [[ $stderr == *"$DIR is in use by the container c1: delete it first"* ]]
  try -0 ce delete c1
  try -0 fetch_in_lab a.tar "$DIR" --force
  [[ ! -e $DIR/etc ]]
}

@test "rootfs: what the directory is called cannot lead anywhere else" {
  archive a.tar
  mkdir -p z .z/y.rootfs-fetch/root
  for name in 'z\057y' 'back\040slash' 'a b' "q'q"; do
    try -0 fetch a.tar "$name"
    [[ $(<"$name/bin/hello") == hello ]]
  done
  [[ -z $(ls -A .z/y.rootfs-fetch/root) ]]
  try -2 fetch a.tar $'new\nline'
  rm -r .z
}

@test "rootfs: a password or a signature is not left where every container can read it" {
  requires python3
  archive a.tar
  python3 -u -m http.server --bind 127.0.0.1 0 >http 2>&1 3>&- 4>&- &
  echo "$!" >>servers
  wait_until 10 grep -q port http
  port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' http)
  try -0 fetch "http://me:PASSWORD@127.0.0.1:$port/a.tar?sig=SIGNATURE" "$DIR"
  try -1 grep -r -e PASSWORD -e SIGNATURE "$DIR"
  grep -qx "source=http://127.0.0.1:$port/a.tar" "$DIR/.rootfs-fetch"
  try -0 fetch "http://me:OTHER@127.0.0.1:$port/a.tar?sig=NEW" "$DIR"
  [[ $stderr == *'is there already'* ]]
}

@test "rootfs: a second call does nothing, and says so" {
  archive a.tar
  fetch a.tar "$DIR"
  echo mine >"$DIR/mine"
  fingerprint "$DIR" >one
  rm "a.tar"
  archive a.tar
  try -0 fetch a.tar "$DIR"
  [[ $stderr == *'is there already'* ]]
  fingerprint "$DIR" | diff one -
}

@test "rootfs: another source, or another checksum, is refused without --force" {
  archive a.tar
  cp a.tar b.tar
  fetch a.tar "$DIR"
  fails 'was made from' b.tar "$DIR"
  fails 'another sha256' --sha256 "$(printf '0%.0s' {1..64})" a.tar "$DIR"
  try -0 fetch --sha256 "$(sum a.tar)" a.tar "$DIR"
  [[ $stderr == *'is there already'* ]]
}

@test "rootfs: --force makes it anew, whatever it was made from" {
  archive a.tar
  cp a.tar b.tar
  fetch a.tar "$DIR"
  echo mine >"$DIR/mine"
  try -0 fetch b.tar "$DIR" --force
  [[ ! -e $DIR/mine && -e $DIR/bin/hello ]]
}

@test "rootfs: --force keeps the old tree when the new one cannot be had" {
  archive a.tar
  fetch a.tar "$DIR"
  fingerprint "$DIR" >one
  head -c 300 a.tar >b.tar
  fails b.tar --force b.tar "$DIR"
  fingerprint "$DIR" | diff one -
}

@test "rootfs: a directory that is not ours is not touched, not by --force either" {
  archive a.tar
  fails 'did not make it' a.tar "$VICTIM"
  fails 'did not make it' --force a.tar "$VICTIM"
  fails 'not a directory' --force a.tar "$VICTIM/secret"
  fails -2 'cannot be /' --force a.tar /
}

@test "rootfs: an empty directory, and parents that are missing, are filled in" {
  archive a.tar
  mkdir empty
  try -0 fetch a.tar empty
  [[ -e empty/bin/hello ]]
  try -0 fetch a.tar some/where/else/
  [[ -e some/where/else/bin/hello ]]
  head -c 300 a.tar >b.tar
  fails b.tar b.tar other/where/else
  [[ ! -e other ]]
}

@test "rootfs: --force refuses while something is mounted below" {
  archive a.tar
  fetch a.tar "$DIR"
  mkdir "$DIR/a b"
  try -1 unshare --mount bash -euc 'mount --bind "$0" "$1/a b"; "$2" --force a.tar "$1"' \
    "$VICTIM" "$DIR" "$FETCH"
  [[ $stderr == *"mounted on $DIR/a b"* ]]
}

# --- archives -----------------------------------------------------------------------------------

@test "rootfs: every compression gives the same tree" {
  local tool
  archive a.tar
  for tool in cat gzip bzip2 xz zstd; do
    [[ -n $(type -P "$tool") ]] || continue
    "$tool" <a.tar >"a.$tool"
    try -0 fetch "./a.$tool" "$tool.dir"
    rm "$tool.dir/.rootfs-fetch"
    [[ $(fingerprint "$tool.dir") == "$(fingerprint l)" ]]
  done
}

@test "rootfs: the Alpine tarball" {
  requires alpine
  try -0 fetch "$CE_ALPINE" "$DIR"
  [[ $(chroot "$DIR" /bin/sh -c 'cat /etc/alpine-release; id -nu') == 3.*root ]]
}

@test "rootfs: sha256: right, in any case; wrong; not one; not for an image" {
  archive a.tar
  fails "$(sum a.tar)" --sha256 "$(printf 'a%.0s' {1..64})" a.tar "$DIR"
  fails -2 '64 hexadecimal' --sha256 abc a.tar "$DIR"
  fails -2 'for archives' --sha256 "$(sum a.tar)" alpine:3.20 "$DIR"
  missing
  right=$(sum a.tar)
  try -0 fetch a.tar "$DIR" --sha256 "${right^^}"
}

@test "rootfs: an archive that is cut off, damaged, empty or no archive leaves nothing" {
  archive a.tar
  head -c 100000 /dev/urandom >l/random
  tar -C l -czf a.tgz .
  head -c 60000 a.tgz >cut.tgz
  (head -c 50000 a.tgz; printf damage; tail -c +50007 a.tgz) >damaged.tgz
  echo hello >text.tar
  tar -cf empty.tar -T /dev/null
  for file in cut.tgz damaged.tgz text.tar; do
    fails "$file" "$file" "$DIR"
    missing
  done
  fails nothing empty.tar "$DIR"
  fails 'not a file' missing.tar "$DIR"
  fails 'not a file' ./missing "$DIR"
  missing
}

@test "rootfs: owners, modes, hard links, attributes and odd names survive" {
  mkdir l && cd l
  echo 1 >one && ln one two && ln -s one three && mkfifo fifo && mkdir -m 1770 sticky
  touch -- setuid $'new\nline' 'sp ace' ümlaut '-dash' '*' 'back\slash'
  chown 12345:54321 one sticky && chmod 4711 setuid
  cp "$(type -P cat)" cap && setcap cap_net_raw+ep cap
  cd ..
  for format in gnu pax; do
    tar --format="$format" --xattrs -C l -cf "$format.tar" .
    [[ $format == pax ]] || tar -C l -cf gnu.tar --exclude=./cap .
    try -0 fetch "$format.tar" "$format"
    rm "$format/.rootfs-fetch"
    [[ $format == pax ]] || cp -a l/cap gnu
    fingerprint l | diff - <(fingerprint "$format")
  done
  [[ $(getcap -n pax/cap) == *cap_net_raw* ]]
}

@test "rootfs: an archive from a URL" {
  registry
  archive a.tar
  push_blob a.tar
  url=http://${R/\//\/v2\/}/blobs/sha256:$(sum a.tar)
  try -0 fetch "$url" "$DIR" --sha256 "$(sum a.tar)"
  [[ -e $DIR/bin/hello ]]
  fails '404' "${url%?????}fffff" other
  fails -2 gopher gopher://x/y.tar other
}

# --- hostile archives: the victim is looked at in teardown --------------------------------------

# What a hostile member may at most do is to fail the fetch; it must never reach the victim.
harmless() { # FILE
  run fetch "$1" "$DIR"
  echo "$output"
  [[ $status -eq 0 || $status -eq 1 ]]
  [[ ! -d $DIR ]] || [[ -z $(find "$DIR" -samefile "$VICTIM/secret" -o -type b -o -type c) ]]
  fingerprint "$VICTIM" | diff before -
}

@test "rootfs: hostile: members with .. and absolute ones" {
  echo evil >secret
  tar -P -cf up.tar --transform="s:^:../../../../../../../../../../..$VICTIM/:" secret
  tar -P -cf down.tar --transform="s:^:x/../../victim/:" secret
  tar -P -cf absolute.tar --transform="s:^:$VICTIM/:" secret
  fails 'up.tar' up.tar "$DIR"
  harmless down.tar
  try -0 fetch absolute.tar "$DIR"
  [[ $(<"$DIR$VICTIM/secret") == evil ]]
}

@test "rootfs: hostile: a link, and then a file through it" {
  mkdir l
  for target in "$VICTIM" ../../victim ../victim; do
    ln -s "$target" l/a
    tar -C l -cf a.tar a
    rm l/a
    mkdir l/a
    echo evil >l/a/secret
    tar -C l --no-recursion -rf a.tar a/secret
    rm -r l/a
    harmless a.tar
    rm -rf "$DIR"
  done
  # a link to the file itself, then the file
  ln -s "$VICTIM/secret" l/f
  tar -C l -cf f.tar f
  rm l/f
  echo evil >l/f
  tar -C l -rf f.tar f
  harmless f.tar
}

@test "rootfs: hostile: a hard link to a file outside" {
  echo evil >first
  ln first second
  for target in "$VICTIM/secret" ../../victim/secret ../victim/secret; do
    tar -P -cf h.tar --transform="flags=h;s:.*:$target:" first second
    grep -qaF "$target" h.tar
    harmless h.tar
    rm -rf "$DIR"
  done
}

@test "rootfs: hostile: devices are left out, whatever they are called" {
  mkdir l
  mknod l/null c 1 3
  mknod 'l/a b' b 7 0
  mknod l/ümlaut c 1 5
  mknod $'l/new\nline' c 1 5
  mknod 'l/*' c 1 5
  echo hello >l/file
  tar -C l -cf d.tar .
  try -0 fetch d.tar "$DIR"
  [[ $(cd "$DIR" && find . ! -name .rootfs-fetch | sort) == $'.\n./file' ]]
}

@test "rootfs: hostile: the marker as a link, control characters in names" {
  mkdir l
  ln -s "$VICTIM/secret" l/.rootfs-fetch
  echo hello >l/file
  tar -C l -cf m.tar .
  try -0 fetch m.tar "$DIR"
  [[ -f $DIR/.rootfs-fetch && ! -L $DIR/.rootfs-fetch ]]
  ln -sf "$VICTIM/secret" "$DIR/.rootfs-fetch"
  fails 'did not make it' --force m.tar "$DIR"
  echo no >$'\e[31mred.tar'
  try -2 fetch $'\e[31mred.tar' other
  [[ $stderr == *'control characters'* && $stderr != *$'\e'* && ! -e other ]]
}

# --- images -------------------------------------------------------------------------------------

@test "rootfs: image: pushed with skopeo, pulled; progress for each layer" {
  registry
  requires alpine
  mkdir -p l/etc
  echo second >l/etc/second
  layer two.tar
  skopeo copy --quiet --insecure-policy --dest-tls-verify=false \
    "tarball:$CE_ALPINE:two.tar" "docker://$R:1"
  skopeo copy --quiet --insecure-policy --src-tls-verify=false --dest-tls-verify=false \
    --format v2s2 "docker://$R:1" "docker://$R:docker"
  for tag in 1 docker; do
    try -0 fetch "$R:$tag" "$tag"
    [[ $stderr == *'layer 1 of 2, '*'layer 2 of 2, '* && $(<"$tag/etc/second") == second ]]
    chroot "$tag" /bin/busybox true
    rm "$tag/.rootfs-fetch" "$tag/etc/second"
    fingerprint "$tag" | diff <(fingerprint "$ALPINE") -
  done
}

@test "rootfs: image: localhost is spoken to in plain HTTP, latest is the default" {
  registry
  archive a.tar
  push latest a.tar
  try -0 fetch "${R/127.0.0.1/localhost}" "$DIR"
  grep -qx "source=${R/127.0.0.1/localhost}:latest" "$DIR/.rootfs-fetch"
}

@test "rootfs: image: gzip, zstd and plain layers, OCI's and docker's kind" {
  local kind
  registry
  archive a.tar
  gzip -k a.tar
  kind=application/vnd.oci.image.layer.v1.tar
  push plain a.tar
  TYPE=$kind+gzip push gzip a.tar.gz
  DOCKER=1 push docker a.tar.gz
  tags='plain gzip docker'
  if [[ -n $(type -P zstd) ]]; then
    zstd -q a.tar
    TYPE=$kind+zstd push zstd a.tar.zst
    tags+=' zstd'
  fi
  for tag in $tags; do
    try -0 fetch "$R:$tag" "$tag"
    rm "$tag/.rootfs-fetch"
    fingerprint "$tag" | diff <(fingerprint l) -
  done
  TYPE=$kind+encrypted push odd a.tar
  fails encrypted "$R:odd" odd
}

# Two layers that show every way in which one can change the other.
@test "rootfs: image: whiteouts, opaque directories, and things that become other things" {
  registry
  mkdir -p l/{gone,kept,opaque/sub,dir,again/sub,real} l/kept/sub
  touch l/{file,turns,gone/a,kept/{a,b},opaque/{a,sub/b},dir/a,again/{old,sub/old}}
  ln -s real l/link
  chmod 700 l/kept
  layer one.tar
  mkdir -p l/{opaque,kept,turns,link,again} # file -> directory, link -> directory
  touch l/{.wh.gone,.wh.file,kept/.wh.b,opaque/.wh..wh..opq,opaque/new,turns/in,link/in}
  touch l/{.wh.never,.wh.again,again/new} # was never there; gone and made again in one layer
  mkdir -p l/new && touch l/new/.wh..wh..opq l/new/a # opaque, and nothing below
  touch l/{dir,.wh..wh.plnk} # directory -> file; bookkeeping
  layer two.tar
  push 1 one.tar two.tar
  try -0 fetch "$R:1" "$DIR"
  rm "$DIR/.rootfs-fetch"
  cat >expected <<'END'
d 755 again
f 644 again/new
f 644 dir
d 755 kept
f 644 kept/a
d 755 kept/sub
d 755 link
f 644 link/in
d 755 new
f 644 new/a
d 755 opaque
f 644 opaque/new
d 755 real
d 755 turns
f 644 turns/in
END
  (cd "$DIR" && find . -mindepth 1 -printf '%y %m %P\n' | sort -k 3) | diff expected -
}

@test "rootfs: image: owners, links and attributes survive the layers" {
  registry
  mkdir -p l/d
  echo 1 >l/d/one && ln l/d/one l/d/two && chown 1000:1001 l/d/one && chmod 4755 l/d/one
  layer one.tar
  mkdir -p l/d
  cp "$(type -P cat)" l/d/cap && setcap cap_net_raw+ep l/d/cap && chown 7:8 l/d && chmod 1711 l/d
  tar --format=pax --xattrs -C l -cf two.tar .
  push 1 one.tar two.tar
  fetch "$R:1" "$DIR"
  [[ $(stat -c '%u:%g %a %h' "$DIR/d/one") == '1000:1001 4755 2' && $DIR/d/one -ef $DIR/d/two ]]
  [[ $(stat -c '%u:%g %a' "$DIR/d") == '7:8 1711' && $(getcap -n "$DIR/d/cap") == *cap_net_raw* ]]
}

@test "rootfs: image: of several architectures ours is taken, in the best variant" {
  registry
  requires alpine
  for tag in ours other v1 v8; do
    mkdir -p l && echo "$tag" >l/tag && layer "$tag.tar"
  done
  push ours ours.tar
  ARCH=other push other other.tar
  push_index list other=other "$(arch)/v99=other" "$(arch)=ours"
  try -0 fetch "$R:list" "$DIR"
  [[ $(<"$DIR/tag") == ours ]]
  push_index none other=other s390x=other
  fails "no image for linux/$(arch), only for: linux/other linux/s390x" "$R:none" none
  fails "for linux/other, this machine is $(arch)" "$R:other" none
}

@test "rootfs: image: by digest, of an image and of a list" {
  registry
  archive a.tar
  push 1 a.tar
  push_index list "$(arch)=1"
  for tag in 1 list; do
    try -0 fetch "$R@sha256:$(sum "manifest.$tag")" "$tag"
    grep -qx "digest=sha256:$(sum manifest.1)" "$tag/.rootfs-fetch"
    [[ -e $tag/bin/hello ]]
  done
  fails 404 "$R@sha256:$(printf 'a%.0s' {1..64})" other
}

stored() { # FILE: where the registry keeps it
  local hex
  hex=$(sum "$1")
  echo "$BATS_FILE_TMPDIR/storage/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data"
}

@test "rootfs: image: a layer or a configuration that was tampered with is refused" {
  registry
  archive a.tar
  echo "$BATS_TEST_NAME" >l/new
  layer b.tar
  push 1 a.tar b.tar
  sed -i 's/hello/hallo/' "$(stored a.tar)"
  fails 'corrupt' "$R:1" "$DIR"
  missing
  sed -i 's/hallo/hello/' "$(stored a.tar)"
  sed -i 's/linux/Linux/' "$(stored config.json)"
  fails 'corrupt' "$R:1" "$DIR"
  sed -i 's/Linux/linux/' "$(stored config.json)"
  try -0 fetch "$R:1" "$DIR"
}

@test "rootfs: image: a manifest that is not what its digest says is refused" {
  registry
  archive a.tar
  push 1 a.tar
  # whoever is between us and the registry: the right answer, with a blank more
  sed -i 's/: /:  /' "$(stored manifest.1)"
  fails 'corrupt' "$R@sha256:$(sum manifest.1)" "$DIR"
}

# --- hostile images -----------------------------------------------------------------------------

@test "rootfs: hostile image: a link in one layer, a file through it in the next" {
  registry
  n=0
  for target in "$VICTIM" ../../victim; do
    mkdir l
    ln -s "$target" l/a
    layer one.tar
    mkdir l/a
    echo evil >l/a/secret
    tar -C l -cf bare.tar --no-recursion a/secret # without the directory itself
    layer with.tar
    for two in bare.tar with.tar; do
      push "$((++n))" one.tar "$two"
      harmless "$R:$n"
      [[ ! -d $DIR || $(<"$DIR/a/secret") == evil ]]
      rm -rf "$DIR"
    done
    rm -r l
  done
}

@test "rootfs: hostile image: a link to a file, overwritten or linked to in the next layer" {
  registry
  mkdir l
  ln -s "$VICTIM/secret" l/f
  layer one.tar
  echo evil >l/f
  layer two.tar
  push 1 one.tar two.tar
  harmless "$R:1"
  [[ $(<"$DIR/f") == evil && ! -L $DIR/f ]]
  rm -rf "$DIR"
  # a hard link through a link of the layer below
  mkdir -p l/a && echo evil >l/a/secret && ln l/a/secret l/b
  tar -C l --no-recursion -cf h.tar a/secret b
  tar -C l --delete -f h.tar a/secret
  rm -rf l && mkdir l && ln -s "$VICTIM" l/a && layer one.tar
  push 2 one.tar h.tar
  harmless "$R:2"
}

@test "rootfs: hostile image: whiteouts that mean the outside" {
  registry
  local name n=0 two
  mkdir l
  ln -s "$VICTIM" l/a
  ln -s "$VICTIM" l/w
  layer one.tar
  mkdir -p l/a/sub
  touch l/a/{.wh.secret,.wh..wh..opq,.wh.sub,sub/.wh.secret} l/.wh.w
  layer with.tar
  mkdir -p l/a
  touch l/a/.wh.secret
  tar -C l --no-recursion -cf bare.tar a/.wh.secret # without the directory itself
  for two in with bare; do
    push "$two" one.tar "$two.tar"
    harmless "$R:$two"
    [[ -d $DIR ]]
    rm -rf "$DIR"
  done
  for name in .wh. .wh.. .wh... x/.wh...; do
    mkdir -p l/x
    touch "l/$name"
    layer two.tar
    push "$((++n))" one.tar two.tar
    fails refused "$R:$n" "$DIR"
    missing
    mkdir -p l/x
  done
}

@test "rootfs: hostile image: a manifest full of nonsense" {
  registry
  archive a.tar
  push 1 a.tar
  while IFS='|' read -r change word; do
    jq "$change" manifest.1 >manifest.bad
    # by hand into the storage: a registry would not take it
    cp manifest.bad "$(stored manifest.1)"
    fails "$word" "$R:1" "$DIR"
    missing
  done <<'END'
.layers[0].digest = "sha256:../../etc/passwd"|layer 1 has no sha256 digest
.config.digest = "$(touch evil)"|its manifest is of a kind
del(.config)|its manifest is of a kind
.layers[0].mediaType = "x;touch evil"|layer type x;touch evil is unknown
END
  [[ ! -e evil ]]
}

# --- the network --------------------------------------------------------------------------------

@test "rootfs: image: a token, where the registry asks for one" {
  registry
  requires python3
  archive a.tar
  mkdir silly tokens
  echo '{"token": "abc"}' >tokens/token
  python3 -u -m http.server --bind 127.0.0.1 --directory tokens 0 >http 2>&1 3>&- 4>&- &
  echo "$!" >>servers
  wait_until 10 grep -q port http
  realm=http://127.0.0.1:$(sed -n 's/.* port \([0-9]*\) .*/\1/p' http)
  # docker-registry's own "silly" scheme: any token will do, but there must be one
  registry_start silly "auth: {silly: {realm: \"$realm/token\", service: 'the service'}}"
  cp -r "$BATS_FILE_TMPDIR/storage" silly
  push 1 a.tar # where none is needed
  cp -r "$BATS_FILE_TMPDIR/storage" silly
  S=127.0.0.1:$(<silly/port)/${R#*/}
  run fetch "$S:1" "$DIR"
  echo "$output"
  [[ $status -eq 0 && -e $DIR/bin/hello ]]
  grep -q "GET /token?service=the%20service&scope=repository:${R#*/}:pull" http
  rm tokens/token
  fails 'no anonymous token' "$S:1" other
}

@test "rootfs: image: unknown ones, unknown tags and strange names: one line, at once" {
  registry
  archive a.tar
  push 1 a.tar
  for name in "$R:2" "$R/none:1"; do
    fails 404 "$name" "$DIR"
    [[ $stderr != *': try '* ]]
  done
  for name in UPPER a//b 'a b' a:b:c 'a;b' '../a' a@sha256:12 '$(x)' a:; do
    try fetch "$name" "$DIR"
    [[ $status -eq 2 || $status -eq 1 && $name == ../* ]]
  done
  missing
}

@test "rootfs: a registry that comes up late is waited for; one that does not is given up" {
  registry
  archive a.tar
  push 1 a.tar
  mkdir late
  registry_start late ''
  port=$(<late/port)
  kill "$(<late/pid)"
  wait_until 5 gone "$(<late/pid)"
  fetch_start "127.0.0.1:$port/${R#*/}:1" "$DIR"
  wait_until 10 grep -q 'try 2 of' log
  cp -r "$BATS_FILE_TMPDIR/storage" late
  registry_start late '' "$port"
  ended "$pid"
  cat log
  [[ $status -eq 0 && -e $DIR/bin/hello ]]
  kill "$(<late/pid)"
  wait_until 5 gone "$(<late/pid)"
  fails "cannot fetch http://127.0.0.1:$port/" "127.0.0.1:$port/x:1" other
}

# Passes connections on to a port, and cuts each one off after so many bytes of the answer.
cutter() { # PORT BYTES
  python3 -uc 'import socket, sys, threading
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1])
def serve(client):
    server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    server.sendall(client.recv(65536))
    left = int(sys.argv[2])
    while left > 0 and (data := server.recv(min(left, 65536))):
        client.sendall(data)
        left -= len(data)
    client.close()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()' \
    "$@" >cutter 2>&1 3>&- 4>&- &
  echo "$!" >>servers
  wait_until 10 test -s cutter
}

@test "rootfs: a connection that breaks is taken up where it broke" {
  registry
  requires python3
  mkdir l
  head -c 250000 /dev/urandom >l/random
  layer a.tar
  push 1 a.tar
  cutter "$(<"$BATS_FILE_TMPDIR/port")" 100000
  try -0 fetch "127.0.0.1:$(<cutter)/${R#*/}:1" "$DIR"
  [[ $(stat -c %s "$DIR/random") -eq 250000 && $stderr == *'try 2 of 4'* && $stderr != *'try 3'* ]]
}

# Without a network the line says what would have been fetched.
@test "rootfs: image: names mean what they mean to docker" {
  needs curl jq
  local name url n=0 digest
  digest=sha256:$(printf '%064d' 7)
  while read -r name url; do
    n=$((n + 1))
    unshare --net "$FETCH" "$name" "$DIR$n" 2>"$n.log" &
    echo "cannot fetch https://$url: " >"$n.expected"
  done <<END
centos                         registry-1.docker.io/v2/library/centos/manifests/7.9.2009
centos:8                       registry-1.docker.io/v2/library/centos/manifests/8
alpine:3.20                    registry-1.docker.io/v2/library/alpine/manifests/3.20
me/mine                        registry-1.docker.io/v2/me/mine/manifests/latest
docker.io/library/debian:12    registry-1.docker.io/v2/library/debian/manifests/12
quay.io/centos/centos:stream9  quay.io/v2/centos/centos/manifests/stream9
example.org:5000/a/b/c:1       example.org:5000/v2/a/b/c/manifests/1
x:1@$digest registry-1.docker.io/v2/library/x/manifests/$digest
END
  wait
  for ((; n > 0; n--)); do
    cat "$n.log"
    tail -n 1 "$n.log" | grep -qFf "$n.expected"
  done
}

# A bar is for somebody who looks: not for a file, nor for a pipe.
@test "rootfs: progress: a bar in a terminal, quiet in a pipe" {
  registry
  requires script
  mkdir l
  head -c 3000000 /dev/urandom >l/random
  layer a.tar
  push 1 a.tar
  script -qec "FETCH_OF=$BATS_TEST_TMPDIR '$FETCH' '$R:1' '$DIR'" out >/dev/null 3>&- 4>&-
  grep -q '100.0%' out
  rm -r "$DIR"
  script -qec "FETCH_OF=$BATS_TEST_TMPDIR '$FETCH' '$R:1' '$DIR' | cat" out >/dev/null 3>&- 4>&-
  try -1 grep '%' out
  [[ -d $DIR ]]
}

@test "rootfs: debian: packages pass by in a line in a terminal, and no log is left where one stands" {
  requires script
  mkdir here bin
  # Lines as debootstrap says them; wget in the background leaves a log.
  cat >bin/debootstrap <<'END'
#!/bin/bash
echo hello >wget-log
for verb in Retrieving Validating Extracting Configuring; do echo "I: $verb libc6 2.36"; done
for dir; do [[ $dir != */root ]] || { mkdir -p "$dir/etc"; echo done >"$dir/etc/done"; }; done
END
  chmod +x bin/debootstrap
  mkdir keys && touch keys/debian-archive-keyring.gpg
  cat >wrapped <<END
mkdir -p /usr/share/keyrings /usr/share/debootstrap
mount --bind keys /usr/share/keyrings
mount -t tmpfs tmpfs /usr/share/debootstrap
mkdir /usr/share/debootstrap/scripts
touch /usr/share/debootstrap/scripts/bookworm
cd here
PATH=$PWD/bin:\$PATH FETCH_OF=$BATS_TEST_TMPDIR $FETCH debian:bookworm $DIR
END
  script -qec 'unshare --mount bash -eu wrapped' out >/dev/null 3>&- 4>&-
  cat out
  grep -q $'\r\e\[K   4  I: Configuring libc6' out # one line that changes
  [[ -e $DIR/etc/done && -z $(ls here) ]]
  rm -r "$DIR"
  try -0 unshare --mount bash -eu wrapped
  [[ -z $output && $stderr != *libc6* ]]
}

# --- interrupted --------------------------------------------------------------------------------

# The registry is frozen: connected, but without an answer.
freeze() { kill -STOP "$(<"$BATS_FILE_TMPDIR/pid")"; }
thaw() { kill -CONT "$(<"$BATS_FILE_TMPDIR/pid")"; }

nothing_left() { [[ -z $(ours) ]]; }

curl_runs() { [[ $(ours | xargs -I{} cat /proc/{}/comm) == *curl* ]]; }

@test "rootfs: SIGINT, SIGTERM, SIGHUP: at once, one line, nothing left" {
  registry
  archive a.tar
  push 1 a.tar
  freeze
  for signal in HUP:1 INT:2 TERM:15; do
    fetch_start "$R:1" some/where
    wait_until 10 curl_runs
    SECONDS=0
    kill "-${signal%:*}" "$pid"
    ended "$pid"
    cat log
    [[ $status -eq $((128 + ${signal#*:})) && $(wc -l <log) -eq 1 ]]
    grep -q 'nothing was left behind' log
    ((SECONDS < 15)) # curl alone would wait for 30
    [[ ! -e some ]]
    wait_until 2 nothing_left
  done
  thaw
}

@test "rootfs: Ctrl-C in a terminal" {
  registry
  requires script
  archive a.tar
  push 1 a.tar
  freeze
  (wait_until 10 curl_runs; printf '\003'; sleep 1) | FETCH_OF=$BATS_TEST_TMPDIR \
    env --default-signal=INT \
    script -qec "'$FETCH' '$R:1' '$DIR'; echo status \$?" out >/dev/null 3>&- 4>&-
  thaw
  cat out
  grep -q 'status 130' out
  missing
  wait_until 2 nothing_left
}

@test "rootfs: SIGKILL: the worker ends, and the next run clears up" {
  registry
  archive a.tar
  push 1 a.tar
  freeze
  fetch_start "$R:1" "$DIR"
  wait_until 10 curl_runs
  disown "$pid"
  kill -KILL "$pid"
  wait_until 2 nothing_left
  thaw
  missing
  [[ -n $(halves) ]]
  try -0 fetch "$R:1" "$DIR"
  [[ -e $DIR/bin/hello ]]
}

@test "rootfs: at any moment: the tree is whole, or not there" {
  for delay in 0 .1 .2 .4 .6 .8 1 1.3 3; do
    fetch_start host "$DIR"
    sleep "$delay"
    kill -TERM "$pid" 2>/dev/null || : # it may have ended
    ended "$pid"
    echo "after $delay s: $status"
    [[ -z $(halves) ]]
    if [[ $status -eq 0 ]]; then
      chroot "$DIR" /bin/bash -c 'ls / && ip -V && tput -T linux clear' # ps would want /proc
      rm -r "$DIR"
    else
      [[ $status -eq 143 ]]
      missing
    fi
    wait_until 2 nothing_left
  done
}

@test "rootfs: interrupted while thousands of files are being unpacked" {
  mkdir -p l
  seq 6000 | split -l 1 -a 4 - l/
  tar -C l --sort=name -cf a.tar .
  for try in 1 2; do
    fetch_start a.tar "$DIR"
    wait_until 10 test -e .dir.rootfs-fetch/root/aabb
    kill -TERM "$pid"
    ended "$pid"
    cat log
    [[ $status -eq 143 && -z $(halves) ]]
    missing
  done
}

@test "rootfs: killed between the two renames of --force: the old tree comes back" {
  archive a.tar
  fetch a.tar "$DIR"
  mkdir -m 700 .dir.rootfs-fetch
  mv "$DIR" .dir.rootfs-fetch/old
  try -0 fetch a.tar "$DIR"
  [[ -e $DIR/bin/hello && $stderr == *'is there already'* ]]
}

@test "rootfs: two at once: one does it, the other finds it done" {
  archive a.tar
  head -c 30000000 /dev/urandom >l/random
  tar -C l -cf a.tar .
  fetch_start a.tar "$DIR"
  one=$pid
  fetch_start a.tar "$DIR"
  ended "$pid"
  cat log
  [[ $status -eq 0 && -e $DIR/bin/hello ]]
  ended "$one"
  [[ $status -eq 0 ]]
}

@test "rootfs: interrupted while it waits for another one: that one's half stays" {
  archive a.tar
  mkdir -m 700 .dir.rootfs-fetch .dir.rootfs-fetch/root
  exec 9<.dir.rootfs-fetch
  flock 9
  fetch_start a.tar "$DIR" 9<&-
  wait_until 5 flock_runs
  kill -TERM "$pid"
  ended "$pid"
  cat log
  [[ $status -eq 143 && -d .dir.rootfs-fetch/root ]]
  exec 9<&-
  try -0 fetch a.tar "$DIR"
}

flock_runs() { [[ $(ours | xargs -I{} cat /proc/{}/comm) == *flock* ]]; }

@test "rootfs: somebody else's hidden directory is not used" {
  archive a.tar
  mkdir .dir.rootfs-fetch
  chown 1234 .dir.rootfs-fetch
  run fetch a.tar "$DIR"
  echo "$output"
  [[ $status -eq 1 && $output == *"/.dir.rootfs-fetch is somebody else's"* ]]
  missing
  rmdir .dir.rootfs-fetch
  ln -s "$VICTIM" .dir.rootfs-fetch
  run fetch a.tar "$DIR"
  [[ $status -eq 1 && $output == *"somebody else's"* ]]
  rm .dir.rootfs-fetch
}

# --- debootstrap, and the command line ----------------------------------------------------------

@test "rootfs: debian: debootstrap, with ps, ip and ping" {
  needs debootstrap
  # shellcheck disable=SC1091
  [[ $(. /etc/os-release && echo "$ID") == debian ]] || skip 'only where apt has a Debian mirror'
  try -0 fetch debian "$DIR"
  try -0 inside 'ps -e && ip -V && ping -V && dpkg --audit'
  [[ -z $(find "$DIR" -type b -o -type c -o -name '*.deb') && -z $(ls "$DIR/proc") ]]
  [[ $(</proc/self/mountinfo) != *"$BATS_TEST_TMPDIR"* ]]
  try -0 fetch debian "$DIR"
}

@test "rootfs: debian and ubuntu: a suite that does not exist, a way out" {
  needs debootstrap
  for source in debian:12 debian:../x ubuntu:nonsense; do
    fails "docker.io/library/$source" "$source" "$DIR"
  done
}

@test "rootfs: usage: --help, and what is wrong with the arguments" {
  try -0 fetch --help
  [[ $output == usage:* && -z $stderr ]]
  for word in host debian ubuntu IMAGE FILE URL --force --sha256 iproute2; do
    [[ $output == *"$word"* ]]
  done
  fails -2 'two arguments'
  fails -2 'two arguments' host
  fails -2 'two arguments' host a b
  fails -2 empty '' "$DIR"
  fails -2 empty host ''
  fails -2 --frobnicate host "$DIR" --frobnicate
  fails -2 '64 hexadecimal' host "$DIR" --sha256
}

# As `make install` leaves the two scripts.
@test "rootfs: usage: messages name the commands that are there" {
  mkdir bin && ln -s "$(type -P bash)" "$(type -P realpath)" "$(type -P env)" bin
  cp "$FETCH" bin/container_engine-rootfs
  run env PATH="$PWD/bin" container_engine-rootfs host "$DIR"
  [[ $output == 'container_engine-rootfs: '*'; container_engine-env deps installs it' ]]
  run env PATH="$PWD/bin:$PATH" container_engine-rootfs host
  [[ $output == *'see container_engine-rootfs --help' ]]
}

@test "rootfs: usage: needs root, and the tools; says so" {
  archive a.tar
  mkdir bin && ln -s "$(type -P bash)" "$(type -P realpath)" "$(type -P env)" bin
  chmod 755 "$BATS_TEST_TMPDIR"
  run env PATH="$PWD/bin" "$FETCH" host "$DIR"
  echo "$output"
  [[ $status -eq 1 && $output == *'is not installed; ./env.sh deps'* && ${#lines[@]} -eq 1 ]]
  cp "$FETCH" fetch.sh
  run setpriv --reuid 65534 --clear-groups bash fetch.sh host "$DIR"
  echo "$output"
  [[ $status -eq 1 && $output == *'needs root'* && ${#lines[@]} -eq 1 ]]
}

#!/usr/bin/env bash
# rootfs-fetch.sh - get a root filesystem for container_engine.
#
# Everything happens in a hidden directory beside DIR (same filesystem, mode 0700). When the tree
# is whole, one rename moves it into place; otherwise the hidden directory is removed, and DIR is
# what it was before. A worker process does the work, and this shell only waits for it: so a
# signal is answered at once, ends the worker's whole process group, and cleans up.
set -euo pipefail
umask 022
export LC_ALL=C
unset TAR_OPTIONS CDPATH

readonly ME=${0##*/}
readonly MARKER=.rootfs-fetch   # in the finished DIR: says what it was made from
SOURCE='' DIR='' FORCE='' SHA256='' FROM='' PARENT='' WORK='' EXISTING='' WORKER=''
CODE=000 DIGEST='' SCHEME=https HOST='' REPO='' REF=''

usage() {
  cat <<END
usage: $ME SOURCE DIR [--force] [--sha256 HEX]

SOURCE is one of
  host                 this machine's own bash, coreutils, ps, ip, ping... and their libraries;
                       needs no network and takes seconds
  debian[:SUITE]       debootstrap, variant minbase, and the packages iproute2, iputils-ping and
  ubuntu[:SUITE]       procps (for ip, ping, ps); from the mirror that this machine's apt uses
  IMAGE                an image in a registry: centos (that is centos:7.9.2009), alpine:3.20,
                       quay.io/centos/centos:stream9, localhost:5000/x:y, name@sha256:HEX
  FILE | URL           a tar archive, in any compression that tar knows

  --force              make DIR anew, although it is there already
  --sha256 HEX         the archive must have this checksum

DIR appears when it is whole, or not at all. A DIR that was made from SOURCE before is left as it
is. An image may bring setuid programs: let DIR be in a directory that only root can enter.
Exit status: 0 done, 1 failed (one line on stderr says why), 2 usage, 128+n signal n.
END
}

# Names come from archives and servers, too: no control characters to the terminal.
say() { printf '%s: %s\n' "$ME" "${*//[[:cntrl:]]/?}" >&2; }

die() {
  [[ $BASHPID == "$$" ]] || set -- "$*; nothing was left behind"   # the worker
  say "$*"
  exit 1
}

bad_usage() { say "$*; see $ME --help"; exit 2; }

# The other script: beside this one, or where make installed both.
sibling() { if [[ $ME == *-rootfs ]]; then echo "${ME%rootfs}env"; else echo ./env.sh; fi; }

need() {
  local tool
  for tool; do
    [[ $(type -P "$tool") ]] || die "$tool is not installed; $(sibling) deps installs it"
  done
}

erase() { rm -rf --one-file-system -- "$@"; }
empty() { find "$1" -mindepth 1 -maxdepth 1 -exec rm -rf --one-file-system -- {} +; }

# --- archives and layers ------------------------------------------------------------------------

# unpack ARCHIVE NEW - GNU tar is safe against its archive as long as NEW is empty at the start: it
# refuses `..`, strips a leading `/` (in hard links too), and makes links that could lead outside
# last, when nothing can be written through them any more. So each layer gets a directory of its
# own. Device members are left out: the engine brings its own /dev.
unpack() {
  local archive=$1 new=$2
  [[ $(tar --version) == *GNU* ]] || die "GNU tar is needed; $(sibling) deps installs it"
  mkdir -- "$new"
  tar --force-local -tvf "$archive" --numeric-owner --quoting-style=literal \
    2>"$WORK/error" >"$WORK/list" || die "${archive##*/} cannot be read: $(last_error)"
  sed -nE '/^[bc]/s/^([^ ]+ +){5}//p' "$WORK/list" >"$WORK/devices"
  # cd, because tar takes a backslash in what follows -C for the beginning of an escape
  ( cd -- "$new" && tar --force-local -xpf "$archive" --numeric-owner --warning=no-timestamp \
    --xattrs --xattrs-include='user.*' --xattrs-include=security.capability \
    --anchored --no-wildcards --exclude-from="$WORK/devices" 2>"$WORK/error" ) ||
    die "${archive##*/} cannot be unpacked: $(last_error)"
  # a name with a newline in it can slip through the list
  find "$new" -xdev \( -type b -o -type c \) -delete
}

last_error() {
  sed -E '/Exiting with|not recoverable|Child returned|Removing leading/d' "$WORK/error" |
    tail -n 1
}

# merge LAYER ROOT - put an unpacked layer on the tree. A lower layer may have left a link to
# anywhere (a -> /etc); where this layer has a directory of that name the link gives way to it, as
# it does in an overlay mount. Parents come first, so after that loop each path that is used below
# leads through real directories of ROOT only.
merge() {
  local layer=$1 root=$2 path name
  while IFS= read -r -d '' path; do
    [[ ! -L $root/$path && -d $root/$path ]] || erase "$root/$path"
  done < <(find "$layer" -mindepth 1 -type d -printf '%P\0')
  while IFS= read -r -d '' path; do
    name=${path##*/}
    path=${path%"$name"}
    case $name in
    .wh..wh..opq) [[ ! -d $root/$path ]] || empty "$root/$path" ;;
    .wh..wh.*) ;;   # bookkeeping of aufs
    .wh. | .wh.. | .wh...) die "the image has a whiteout for '${name#.wh.}', refused" ;;
    *) erase "$root/$path${name#.wh.}" ;;
    esac
  done < <(find "$layer" -name '.wh.*' -printf '%P\0')
  find "$layer" -name '.wh.*' -prune -exec rm -rf {} +
  while IFS= read -r -d '' path; do
    [[ -L $root/$path || ! -d $root/$path ]] || erase "$root/$path"
  done < <(find "$layer" ! -type d -printf '%P\0')
  # hard links instead of copies: quick, and owners, modes, attributes and links stay as they are
  cp -al --remove-destination -- "$layer/." "$root/"
  erase "$layer"
}

from_archive() {
  local archive=$SOURCE
  if [[ $SOURCE == *://* ]]; then
    need curl
    archive=$WORK/download
    fetch "$SOURCE" "$archive" bar
    [[ $CODE == 2?? ]] || die "$SOURCE: the server answers $CODE"
  fi
  DIGEST=$(sha256sum <"$archive" | cut -d ' ' -f 1)
  [[ -z $SHA256 || $DIGEST == "$SHA256" ]] || die "sha256 of $SOURCE is $DIGEST, not $SHA256"
  say "unpacking $SOURCE"
  unpack "$archive" "$WORK/root"
}

# --- HTTP ---------------------------------------------------------------------------------------

watched() { [[ -t 1 && -t 2 ]]; }   # somebody looks: bars go to stderr, which may be a file

# fetch URL FILE [bar] - with patience for a bad network: up to four tries, each going on where the
# last one broke off. CODE is the server's final answer: 2xx when FILE is there.
fetch() {
  local url=$1 file=$2 try status errors=$WORK/error options=(--silent --show-error)
  if [[ ${3-} == bar ]] && watched; then
    options=(--progress-bar)
    errors=/dev/stderr
  fi
  [[ $SCHEME == https ]] || options+=(--noproxy "${HOST%:*}")
  [[ $url != */manifests/* ]] || options+=(--header "Accept: $MANIFESTS")
  [[ ! -e $WORK/token ]] || options+=(--header "@$WORK/token")
  rm -f -- "$file"
  for try in 1 2 3 4; do
    status=0
    : >"$WORK/error"
    CODE=$(curl "${options[@]}" --fail --location --globoff --proto "=${url%%:*},https" \
      --connect-timeout 20 --speed-limit 100 --speed-time 30 --continue-at - \
      --dump-header "$WORK/headers" --write-out '%{http_code}' --output "$file" \
      -- "$url" 2>"$errors") || status=$?
    case $status:$CODE in
    0:*) return 0 ;;
    33:* | 36:* | 22:416) rm -f -- "$file" ;;   # it cannot resume: from the start, then
    22:408 | 22:429 | 22:5??) ;;
    22:*) return 0 ;;
    esac
    [[ -s $WORK/error ]] || printf 'curl: (%s)\n' "$status" >"$WORK/error"
    (( try == 4 )) || { say "try $try of 4: $(last_error)"; sleep "$((1 << (try - 1)))"; }
  done
  die "cannot fetch $url: $(last_error)"
}

# --- images (the registry's HTTP API, version 2) ------------------------------------------------

readonly DOCKER=application/vnd.docker.distribution.manifest OCI=application/vnd.oci.image
readonly MANIFESTS="$OCI.index.v1+json,$OCI.manifest.v1+json,$DOCKER.list.v2+json,$DOCKER.v2+json"

# parse_image NAME - like docker: the first part is a host only if it looks like one.
parse_image() {
  local name=$1 tag=latest
  [[ $name != centos ]] || name=centos:7.9.2009
  HOST=docker.io
  if [[ $name == */* && ${name%%/*} =~ [.:]|^localhost$ ]]; then
    HOST=${name%%/*}
    name=${name#*/}
  fi
  [[ $name != *@* ]] || REF=${name#*@}
  name=${name%%@*}
  [[ ! $name =~ :([^/:]*)$ ]] || { tag=${BASH_REMATCH[1]}; name=${name%:*}; }
  REF=${REF:-$tag}
  [[ $HOST != docker.io || $name == */* ]] || name=library/$name
  [[ ! ${HOST%:*} =~ ^(localhost|127\.0\.0\.1)$ ]] || SCHEME=http
  REPO=$name
  [[ $HOST =~ ^[A-Za-z0-9.-]+(:[0-9]+)?$ &&
    $REPO =~ ^[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$ &&
    $REF =~ ^([A-Za-z0-9_][A-Za-z0-9._-]{0,127}|sha256:[0-9a-f]{64})$ ]] ||
    bad_usage "'$SOURCE' is neither a file nor the name of an image"
  SOURCE=$HOST/$REPO:$REF
  [[ $REF != sha256:* ]] || SOURCE=$HOST/$REPO@$REF
}

# authorize - answer a registry's challenge with an anonymous token. It lasts some minutes.
authorize() {
  local challenge realm service
  challenge=$(tr -d '\r' <"$WORK/headers" | sed -n 's/^www-authenticate: *bearer //Ip' | tail -n 1)
  realm=$(sed -n 's/.*realm="\([^"]*\)".*/\1/p' <<<"$challenge")
  service=$(sed -n 's/.*service="\([^"]*\)".*/\1/p' <<<"$challenge")
  [[ $realm == https://* || ( $SCHEME == http && $realm == http://* ) ]] ||
    die "$SOURCE: $HOST asks for a login, and this script has none"
  rm -f -- "$WORK/token"
  fetch "$realm?service=$(jq -rn --arg s "$service" '$s|@uri')&scope=repository:$REPO:pull" \
    "$WORK/token.json"
  # shellcheck disable=SC2015  # one complaint for both
  [[ $CODE == 2?? ]] && jq -er '"Authorization: Bearer " + (.token // .access_token)' \
    "$WORK/token.json" >"$WORK/token" || die "$SOURCE: $HOST gives no anonymous token ($CODE)"
}

# registry_get manifests|blobs REF FILE [bar] - checked against REF when that is a digest.
registry_get() {
  local kind=$1 ref=$2 file=$3 server=$HOST
  [[ $HOST != docker.io ]] || server=registry-1.docker.io
  set -- "$SCHEME://$server/v2/$REPO/$kind/$ref" "$file" "${4-}"
  fetch "$@"
  [[ $CODE != 401 ]] || { authorize; fetch "$@"; }
  case $CODE in
  2??) ;;
  401 | 403) die "$SOURCE: no such image, or it needs a login ($CODE)" ;;
  404) die "$SOURCE: $HOST has no such image or tag (404)" ;;
  *) die "$SOURCE: $HOST answers $CODE" ;;
  esac
  DIGEST=sha256:$(sha256sum <"$file" | cut -d ' ' -f 1)
  [[ $ref != sha256:* || $ref == "$DIGEST" ]] ||
    die "$SOURCE: ${kind%s} $ref is corrupt: it is $DIGEST"
}

is_digest() { [[ $1 =~ ^sha256:[0-9a-f]{64}$ ]]; }

from_image() {
  local manifest=$WORK/manifest config=$WORK/config arch digest chosen size type n=0 of
  need curl jq
  arch=$(uname -m | sed 's/^x86_64$/amd64/; s/^aarch64$/arm64/')   # the registries' names
  registry_get manifests "$REF" "$manifest"
  if jq -e 'has("manifests")' "$manifest" >"$WORK/list" 2>&1; then
    # the variants that run on each such machine; newer ones might not
    digest=$(jq -r --arg arch "$arch" 'first(.manifests[] | select(.platform
      | .os == "linux" and .architecture == $arch and (.variant // "" | IN("", "v1", "v8"))))
      .digest' "$manifest")
    is_digest "$digest" || die "$SOURCE has no image for linux/$arch, only for: $(jq -r \
      '[.manifests[].platform | "\(.os)/\(.architecture)"] | unique | join(" ")' "$manifest")"
    registry_get manifests "$digest" "$manifest"
  fi
  chosen=$DIGEST
  digest=$(jq -r '.config.digest // empty' "$manifest")
  is_digest "$digest" || die "$SOURCE: its manifest is of a kind that this script does not know"
  registry_get blobs "$digest" "$config"
  [[ $(jq -r '.architecture' "$config") == "$arch" ]] ||
    die "$SOURCE is for $(jq -r '"\(.os)/\(.architecture)"' "$config"), this machine is $arch"
  mkdir -- "$WORK/root"
  jq -r '.layers[] | [.digest, .size, .mediaType] | @tsv' "$manifest" >"$WORK/layers"
  of=$(wc -l <"$WORK/layers")
  while IFS=$'\t' read -r digest size type <&3; do
    is_digest "$digest" || die "$SOURCE: layer $((n + 1)) has no sha256 digest"
    [[ $type =~ (tar|tar[.+]gzip|tar\+zstd)$ ]] || die "$SOURCE: layer type $type is unknown"
    say "layer $((++n)) of $of, $(numfmt --to=iec "$size"): ${digest:7:12}"
    registry_get blobs "$digest" "$WORK/blob" bar
    unpack "$WORK/blob" "$WORK/layer"
    merge "$WORK/layer" "$WORK/root"
  done 3<"$WORK/layers"
  DIGEST=$chosen
}

# --- debootstrap --------------------------------------------------------------------------------

from_debootstrap() {
  local distribution=${SOURCE%%:*} suite='' mirror='' os
  local keyring=/usr/share/keyrings/$distribution-archive-keyring.gpg
  need debootstrap
  # shellcheck disable=SC1091
  os=$(. /etc/os-release && printf '%s %s' "${ID-}" "${VERSION_CODENAME-}")
  [[ $SOURCE != *:* ]] || suite=${SOURCE#*:}
  if [[ ${os% *} == "$distribution" ]]; then
    suite=${suite:-${os#* }}
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(LABEL)|$(COMPONENT)|$(REPO_URI)' |
      sed -nE "s/^$distribution\|main\|((https?|file):.*)/\1/Ip" | sed -n 1p)
  fi
  [[ $suite || $distribution != debian ]] || suite=stable
  suite=${suite:-jammy}   # the newest that Debian 12's debootstrap knows
  [[ $suite =~ ^[a-z]+$ && -e /usr/share/debootstrap/scripts/$suite ]] || die "debootstrap knows" \
    "no suite '$suite' (for an image of a registry write docker.io/library/$SOURCE)"
  [[ -e $keyring ]] || die "$keyring is missing, to check the packages with: install" \
    "$distribution's keyring, or take docker.io/library/$distribution"
  say "debootstrap $suite; this takes a minute or more"
  # It mounts proc and sys in the new tree: in a mount namespace of its own they cannot stay. Its
  # wget leaves a log where it runs.
  ( cd -- "$WORK" && unshare --mount debootstrap --force-check-gpg --variant=minbase \
    --include=iproute2,iputils-ping,procps "$suite" "$WORK/root" ${mirror:+"$mirror"} 2>&1 ) |
    tee "$WORK/error" | packages || die "debootstrap: $(last_error)"
  erase "$WORK"/root/var/cache/apt/archives/*.deb
  find "$WORK/root" -xdev \( -type b -o -type c \) -delete
}

# packages - debootstrap's lines, as one line that changes; for nobody, nothing
packages() {
  local verb package n=0
  watched || { cat >"$WORK/list"; return; }
  while read -r _ verb package _; do
    [[ ! $verb =~ ^(Retriev|Extract|Unpack|Configur)ing$ ]] ||
      printf '\r\e[K%4d  %s %s' "$((++n))" "$verb" "${package//[^a-z0-9.+-]/}" >&2
  done
  printf '\r\e[K' >&2
}

# --- host ---------------------------------------------------------------------------------------

readonly PROGRAMS='
  bash sh base64 basename cat chgrp chmod chown chroot cmp comm cp cut date dd df diff dirname du
  echo env expr false fold head id install join link ln ls md5sum mkdir mkfifo mknod mktemp mv
  nice nl nohup nproc numfmt od paste printenv printf pwd readlink realpath rm rmdir seq sha256sum
  shuf sleep sort split stat stdbuf stty sum sync tac tail tee test timeout touch tr true truncate
  tty uname uniq unlink wc whoami yes
  awk egrep fgrep find getent getopt grep gunzip gzip less more sed tar vi which xargs zcat
  clear reset tput free kill pgrep pidof pkill ps sysctl top uptime vmstat w watch
  bridge hostname ip ping ss
  capsh dmesg findmnt flock getcap lsns mount mountpoint nsenter prlimit renice script setcap
  setpriv setsid taskset umount unshare busybox'

from_host() {
  local root=$WORK/root link name file files=()
  need ldd
  mkdir -- "$root" "$root"/{dev,etc,home,media,mnt,opt,proc,run,srv,sys,usr,var,var/{cache,lib,log}}
  mkdir -m 0700 -- "$root/root"
  mkdir -m 1777 -- "$root/tmp" "$root/var/tmp"
  for link in /bin /sbin /lib*; do   # where they are links into /usr on the host, here too
    [[ -L $link && $(readlink "$link") =~ ^/?(usr/[a-z0-9]+)$ ]] || continue
    mkdir -p -- "$root/${BASH_REMATCH[1]}"
    ln -s -- "${BASH_REMATCH[1]}" "$root$link"
  done
  for name in $PROGRAMS; do
    file=$(type -P "$name") || continue
    # a full vim is big, and complains about its missing runtime files
    [[ $name == vi && $(stat -Lc %s "$file") -gt 2000000 ]] || files+=("$file")
  done
  # what they are linked to; of scripts and static programs ldd says nothing that matches
  while read -r file; do
    files+=("$file")
  done < <(printf '%s\n' "${files[@]}" | xargs -n 1 ldd 2>/dev/null |
    sed -nE 's/^(.*=>)?[[:space:]]*(\/[^ ]+) \(0x.*/\2/p' | sort -u)
  # what no link shows: before glibc 2.34 plug-ins read /etc/passwd and asked the DNS
  for file in /{usr/,}lib{64,}/{*-linux-gnu/,}libnss_{files,dns}.so.2 /usr/lib/locale/C.utf8 \
    /{etc,lib,usr/share}/terminfo/?*/{{xterm,screen,tmux}{,-256color},linux,vt100,dumb}; do
    [[ ! -e $file ]] || files+=("$file")
  done
  # the real files in one go, then the names that were links
  realpath -- "${files[@]}" | sort -u | sed 's:^/::' |
    (cd / && xargs -d '\n' cp -a --parents --target-directory="$root")
  for file in "${files[@]}"; do
    [[ ! -e $root$file && ! -L $root$file ]] || continue
    mkdir -p -- "$root${file%/*}"
    ln -sr -- "$root$(realpath -- "$file")" "$root$file"
  done
  if [[ -e /etc/ld.so.conf ]]; then
    cp -a -- /etc/ld.so.conf* "$root/etc/"
    ldconfig -r "$root"
  fi
  write_etc "$root/etc"
}

write_etc() {
  local etc=$1
  printf '%s\n' root:x:0:0:root:/root:/bin/bash \
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin >"$etc/passwd"
  printf '%s\n' root:x:0: tty:x:5: nogroup:x:65534: >"$etc/group"
  printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' >"$etc/nsswitch.conf"
  cp -L /etc/os-release "$etc/"
  # the prompt of the walkthrough: [root@centos1 /]#
  printf '%s\n' "PS1='[\\u@\\h \\W]\\\$ '" >"$etc/../root/.bashrc"
}

# --- from nothing to DIR ------------------------------------------------------------------------

# choose - which kind of source it is; prints nothing, sets FROM and a SOURCE that is unambiguous.
choose() {
  case $SOURCE in
  host) FROM=from_host ;;
  debian | debian:* | ubuntu | ubuntu:*) FROM=from_debootstrap ;;
  http://* | https://*) FROM=from_archive ;;
  *://*) bad_usage "'${SOURCE%%://*}' is not a way that this script can fetch by" ;;
  /* | ./* | ../* | *.tar | *.tar.* | *.t[gbxz]z | *.tbz2 | *.tzst) FROM=from_archive ;;
  *) if [[ -f $SOURCE ]]; then FROM=from_archive; else FROM=from_image; fi ;;
  esac
  [[ -z $SHA256 || $FROM == from_archive ]] || bad_usage "--sha256 is for archives"
  [[ $FROM != from_image ]] || parse_image "$SOURCE"
  if [[ $FROM == from_archive && $SOURCE != *://* ]]; then
    [[ -f $SOURCE && -r $SOURCE ]] || die "$SOURCE is not a file that can be read"
    SOURCE=$(realpath -- "$SOURCE")
  fi
}

marker() { sed -n "s/^$1=//p" "$DIR/$MARKER"; }

# public_source - SOURCE without a password or a signature: the marker can be read by everybody.
public_source() { sed -E 's#^([a-z]+://)[^/@]*@#\1#; /:\/\//s/\?.*//' <<<"$SOURCE"; }

# look_at_target - ends the script when DIR is finished, or is not to be touched.
look_at_target() {
  local name point running
  [[ -e $DIR ]] || return 0
  [[ -d $DIR ]] || die "$DIR is there and is not a directory"
  if [[ -f $DIR/$MARKER && ! -L $DIR/$MARKER ]]; then
    if [[ ! $FORCE ]]; then
      [[ $(marker source) == "$(public_source)" ]] ||
        die "$DIR was made from $(marker source); --force makes it anew from $SOURCE"
      [[ -z $SHA256 || $(marker digest) == "$SHA256" ]] ||
        die "$DIR was made from an archive with another sha256; --force makes it anew"
      say "$DIR is there already, made from $SOURCE"
      exit 0
    fi
  elif [[ $(ls -A -- "$DIR") ]]; then
    die "$DIR is not empty, and this script did not make it: empty it, or name another one"
  fi
  running=$("${0%"$ME"}$(sibling)" status | sed -n 's/^running: //p') ||
    die "$(sibling) status does not tell whether a container uses $DIR"
  for name in $running; do
    [[ $(sed -n 's/^rootfs=//p' "/var/lib/container_engine/$name/state" 2>&-)/ != "$DIR"/* ]] ||
      die "$DIR is in use by the container $name: stop it first"
  done
  while read -r _ _ _ _ point _; do   # never move or delete what somebody mounted there
    printf -v point '%b' "$point"
    [[ $point/ != "$DIR"/* ]] || die "something is mounted on $point; unmount it first"
  done </proc/self/mountinfo
}

# put_back - stopped between the two renames of install_tree: the old tree goes back.
put_back() { [[ -e $DIR || ! -d $WORK/old ]] || mv -T -- "$WORK/old" "$DIR"; }

# claim - make and lock the hidden directory. What a killed fetch left in it goes.
claim() {
  EXISTING=$PARENT
  until [[ -e $EXISTING/ ]]; do EXISTING=${EXISTING%/*}; done
  mkdir -p -- "$PARENT/" 2>/dev/null || die "$PARENT cannot be made"
  WORK=$PARENT/.${DIR##*/}.rootfs-fetch
  until [[ $WORK -ef /dev/fd/9 ]]; do   # not the one that another fetch just removed
    # shellcheck disable=SC2174
    mkdir -p -m 0700 -- "$WORK" 2>/dev/null || { WORK=; die "$PARENT cannot be written to"; }
    [[ -O $WORK && ! -L $WORK ]] || { WORK=; die "$WORK is somebody else's; remove it"; }
    exec 9<"$WORK"
    flock -w 5 9 || { WORK=; die "another fetch into $DIR is running"; }
  done
  put_back
  empty "$WORK"
  look_at_target   # another fetch may have just made it
}

# work - the worker. When the main shell dies, even by SIGKILL, the pipe ends, and with it the
# worker's process group.
work() {
  exec 8>&-
  { read -r _ || kill -KILL 0; } <&7 &
  "$FROM"
  erase "$WORK/root/$MARKER"
  [[ $(ls -A "$WORK/root") ]] || die "there is nothing in $SOURCE"
  printf 'source=%s\ndigest=%s\n' "$(public_source)" "$DIGEST" >"$WORK/root/$MARKER"
}

clean_up() {
  local try
  set +e   # whatever fails here, the rest is still to be removed
  trap '' HUP INT PIPE TERM
  [[ ! $WORKER ]] || { kill -KILL -- "-$WORKER"; wait "$WORKER"; } 2>/dev/null
  if [[ $WORK ]] && put_back; then
    for try in {1..50}; do   # what is killed may still be ending its last system call
      erase "$WORK" 2>/dev/null && break
      sleep 0.1
    done
  fi
  # the parent directories that were missing, as far as they are empty
  [[ $PARENT == "$EXISTING" ]] ||
    (cd "$EXISTING/" && rmdir -p -- "${PARENT#"$EXISTING"/}") 2>/dev/null
}

on_signal() { # NUMBER
  trap - EXIT
  clean_up
  say "stopped by signal $1; nothing was left behind"
  exit $((128 + $1))
}

# install_tree - a rename, or two when there is an old tree. Not to be interrupted.
install_tree() {
  trap '' HUP INT PIPE TERM
  look_at_target
  [[ ! -e $DIR ]] || mv -T -- "$DIR" "$WORK/old"
  mv -T -- "$WORK/root" "$DIR"
}

main() {
  local arguments=() signal
  while (( $# )); do
    case $1 in
    -h | --help) usage; exit 0 ;;
    --force) FORCE=1 ;;
    --sha256)
      [[ ${2-} =~ ^[0-9A-Fa-f]{64}$ ]] || bad_usage "--sha256 wants 64 hexadecimal digits"
      SHA256=${2,,}
      shift ;;
    --) arguments+=("${@:2}"); break ;;
    -*) bad_usage "unknown option '$1'" ;;
    *) arguments+=("$1") ;;
    esac
    shift
  done
  (( ${#arguments[@]} == 2 )) || bad_usage "two arguments are needed, SOURCE and DIR"
  SOURCE=${arguments[0]}
  [[ $SOURCE && ${arguments[1]} ]] || bad_usage "SOURCE and DIR cannot be empty"
  [[ ${arguments[*]} != *[[:cntrl:]]* ]] ||
    bad_usage "SOURCE and DIR cannot have control characters"
  DIR=$(realpath -m -- "${arguments[1]}")
  [[ $DIR != / ]] || bad_usage "DIR cannot be /"
  PARENT=${DIR%/*}   # empty for /
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

  choose
  look_at_target
  (( EUID == 0 )) || die "needs root, for files keep their owners: use sudo"
  need flock tar sha256sum
  trap clean_up EXIT
  # shellcheck disable=SC2064  # now
  for signal in 1 2 13 15; do trap "on_signal $signal" "$signal"; done   # HUP, INT, PIPE, TERM
  claim
  mkfifo -- "$WORK/alive"
  exec 8<>"$WORK/alive"
  exec 7<"$WORK/alive"
  set -m   # the worker in a process group of its own
  work &
  WORKER=$!
  set +m
  wait "$WORKER" || exit 1   # it has said why
  install_tree
  say "$DIR is ready, made from $SOURCE"
}

main "$@"

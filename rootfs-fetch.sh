#!/usr/bin/env bash
# usage: rootfs-fetch.sh SOURCE DIR [--force] [--sha256 HEX]
#
# SOURCE is one of
#   host                 this machine's own bash, coreutils, ps, ip, ping... and their libraries;
#                        needs no network and takes seconds
#   debian[:SUITE]       debootstrap, variant minbase, and the packages iproute2, iputils-ping and
#   ubuntu[:SUITE]       procps (for ip, ping, ps); from the mirror that this machine's apt uses
#   IMAGE                an image in a registry: centos (that is centos:7.9.2009), alpine:3.20,
#                        quay.io/centos/centos:stream9, localhost:5000/x:y, name@sha256:HEX
#   FILE | URL           a tar archive, in any compression that tar knows
#
#   --force              make DIR anew, although it is there already; not while a container has it
#   --sha256 HEX         the archive must have this checksum
#
# DIR appears when it is whole, or not at all. A DIR that was made from SOURCE before is left as it
# is. An image may bring setuid programs: let DIR be in a directory that only root can enter.
# Exit status: 0 done, 1 failed (one line on stderr says why), 2 usage, 128+n signal n.

# Everything happens in a hidden directory beside DIR (same filesystem, mode 0700). When the tree
# is whole, one rename moves it into place; otherwise the hidden directory is removed, and DIR is
# what it was before. A worker process does the work, and this shell only waits for it: so a
# signal is answered at once, ends the worker's whole process group, and cleans up.
# shellcheck disable=SC2016,SC2174  # variables of jq's and apt's; mkdir -pm: the parent is there
set -euo pipefail
umask 022
export LC_ALL=C no_proxy=localhost,127.0.0.1,${no_proxy-${NO_PROXY-}}
unset TAR_OPTIONS CDPATH

readonly ME=${0##*/}
readonly MARKER=.rootfs-fetch   # in the finished DIR: says what it was made from
DEPS='./env.sh deps'   # the other script: beside this one, or where make installed both
[[ $ME != *-rootfs ]] || DEPS="${ME%rootfs}env deps"
SOURCE='' DIR='' FORCE='' SHA256='' FROM='' WORK='' WORKER='' SIGNAL='' CODE='' DIGEST=''

usage() { sed -nE "/^\$/q; s/rootfs-fetch\.sh/$ME/; s/^#( |\$)//p" "$0"; }   # how this file begins
bad_usage() { say "$*; see $ME --help"; exit 2; }
erase() { rm -rf --one-file-system -- "$@"; }
watched() { [[ -t 1 && -t 2 ]]; }   # somebody looks: bars go to stderr, which may be a file

# Names come from archives and servers, too: no control characters to the terminal.
say() { printf '%s: %s\n' "$ME" "${*//[[:cntrl:]]/?}" >&2; }
die() {
  [[ $BASHPID == "$$" ]] || set -- "$*; nothing was left behind"   # the worker
  say "$*"
  exit 1
}
need() { type -P "$@" >/dev/null || die "${*// / or } is not installed; $DEPS installs it"; }

# --- the sources: archives, images, debootstrap, this machine -----------------------------------

# unpack ARCHIVE NEW - GNU tar is safe against its archive as long as NEW is empty at the start: it
# refuses `..`, strips a leading `/` (in hard links too), and makes links that could lead outside
# last, when nothing can be written through them any more. So each layer has a NEW of its own.
unpack() {
  [[ $(tar --version) == *GNU* ]] || die "GNU tar is needed; $DEPS installs it"
  mkdir -- "$2"
  # cd, because tar takes a backslash in what follows -C for the beginning of an escape
  (cd -- "$2" && tar --force-local -xpf "$1" --numeric-owner --warning=no-timestamp \
    --xattrs --xattrs-include='user.*' --xattrs-include=security.capability) 2>"$WORK/error" ||
    die "${1##*/} cannot be unpacked: $(last_error)"
}
last_error() { grep -vE 'Exiting with|not recoverable|Child returned' "$WORK/error" | tail -n 1; }

# merge LAYER ROOT - put an unpacked layer on the tree. A lower layer may have left a link to
# anywhere (a -> /etc); where this layer has a directory of that name the link gives way to it, as
# it does in an overlay mount. Parents come first, so each path leads through real directories of
# ROOT only; and only when nothing is in the way any more the layer's own files come.
merge() {
  local entry path
  while IFS= read -r -d '' entry; do
    path=$2/${entry:1}
    case ${entry::1}/${path##*/} in
    */.wh..wh..opq) erase "${path%/*}" ;;
    */.wh..wh.*) ;;   # bookkeeping of aufs
    */.wh. | */.wh.. | */.wh...) die "the image has a whiteout for '${path##*.wh.}', refused" ;;
    */.wh.*) erase "${path%/*}/${path##*/.wh.}" ;;
    d/*) [[ ! -L $path && -d $path ]] || erase "$path" ;;
    *) [[ -L $path || ! -d $path ]] || erase "$path" ;;
    esac
  done < <(find "$1" -mindepth 1 -printf '%y%P\0')
  find "$1" -name '.wh.*' -prune -exec rm -rf {} +
  # hard links instead of copies: quick, and owners, modes, attributes and links stay as they are
  cp -al --remove-destination -- "$1/." "$2/"
  erase "$1"
}

from_archive() {
  local archive=$SOURCE
  if [[ $SOURCE == *://* ]]; then
    need curl
    archive=$WORK/download
    fetch "$SOURCE" "$archive" || die "$SOURCE: the server answers $CODE"
  fi
  DIGEST=$(sha256sum <"$archive" | cut -d ' ' -f 1)
  [[ -z $SHA256 || $DIGEST == "$SHA256" ]] || die "sha256 of $SOURCE is $DIGEST, not $SHA256"
  say "unpacking $SOURCE"
  unpack "$archive" "$WORK/root"
}

# fetch URL FILE - with patience for a bad network: up to four tries, each going on where the last
# one broke off; with a bar for what may be big. False when the server answers without it: CODE.
fetch() {
  local url=$1 file=$2 try said options=(--silent)
  [[ $file != */download ]] || ! watched || options=(--progress-bar)
  [[ $url != */manifests/* ]] || options+=(--header "Accept: $MANIFESTS")
  [[ ! -e $WORK/token ]] || options+=(--header "@$WORK/token")
  rm -f -- "$file"
  for try in 1 2 3 4; do
    said=$(curl "${options[@]}" --fail --location --globoff --proto "=${url%%:*},https" \
      --connect-timeout 20 --speed-limit 100 --speed-time 30 --continue-at - \
      --dump-header "$WORK/headers" --write-out '%{http_code} %{errormsg}' --output "$file" \
      -- "$url") && return
    [[ $? != 33 ]] || rm -f -- "$file"   # it cannot resume: from the start, then
    CODE=${said%% *}
    [[ $CODE != 4?? || $CODE == 408 || $CODE == 429 ]] || return 1
    (( try == 4 )) || { say "try $try of 4: ${said#* }"; sleep "$((1 << (try - 1)))"; }
  done
  die "cannot fetch $url: ${said#* }"
}

# Images come by the registry's HTTP API, version 2.
readonly DOCKER=application/vnd.docker.distribution.manifest OCI=application/vnd.oci.image
readonly MANIFESTS="$OCI.index.v1+json,$OCI.manifest.v1+json,$DOCKER.list.v2+json,$DOCKER.v2+json"

# parse_image - like docker: the first part is a host only if it looks like one. Sets FROM, HOST,
# REPO, REF, and API, which the addresses of all that is in the registry begin with.
parse_image() {
  local host='localhost|[A-Za-z0-9-]*[.:][A-Za-z0-9.:-]*' part='[a-z0-9]+([._-]+[a-z0-9]+)*'
  local tag='[A-Za-z0-9_][A-Za-z0-9._-]{0,127}' digest='sha256:[0-9a-f]{64}' scheme=https
  [[ $SOURCE != centos ]] || SOURCE=centos:7.9.2009
  [[ $SOURCE =~ ^(($host)/)?($part(/$part)*)(:($tag))?(@($digest))?$ ]] ||
    bad_usage "'$SOURCE' is neither a file nor the name of an image"
  FROM=from_image HOST=${BASH_REMATCH[2]:-docker.io} REPO=${BASH_REMATCH[3]}
  REF=${BASH_REMATCH[10]:-${BASH_REMATCH[8]:-latest}}
  [[ $HOST != docker.io || $REPO == */* ]] || REPO=library/$REPO
  [[ ! ${HOST%:*} =~ ^(localhost|127\.0\.0\.1)$ ]] || scheme=http
  SOURCE=$HOST/$REPO:$REF
  [[ $REF != sha256:* ]] || SOURCE=$HOST/$REPO@$REF
  API=$scheme://${HOST/#docker.io/registry-1.docker.io}/v2/$REPO
}

# authorize - answer a registry's challenge with an anonymous token. It lasts some minutes.
authorize() {
  local url bearer='^www-authenticate: *bearer .*realm="([^"]*)"(.*service="([^"]*)")?.*'
  url=$(sed -nE "s/$bearer/\1?service=\3/Ip" "$WORK/headers" | tail -n 1)
  [[ $url == https://* || $url == "${API%%:*}"://* ]] ||
    die "$SOURCE: $HOST asks for a login, and this script has none"
  rm -f -- "$WORK/token"
  fetch "${url// /%20}&scope=repository:$REPO:pull" "$WORK/answer" || :   # of which there is none
  jq -er '"Authorization: Bearer " + (.token // .access_token)' "$WORK/answer" \
    >"$WORK/token" 2>"$WORK/error" || die "$SOURCE: $HOST gives no anonymous token ($CODE)"
}

# get manifests|blobs REF FILE - checked against REF when that is a digest. GOT is its digest.
get() {
  fetch "$API/$1/$2" "$WORK/$3" ||
    { [[ $CODE == 401 ]] && authorize && fetch "$API/$1/$2" "$WORK/$3"; } ||
    die "$SOURCE: no such image or tag, or it needs a login: $HOST answers $CODE"
  GOT=sha256:$(sha256sum <"$WORK/$3" | cut -d ' ' -f 1)
  [[ $2 != sha256:* || $2 == "$GOT" ]] || die "$SOURCE: ${1%s} $2 is corrupt: it is $GOT"
}

# ask PROGRAM FILE - what jq finds in it, or the error that it was told to make of it
ask() {
  jq -r --arg arch "$(uname -m | sed 's/^x86_64$/amd64/; s/^aarch64$/arm64/')" '
    def named: "\(.os)/\(.architecture)";   # as the registries name it
    def digest(what): if type == "string" and test("\\Asha256:[0-9a-f]{64}\\z") then .
      else error(what) end;
    '"$1" "$WORK/$2" 2>"$WORK/error" ||
    die "$SOURCE: $(sed -E 's/^jq: error \([^)]*\): //' "$WORK/error")"
}

from_image() {
  local digest layer layers n=0
  need curl jq
  get manifests "$REF" manifest
  # of a list, the variants that run on each such machine; newer ones might not
  digest=$(ask 'select(has("manifests")) | .manifests | (first(.[] | select(.platform
      | .os == "linux" and .architecture == $arch and (.variant // "" | IN("", "v1", "v8")))).digest
    | digest("its list is of a kind that this script does not know")) //
    error("no image for linux/\($arch), only for: \(map(.platform | named) | unique | join(" "))")
    ' manifest)
  [[ -z $digest ]] || get manifests "$digest" manifest
  DIGEST=$GOT
  ask '(.config.digest | digest("its manifest is of a kind that this script does not know")),
    (.layers | to_entries[] | (.key + 1) as $n | .value
      | if .mediaType | test("(tar|tar[.+]gzip|tar\\+zstd)\\z") then .
        else error("layer type \(.mediaType) is unknown") end
      | "\(.digest | digest("layer \($n) has no sha256 digest")) \(.size | tonumber)")
    ' manifest >"$WORK/layers"
  mapfile -t layers <"$WORK/layers"
  get blobs "${layers[0]-}" config
  ask 'select(.architecture != $arch) | error("for \(named), this machine is \($arch)")' config
  mkdir -- "$WORK/root"
  for layer in "${layers[@]:1}"; do
    say "layer $((++n)) of $((${#layers[@]} - 1)), $(numfmt --to=iec "${layer#* }")"
    get blobs "${layer% *}" download
    unpack "$WORK/download" "$WORK/layer"
    merge "$WORK/layer" "$WORK/root"
  done
}

from_debootstrap() {
  local distribution=${SOURCE%%:*} default=stable suite mirror line n=0
  local keyring=/usr/share/keyrings/$distribution-archive-keyring.gpg
  need debootstrap
  [[ $distribution != ubuntu ]] || default=jammy   # the newest that Debian 12's debootstrap knows
  read -r suite mirror < <(
    apt-get indextargets --format '$(LABEL)|$(COMPONENT)|$(CODENAME) $(REPO_URI)' 2>/dev/null |
      sed -nE "s/^$distribution\|main\|([a-z]+ (https?|file):)/\1/Ip") || suite=$default
  [[ $SOURCE != *:* ]] || suite=${SOURCE#*:}
  [[ $suite =~ ^[a-z]+$ && -e /usr/share/debootstrap/scripts/$suite && -e $keyring ]] ||
    die "no suite '$suite' here, or no $keyring (an image is docker.io/library/$SOURCE)"
  say "debootstrap $suite; this takes a minute or more"
  # unshare: it mounts proc and sys in the new tree, which must not stay; cd: its wget leaves a log
  ( cd -- "$WORK" && unshare --mount debootstrap --force-check-gpg --variant=minbase \
    --include=iproute2,iputils-ping,procps "$suite" "$WORK/root" ${mirror:+"$mirror"} 2>&1 ) |
    tee "$WORK/error" | { while read -r line; do   # as one line that changes; for nobody, nothing
      ! watched || printf '\r\e[K%4d  %.70s' "$((++n))" "${line//[^ -~]/}" >&2
    done; ! watched || printf '\r\e[K' >&2; } || die "debootstrap: $(last_error)"
  erase "$WORK"/root/var/cache/apt/archives/*.deb
}

readonly PROGRAMS=(
  bash sh base64 basename cat chgrp chmod chown chroot cmp comm cp cut date dd df diff dirname du
  echo env expr false fold head id install join link ln ls md5sum mkdir mkfifo mknod mktemp mv
  nice nl nohup nproc numfmt od paste printenv printf pwd readlink realpath rm rmdir seq sha256sum
  shuf sleep sort split stat stdbuf stty sum sync tac tail tee test timeout touch tr true truncate
  tty uname uniq unlink wc whoami yes
  awk egrep fgrep find getent getopt grep gunzip gzip less more sed tar which xargs zcat
  clear reset tput free kill pgrep pidof pkill ps sysctl top uptime vmstat w watch
  bridge hostname ip ping ss
  capsh dmesg findmnt flock getcap lsns mount mountpoint nsenter prlimit renice script setcap
  setpriv setsid taskset umount unshare busybox vi)

from_host() {
  local root=$WORK/root files
  need ldd
  mkdir -- "$root" "$root"/{dev,etc,home,media,mnt,opt,proc,run,srv,sys,usr,var,var/{cache,lib,log}}
  mkdir -m 0700 -- "$root/root"
  mkdir -m 1777 -- "$root/tmp" "$root/var/tmp"
  # what is a link into /usr on the host (/bin, /lib64...) is one here, too
  find / -maxdepth 1 -type l \( -lname 'usr/*' -o -lname '/usr/*' \) -exec cp -a -t "$root" {} +
  find "$root" -maxdepth 1 -type l -printf "$root/%l\0" | xargs -0 mkdir -p --
  mapfile -t files < <(
    set +e   # some are not there
    type -P "${PROGRAMS[@]}"
    # what no link shows: before glibc 2.34 plug-ins read /etc/passwd and asked the DNS
    ls -d /{usr/,}lib{64,}/{*-linux-gnu/,}libnss_{files,dns}.so.2 /usr/lib/locale/C.utf8 \
      /{etc,lib,usr/share}/terminfo/?*/{{xterm,screen,tmux}{,-256color},linux,vt100,dumb} \
      /etc/{ld.so.conf{,.d},os-release} 2>/dev/null)
  # what they are linked to; of all that is not, ldd says nothing that matches
  mapfile -t -O "${#files[@]}" files < <(printf '%s\n' "${files[@]}" | xargs -n 1 ldd 2>/dev/null |
    sed -nE 's/^(.*=>)?[[:space:]]*(\/[^ ]+) \(0x.*/\2/p' | sort -u)
  # Each by its name in its real directory; names of the same file become hard links.
  paste -d / <(printf '%s\n' "${files[@]%/*}" | xargs -d '\n' realpath --) \
    <(printf '%s\n' "${files[@]##*/}") | sort -u |
    (cd / && xargs -d '\n' cp -aL --parents --target-directory="$root")
  [[ ! -e $root/etc/ld.so.conf ]] || ldconfig -r "$root"

  printf '%s\n' root:x:0:0:root:/root:/bin/bash \
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin >"$root/etc/passwd"
  printf '%s\n' root:x:0: tty:x:5: nogroup:x:65534: >"$root/etc/group"
  printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' >"$root/etc/nsswitch.conf"
  # the prompt of the walkthrough: [root@centos1 /]#
  printf '%s\n' "PS1='[\\u@\\h \\W]\\\$ '" >"$root/root/.bashrc"
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
  *) if [[ -f $SOURCE ]]; then FROM=from_archive; else parse_image; fi ;;
  esac
  [[ -z $SHA256 || $FROM == from_archive ]] || bad_usage "--sha256 is for archives"
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
  local state point
  [[ -e $DIR ]] || return 0
  [[ -d $DIR ]] || die "$DIR is there and is not a directory"
  if [[ ! -f $DIR/$MARKER || -L $DIR/$MARKER ]]; then
    [[ -z $(ls -A -- "$DIR") ]] || die "$DIR is not empty, and this script did not make it"
  elif [[ ! $FORCE ]]; then
    [[ $(marker source) == "$(public_source)" && $(marker digest) == "$SHA256"* ]] ||
      die "$DIR was made from $(marker source), or with another sha256; --force makes it anew"
    say "$DIR is there already, made from $SOURCE"
    exit 0
  fi
  for state in /var/lib/container_engine/*/state; do   # its layer, kept or in use, lies on DIR
    [[ $(sed -n 's/^rootfs=//p' "$state" 2>/dev/null)/ != "$DIR"/* ]] ||
      die "$DIR is in use by the container $(basename "${state%/*}"): delete it first"
  done
  while read -r _ _ _ _ point _; do   # never move or delete what somebody mounted there
    printf -v point '%b' "$point"
    [[ $point/ != "$DIR"/* ]] || die "something is mounted on $point; unmount it first"
  done </proc/self/mountinfo
}

# put_back - stopped between the two renames at the end of main: the old tree goes back.
put_back() { [[ -e $DIR || ! -d $WORK/old ]] || mv -T -- "$WORK/old" "$DIR"; }

# claim - make and lock the hidden directory. What a killed fetch left in it goes.
claim() {
  local near=${DIR%/*}
  until [[ ! $near || -e $near ]]; do near=${near%/*}; done
  WORK=$near/.${DIR##*/}.rootfs-fetch
  until [[ $WORK -ef /dev/fd/9 ]]; do   # not the one that another fetch just removed
    mkdir -p -m 0700 -- "$WORK" 2>/dev/null || die "$near/ cannot be written to"
    [[ -O $WORK && ! -L $WORK ]] || die "$WORK is somebody else's; remove it"
    exec 9<"$WORK"
    flock -w 5 9 || die "another fetch into $DIR is running"
  done
  put_back
  erase "$WORK"/*
  look_at_target   # another fetch may have just made it
}

# work - the worker. When the pipe from the main shell ends, even by SIGKILL, so does its group.
work() {
  { read -r _ || kill -KILL 0; } <&0 &
  "$FROM" </dev/null
  erase "$WORK/root/$MARKER"
  # no devices, an archive's or debootstrap's: the engine brings its own /dev
  find "$WORK/root" -xdev \( -type b -o -type c \) -delete
  [[ $(ls -A "$WORK/root") ]] || die "there is nothing in $SOURCE"
  printf 'source=%s\ndigest=%s\n' "$(public_source)" "$DIGEST" >"$WORK/root/$MARKER"
}

clean_up() {
  local tries=0
  set +e   # whatever fails here, the rest is still to be done
  trap '' HUP INT PIPE TERM
  [[ ! $WORKER ]] || { kill -KILL -- "-$WORKER"; wait "$WORKER"; } 2>/dev/null
  # ours only when the lock is, for which we may still have been waiting
  if [[ $WORK -ef /dev/fd/9 ]] && flock -n 9 && put_back; then
    # what is killed may still be ending its last system call
    until erase "$WORK" 2>/dev/null || (( ++tries == 50 )); do sleep 0.1; done
  fi
  [[ ! $SIGNAL ]] || say "stopped by signal $SIGNAL; nothing was left behind"
}

main() {
  local arguments=() signal   # HUP, INT, PIPE, TERM
  while (( $# )); do
    case $1 in
    -h | --help) usage; exit 0 ;;
    --force) FORCE=1 ;;
    --sha256)
      [[ ${2-} =~ ^[0-9A-Fa-f]{64}$ ]] || bad_usage "--sha256 wants 64 hexadecimal digits"
      SHA256=${2,,}
      shift ;;
    -*) bad_usage "unknown option '$1'" ;;
    *) arguments+=("$1") ;;
    esac
    shift
  done
  (( ${#arguments[@]} == 2 )) || bad_usage "two arguments are needed, SOURCE and DIR"
  SOURCE=${arguments[0]}
  [[ $SOURCE && ${arguments[1]} && ${arguments[*]} != *[[:cntrl:]]* ]] ||
    bad_usage "SOURCE and DIR cannot be empty, nor have control characters"
  DIR=$(realpath -m -- "${arguments[1]}")
  [[ $DIR != / ]] || bad_usage "DIR cannot be /"
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

  choose
  look_at_target
  (( EUID == 0 )) || die "needs root, for files keep their owners: use sudo"
  need flock tar sha256sum
  trap clean_up EXIT
  # shellcheck disable=SC2064  # now
  for signal in 1 2 13 15; do trap "SIGNAL=$signal; exit $((128 + signal))" "$signal"; done
  claim
  exec 3>&1
  set -m   # the worker in a process group of its own
  coproc work >&3
  WORKER=$COPROC_PID
  set +m
  wait "$WORKER" || exit 1   # it has said why
  # a rename, or two when there is an old tree; not to be interrupted
  trap '' HUP INT PIPE TERM
  look_at_target
  mkdir -p -- "${DIR%/*}/"
  [[ ! -e $DIR ]] || mv -T -- "$DIR" "$WORK/old"
  mv -T -- "$WORK/root" "$DIR"
  say "$DIR is ready, made from $SOURCE"
}

main "$@"

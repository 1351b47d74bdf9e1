#!/usr/bin/env bash
# vm.sh: run one command in a throw-away virtual machine that is a plain cgroup-v2 host.
#
#   test/vm.sh [--again] [--kernel SUITE] [--cpus N] [--memory MB] [--timeout S] [--] COMMAND [ARG...]
#
# The engine wants a host whose cgroup controllers are all in cgroup v2. Many machines are not
# like that, and a test must not rearrange the machine it runs on. So qemu boots a Debian kernel
# whose root file system is *this machine's own*, read-only: every tool that is installed here is
# there, in the same place, and so is the working directory. Inside:
#
#     /                   overlay:  lower = our / over 9p, read-only;  upper = a tmpfs
#     /tmp                an empty tmpfs; or as it is here, when the working directory, an argument
#                         or a variable that is handed through lies in it
#     /sys/fs/cgroup      cgroup2 with all controllers, nothing enabled below the root yet
#     /var/lib/ce-disk    a fresh ext4 disk (9p and overlay can neither be idmapped nor be an
#                         overlay's upper layer); /var/lib/container_engine lies on it, too
#     network             lo, and no card: nothing can get out
#
# COMMAND runs as root, without input; its output, errors and exit status are ours. 124: it took
# longer than --timeout (some time before, the VM tells what runs), 125: the VM itself failed, or
# stood still for two minutes, which is no verdict about COMMAND: --again then boots another one, and
# prints the output of the one that counts at its end. Nothing it writes ever reaches this machine.
# Handed through: CE_*, BATS_*, MUST_WORK, CI, ENGINE, TERM and PATH. CE_DISK names the disk.
#
# SUITE is the Debian release whose kernel is booted: bullseye (5.10), bookworm (6.1, the default),
# trixie (6.12) or sid. apt fetches and verifies it, from the mirror that this machine uses (or
# CE_DEBIAN_MIRROR); it is unpacked to $CE_CACHE, ~/.cache/container_engine by default, and never
# installed. CE_CONSOLE=FILE keeps what the kernel says.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin # a user who is not root can run a VM as well

suite=bookworm cpus=2 memory=2048 limit=0 tmp='' qemu='' watch=''
cache=${CE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/container_engine}

die() { printf 'vm.sh: %s\n' "$*" >&2 && exit 125; }

# What differs between the two processors.
choose_machine() { # x86_64|aarch64
  case $1 in
    x86_64) arch=amd64 package=qemu-system-x86 console=ttyS0 machine=pc ;;
    aarch64) arch=arm64 package=qemu-system-arm console=ttyAMA0 machine=virt,gic-version=max ;;
    *) die "no VM for $1: only x86_64 and aarch64 are known" ;;
  esac
  program=qemu-system-$1
}

# Installs the packages of which a program is missing.
ensure_tools() {
  local tool missing=()
  for tool in "$program:$package" mkfs.ext4:e2fsprogs modprobe:kmod xz:xz-utils zstd:zstd \
    cpio:cpio; do
    [[ -n $(type -P "${tool%%:*}") ]] || missing+=("${tool#*:}")
  done
  ((${#missing[@]})) || return 0
  printf 'vm.sh: installing %s\n' "${missing[*]}" >&2
  { apt-get update && apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends \
    "${missing[@]}"; } >"$tmp/log" 2>&1 ||
    die "cannot install ${missing[*]}: $(tail -n 1 "$tmp/log"); install them by hand, as root"
}

# apt-TOOL, with DIR for all its files: the machine's own package lists stay as they are. It checks
# the index's signature against Debian's keys, and each package against the index.
private_apt() {
  local dir=$1 tool=$2
  "apt-$tool" -q -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=- \
    -o Dir::Etc::PreferencesParts=- -o Dir::State="$dir" -o Dir::State::status=/dev/null \
    -o Dir::Cache="$dir" -o APT::Architecture="$arch" -o APT::Architectures="$arch" \
    -o Acquire::Languages=none -o APT::Sandbox::User=root "${@:3}"
}

# Downloads busybox and the kernel into DIR, from the mirror in this machine's own configuration.
# The package linux-image-<arch> only depends on the one with the kernel (in newer releases three).
download_packages() {
  local dir=$1 mirror key=/usr/share/keyrings/debian-archive-keyring.gpg packages
  # shellcheck disable=SC2016 # it is apt and awk that expand these
  mirror=${CE_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' |
    awk '$1 == "Debian/Debian" && !n++ { print $2 }')}
  [[ -n $mirror ]] || die "no Debian mirror: run apt-get update, or set CE_DEBIAN_MIRROR to a URL"
  [[ -e $key ]] || die "no $key: install the package debian-archive-keyring"
  printf 'deb [signed-by=%s] %s %s main\n' "$key" "$mirror" "$suite" >"$dir/sources.list"
  {
    private_apt "$dir" get update --error-on=any &&
      packages=$(private_apt "$dir" cache depends -i --recurse "linux-image-$arch" |
        grep -E '^linux-(image|binary|modules)-[0-9]') && mapfile -t packages <<<"$packages" &&
      (cd "$dir" && private_apt "$dir" get download busybox-static "${packages[@]}")
  } >"$dir/log" 2>&1 ||
    die "cannot download the kernel of $suite: $(grep . "$dir/log" | tail -n 1)"
}

# Unpacks the kernel IMAGE: that takes an emulated processor 3 s, and us 0.3. Where the packed data
# starts, and their length, is in the image's header (the kernel's Documentation/arch/x86/boot.rst).
unpack_image() {
  local image=$1 sectors start size unpack=xz
  sectors=$(od -An -tu1 -j $((0x1f1)) -N 1 "$image")
  read -r start size < <(od -An -tu4 -j $((0x248)) -N 8 "$image")
  start=$((512 * (sectors + 1) + start)) size=$((size - 4)) # the last 4: the unpacked size
  [[ $(od -An -tx1 -j "$start" -N 4 "$image") != ' 28 b5 2f fd' ]] || unpack=zstd
  dd if="$image" bs=64k iflag=skip_bytes,count_bytes skip="$start" count="$size" status=none |
    "$unpack" -dc
}

# Makes of DIR's packages DIR/new: kernel, lib/modules, busybox, and initrd, the fixed part of the
# first file system, with the modules that must be there from the start, in their order. (What
# modprobe does not find is built in. Drivers for real hardware are left out.)
unpack_packages() {
  local dir=$1 tree=$1/tree first=$1/first new=$1/new deb version module image n
  mkdir -p "$tree" "$first/modules" "$new/lib"
  for deb in "$dir"/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tree" --wildcards --exclude='*/kernel/sound' \
      --exclude='*/drivers/[!bcnv]*' --exclude='*/net/wireless' --exclude='*/net/ethernet'
  done
  find "$tree" -path '*bin/busybox' -type f -exec cp -t "$new" {} \; -exec mv -t "$first" {} \;
  image=$(find "$tree" -name 'vmlinuz*' -type f)
  if [[ $arch == amd64 ]]; then unpack_image "$image"; else cat "$image"; fi >"$new/kernel"
  find "$tree" -path '*lib/modules' -prune -exec mv -t "$new/lib" {} \;
  version=$(ls "$new/lib/modules")
  depmod -b "$new" "$version" 2>"$dir/log" || die "depmod: $(tail -n 1 "$dir/log")"
  for module in virtio_pci virtio_blk virtio_console 9pnet_virtio 9p overlay ext4; do
    modprobe -d "$new" -S "$version" --show-depends "$module" 2>/dev/null || continue
  done | awk '$1 == "insmod" && !seen[$2]++ { print 100 + ++n, $2 }' | while read -r n module; do
    xz -dcf "$module" >"$first/modules/$n.ko" # with -f, what is not packed is copied
  done
  (cd "$first" && find . | cpio --quiet -o -H newc) >"$new/initrd"
}

# Fills the cache: a directory gets its name when it is whole, so half a download is never used.
ensure_kernel() {
  local dir=$cache/part
  kernel=$cache/$suite-$arch
  [[ ! -d $kernel ]] || return 0
  rm -rf "$dir" && mkdir "$dir"
  download_packages "$dir"
  unpack_packages "$dir"
  mv "$dir/new" "$kernel"
  rm -rf "$dir"
}

# KVM makes the VM 10 times faster, where it works: inside another VM it may start and then hang.
# So let a kernel boot until it finds no root file system, once each time this machine is up.
choose_acceleration() {
  local known
  known=$cache/acceleration-$arch-$(</proc/sys/kernel/random/boot_id)
  if [[ ! -e $known ]]; then
    rm -f "$cache/acceleration-$arch"-*
    if [[ -w /dev/kvm ]] && ulimit -c 0 && timeout -k 1 10 "$program" -accel kvm -cpu max \
      -machine "$machine" -nodefaults -display none -no-reboot -kernel "$kernel/kernel" \
      -append panic=-1
    then echo kvm; else echo tcg,thread=multi; fi >"$known" 2>/dev/null
  fi
  acceleration=$(<"$known")
}

# The variables that are handed through, as commands for bash.
handed_through() {
  # shellcheck disable=SC2046 # many names
  declare -p $(compgen -e | grep -E '^(CE_|BATS_)|^(MUST_WORK|CI|ENGINE|TERM|PATH)$')
}

# The first program in the VM, run by busybox (emulated programs start slowly, and most so from
# 9p): puts the root file system together in /vm, and enters it.
write_init() {
  local share_tmp=false
  [[ "$PWD/ $* $(handed_through)" != */tmp/* ]] || share_tmp=true
  printf '#!/busybox sh\nset -e\nkernel=%q now=%s share_tmp=%s\n' \
    "$kernel" "$(date +%s)" "$share_tmp"
  cat <<'INIT'
/busybox mkdir -p /bin /dev /host /writes /vm
/busybox --install -s /bin
PATH=/bin
for module in /modules/*; do insmod "$module"; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /host
mount -t tmpfs -o mode=755 tmpfs /writes
mkdir /writes/upper /writes/work
mount -t overlay -o lowerdir=/host,upperdir=/writes/upper,workdir=/writes/work overlay /vm
cd /vm
mkdir -p proc sys dev run tmp "lib/modules/$(uname -r)" var/lib/ce-disk var/lib/container_engine
mount --bind "/vm$kernel/lib/modules/$(uname -r)" "lib/modules/$(uname -r)"
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t devtmpfs -o nosuid,mode=755 devtmpfs /dev
mount --bind /dev dev
mkdir dev/pts dev/shm dev/mqueue
mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs dev/shm
mount -t mqueue -o nosuid,nodev,noexec mqueue dev/mqueue
mknod dev/loop-control c 10 237 # opening it loads the module
ln -s /proc/self/fd dev/fd && ln -s fd/0 dev/stdin && ln -s fd/1 dev/stdout && ln -s fd/2 dev/stderr
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs run
"$share_tmp" || mount -t tmpfs -o nosuid,nodev tmpfs tmp
mount -t ext4 /dev/vda var/lib/ce-disk
mkdir var/lib/ce-disk/container_engine run/lock run/vm
mount --bind var/lib/ce-disk/container_engine var/lib/container_engine
mount --make-rshared /vm
[ "$(date +%s)" -ge "$now" ] || date -s "@$now" >/dev/null
hostname vm; ip link set lo up
until ls dev | grep -q 'vport.*p4'; do sleep 0.02; done
for port in 1 2 3 4; do ln -s "$(echo /vm/dev/vport*p$port | cut -c 4-)" "run/vm/port$port"; done
mkfifo run/vm/out run/vm/err run/vm/never
cp /start run/vm/
exec switch_root /vm /bin/bash /run/vm/start
INIT
}

# The second: the command. Its output goes through pipes, because a port can be opened only once,
# and programs do open /dev/stdout again. The status has a port to itself: no output can fake it.
write_start() {
  handed_through
  printf 'export HOME=/root CE_DISK=/var/lib/ce-disk\n'
  printf 'limit=%d\n' "$limit"
  cat <<'START'
cat /run/vm/out >/run/vm/port1 & cat /run/vm/err >/run/vm/port2 &
readers=$(jobs -p)
while ! read -rt 5 <>/run/vm/never; do echo; done >/run/vm/port4 & # it beats; without a fork
tell_what_runs() {
  local process words
  for process in /proc/[0-9]*; do
    words=$(tr '\0' ' ' <"$process/cmdline")
    [[ -z $words ]] || echo "vm.sh: runs: $words: $(<"$process/wchan") $(<"$process/syscall")"
  done
}
((!limit)) || (sleep $((limit * 4 / 5)) && tell_what_runs >/run/vm/err) 2>/dev/null &
START
  printf '(cd %q && exec -- %s) </dev/null >/run/vm/out 2>/run/vm/err\n' "$PWD" "${*@Q}"
  cat <<'START'
status=$?
(sleep 1; kill $readers) 2>/dev/null & # for a process left behind that holds the pipes open
wait $readers 2>/dev/null
echo "$status" >/run/vm/port3
echo b >/proc/sysrq-trigger
START
}

# Starts qemu, on files that lose their names at once: whatever kills us, nothing is left. It
# writes output to files, which never make it wait, so that none is lost when the VM ends.
start_vm() {
  local disk initrd
  write_init "$@" >"$tmp/init"
  write_start "$@" >"$tmp/start"
  chmod +x "$tmp/init"
  (cd "$tmp" && printf 'init\nstart\n' | cpio --quiet -o -H newc) |
    cat "$kernel/initrd" - >"$tmp/initrd"
  truncate -s 4G "$tmp/disk" && mkfs.ext4 -q -F -O ^has_journal "$tmp/disk"
  mkfifo "$tmp/never"
  exec {never}<>"$tmp/never" {disk}<>"$tmp/disk" {initrd}<"$tmp/initrd" {log}<>"$tmp/log" \
    {out}<>"$tmp/out" {err}<>"$tmp/err" {end}<>"$tmp/end" {beat}<>"$tmp/beat"
  rm -rf "$tmp"
  setpriv --pdeathsig KILL "$program" -accel "$acceleration" -machine "$machine" -cpu max \
    -smp "$cpus" -m "$memory" -nodefaults -no-user-config -no-reboot -display none \
    -kernel "$kernel/kernel" -initrd "/proc/self/fd/$initrd" \
    -append "console=$console quiet panic=-1 no_timer_check" \
    -chardev "file,id=log,append=on,path=${CE_CONSOLE:-/proc/self/fd/$log}" -serial chardev:log \
    -fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
    -device virtio-9p-pci,fsdev=root,mount_tag=root -device virtio-serial-pci,ioeventfd=off \
    -drive "if=virtio,format=raw,cache=unsafe,file.locking=off,file=/proc/self/fd/$disk" \
    -chardev "file,id=out,path=/proc/self/fd/$out" -device virtserialport,nr=1,chardev=out \
    -chardev "file,id=err,path=/proc/self/fd/$err" -device virtserialport,nr=2,chardev=err \
    -chardev "file,id=end,path=/proc/self/fd/$end" -device virtserialport,nr=3,chardev=end \
    -chardev "file,id=beat,path=/proc/self/fd/$beat" -device virtserialport,nr=4,chardev=beat \
    </dev/null >>"/proc/self/fd/$log" 2>&1 &
  qemu=$!
}

# Ends a VM that has stopped beating: from time to time an emulated machine stands still for good,
# without a word from its kernel.
watch_vm() {
  local before=-1 now=0
  while ! read -rt "${CE_BEAT:-120}" -u "$never"; do
    now=$(stat -Lc %s "/dev/fd/$beat")
    ((now > before)) || break
    before=$now
  done
  printf 'vm.sh: the VM stands still\n' >&2
  kill -KILL "$qemu"
}

# Passes on what the command prints as it comes, and returns its exit status.
follow_vm() {
  local follow=(tail -s 0.1 -c +1 -f --pid="$qemu") errors result=0 status=''
  "${follow[@]}" <&"$err" >&2 &
  errors=$!
  watch_vm &
  watch=$!
  timeout "$limit" "${follow[@]}" <&"$out" &
  wait $! || result=$?
  ((result != 124)) || printf 'vm.sh: stopped after %s s\n' "$limit" >&2
  ((result == 0)) || return "$result" # 124, or 141: nobody reads our output any longer
  wait "$errors"
  read -r status <&"$end" || die "the VM ended before the command (memory: $memory MB):" \
    "$(grep -aE '^[^[]|panic -' "${CE_CONSOLE:-/dev/fd/$log}" | tail -n 2 | tr '\r\n' ' ')"
  return "$status"
}

clean_up() {
  local status=$?
  rm -rf "$tmp"
  [[ -n $qemu || $status == @(125|130|143) ]] || die "cannot get the VM ready: see above"
  [[ -z $watch ]] || kill "$watch" 2>/dev/null || true
  ! kill -KILL "$qemu" 2>/dev/null || wait "$qemu" 2>/dev/null || true
}

run_again() {
  local said status=0
  said=$(mktemp)
  "$0" "$@" >"$said" || status=$?
  if ((status == 125)); then
    sed 's/^/# vm.sh: lost: /' "$said" >&2
    status=0
    "$0" "$@" >"$said" || status=$?
  fi
  cat "$said"
  rm -f "$said"
  return "$status"
}

# All that a VM of this MACHINE needs. (aarch64.sh begins like this, too.)
get_ready() {
  local lock
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' HUP TERM
  tmp=$(mktemp -d)
  choose_machine "$1"
  mkdir -p "$cache" && cache=$(realpath "$cache")
  exec {lock}>"$cache/lock" # several VMs may start at once: one of them gets things ready
  flock "$lock"
  ensure_tools
  ensure_kernel
  choose_acceleration
  exec {lock}>&-
}

main() {
  if [[ ${1-} == --again ]]; then
    run_again "${@:2}"
    return
  fi
  while (($# > 1)); do
    case $1 in
      --kernel) suite=$2 ;;
      --cpus) cpus=$2 ;;
      --memory) memory=$2 ;;
      --timeout) limit=$2 ;;
      --) shift && break ;;
      -*) die "unknown option $1" ;;
      *) break ;;
    esac
    shift 2
  done
  [[ ${1--} != -* ]] || die "no command, or half an option: the first lines of $0 tell how"
  get_ready "$(uname -m)"
  start_vm "$@"
  follow_vm
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"

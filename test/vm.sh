#!/usr/bin/env bash
# vm.sh: run one command in a throw-away virtual machine that is a plain cgroup-v2 host.
#
#   test/vm.sh [--kernel SUITE] [--cpus N] [--memory MB] [--timeout S] [--] COMMAND [ARG...]
#
# The engine wants a host whose cgroup controllers are all in cgroup v2. Many machines are not
# like that, and a test must not rearrange the machine it runs on. So qemu boots a Debian kernel
# whose root file system is *this machine's own*, seen read-only: every tool that is installed
# here is there, in the same place, and so is the working directory.
#
#     the VM's /            overlay:  lower = our / over 9p, read-only;  upper = tmpfs
#     /tmp /run /dev/shm    tmpfs, empty        (/tmp is left as it is here when it is asked for)
#     /sys/fs/cgroup        cgroup2, all controllers, nothing enabled below the root yet
#     /var/lib/ce-disk      a fresh ext4 disk (9p and overlay can neither be idmapped nor be an
#                           overlay's upper layer); /var/lib/container_engine lies on it, too
#     network               lo, and no card: nothing can get out
#
# COMMAND runs as root, without input; its output, errors and exit status are ours. 124: it took
# longer than --timeout, 125: the VM itself failed. Nothing it writes ever reaches this machine.
# Handed through: CE_*, BATS_*, MUST_WORK, CI, ENGINE, TERM and PATH; CE_DISK is added.
#
# SUITE is the Debian release whose kernel is booted: bullseye (5.10), bookworm (6.1, the default),
# trixie (6.12) or sid. apt fetches and verifies it, from the mirror that this machine uses
# (CE_DEBIAN_MIRROR names another); it is unpacked to $CE_CACHE, ~/.cache/container_engine by
# default, and never installed. CE_CONSOLE=FILE keeps what the kernel says.
set -euo pipefail

suite=bookworm cpus=2 memory=2048 limit=0
tmp='' qemu=''

die() {
  printf 'vm.sh: %s\n' "$*" >&2
  exit 125
}

# Sets what differs between the two processors: Debian's name, qemu's program and machine.
choose_machine() {
  case $(uname -m) in
    x86_64) arch=amd64 package=qemu-system-x86 console=ttyS0 machine=pc ;;
    aarch64) arch=arm64 package=qemu-system-arm console=ttyAMA0 machine=virt,gic-version=max ;;
    *) die "no VM for a $(uname -m): only x86_64 and aarch64 are known" ;;
  esac
  program=qemu-system-$(uname -m)
}

# Installs the packages of which a program is missing.
ensure_tools() {
  local tool missing=()
  for tool in "$program:$package" mkfs.ext4:e2fsprogs modprobe:kmod xz:xz-utils; do
    [[ -n $(type -P "${tool%%:*}") ]] || missing+=("${tool#*:}")
  done
  ((${#missing[@]})) || return 0
  printf 'vm.sh: installing %s\n' "${missing[*]}" >&2
  { apt-get update && apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends \
    "${missing[@]}"; } >"$tmp/apt.log" 2>&1 ||
    die "cannot install ${missing[*]}: $(tail -n 1 "$tmp/apt.log"); install them by hand, as root"
}

# The mirror in this machine's own apt configuration, whichever of its two formats that has.
debian_mirror() {
  local origin label uri
  while read -r origin label uri; do
    [[ $origin/$label != Debian/Debian ]] || { printf '%s' "$uri" && return; }
  done < <(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)')
  return 1
}

# apt, with a directory of its own for everything: the machine's package lists stay as they are.
# It checks the index's signature against Debian's keys, and each package against the index.
private_apt() {
  local dir=$1 tool=$2
  shift 2
  "$tool" -q -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=- \
    -o Dir::Etc::PreferencesParts=- -o Dir::State="$dir" -o Dir::State::status=/dev/null \
    -o Dir::Cache="$dir" -o APT::Architecture="$arch" -o APT::Architectures="$arch" \
    -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}

# Downloads the kernel's packages and busybox into DIR. The kernel is a package or, of late,
# several; linux-image-<arch> depends on them.
download_packages() {
  local dir=$1 mirror key=/usr/share/keyrings/debian-archive-keyring.gpg packages
  mirror=${CE_DEBIAN_MIRROR:-$(debian_mirror)} ||
    die "apt has no Debian mirror here: run apt-get update, or set CE_DEBIAN_MIRROR to a URL"
  [[ -e $key ]] || die "$key is missing: install debian-archive-keyring"
  printf 'deb [signed-by=%s] %s %s main\n' "$key" "$mirror" "$suite" >"$dir/sources.list"
  mkdir -p "$dir/lists/partial" "$dir/archives/partial"
  {
    private_apt "$dir" apt-get update --error-on=any &&
      packages=$(private_apt "$dir" apt-cache depends --recurse --no-recommends --no-suggests \
        --no-conflicts --no-breaks --no-replaces --no-enhances "linux-image-$arch" |
        grep -E '^linux-(image|binary|modules)-[0-9]' | sort -u) &&
      (cd "$dir" && private_apt "$dir" apt-get download busybox-static $packages)
  } >"$dir/log" 2>&1 || die "cannot download the $suite kernel: $(grep -v '^$' "$dir/log" | tail -n 1)"
}

# Unpacks kernel and modules, and packs the first half of the initramfs: busybox, and the modules
# that are needed to reach the root file system, in order. All others are loaded from there.
unpack_kernel() {
  local dir=$1 deb version module path n=0 root=$1/initramfs
  for deb in "$dir"/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir" --wildcards --exclude='*/kernel/sound' \
      --exclude='*/drivers/gpu' --exclude='*/drivers/media' --exclude='*/net/wireless' \
      --exclude='*/drivers/infiniband' --exclude='*/drivers/scsi' --exclude='./usr/share'
  done
  [[ -d $dir/lib ]] || ln -s usr/lib "$dir/lib"
  version=$(ls "$dir/lib/modules")
  depmod -b "$dir" "$version"
  mkdir -p "$root/bin" "$root/modules"
  cp "$dir"/*bin/busybox "$root/bin/" 2>/dev/null || cp "$dir"/usr/*bin/busybox "$root/bin/"
  for module in virtio_pci 9pnet_virtio 9p overlay; do
    modprobe -d "$dir" -S "$version" --show-depends "$module" || die "no module $module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$dir/order"
  while read -r path; do
    n=$((n + 1))
    printf -v module '%s/modules/%03d.ko' "$root" "$n"
    if [[ $path == *.xz ]]; then xz -dc "$path" >"$module"; else cp "$path" "$module"; fi
  done <"$dir/order"
  cp "$dir"/boot/vmlinuz-* "$dir/vmlinuz"
  (cd "$root" && find . | bin/busybox cpio -o -H newc 2>/dev/null) >"$dir/initrd"
  mv "$root/bin/busybox" "$dir/busybox"
  (cd "$dir" && rm -rf -- *.deb archives lists log order initramfs sources.list *.bin boot bin sbin)
}

# Makes the kernel's directory in the cache. It gets its name when it is whole, so that half a
# download is never used, and only one process at a time fills it.
ensure_kernel() {
  local cache=${CE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/container_engine} lock
  mkdir -p "$cache"
  kernel=$(realpath "$cache")/kernel-$suite-$arch
  exec {lock}>"$cache/lock"
  flock "$lock"
  ensure_tools
  if [[ ! -d $kernel ]]; then
    rm -rf "$kernel.part"
    mkdir "$kernel.part"
    download_packages "$kernel.part"
    unpack_kernel "$kernel.part"
    mv "$kernel.part" "$kernel"
  fi
  exec {lock}>&-
}

# The first program in the VM, run by busybox: puts the root file system together and enters it.
write_init() {
  cat <<'INIT'
#!/bin/busybox sh
set -e
mount() { /bin/busybox mount "$@"; }
for module in /modules/*; do /bin/busybox insmod "$module"; done
/bin/busybox mkdir -p /host /writes /root
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /host
mount -t tmpfs -o mode=755 tmpfs /writes
/bin/busybox mkdir /writes/upper /writes/work
mount -t overlay -o lowerdir=/host,upperdir=/writes/upper,workdir=/writes/work overlay /root
for dir in proc sys dev run tmp; do /bin/busybox mkdir -p "/root/$dir"; done
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /root/run
/bin/busybox cp /start /root/run/vm-start
exec /bin/busybox switch_root /root /bin/bash /run/vm-start
INIT
}

# The second: the rest of the mounts, with the machine's own tools, and then the command. Its
# output goes through pipes, because a port can be opened only once and /dev/stdout must work.
write_start() {
  local name
  printf 'kernel=%q dir=%q now=%q\n' "$kernel" "$PWD" "$(date +%s)"
  printf 'export HOME=/root PATH=%q:/usr/sbin:/usr/bin:/sbin:/bin\n' "$PATH"
  for name in $(compgen -e); do
    [[ ! $name =~ ^(CE_|BATS_)|^(MUST_WORK|CI|ENGINE|TERM)$ ]] ||
      printf 'export %s=%q\n' "$name" "${!name}"
  done
  printf 'command=('
  printf '%q ' "$@"
  printf ')\n'
  cat <<'START'
export CE_DISK=/var/lib/ce-disk
set -e
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs -o nosuid,mode=755 devtmpfs /dev
mkdir -p /dev/pts /dev/shm /dev/mqueue /run/lock
mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
ln -sfn /proc/self/fd /dev/fd
ln -sfn fd/0 /dev/stdin
ln -sfn fd/1 /dev/stdout
ln -sfn fd/2 /dev/stderr
mkdir -p "/lib/modules/$(uname -r)"
mount --bind "$kernel/lib/modules/$(uname -r)" "/lib/modules/$(uname -r)"
modprobe -a virtio_blk virtio_console
until port=$(compgen -G '/dev/vport*p3'); do sleep 0.02; done
port=${port%3}
mkdir -p "$CE_DISK" /var/lib/container_engine
mount -t ext4 /dev/vda "$CE_DISK"
mkdir "$CE_DISK/container_engine"
mount --bind "$CE_DISK/container_engine" /var/lib/container_engine
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
[[ "$dir $(declare -px) ${command[*]}" == */tmp/* ]] || mount -t tmpfs -o nosuid,nodev tmpfs /tmp
mount --make-rshared /
(($(date +%s) >= now)) || date -s "@$now" >/dev/null
echo vm >/proc/sys/kernel/hostname
ip link set lo up
set +e
mkfifo /run/vm-out /run/vm-err
cat /run/vm-out >"${port}1" & out=$!
cat /run/vm-err >"${port}2" & err=$!
(cd "$dir" && exec -- "${command[@]}") </dev/null >/run/vm-out 2>/run/vm-err
status=$?
(sleep 1; kill "$out" "$err") 2>/dev/null &
wait "$out" "$err" 2>/dev/null
echo "$status" >"${port}3"
echo b >/proc/sysrq-trigger
START
}

# Starts qemu, on files that have lost their names already: whatever kills us, nothing is left.
start_vm() {
  local disk initrd acceleration=(-accel tcg,thread=multi)
  write_init >"$tmp/init"
  write_start "$@" >"$tmp/start"
  chmod +x "$tmp/init"
  { cat "$kernel/initrd" && cd "$tmp" && printf 'init\nstart\n' | "$kernel/busybox" cpio -o -H newc
  } >"$tmp/initrd" 2>"$tmp/log"
  truncate -s 4G "$tmp/disk"
  mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=1 "$tmp/disk"
  exec {disk}<>"$tmp/disk" {initrd}<"$tmp/initrd" {out}<>"$tmp/out" {err}<>"$tmp/err" \
    {status}<>"$tmp/status" {log}<>"$tmp/log"
  setpriv --pdeathsig KILL "$program" "${acceleration[@]}" -machine "$machine" -cpu max \
    -smp "$cpus" -m "$memory" -nodefaults -no-user-config -no-reboot -display none \
    -kernel "$kernel/vmlinuz" -initrd "/proc/self/fd/$initrd" \
    -append "console=$console quiet panic=-1 rdinit=/init" \
    -chardev "file,id=log,append=on,path=${CE_CONSOLE:-/proc/self/fd/$log}" -serial chardev:log \
    -fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
    -device virtio-9p-pci,fsdev=root,mount_tag=root \
    -drive "if=virtio,format=raw,cache=unsafe,file.locking=off,file=/proc/self/fd/$disk" \
    -device virtio-serial-pci,ioeventfd=off \
    -chardev "file,id=out,path=/proc/self/fd/$out" -device virtserialport,nr=1,chardev=out \
    -chardev "file,id=err,path=/proc/self/fd/$err" -device virtserialport,nr=2,chardev=err \
    -chardev "file,id=end,path=/proc/self/fd/$status" -device virtserialport,nr=3,chardev=end \
    </dev/null >>"/proc/self/fd/$log" 2>&1 &
  qemu=$!
}

# Passes on what the command prints as it comes, and returns its exit status.
follow_vm() {
  local follow=(tail -q -s 0.1 -c +1 -f --pid="$qemu") errors result=0 answer=''
  "${follow[@]}" <&"$err" >&2 &
  errors=$!
  timeout "$limit" "${follow[@]}" <&"$out" &
  wait $! || result=$?
  if ((result)); then
    kill "$qemu" "$errors"
    ((result == 124)) && printf 'vm.sh: stopped after %s seconds\n' "$limit" >&2
    return "$result"
  fi
  wait "$errors"
  read -r answer <&"$status" || true
  [[ $answer =~ ^[0-9]+$ ]] ||
    die "the VM ended before the command did: $(tr -d '\r' <&"$log" | grep -a . | grep -m 1 -i -E "panic|error|cannot|fail" || echo "no word from the kernel")"
  return "$answer"
}

clean_up() {
  [[ -z $qemu ]] || kill -KILL "$qemu" 2>/dev/null || true
  rm -rf "$tmp"
}

main() {
  while (($#)); do
    case $1 in
      --kernel) suite=${2:?} ;;
      --cpus) cpus=${2:?} ;;
      --memory) memory=${2:?} ;;
      --timeout) limit=${2:?} ;;
      --) shift && break ;;
      -*) die "unknown option $1" ;;
      *) break ;;
    esac
    shift 2
  done
  (($#)) || die "usage: vm.sh [--kernel SUITE] [--cpus N] [--memory MB] [--timeout S] COMMAND..."
  tmp=$(mktemp -d)
  trap clean_up EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  choose_machine
  ensure_kernel
  start_vm "$@"
  follow_vm
}

main "$@"

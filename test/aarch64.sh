#!/usr/bin/env bash
# aarch64.sh: the engine on the other processor, from an x86_64 machine: compiled for it, and run in
# a throw-away VM (see vm.sh) whose only other programs are Alpine's.
#
#   CE_ALPINE_AARCH64=TARBALL test/aarch64.sh [--again]     prints TAP; 125: the VM failed, and
#                                                           --again then boots another one
#
# What differs there: the numbers of system calls, in the filter and in profiles; the names that
# only x86_64 has; and the C library's own calls. (On an aarch64 machine the whole suite runs.)
set -euo pipefail

cd "${BASH_SOURCE[0]%/*}/.."
# shellcheck source=vm.sh
source test/vm.sh

# Calls that the filter knows by number: each must be refused, with this error.
write_probe() {
  cat <<'PROBE'
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#define _(error, name, ...) {#name, SYS_##name, error, {__VA_ARGS__}}
int main(void) {
    static const struct { const char *name; long number; int error; long a[4]; } calls[] = {
        _(EPERM, mount), _(EPERM, umount2), _(EPERM, pivot_root), _(EPERM, setns), _(EPERM, bpf),
        _(EPERM, keyctl), _(EPERM, add_key), _(EPERM, io_uring_setup), _(EPERM, open_by_handle_at),
        _(EPERM, perf_event_open), _(EPERM, userfaultfd), _(EPERM, init_module), _(EPERM, reboot),
        _(EPERM, kexec_load), _(EPERM, swapon), _(EPERM, syslog), _(EPERM, kcmp),
        _(EPERM, pidfd_getfd), _(EPERM, mount_setattr), _(EPERM, settimeofday),
        _(EPERM, unshare, 0x10000000), _(EPERM, clone, 0x10000000), _(EPERM, socket, 40, 1, 0),
        _(EPERM, socket, 38, 5, 0), _(EPERM, ioctl, 0, 0x5412), _(EPERM, ioctl, 0, 0x541c),
        _(ENOSYS, clone3), {"470", 470, ENOSYS, {0}}, {"4000", 4000, ENOSYS, {0}},
    };
    int wrong = 0;
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
        const long *a = calls[i].a, result = syscall(calls[i].number, a[0], a[1], a[2], a[3]);
        if (result == -1 && errno == calls[i].error) continue;
        printf("%s: %ld, errno %d\n", calls[i].name, result, errno);
        wrong = 1;
    }
    return wrong;
}
PROBE
}

# The first program in the VM, and the second, on the disk: ext4, because layers and mapped ids need
# a file system that can, and because from the first file system nobody can pivot away.
write_init() {
  cat <<'INIT'
#!/busybox sh
/busybox mkdir -p /bin /dev /vm
/busybox --install -s /bin
PATH=/bin
for module in /modules/*; do insmod "$module"; done
mount -t devtmpfs devtmpfs /dev
mount -t ext4 /dev/vda /vm
cp -a /bin /busybox /container_engine /start /vm
cd /vm
mkdir -p dev proc sys tmp run usr/bin var/lib/rootfs
# The engine wants rm of coreutils: busybox's does not know --one-file-system.
printf '#!/bin/sh\nexec /bin/rm -rf -- "$4"\n' >usr/bin/rm && chmod +x usr/bin/rm
tar -xf /alpine.tar -C var/lib/rootfs && cp /probe var/lib/rootfs/bin
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t devtmpfs devtmpfs dev
mkdir dev/pts && mount -t devpts devpts dev/pts
mount -t cgroup2 cgroup2 sys/fs/cgroup
until ls dev | grep -q 'vport.*p1'; do sleep 0.02; done
exec switch_root /vm /start
INIT
}

write_start() {
  cat <<'START'
#!/busybox sh
export PATH=/bin HOME=/root
exec </dev/null >/dev/$(ls /dev | grep 'vport.*p1') 2>&1
n=0
# WANTED is what must be said, and the exit status at its end.
check() { # NAME WANTED COMMAND...
  name=$1 wanted=$2 n=$((n + 1)) said=$(shift 2; "$@" 2>&1; echo "($?)")
  if [ "$said" = "$wanted" ]; then echo "ok $n - $name"; else echo "not ok $n - $name"; fi
  [ "$said" = "$wanted" ] || echo "$said" | sed 's/^/# /'
}
run() { /container_engine --rm /var/lib/rootfs c1 none "$@"; }
check 'the exit status is the program'\''s' '(7)' run sh -c 'exit 7'
check 'it has its own processes, name and user ids' '1 c1 0 1(0)' run sh -c \
  'echo -n $$ $(hostname) $(id -u) $(awk "{ print (\$2 > 600000000) }" /proc/self/uid_map)'
check 'capabilities, filter, no new privileges' '00000000a00425fb 1 2(0)' run sh -c \
  'echo -n $(sed -nE "s/^(CapBnd|NoNewPrivs|Seccomp):\s*//p" /proc/self/status)'
check 'the filter refuses each call by its number here' '(0)' run probe
check 'what is masked is empty, what is protected cannot be written' '0 1(0)' run sh -c \
  'echo -n $(wc -c </proc/kcore); (echo 1 >/proc/sys/vm/swappiness) 2>/dev/null || echo -n " $?"'
check 'writing goes to a layer' '(0)' run sh -c 'echo text >/etc/motd && grep -q text /etc/motd'
check 'the rootfs is as it was' '(1)' grep text /var/lib/rootfs/etc/motd
check 'in the background' 'c2
(0)' /container_engine -d /var/lib/rootfs c2 none sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
check 'the limits are in force' '50000 100000 52428800 64(0)' sh -c \
  'cd /sys/fs/cgroup/container_engine/c2 && echo -n $(cat cpu.max memory.max pids.max)'
check 'exec, as a user' '5(0)' /container_engine exec -u 5 c2 sh -c 'echo -n $(id -u)'
check 'exec is refused the same calls' '(0)' /container_engine exec c2 probe
check 'stop' 'c2
(0)' /container_engine stop c2
check 'inspect' 'exited (3)
(0)' /container_engine inspect c2 status
check 'delete' 'c2
(0)' /container_engine delete c2
mkdir /var/lib/bundle && cd /var/lib/bundle && mv ../rootfs .
/container_engine spec && sed -i 's|"/bin/sh"|"/bin/probe"|' config.json
check 'a bundle, whose profile has the same calls by name' '(0)' /container_engine run b1
check 'nothing is left' '(0)' sh -c 'ls -A /var/lib/container_engine
  find /sys/fs/cgroup/container_engine -mindepth 1 -type d'
echo "1..$n"
echo o >/proc/sysrq-trigger
START
}

main() {
  [[ -e ${CE_ALPINE_AARCH64-} ]] || die 'set CE_ALPINE_AARCH64 to a tarball of Alpine for aarch64'
  get_ready aarch64
  mkdir "$tmp/build" "$tmp/first"
  cp container_engine.c Makefile "$tmp/build"
  make -s -C "$tmp/build" CC=aarch64-linux-gnu-gcc container_engine >&2
  cp "$tmp/build/container_engine" "$tmp/first"
  write_probe | aarch64-linux-gnu-gcc -O2 -static -x c - -o "$tmp/first/probe"
  zcat -f "$CE_ALPINE_AARCH64" >"$tmp/first/alpine.tar"
  write_init >"$tmp/first/init"
  write_start >"$tmp/first/start"
  chmod +x "$tmp/first/"{init,start}
  (cd "$tmp/first" && find . | cpio --quiet -o -H newc) | cat "$kernel/initrd" - >"$tmp/initrd"
  truncate -s 1G "$tmp/disk" && mkfs.ext4 -q -F "$tmp/disk"
  timeout 300 "$program" -accel tcg,thread=multi -machine "$machine" -cpu max -smp "$cpus" \
    -m 1024 -nodefaults -no-user-config -no-reboot -display none -kernel "$kernel/kernel" \
    -initrd "$tmp/initrd" -append "console=$console quiet panic=-1" \
    -chardev "file,id=log,path=${CE_CONSOLE:-$tmp/log}" -serial chardev:log \
    -drive "if=virtio,format=raw,cache=unsafe,file=$tmp/disk" -device virtio-serial-pci \
    -chardev "file,id=out,path=$tmp/out" -device virtserialport,nr=1,chardev=out </dev/null >&2 &
  qemu=$!
  wait "$qemu" || die 'the VM failed, or took longer than five minutes'
  tr -d '\r' <"$tmp/out"
}

if [[ ${1-} == --again ]]; then run_again; else main; fi

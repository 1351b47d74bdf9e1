# shellcheck shell=bash
# Shared by the tests of the OCI face: `load oci` after `load helpers`.
#
# OCI_RUNTIME=crun runs them with another runtime than the engine: what they say is the runtime
# specification's, and what the clients want. `ours` marks the lines that are ours alone.
#
#   rt ARGS...           the runtime, with a --root of the test's own
#   bundle [FILTER]      makes $BUNDLE: the base configuration, changed by a jq filter
#   shell SCRIPT         the filter that makes SCRIPT the program
#   in_container F       bundle F, then `run`: sets $status $output $stderr
#   create/started ID    in the background, output in $T/ID.out and $T/ID.err
#   fails [WORD] ARGS..  the runtime must fail, with a line (and WORD in it), and not by a signal
#   status_of ID         what `state` says

setup() {
  requires root alpine jq
  lab_snapshot
  oci_setup
}

oci_setup() {
  T=$BATS_TEST_TMPDIR
  BUNDLE=$T/bundle
  ROOT=$T/root
  mkdir -p "$ROOT" "$T/share"
}

teardown() {
  [[ -n ${BATS_TEST_SKIPPED-} ]] || leak_check
  local left
  left=$(find "$ROOT" -mindepth 1 ! -name '.*'
    # but for the parents of those that the clients' bundles name
    find "$LAB_CGROUP" -mindepth 1 -maxdepth 1 -type d ! -name container_engine ! -name oci \
      ! -name default ! -name docker ! -name libpod_parent)
  [[ -z $left ]] || { printf 'left behind:\n%s\n' "$left"; return 1; }
}

rt() {
  lab timeout --foreground -k 5 "$((30 * ${CE_SLOW:-1}))" "${OCI_RUNTIME:-$ENGINE}" --root "$ROOT" "$@"
}

ours() {
  [[ -z ${OCI_RUNTIME-} ]]
}

# What every client asks for, in its simplest form: six namespaces, the usual mounts, root with
# podman's default capabilities.
base_config() {
  jq -n --arg root "$ALPINE" --arg share "$T/share" '
    ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
     "CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
     "CAP_SYS_CHROOT"] as $caps |
    {
      ociVersion: "1.0.2",
      process: {
        args: ["true"], cwd: "/", user: { uid: 0, gid: 0 },
        env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"],
        capabilities: { bounding: $caps, effective: $caps, permitted: $caps }
      },
      root: { path: $root, readonly: true },
      hostname: "box",
      mounts: [
        { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
        { destination: "/dev", type: "tmpfs", source: "tmpfs",
          options: ["nosuid", "strictatime", "mode=755", "size=65536k"] },
        { destination: "/dev/pts", type: "devpts", source: "devpts",
          options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
        { destination: "/dev/shm", type: "tmpfs", source: "shm",
          options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
        { destination: "/dev/mqueue", type: "mqueue", source: "mqueue",
          options: ["nosuid", "noexec", "nodev"] },
        { destination: "/sys", type: "sysfs", source: "sysfs",
          options: ["nosuid", "noexec", "nodev", "ro"] },
        { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
          options: ["nosuid", "noexec", "nodev", "relatime", "ro"] },
        { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev"] },
        { destination: "/mnt", type: "bind", source: $share, options: ["rbind", "rprivate"] }
      ],
      linux: {
        namespaces: (["pid", "network", "ipc", "uts", "mount", "cgroup"] | map({ type: . })),
        maskedPaths: ["/proc/kcore", "/proc/keys", "/sys/firmware"],
        readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
      }
    }'
}

bundle() {
  mkdir -p "$BUNDLE"
  base_config | jq "${1:-.}" >"$BUNDLE/config.json"
}

shell() {
  jq -rn --arg script "$1" '".process.args = " + (["sh", "-c", $script] | tojson)'
}

in_container() {
  bundle "$1" || return 1
  try rt run --bundle "$BUNDLE" box
}

# The output goes to files: a container that lives on would keep bats' pipe open.
create() { # ID [OPTION...]
  rt create --bundle "$BUNDLE" "${@:2}" "$1" </dev/null >"$T/$1.out" 2>"$T/$1.err" 3>&- 4>&- || {
    local result=$?
    cat "$T/$1.err"
    return "$result"
  }
}

# One that runs until it gets SIGTERM; it has said `ready` when we return.
started() { # ID [FILTER]
  bundle "$(shell 'trap "exit 7" TERM; echo ready; sleep 1000 & wait') | ${2:-.}"
  create "$1" && rt start "$1" && wait_until 10 grep -qx ready "$T/$1.out"
}

fails() { # [-w WORD] ARGS...
  local word=''
  [[ $1 != -w ]] || { word=$2; shift 2; }
  # To a file, like create: what should have failed may live on.
  status=0
  rt "$@" </dev/null >"$T/fails.out" 2>"$T/fails.err" 3>&- 4>&- || status=$?
  printf '$ rt %s\nstatus: %s\n' "${*@Q}" "$status"
  cat "$T/fails.out" "$T/fails.err"
  [[ $status != @(0|124|13[0-9]) && -s $T/fails.err ]] &&
    grep -qiF -- "$word" "$T/fails.err"
}

status_of() {
  rt state "$1" 2>/dev/null | jq -r .status
}

is() { # ID STATUS
  [[ $(status_of "$1") == "$2" ]]
}

pid_of() {
  rt state "$1" | jq .pid
}

remove() {
  rt delete --force "$1"
}

# A prober: makes one system call, by number, with up to six arguments.
prober() {
  requires gcc
  [[ -x $LAB/call ]] || {
    printf '%s\n' '#include <errno.h>' '#include <stdio.h>' '#include <stdlib.h>' '#include <string.h>' \
      '#include <unistd.h>' 'int main(int n, char **v)' '{' \
      'long a[7] = {0}; for (int i = 1; i < n && i < 8; i++) a[i - 1] = strtoull(v[i], NULL, 0);' \
      'errno = 0; syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);' \
      'puts(errno ? strerrorname_np(errno) : "ok"); return 0; }' >"$LAB/call.c"
    gcc -D_GNU_SOURCE -static -o "$LAB/call" "$LAB/call.c"
  }
  cp "$LAB/call" "$T/share/call"
}

# Receives the terminal that a runtime sends over the console socket, and copies what comes out of
# it to a file. Prints nothing; ends when the terminal does.
console() { # SOCKET FILE
  start console python3 -c '
import array, os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
connection, _ = listener.accept()
fds = array.array("i")
message, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
for level, kind, data in ancillary:
    if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
        fds.frombytes(data)
# A first EIO may come before the last bytes: the kernel looks for them, and then for the end.
with open(sys.argv[2], "wb", 0) as out:
    ends = 0
    while ends < 2:
        try:
            out.write(os.read(fds[0], 4096))
        except OSError:
            ends += 1
' "$1" "$2"
  wait_until 10 test -S "$1"
}

# Makes $BUNDLE of a client's own config.json (fixtures/README), changed by a jq filter, with what
# it names: a root, hosts and the like, a network namespace, a hook that succeeds.
fixture() { # NAME [FILTER]
  # Below /run, because root of a user namespace cannot come to what bats makes.
  local files=$T/files at=/run/fixture id
  id=$(printf '%064d' 7)
  rm -rf "$BUNDLE" "$files" "$T/copy"
  mkdir -p "$BUNDLE" "$files/shm" "$files/mounts/shm"
  cp -a "$ALPINE" "$T/copy"
  touch "$files"/{hosts,hostname,resolv.conf,.containerenv}
  # podman hands its layers to the mapped root.
  ! grep -q uidMappings "$REPO/test/fixtures/$1.json" || chown -R 100000:100000 "$T/copy" "$files"
  chmod 755 "$T"
  lab mkdir -p "$at"
  lab mount --bind "$T" "$at"
  ! grep -q @NETNS@ "$REPO/test/fixtures/$1.json" || lab ip netns add fixture
  sed -e "s#@ROOTFS@#$at/copy#g; s#@FILES@#$at/files#g; s#@NETNS@#/run/netns/fixture#g; s#@ID@#$id#g" \
    -e "s#/proc/@PID@/ns/#/proc/${JOINED:-nobody}/ns/#g; s#/proc/@PID@/exe#/bin/true#g" \
    -e "s#@SHORT@#0123456789ab#g; s#\"rootfs\"#\"$at/copy\"#" \
    "$REPO/test/fixtures/$1.json" | jq "${2:-.}" >"$BUNDLE/config.json"
}

fixture_end() {
  lab umount /run/fixture
  lab rmdir /run/fixture
  lab test -e /run/netns/fixture || return 0
  lab ip netns del fixture
  lab umount /run/netns
}

# In the order in which the shim calls: create, start, delete, delete --force.
run_fixtures() { # FILTER
  local file name
  start joined unshare --uts --ipc --net sleep 1000 # a pod's infra container
  for file in "$REPO"/test/fixtures/*.json; do
    name=${file##*/} name=${name%.json}
    [[ $name != *-exec* ]] || continue
    printf '%s:\n' "$name"
    # shellcheck disable=SC2154 # start sets pid
    JOINED=$pid fixture "$name" \
      ".process.args = [\"sh\", \"-c\", \"echo runs; exit 3\"] | del(.process.terminal) | $1"
    create box && is box created && rt start box && wait_until 10 is box stopped || return 1
    grep -qx runs "$T/box.out" && rt delete box && rt delete --force box || return 1
    fixture_end
  done
}

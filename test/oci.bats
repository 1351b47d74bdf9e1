#!/usr/bin/env bats
# The OCI face: the life cycle of the runtime specification with every wrong order, and the command
# line that conmon, containerd and docker use. What config.json asks for: oci_config.bats; limits
# and the clients' own bundles: oci_limits.bats; the clients themselves: clients.sh.
#
# OCI_RUNTIME=crun bats test/oci.bats: the same with another runtime.

load helpers
load oci

# --- the right order -------------------------------------------------------------------------

@test "oci: created, running, stopped, gone" {
  bundle "$(shell 'echo here; touch /mnt/ran; exit 3')"
  create box
  is box created
  [[ ! -e $T/share/ran ]]
  rt start box
  wait_until 10 is box stopped
  [[ $(<"$T/box.out") == here && -e $T/share/ran ]]
  rt delete box
  fails state box
}

@test "oci: run is create, start and delete, with the program's output and status" {
  in_container "$(shell 'cat; echo err >&2; exit 3')"
  [[ $status -eq 3 && -z $output && $stderr == err ]]
  in_container "$(shell 'kill -9 $$') | del(.linux.namespaces[] | select(.type == \"pid\"))"
  [[ $status -eq 137 ]]
}

@test "oci: state prints what the specification wants" {
  bundle '.annotations = { "org.example.a": "b \"quoted\" \u00fc", "empty": "" }'
  create box
  try -0 rt state box
  jq -e --arg bundle "$(realpath "$BUNDLE")" '
    (.ociVersion | test("^1\\.")) and .id == "box" and .status == "created" and .pid > 1 and
    .bundle == $bundle and .annotations == { "org.example.a": "b \"quoted\" \u00fc", "empty": "" }
    ' <<<"$output"
  # It is a process that waits, in namespaces of its own.
  local pid
  pid=$(jq .pid <<<"$output")
  [[ $(readlink "/proc/$pid/ns/pid_for_children") != "$(readlink /proc/self/ns/pid_for_children)" ]]
  remove box
}

@test "oci: no process stays behind but the container's own" {
  started box
  local inside
  inside=$(lab_processes | wc -l)
  # the shell and its sleep
  [[ $inside -eq 2 ]]
  [[ $(<"/proc/$(pid_of box)/comm") == sh ]]
  remove box
}

@test "oci: the pid file holds the pid that state prints, and nothing else" {
  bundle
  create box --pid-file "$T/pid"
  [[ $(<"$T/pid") == "$(pid_of box)" ]]
  [[ $(wc -w <"$T/pid") -eq 1 && ! $(<"$T/pid") =~ [^0-9] ]]
  remove box
}

@test "oci: no pid file stays where create fails, and nothing else goes for it" {
  bundle '.process.args = ["/nowhere"]'
  fails create --bundle "$BUNDLE" --pid-file "$T/pid" box
  [[ ! -e $T/pid ]]
  fails create --bundle "$BUNDLE" --pid-file /dev/null box
  lab test -c /dev/null
}

@test "oci: the bundle is the working directory, and its path may be relative" {
  bundle "$(shell 'exit 4')"
  try -4 rt run --bundle "$BUNDLE" box
  cd "$BUNDLE"
  try -4 rt run box
  cd "$T"
  try -4 rt run --bundle bundle box
  try -4 rt run -b bundle box
  # Without the word run, too, whatever the engine is called.
  # (To a file: what is only created would keep bats' pipe open.)
  ours || return 0
  cd "$BUNDLE"
  status=0
  lab bash -c 'exec -a container_engine "$0" box' "$ENGINE" </dev/null >"$T/out" 2>&1 3>&- 4>&- ||
    status=$?
  lab "$ENGINE" delete -f box
  [[ $status -eq 4 ]]
}

@test "oci: root.path is relative to the bundle" {
  bundle '.root.path = "rootfs"'
  ln -s "$ALPINE" "$BUNDLE/rootfs"
  try -0 rt run --bundle "$BUNDLE" box
}

@test "oci: ids: what a client may choose" {
  local id
  bundle
  for id in a 0 a-b_c.d+e a.b 26393724ec94426d5ce2c15abcd916fc22bdf9d70328c429c46664b1bb73db38; do
    try -0 rt run --bundle "$BUNDLE" "$id"
  done
}

@test "oci: a container ends with its first process, whatever that left" {
  bundle "$(shell 'sleep 1000 & exit 0')"
  create box
  rt start box
  wait_until 10 is box stopped
  rt delete box
}

@test "oci: several at once, each by its id" {
  bundle
  create one
  create two
  rt start one
  is two created
  wait_until 10 is one stopped
  rt delete one
  is two created
  remove two
}

# --- the wrong order --------------------------------------------------------------------------

@test "oci: start: not twice, not a running, a stopped or an unknown one" {
  fails start nobody
  started box
  fails start box
  is box running
  rt kill box KILL
  wait_until 10 is box stopped
  fails start box
  is box stopped
  rt delete box
}

@test "oci: create: not with an id that is taken, and the first one is not touched" {
  started box
  local pid
  pid=$(pid_of box)
  fails -w exist create --bundle "$BUNDLE" box
  is box running
  [[ $(pid_of box) == "$pid" ]]
  rt kill box KILL
  wait_until 10 is box stopped
  fails -w exist create --bundle "$BUNDLE" box # stopped, but not deleted
  rt delete box
}

@test "oci: a hook of create sees it creating, and cannot start it" {
  ours || skip 'crun starts it'
  printf '#!/bin/sh\nfor c in state start; do timeout 5 %s --root %s $c box; echo $?; done >%s 2>&1\n' \
    "$ENGINE" "$ROOT" "$T/said" >"$T/hook"
  chmod +x "$T/hook"
  bundle "$(shell 'echo ran') | .hooks.createRuntime = [{ path: \"$T/hook\" }]"
  create box
  cat "$T/said"
  [[ $(sed -n 1p "$T/said" | jq -r .status) == creating && $(tail -n 1 "$T/said") -eq 125 ]]
  is box created
  rt start box
  wait_until 10 is box stopped
  rt delete box
  [[ $(<"$T/box.out") == ran ]]
}

@test "oci: create: not without a bundle, a config.json or a root" {
  fails create --bundle "$T/nowhere" box
  mkdir "$T/empty"
  fails -w config.json create --bundle "$T/empty" box
  bundle '.root.path = "/nowhere/at/all"'
  fails -w 'no such file' create --bundle "$BUNDLE" box
  printf '{ "ociVersion": "1.0.2", ' >"$BUNDLE/config.json"
  fails create --bundle "$BUNDLE" box
  : >"$BUNDLE/config.json"
  fails create --bundle "$BUNDLE" box
  fails state box
}

@test "oci: create: not with an id that is none" {
  local id
  bundle
  for id in '' .. a/b ../a; do
    fails create --bundle "$BUNDLE" "$id" || { printf 'id: %q\n' "$id"; return 1; }
  done
  # crun takes these.
  ! ours || for id in . /a 'a b' $'a\nb' "$(printf 'x%.0s' {1..1025})" ü; do
    fails create --bundle "$BUNDLE" "$id" || { printf 'id: %q\n' "$id"; return 1; }
  done
}

@test "oci: kill: not of a stopped or an unknown one, nor with what is no signal" {
  fails kill nobody KILL
  started box
  fails kill box 1000
  # crun takes a word that it does not know for a signal, and says nothing.
  ! ours || { fails kill box NONSENSE; fails kill box 0x9; fails kill box 9x; fails kill box -1; }
  is box running
  rt kill box KILL
  wait_until 10 is box stopped
  fails kill box KILL
  fails kill box 0
  rt delete box
}

@test "oci: kill: by number, by name, with and without SIG; TERM is the default" {
  local signal
  for signal in 15 TERM SIGTERM ''; do
    started box
    # shellcheck disable=SC2086
    rt kill box $signal
    wait_until 10 is box stopped
    rt delete box
  done
}

@test "oci: kill of a created one: it never runs" {
  bundle "$(shell 'touch /mnt/ran')"
  create box
  rt kill box KILL
  wait_until 10 is box stopped
  fails start box
  rt delete box
  [[ ! -e $T/share/ran ]]
}

@test "oci: kill of a created one in the host's pid namespace: at once, and by TERM, too" {
  bundle '.linux.namespaces |= map(select(.type != "pid"))'
  create box
  rt kill box TERM
  wait_until 10 is box stopped
  rt delete box
}

@test "oci: kill --all: every process in it, with and without a namespace of its own" {
  bundle "$(shell 'trap "" TERM; sleep 1000 & echo ready; wait')"
  create box
  rt start box
  wait_until 10 grep -qx ready "$T/box.out"
  rt kill --all box KILL
  wait_until 10 is box stopped
  rt delete box

  bundle "$(shell 'sleep 1000 & echo ready; wait') |
    del(.linux.namespaces[] | select(.type == \"pid\")) |
    .mounts |= map(select(.destination != \"/proc\"))"
  create box
  rt start box
  wait_until 10 grep -qx ready "$T/box.out"
  rt kill --all box KILL
  wait_until 10 is box stopped
  rt delete box
}

@test "oci: kill --all and ps: also what is in cgroups below the container's" {
  local pid cgroup below
  bundle "$(shell 'sleep 1000 & echo ready; wait') | .linux.cgroupsPath = \"/oci/box\" |
    del(.linux.namespaces[] | select(.type == \"pid\")) |
    .mounts |= map(select(.destination != \"/proc\"))"
  create box
  rt start box
  wait_until 10 grep -qx ready "$T/box.out"
  cgroup=$LAB_CGROUP/oci/box
  mkdir -p "$cgroup/a/b"
  pid=$(pid_of box)
  read -r below < <(grep -vx "$pid" "$cgroup/cgroup.procs")
  echo "$below" >"$cgroup/a/b/cgroup.procs"
  try -0 rt ps --format json box
  [[ $(jq -c sort <<<"$output") == "$(jq -nc "[$pid, $below] | sort")" ]]
  rt kill --all box KILL
  wait_until 10 gone "$below"
  wait_until 10 is box stopped
  rt delete box
}

@test "oci: start: of a container that dies meanwhile it is said in which step" {
  bundle '.hooks.startContainer = [{ path: "/bin/sh", args: ["sh", "-c", "kill -9 $PPID"] }] |
    del(.linux.namespaces[] | select(.type == "pid")) | .mounts |= map(select(.destination != "/proc"))'
  create box
  # crun does not notice.
  ! ours || fails -w 'container_engine: start: ' start box
  remove box
}

@test "oci: delete: not of a running one, unless by force" {
  fails delete nobody
  started box
  local pid
  pid=$(pid_of box)
  fails delete box
  is box running
  rt delete --force box
  wait_until 10 gone "$pid"
  fails state box
}

# Its cgroup is killed with it: whatever else is in there would be, too.
@test "oci: create: not in a cgroup that has processes, nor in that of all others" {
  local cgroup=$LAB_CGROUP/oci/box pid
  mkdir -p "$cgroup"
  start other sleep 1000
  echo "$pid" >"$cgroup/cgroup.procs"
  bundle '.linux.cgroupsPath = "/oci/box"'
  fails -w 'has processes' create --bundle "$BUNDLE" box
  bundle '.linux.cgroupsPath = "/"'
  fails create --bundle "$BUNDLE" box
  [[ -e /proc/$pid/exe ]]
  stop_started
  rmdir "$cgroup"
  bundle '.linux.cgroupsPath = ""'
  create box
  ! ours || [[ $(cat "$LAB_CGROUP"/container_engine/+box.*/cgroup.procs) == "$(pid_of box)" ]]
  remove box
}

@test "oci: one of ours of the same name, and one below another --root, are others" {
  ours || skip 'only ours are ours'
  started box
  try -0 ce "$ALPINE" box none true
  try -0 ce delete box
  bundle
  try -0 eval 'ROOT=$T/other rt run --bundle "$BUNDLE" box'
  is box running
  remove box
}

@test "oci: one of ours does not take the place of a stopped one with a bundle" {
  ours || skip 'only ours are ours'
  bundle
  ROOT=/var/lib/container_engine create box
  lab "$ENGINE" start box
  wait_until 10 eval 'lab "$ENGINE" state box | grep -q stopped'
  try -125 ce "$ALPINE" box none true
  [[ $stderr == *'has a bundle'* ]]
  [[ $(lab "$ENGINE" state box | jq -r .bundle) == "$BUNDLE" ]]
  lab "$ENGINE" delete box
}

@test "oci: create: a host name cannot write to the state file" {
  started box '.hostname = "a\n\npid=1"'
  is box running
  remove box
}

@test "oci: delete: a created one only by force" {
  bundle
  create box
  # crun deletes it; the specification says no.
  ! ours || fails delete box
  rt delete --force box
  fails state box
}

@test "oci: delete --force after a create that was killed before it kept the bundle" {
  ours || skip 'where it is killed is ours alone'
  local call
  bundle
  for call in sendfile:signal=KILL:when=3 mkdir:signal=KILL:when=1+; do
    try lab strace -qq -o /dev/null -e inject="$call" "$ENGINE" --root "$ROOT" create --bundle "$BUNDLE" c1
    try -0 rt delete --force c1
  done
}

@test "oci: a hook without words has its path as the first" {
  bundle '.hooks = {prestart: [{path: "/nosuch", args: []}]}'
  fails -w 'cannot be run' create --bundle "$BUNDLE" c1
}

@test "oci: delete --force of what is not there is no error: podman and containerd do it" {
  try -0 rt delete --force nobody
  bundle
  try -0 rt run --bundle "$BUNDLE" box
  try -0 rt delete --force box
}

@test "oci: delete: twice at once, and beside run: poststop comes once" {
  printf '#!/bin/sh\necho poststop >>%s\nsleep 0.2\n' "$T/log" >"$T/hook"
  chmod +x "$T/hook"
  bundle ".process.args = [\"sleep\", \"1000\"] | .hooks.poststop = [{ path: \"$T/hook\" }]"
  create box
  rt delete --force box &
  try -0 rt delete --force box
  wait
  start run "${OCI_RUNTIME:-$ENGINE}" --root "$ROOT" run --bundle "$BUNDLE" box
  wait_until 10 is box running
  try -0 rt delete --force box
  wait_until 10 gone "$pid"
  [[ $(grep -c poststop "$T/log") -eq 2 ]]
}

@test "oci: state, start, kill, delete: what an engine of another version accepted" {
  ours || skip 'where it is kept is ours alone'
  bundle '.process.args = ["sleep", "1000"]'
  create box
  jq '.process.rlimits = [{ type: "RLIMIT_OF_ANOTHER" }]' "$BUNDLE/config.json" >"$ROOT/box/config.json"
  is box created
  try -0 rt start box
  try -0 rt kill box KILL
  wait_until 10 is box stopped
  try -0 rt delete box
}

created_and_killed() {
  local pid
  bundle
  create box
  pid=$(pid_of box)
  kill -KILL "$pid"
  wait_until 10 gone "$pid"
}

of_another_boot() {
  lab sed -i 's/^boot=.*/boot=00000000-0000-0000-0000-000000000000/' "$ROOT/box/state"
}

@test "oci: create: one that was created before the last boot is in nobody's way" {
  ours || skip 'the state file is ours'
  created_and_killed
  fails create --bundle "$BUNDLE" box
  of_another_boot
  create box
  is box created
  rt delete --force box
}

@test "oci: one from before the last boot is gone, and what has its name by now stays" {
  ours || skip 'the state file is ours'
  created_and_killed
  of_another_boot
  try -0 ce -d "$ALPINE" box none sleep 1000
  fails -w 'does not exist' state box
  lab test -L /run/netns/box
  [[ $(lab "$ENGINE" inspect box status) == running ]]
  try -0 ce delete -f box
  try -0 rt delete --force box
}

@test "oci: delete --force of a paused one" {
  started box
  rt pause box
  rt delete --force box
  fails state box
}

@test "oci: start: not of a created one that is paused, which can be started later" {
  bundle "$(shell 'echo up')"
  create box
  rt pause box
  is box paused
  CE_TIMEOUT=5 fails -w paused start box
  rt resume box
  is box created
  rt start box
  wait_until 10 grep -q up "$T/box.out"
  wait_until 10 is box stopped
  rt delete box
}

@test "oci: delete: what dies slowly in its cgroup is no error" {
  local cgroup i
  ours || skip 'it is about a retry of ours'
  bundle '.process.args = ["sleep", "1000"]'
  for i in 1 2 3; do
    create box
    rt start box
    cgroup=$(find "$LAB_CGROUP" -mindepth 1 -type d -name box)
    # A process with memory takes a while to end.
    head -c 600M /dev/zero | tail >/dev/null 3>&- &
    printf '%s\n' "$!" >"$cgroup/cgroup.procs"
    sleep 1
    try -0 rt delete --force box
    [[ -z $stderr && ! -e $cgroup ]]
    wait "$!" || :
  done
}

@test "oci: exec: not in a created, a stopped, a paused or an unknown one" {
  printf '{ "cwd": "/", "args": ["true"], "user": { "uid": 0, "gid": 0 } }' >"$T/process.json"
  fails exec --process "$T/process.json" nobody
  bundle
  create box
  # The specification leaves a created one open; runc and crun refuse a stopped one.
  rt start box
  wait_until 10 is box stopped
  fails -w 'not running' exec --process "$T/process.json" box
  rt delete box
  # Into a paused one crun goes, and hangs there.
  ours || return 0
  started box
  rt pause box
  fails exec --process "$T/process.json" box
  remove box
}

@test "oci: pause and resume: not of a stopped or an unknown one" {
  fails pause nobody
  fails resume nobody
  bundle
  create box
  rt start box
  wait_until 10 is box stopped
  fails pause box
  # crun resumes anything.
  ! ours || fails resume box
  rt delete box
}

@test "oci: a command that is none, an option that is none, and half of one" {
  bundle
  fails nonsense
  fails create --nonsense --bundle "$BUNDLE" box
  fails create --bundle
  fails create --bundle "$BUNDLE"
  fails create --bundle "$BUNDLE" box another
  fails start
  fails state
  fails kill
  fails delete
  fails exec
  fails state box
}

@test "oci: --root: not an empty word" {
  ours || skip 'crun takes it'
  local root
  bundle
  cd "$T"
  ROOT='' fails -w --root state box
  ROOT='' fails -w --root create --bundle "$BUNDLE" box
  [[ ! -e box ]]
}

@test "oci: --systemd-cgroup is refused, with what to do instead" {
  ours || skip 'others know systemd'
  bundle
  fails -w cgroupfs --systemd-cgroup create --bundle "$BUNDLE" box
}

# --- nothing is left --------------------------------------------------------------------------

# The checks are teardown's: process, cgroup, mount, namespace, --root.
@test "oci: a failed create leaves nothing" {
  local filter
  for filter in \
    '.process.args = ["/nowhere"]' '.process.args = ["/etc"]' '.process.args = ["/etc/passwd"]' \
    '.process.args = []' \
    '.mounts += [{ destination: "/a", type: "nonsense", source: "x" }]' \
    '.mounts += [{ destination: "/proc/nowhere", type: "bind", source: "/etc", options: ["bind"] }]' \
    '.mounts += [{ destination: "/mnt", type: "bind", source: "/nowhere", options: ["bind"] }]' \
    '.linux.namespaces[0] = { type: "pid", path: "/nowhere" }' \
    '.linux.namespaces[1] = { type: "network", path: "/proc/self/ns/uts" }' \
    '.linux.namespaces[0].type = "nonsense"' \
    '.linux.sysctl = { "kernel.nonsense": "1" }' \
    '.linux.seccomp = { defaultAction: "NONSENSE" }' \
    '.hooks.prestart = [{ path: "/bin/false" }]' \
    '.hooks.createRuntime = [{ path: "/bin/false" }]' \
    '.hooks.createContainer = [{ path: "/bin/false" }]' \
    '.process.rlimits = [{ type: "RLIMIT_NONSENSE", soft: 1, hard: 1 }]' \
    '.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 2, hard: 1 }]' \
    'OURS | del(.process.args)' 'OURS | .process.cwd = "relative"'; do
    # crun creates these, and they fail when they start.
    [[ $filter != OURS* ]] || ours || continue
    filter=${filter#OURS | }
    bundle "$filter"
    fails create --bundle "$BUNDLE" --pid-file "$T/pid" box || { printf 'filter: %s\n' "$filter"; return 1; }
    fails state box || { printf 'state after: %s\n' "$filter"; return 1; }
    wait_until 5 leaks || { printf 'left after: %s\n' "$filter"; return 1; }
    try -0 rt delete --force box
  done
  # crun leaves its cgroup when it is refused late.
  ours || lab find /sys/fs/cgroup/box -depth -type d -exec rmdir {} +
}

# podman makes 127 and 126 of these words.
@test "oci: a missing program is 'no such file or directory', one that is none 'permission denied'" {
  bundle '.process.args = ["/nowhere"]'
  fails -w 'no such file or directory' create --bundle "$BUNDLE" box
  bundle '.process.args = ["nowhere"]'
  fails -w 'no such file or directory' create --bundle "$BUNDLE" box
  bundle '.process.args = ["/etc/passwd"]'
  fails -w 'permission denied' create --bundle "$BUNDLE" box
  # crun says: open executable: Operation not permitted. podman makes 126 of it, too.
  ! ours || { bundle '.process.args = ["/etc"]'; fails -w 'permission denied' create --bundle "$BUNDLE" box; }
}

@test "oci: an image whose lists of users are no files keeps nobody waiting" {
  cp -a "$ALPINE" "$T/copy"
  rm "$T/copy"/etc/{passwd,group}
  mkfifo "$T/copy"/etc/{passwd,group}
  started box ".root.path = \"$T/copy\" | del(.process.env[1])"
  [[ $(rt exec box sh -c 'echo $HOME') == / ]]
  ! ours || fails -w "there is no 'daemon'" exec -u daemon box true
  ! ours || fails -w "there is no 'daemon'" exec -u 5:daemon box true
  remove box
}

@test "oci: the caller gone between create and start: the container waits, and is removed" {
  bundle
  create box
  sleep 0.3
  is box created
  remove box
}

# --- the terminal -----------------------------------------------------------------------------

@test "oci: the console socket gets the terminal" {
  requires python3
  console "$T/s" "$T/screen"
  bundle "$(shell 'tty; ls -l /dev/console | cut -c 1; stty size; test -t 0 && test -t 1 && test -t 2 && echo terminal') |
    .process.terminal = true | .process.consoleSize = { height: 33, width: 77 }"
  create box --console-socket "$T/s"
  [[ ! -s $T/box.out ]]
  rt start box
  wait_until 10 grep -q terminal "$T/screen"
  tr -d '\r' <"$T/screen"
  # crun 1.8.1 overlooks consoleSize when there is a socket.
  ! ours || grep -q '^33 77' "$T/screen"
  grep -q '^/dev/pts/0' "$T/screen" && grep -q '^c' "$T/screen"
  wait_until 10 is box stopped
  rt delete box
}

@test "oci: a terminal without a socket, a socket without a terminal, and one where nobody listens" {
  bundle '.process.terminal = true'
  fails create --bundle "$BUNDLE" box
  fails create --bundle "$BUNDLE" --console-socket "$T/nowhere" box
  ours || return 0
  bundle
  fails create --bundle "$BUNDLE" --console-socket "$T/nowhere" box
}

# --- exec -------------------------------------------------------------------------------------

process() { # SCRIPT [FILTER]
  base_config | jq ".process | $(shell "$1" | sed 's/\.process//') | ${2:-.}" >"$T/process.json"
}

@test "oci: exec: program, environment, directory, user and status" {
  started box
  process 'pwd; echo $A; id -u; id -g; id -G; umask; exit 9' \
    '.cwd = "/tmp" | .env += ["A=b c"] | .user = { uid: 5, gid: 6, additionalGids: [7, 8], umask: 63 }'
  try -9 rt exec --process "$T/process.json" box
  [[ $output == $'/tmp\nb c\n5\n6\n6 7 8\n0077' ]]
  remove box
}

@test "oci: exec: -e, -w and -u, as with our own containers, and over what a file says" {
  started box '.process.env += ["A=old", "B=b"] | .process.user.additionalGids = [7] |
    .process.capabilities += { inheritable: ["CAP_CHOWN"], ambient: ["CAP_CHOWN"] }'
  try -0 rt exec -e A=1 --env C=c --cwd /tmp box sh -c 'pwd; echo $A $B $C; id -u; id -g; id -G'
  [[ $output == $'/tmp\n1 b c\n0\n0\n0 7' ]]
  # Whoever is not root has none of the container's capabilities.
  try -0 rt exec -u 5:6 box sh -c 'id -u; id -g; id -G; grep CapEff /proc/self/status'
  [[ $output == $'5\n6\n6\nCapEff:\t0000000000000000' ]]
  ours || return 0 # with a file crun passes them over
  try -0 rt exec --user nobody box sh -c 'id -un; grep CapPrm /proc/self/status'
  [[ $output == $'nobody\nCapPrm:\t0000000000000000' ]]
  process 'pwd; echo $A' '.cwd = "/usr" | .env += ["A=file"]'
  try -0 rt exec -w /tmp --process "$T/process.json" box
  [[ $output == $'/tmp\nfile' ]]
  fails -w absolute exec -w tmp box true
  process true '.cwd = "tmp"'
  fails -w absolute exec --process "$T/process.json" box
  remove box
}

@test "oci: no option is dropped without a word" {
  ours || skip 'others have other options'
  local option
  bundle
  for option in '--memory 5M' '-e A=1' '-w /tmp' '-u 5' '-v /mnt:/mnt' '--hostname x' '--name x' --rm -d \
    --read-only '--cap-add ALL' '--seccomp off' '--userns on' --explain --step '--without net'; do
    # shellcheck disable=SC2086
    fails -w "option ${option% *}" run --bundle "$BUNDLE" $option box
  done
  started box
  fails -w --explain exec --explain box true
  fails -w --step exec --step box true
  remove box
  bundle
  create box
  fails -w command start box true
  remove box
}

@test "oci: exec: the process file on standard input" {
  ours || skip 'crun wants a file'
  started box
  process 'echo here'
  try -0 typing "$(<"$T/process.json")" rt exec --process - box
  [[ $output == here ]]
  remove box
}

@test "oci: exec: it is inside: namespaces, root, cgroup, capabilities, seccomp" {
  started box '.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 12 }] }'
  process 'readlink /proc/1/ns/*; cat /proc/1/cgroup; mkdir /tmp/x; grep Cap /proc/self/status; hostname'
  try -0 rt exec --process "$T/process.json" box
  local one=$output
  process 'readlink /proc/self/ns/*; cat /proc/self/cgroup; mkdir /tmp/x; grep Cap /proc/1/status; hostname'
  try -0 rt exec --process "$T/process.json" box
  [[ $output == "$one" && $stderr == *'Out of memory'* ]]
  remove box
}

@test "oci: exec: of the cgroups of a hybrid host, that of version 2 counts" {
  started box '.linux.cgroupsPath = "/oci/box"'
  printf '4:memory:/oci/boxes\n0::/oci/box\n' >"$T/cgroup"
  lab mount --bind "$T/cgroup" "/proc/$(pid_of box)/cgroup"
  try rt exec box true
  lab umount "/proc/$(pid_of box)/cgroup"
  [[ $status -eq 0 ]]
  remove box
}

@test "oci: exec: into a cgroup that has switched a controller on below it, as systemd does" {
  local controller dir=$LAB_CGROUP pid
  read -r controller _ <"$dir/cgroup.controllers" || skip 'there is no controller'
  started box '.linux.cgroupsPath = "/oci/box"'
  mkdir "$dir/oci/box/init"
  for pid in $(<"$dir/oci/box/cgroup.procs"); do
    echo "$pid" >"$dir/oci/box/init/cgroup.procs"
  done
  for dir in "$dir" "$dir/oci" "$dir/oci/box"; do
    echo "+$controller" >"$dir/cgroup.subtree_control"
  done
  try -0 rt exec box sed -n s/^0:://p /proc/self/cgroup
  [[ $output == /init ]]
  remove box
  for dir in "$LAB_CGROUP/oci" "$LAB_CGROUP"; do
    echo "-$controller" >"$dir/cgroup.subtree_control"
  done
}

@test "oci: exec --detach: the pid file, and it lives on" {
  started box
  process 'echo out; touch /mnt/ran; sleep 1000'
  rt exec --process "$T/process.json" --detach --pid-file "$T/pid" box </dev/null >"$T/exec.out" 2>&1 3>&- 4>&-
  wait_until 10 test -e "$T/share/ran"
  [[ $(<"$T/exec.out") == out && $(readlink "/proc/$(<"$T/pid")/ns/pid") == \
    "$(readlink "/proc/$(pid_of box)/ns/pid")" ]]
  is box running
  remove box
}

@test "oci: exec: a user can open /dev/stdout, with --detach and without" {
  started box
  process 'echo out >/dev/stdout' '.user = { uid: 5, gid: 5 }'
  rt exec --process "$T/process.json" --detach box </dev/null 2>"$T/err" 3>&- 4>&- | cat >"$T/out"
  [[ $(<"$T/out") == out ]]
  try -0 rt exec --process "$T/process.json" box
  [[ $output == out ]]
  remove box
}

@test "oci: exec: the options behind the id, and --tty, as conmon has them" {
  requires python3
  started box
  console "$T/s" "$T/screen"
  process 'tty; echo terminal' '.terminal = true'
  rt exec --pid-file "$T/pid" --process "$T/process.json" --detach --tty --console-socket "$T/s" box \
    </dev/null >"$T/exec.out" 2>&1 3>&- 4>&-
  wait_until 10 grep -q terminal "$T/screen"
  grep -q /dev/pts "$T/screen"
  remove box
}

@test "oci: exec: a missing program, a bad process file" {
  started box
  process true '.args = ["nowhere"]'
  fails -w 'no such file or directory' exec --process "$T/process.json" box
  printf '{ "args": [' >"$T/process.json"
  fails exec --process "$T/process.json" box
  fails exec --process "$T/nowhere" box
  is box running
  remove box
}

# --- pause, resume, ps -----------------------------------------------------------------------

@test "oci: pause and resume" {
  bundle "$(shell 'while :; do echo x; sleep 0.1; done')"
  create box
  rt start box
  wait_until 10 test -s "$T/box.out"
  rt pause box
  is box paused
  local size
  size=$(wc -c <"$T/box.out")
  sleep 0.5
  [[ $(wc -c <"$T/box.out") == "$size" ]]
  rt resume box
  is box running
  wait_until 10 eval '[[ $(wc -c <"$T/box.out") -gt $size ]]'
  rt pause box
  rt kill box KILL
  wait_until 10 is box stopped
  rt delete box
}

@test "oci: ps: the processes' numbers here" {
  started box
  try -0 rt ps --format json box
  jq -e --argjson pid "$(pid_of box)" 'index($pid) != null and length == 2' <<<"$output"
  # The format is json's alone in ours; runc and crun print ps(1)'s table otherwise.
  remove box
}

@test "oci: create --no-pivot: a root that is read-only is so" {
  bundle "$(shell 'touch /x')"
  try rt run --no-pivot --bundle "$BUNDLE" box
  [[ $status -ne 0 && $stderr == *Read-only* ]]
}

# That root is no pivoted one, but who enters must come to it all the same.
@test "oci: exec: comes to the container's files, not to the host's, after create --no-pivot, too" {
  local option
  for option in '' --no-pivot; do
    bundle "$(shell 'echo ready; sleep 1000')"
    create box $option
    rt start box
    wait_until 10 grep -qx ready "$T/box.out"
    try -0 rt exec box cat /etc/alpine-release
    remove box
  done
}

# --- the log ----------------------------------------------------------------------------------

@test "oci: --log and --log-format json: the error is its last line, for containerd" {
  bundle '.process.args = ["/nowhere"]'
  try rt --log "$T/log" --log-format json create --bundle "$BUNDLE" box
  [[ $status -ne 0 ]]
  tail -n 1 "$T/log" | jq -e '.level == "error" and (.msg | ascii_downcase |
    contains("no such file or directory")) and (.time | length > 10)'
}

@test "oci: --log: text is the default, and a log that cannot be is an error" {
  bundle '.process.args = ["/nowhere"]'
  try rt --log "$T/log" create --bundle "$BUNDLE" box
  [[ $status -ne 0 ]]
  grep -qi 'no such file or directory' "$T/log"
  bundle
  fails --log "$T/no/such/dir/log" create --bundle "$BUNDLE" box
  fails -w "'yaml'" --log-format yaml create --bundle "$BUNDLE" box
  ! ours || fails -w "'xml'" ps --format xml
}

# exec fails when it is inside already, where the same name is another file.
@test "oci: --log of exec is the manager's file, not one of the container's" {
  started box '.mounts += [{ destination: "/etc", type: "tmpfs", source: "tmpfs" }]'
  rt exec box sh -c 'mkdir -p "$0"; ln -s victim "$0/log"; mkfifo /etc/localtime' "$T"
  try rt --log "$T/log" --log-format json exec box /nowhere
  [[ $status -ne 0 ]]
  tail -n 1 "$T/log" | grep -F /nowhere
  try -1 rt exec box test -e "$T/victim"
  remove box
}

# --- descriptors, spec, features --------------------------------------------------------------

@test "oci: a container has its three descriptors, and those that --preserve-fds hands on" {
  bundle "$(shell 'ls /proc/self/fd; cat <&3')"
  # ls has one of its own.
  try rt run --bundle "$BUNDLE" box
  [[ $(head -n 4 <<<"$output") == $'0\n1\n2\n3' && $stderr == *'ad file descriptor'* ]]
  bundle "$(shell 'cat <&3; cat <&4')"
  echo three >"$T/three"
  echo four >"$T/four"
  handed() { rt run --preserve-fds 2 --bundle "$BUNDLE" box 3<"$T/three" 4<"$T/four"; }
  try -0 handed
  [[ $output == $'three\nfour' ]]
}

@test "oci: exec into, and start of, one of ours whose descriptors of then are gone" {
  ours || skip 'one of ours'
  ROOT=/var/lib/container_engine
  echo three >"$T/three"
  run_handed() { rt run --preserve-fds 1 "$ALPINE" c1 none sh -c 'cat <&3' 3<"$T/three"; }
  try -0 run_handed
  [[ $output == three ]]
  fails -w '--preserve-fds: 3' run --preserve-fds 1 "$ALPINE" c2 none true
  try rt start c1 3>&-
  [[ $status -ne 0 && $stderr == *'ad file descriptor'* && $stderr != *preserve* ]]
  rt delete c1
  rt run -d --preserve-fds 1 "$ALPINE" c1 none sleep 1000 3<"$T/three"
  try -0 rt exec c1 echo here 3>&-
  [[ $output == here ]]
  exec_handed() { rt exec --preserve-fds 1 c1 sh -c 'cat <&3' 3<"$T/three"; }
  try -0 exec_handed
  [[ $output == three ]]
  rt delete -f c1
}

@test "oci: delete -f of one of ours with --rm, whose engine was killed: it is gone, and no error" {
  ours || skip 'one of ours'
  local pid
  ROOT=/var/lib/container_engine
  rt run -d --rm "$ALPINE" c1 none sleep 1000
  pid=$(rt inspect c1 pid)
  kill -KILL "$(rt inspect c1 engine)"
  wait_until 10 gone "$pid"
  try -0 rt delete -f c1
  [[ -z $(lab find "$ROOT" -mindepth 1) ]]
}

@test "oci: spec writes a config.json that runs as it is" {
  mkdir "$BUNDLE"
  cd "$BUNDLE"
  rt spec
  fails spec # not over one that is there
  jq -e '.ociVersion and .process.args and .root.path' config.json
  # But for what only a person at a terminal could see, and where a root is.
  jq --arg root "$ALPINE" "$(shell 'echo runs') | .process.terminal = false | .root.path = \$root |
    del(.linux.resources)" config.json >new
  mv new config.json
  try -0 rt run box
  [[ $output == runs ]]
}

@test "oci: features and --version" {
  try -0 rt --version
  [[ $output =~ [0-9]+\.[0-9]+ ]]
  ours || return 0 # crun 1.8.1 has no features yet
  try -0 rt features
  jq -e '.ociVersionMin and .ociVersionMax and (.hooks | length == 6) and
    (.mountOptions | index("rro")) and (.linux.namespaces | index("cgroup"))' <<<"$output"
}

#!/usr/bin/env bats
# The OCI face: what each key of config.json does, as the program inside sees it; and what of it
# the engine refuses by name. (Limits: oci_limits.bats, because they want controllers.)
#
# OCI_RUNTIME=crun bats test/oci_config.bats: the same with another runtime.

load helpers
load oci

# Each line of standard input is FILTER ;; SCRIPT ;; OUTPUT, where \n is a new line. SCRIPT, in a
# container with FILTER, must print exactly OUTPUT and end with 0.
table() {
  local filter script want result=0
  while IFS= read -r line; do
    [[ -n $line && $line != '#'* ]] || continue
    filter=${line%% ;; *} want=${line##* ;; } script=${line#* ;; }
    script=${script% ;; *}
    in_container "$(shell "$script") | $filter"
    [[ $status -eq 0 && $output == "$(printf '%b' "$want")" ]] ||
      { printf 'NOT AS WANTED: %s\n' "$line"; result=1; }
  done
  return "$result"
}

# Each line is WORD ;; FILTER: the engine must refuse, and name WORD.
refusals() {
  local line result=0
  while IFS= read -r line; do
    [[ -n $line && $line != '#'* ]] || continue
    bundle "${line#* ;; }"
    fails -w "${line%% ;; *}" create --bundle "$BUNDLE" box ||
      { printf 'NOT REFUSED: %s\n' "$line"; result=1; rt delete --force box; }
  done
  return "$result"
}

# --- process ----------------------------------------------------------------------------------

@test "oci: process: args, cwd, env" {
  table <<'END'
.process.args = ["echo", "a  b", "", "*", "ü"] ;; x ;; a  b  * ü
.process.args = ["/bin/echo", "whole path"] ;; x ;; whole path
.process.cwd = "/tmp" ;; pwd ;; /tmp
.process.cwd = "/mnt/made/there" ;; pwd ;; /mnt/made/there
.process.env = ["PATH=/bin", "A=b c", "B=", "C=x=y"] ;; echo "$A|$B|$C" ;; b c||x=y
# crun and runc look HOME up when it is not there, and clients rely on it.
.process.env = ["PATH=/bin"] ;; echo $HOME ;; /root
.process.env = ["PATH=/mnt:/bin"] ;; echo $PATH ;; /mnt:/bin
END
}

@test "oci: process: HOME of a user beyond the first 65,536" {
  printf 'odd\nbig:x:100000:100000::/big:\n' >"$T/share/passwd"
  in_container 'del(.linux.uidMappings, .linux.gidMappings)
    | .linux.namespaces |= map(select(.type != "user")) | .process.user = {uid: 100000, gid: 100000}
    | .mounts += [{destination: "/etc/passwd", source: "'"$T/share/passwd"'", options: ["bind"]}]
    | .process.env = ["PATH=/bin"] | .process.args = ["sh", "-c", "echo $HOME"]'
  [[ $status -eq 0 && $output == /big ]]
}

@test "oci: process: the program is looked for in its own PATH" {
  printf '#!/bin/sh\necho own\n' >"$T/share/own"
  chmod +x "$T/share/own"
  in_container '.process.env = ["PATH=/mnt:/bin"] | .process.args = ["own"]'
  [[ $status -eq 0 && $output == own ]]
  # Without one, in that which create looks in: busybox has it in /sbin.
  in_container '.process.env = [] | .process.args = ["route"]'
  [[ $status -eq 0 ]]
}

@test "oci: process: of two variables PATH, the first one counts, as for the program itself" {
  in_container '.process.args = ["ls", "/mnt"] | .process.env = ["PATH=/bin", "PATH=/nowhere"]'
  [[ $status -eq 0 ]]
  bundle '.process.args = ["ls", "/mnt"] | .process.env = ["PATH=/nowhere", "PATH=/bin"]'
  fails -w 'no such file' create --bundle "$BUNDLE" box
}

@test "oci: process: an interpreter that is missing is 'not found', as a missing program is" {
  ours || skip 'crun: 1'
  printf '#!/nowhere\n' >"$T/share/own"
  chmod +x "$T/share/own"
  bundle '.process.args = ["/mnt/own"]'
  try -127 rt run --bundle "$BUNDLE" box
}

@test "oci: process: user, groups, umask" {
  table <<'END'
.process.user = { uid: 1000, gid: 1001 } ;; id -u; id -g; id -G ;; 1000\n1001\n1001
.process.user = { uid: 0, gid: 0, additionalGids: [7, 8] } ;; id -G ;; 0 7 8
.process.user = { uid: 5, gid: 0, additionalGids: [0] } ;; id -u; grep Groups: /proc/self/status | tr -s "\t " " " ;; 5\nGroups: 0 
.process.user = { uid: 4294967294, gid: 4294967294 } ;; id -u ;; 4294967294
.process.user.umask = 63 ;; umask ;; 0077
.process.user.umask = 0 ;; umask ;; 0000
END
}

# CVE-2019-16884. As if the host had AppArmor: the profile must not be written to a file.
@test "oci: process: apparmorProfile: not to a /proc that an image brings" {
  ours || skip 'crun looks elsewhere for it'
  bundle '.process.apparmorProfile = "docker-default" |
    .mounts += [.mounts[-1] | .destination = "/proc"] | del(.linux.maskedPaths, .linux.readonlyPaths)'
  mkdir -p "$T/share/self/attr"
  touch "$T/share/self/attr/exec"
  lab mount -t tmpfs t /sys/module
  lab mkdir /sys/module/apparmor
  status=0
  create box && rt start box || status=$?
  lab umount /sys/module
  cat "$T/share/self/attr/exec"
  rt delete --force box
  [[ $status -ne 0 && ! -s $T/share/self/attr/exec ]]
}

@test "oci: process: capabilities, each of the five sets" {
  # 0x20 KILL, 0x80 SETUID, 0x1 CHOWN
  table <<'END'
.process.capabilities = { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] } ;; grep Cap /proc/self/status | cut -c 1-6,23- ;; CapInh00\nCapPrm20\nCapEff20\nCapBnd20\nCapAmb00
.process.capabilities = { bounding: ["CAP_KILL", "CAP_SETUID"], permitted: ["CAP_KILL"] } | .process.user.uid = 1000 ;; grep -E "CapBnd|CapEff" /proc/self/status | cut -c 1-6,23- ;; CapEff00\nCapBnda0
.process.capabilities = ({} | .bounding = ["CAP_KILL"] | .inheritable = .bounding | .permitted = .bounding | .effective = .bounding | .ambient = .bounding) | .process.user.uid = 1000 ;; grep Cap /proc/self/status | cut -c 1-6,23- ;; CapInh20\nCapPrm20\nCapEff20\nCapBnd20\nCapAmb20
.process.capabilities = { bounding: [], effective: [], permitted: [] } ;; grep Cap /proc/self/status | cut -c 1-6,23- ;; CapInh00\nCapPrm00\nCapEff00\nCapBnd00\nCapAmb00
END
  # One that this host's root does not have either is not there, in none of the sets.
  table <<'END'
.process.capabilities |= (.inheritable = [] | .ambient = [] | .[] = ["CAP_KILL", "CAP_SYS_RESOURCE"]) | .process.user.uid = 1000 ;; grep -v Bnd /proc/self/status | grep Cap | cut -c 1-6,23- ;; CapInh20\nCapPrm20\nCapEff20\nCapAmb20
END
}

@test "oci: process: rlimits, noNewPrivileges, oomScoreAdj" {
  table <<'END'
.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 100, hard: 200 }, { type: "RLIMIT_CORE", soft: 0, hard: 0 }] ;; ulimit -Sn; ulimit -Hn; ulimit -c ;; 100\n200\n0
.process.rlimits = [{ type: "RLIMIT_STACK", soft: 4194304, hard: 8388608 }] ;; ulimit -Ss; ulimit -Hs ;; 4096\n8192
.process.noNewPrivileges = true ;; grep NoNew /proc/self/status | cut -f 2 ;; 1
.process.noNewPrivileges = false ;; grep NoNew /proc/self/status | cut -f 2 ;; 0
.process.oomScoreAdj = 777 ;; cat /proc/self/oom_score_adj ;; 777
END
}

# --- root, names ------------------------------------------------------------------------------

@test "oci: root.readonly" {
  in_container "$(shell 'touch /here') | .root.readonly = true"
  [[ $status -ne 0 && $stderr == *'Read-only file system'* ]]
  cp -a "$ALPINE" "$T/copy"
  in_container "$(shell 'touch /here && echo made') | .root = { path: \"$T/copy\" }"
  [[ $output == made && -e $T/copy/here ]]
}

@test "oci: root: a link in the bundle's path is followed, one inside never leads out" {
  cp -a "$ALPINE" "$T/copy"
  mkdir "$T/outside"
  ln -s "$T/outside" "$T/copy/escape"
  # The target is made below the root, whatever the link says.
  in_container "$(shell 'touch /escape/x; echo') | .root = { path: \"$T/copy\" } |
    .mounts += [{ destination: \"/escape/deep\", type: \"tmpfs\", source: \"x\" }]"
  [[ -z $(ls -A "$T/outside") ]]
}

@test "oci: hostname, domainname" {
  table <<'END'
.hostname = "other" ;; hostname ;; other
.hostname = "other" ;; cat /proc/sys/kernel/hostname ;; other
END
  # crun 1.8.1 does not know it yet.
  ! ours || table <<'END'
.domainname = "example.org" ;; cat /proc/sys/kernel/domainname ;; example.org
END
}

# --- mounts -----------------------------------------------------------------------------------

# The options of what is mounted on /m, the mount's own and those of its file system.
M='awk '\''$5 == "/m" { print $6 }'\'' /proc/self/mountinfo'

@test "oci: mounts: the options of a mount" {
  local options want word copy=$T/copy
  cp -a "$ALPINE" "$copy"
  mkdir "$copy/m"
  # OPTIONS of a tmpfs; what mountinfo must say of them
  while read -r options want; do
    in_container "$(shell "$M") | .root.path = \"$copy\" | .mounts += [{ destination: \"/m\",
      type: \"tmpfs\", source: \"t\", options: (\"$options\" | split(\",\")) }]"
    for word in ${want//,/ }; do
      [[ $status -eq 0 && ,$output, == *",$word,"* ]] || { echo "OPTIONS: $options"; return 1; }
    done
  done <<'END'
ro ro
rw rw
nosuid rw,nosuid
nodev rw,nodev
noexec rw,noexec
nosuid,nodev,noexec,ro ro,nosuid,nodev,noexec
noatime noatime
nodiratime nodiratime
relatime relatime
nosuid,suid,relatime rw,relatime
END
  in_container "$(shell "$M; stat -c %a /m; df -k /m | tail -n 1 | awk '{ print \$2 }'") |
    .root.path = \"$copy\" | .mounts += [{ destination: \"/m\", type: \"tmpfs\", source: \"t\",
    options: [\"strictatime\", \"mode=711\", \"size=64k\"] }]"
  # Ours is nodev everywhere: a device is only where one is bound.
  local attributes=rw
  ! ours || attributes=rw,nodev
  [[ $output == "$attributes"$'\n711\n64' ]]
}

@test "oci: mounts: bind, rbind, read-only, of files, onto what is not there yet" {
  mkdir -p "$T/src/sub" "$T/copy"
  echo text >"$T/src/file"
  cp -a "$ALPINE/." "$T/copy"
  sed -e "s#@SRC@#$T/src#g" -e "s#@COPY@#$T/copy#g" >"$T/table" <<'END'
.mounts += [{ destination: "/tmp/a", type: "bind", source: "@SRC@", options: ["bind"] }] ;; cat /tmp/a/file; touch /tmp/a/w && echo w ;; text\nw
.mounts += [{ destination: "/tmp/a", source: "@SRC@", options: ["rbind"] }] ;; cat /tmp/a/file ;; text
.mounts += [{ destination: "/tmp/a/b/c", type: "none", source: "@SRC@", options: ["rbind", "ro"] }] ;; cat /tmp/a/b/c/file; touch /tmp/a/b/c/w 2>&1 | grep -o "Read-only.*" ;; text\nRead-only file system
.mounts += [{ destination: "/tmp/f", type: "bind", source: "@SRC@/file", options: ["bind", "ro"] }] ;; cat /tmp/f ;; text
.mounts += [{ destination: "/new/dir", type: "bind", source: "@SRC@", options: ["bind"] }] | .root = { path: "@COPY@" } ;; cat /new/dir/file ;; text
.mounts += [{ destination: "/new/file", type: "bind", source: "@SRC@/file", options: ["bind"] }] | .root = { path: "@COPY@" } ;; cat /new/file ;; text
.mounts += [{ destination: "/tmp/a", type: "bind", source: "@SRC@", options: ["bind", "nosuid", "nodev", "noexec"] }] ;; grep " /tmp/a " /proc/self/mountinfo | grep -c nosuid,nodev,noexec ;; 1
END
  table <"$T/table"
}

@test "oci: mounts: ro is not for what is mounted below, rro is" {
  lab mkdir -p "$T/share/top/below"
  lab mount -t tmpfs t "$T/share/top/below"
  local result=0
  table <<'END' || result=1
.mounts += [{ destination: "/tmp/a", type: "bind", source: "/mnt/../mnt", options: ["bind"] }] | .mounts[-1].source = .mounts[-2].source + "/top" | .mounts[-1].options = ["rbind", "ro"] ;; touch /tmp/a/below/x && echo w ;; w
.mounts += [{ destination: "/tmp/a", type: "bind", source: "", options: ["rbind", "rro"] }] | .mounts[-1].source = .mounts[-2].source + "/top" ;; touch /tmp/a/below/x 2>&1 | grep -o "Read-only.*" ;; Read-only file system
END
  lab umount "$T/share/top/below"
  [[ $result -eq 0 ]]
}

@test "oci: mounts: propagation" {
  local want='.mounts += [{ destination: "/tmp/a", type: "bind", source: "", options: ["bind"] }] |
    .mounts[-1].source = .mounts[-2].source | .mounts[-1].options ='
  want=${want//$'\n'/ }
  # Field 7 on, up to the dash: shared:N, master:N or nothing.
  table <<END
$want ["rbind", "rprivate"] ;; awk '\$5 == "/tmp/a" { print \$7 }' /proc/self/mountinfo ;; -
$want ["bind", "private"] ;; awk '\$5 == "/tmp/a" { print \$7 }' /proc/self/mountinfo ;; -
END
  # crun makes the whole tree private at the end, whatever a mount asked for.
  ! ours || table <<END
$want ["rbind", "rshared"] ;; awk '\$5 == "/tmp/a" { print \$7 }' /proc/self/mountinfo | cut -d : -f 1 ;; shared
$want ["rbind", "rslave"] ;; awk '\$5 == "/tmp/a" { print \$7 }' /proc/self/mountinfo | cut -d : -f 1 ;; master
END
}

@test "oci: mounts: what is mounted below a bind, or below the root, is not the host's peer" {
  local id result=0
  # Mounts of the laboratory are shared, as on every host that systemd started.
  cp -a "$ALPINE" "$T/copy"
  lab mkdir -p "$T/share/top" "$T/copy/srv"
  lab mount -t tmpfs t "$T/share/top"
  lab mount -t tmpfs t "$T/copy/srv"
  in_container "$(shell 'for d in /mnt/top /srv; do mkdir $d/x && mount -t tmpfs t $d/x || exit; done') |
    .root = { path: \"$T/copy\" } | .process.capabilities[] += [\"CAP_SYS_ADMIN\"]"
  [[ $status -eq 0 ]] && ! lab grep -E '/(top|srv)/x ' /proc/self/mountinfo || result=1
  lab umount -R "$T/share/top"
  lab umount -R "$T/copy/srv"
  [[ $result -eq 0 ]]
}

# That is how there need not be a BPF program for devices: -v /:/host has the host's /dev in it.
@test "oci: mounts: what is mounted below a bind has no devices, unless all are allowed" {
  ours || skip 'crun has a BPF program'
  local result=0
  lab mkdir -p "$T/share/top"
  lab mount -t tmpfs t "$T/share/top"
  lab mknod "$T/share/top/zero" c 1 5
  table <<'END' || result=1
. ;; head -c 1 /mnt/top/zero 2>&1 | grep -o "Permission denied" ;; Permission denied
.linux.resources.devices = [{ allow: true, access: "rwm" }] ;; head -c 1 /mnt/top/zero | wc -c ;; 1
END
  lab umount "$T/share/top"
  [[ $result -eq 0 ]]
}

@test "oci: mounts: links that tmpcopyup brings from the image lead nowhere but inside" {
  cp -a "$ALPINE" "$T/copy"
  mkdir -p "$T/copy/x/real"
  echo secret >"$T/secret"
  ln -s "$T/secret" "$T/copy/x/link"
  ln -s real "$T/copy/x/relative"
  echo volume >"$T/share/f"
  in_container "$(shell 'cat /x/link; cat /x/real/f') | .root.path = \"$T/copy\"
    | del(.linux.uidMappings, .linux.gidMappings) | .linux.namespaces |= map(select(.type != \"user\"))
    | .mounts += [{destination: \"/x\", type: \"tmpfs\", source: \"tmpfs\", options: [\"tmpcopyup\"]},
        {destination: \"/x/relative\", source: \"$T/share\", options: [\"bind\"]}]
    | .linux.readonlyPaths += [\"/x/link\"] | .linux.maskedPaths += [\"/x/link\"]"
  [[ $output == volume ]]
}

@test "oci: mounts: tmpcopyup, also of one that cannot be written to then" {
  ours || skip 'crun 1.8.1 cannot'
  table <<'END'
.mounts += [{ destination: "/etc", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"] }] ;; grep -c ^root: /etc/passwd; touch /etc/x && echo made ;; 1\nmade
.mounts += [{ destination: "/etc", type: "tmpfs", source: "tmpfs", options: ["ro", "tmpcopyup"] }] ;; grep -c ^root: /etc/passwd; touch /etc/x 2>&1 | grep -o "Read-only.*" ;; 1\nRead-only file system
END
}

@test "oci: mounts: overlay, whose options are long" {
  local pad
  pad=$(printf '%0100d' 0)
  lab mount -t tmpfs t "$T/share"
  lab mkdir -p "$T/share/$pad"/{lower/file,upper,work}
  in_container ".process.args = [\"ls\", \"/tmp/a\"] | .mounts[-1] = { destination: \"/tmp/a\",
    type: \"overlay\", source: \"overlay\", options: [\"lowerdir=$T/share/$pad/lower\",
    \"upperdir=$T/share/$pad/upper\", \"workdir=$T/share/$pad/work\"] }"
  lab umount "$T/share"
  [[ $status -eq 0 && $output == file ]]
}

@test "oci: mounts: proc, sysfs, devpts, mqueue, cgroup" {
  table <<'END'
. ;; for m in /proc /sys /dev /dev/pts /dev/shm /dev/mqueue; do awk -v m=$m '$2 == m { print $3 }' /proc/mounts | tail -n 1; done ;; proc\nsysfs\ntmpfs\ndevpts\ntmpfs\nmqueue
. ;; awk '$2 == "/sys/fs/cgroup" { print $3 }' /proc/mounts; test -e /sys/fs/cgroup/cgroup.procs && echo own; grep -c ^0::/$ /proc/self/cgroup ;; cgroup2\nown\n1
. ;; mkdir /sys/fs/cgroup/x 2>&1 | grep -o "Read-only.*" ;; Read-only file system
. ;; ls /dev/pts; ls -l /dev/ptmx | grep -c pts/ptmx; stat -c %a /dev/pts/ptmx ;; ptmx\n1\n666
END
}

@test "oci: mounts: what a /dev of tmpfs gets, and that a disk is none of it" {
  table <<'END'
. ;; for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; done; for l in fd stdin stdout stderr; do readlink /dev/$l; done ;; /proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2
. ;; echo x >/dev/null; head -c 2 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; echo y 2>/dev/null >/dev/full || echo full ;; 2\n3\nfull
. ;; find /dev -type b ;; 
.mounts[1].options += ["ro"] ;; touch /dev/x 2>&1 | grep -o "Read-only.*"; echo x >/dev/null; head -c 2 /dev/zero | wc -c; test -c /dev/pts/ptmx && touch /dev/shm/x && echo there ;; Read-only file system\n2\nthere
END
}

@test "oci: mounts: idmap: the owner is another one inside, by the container's own mapping" {
  ours || skip 'crun 1.8.1 has it only with mappings of the mount'
  cp -a "$ALPINE" "$T/copy"
  chown -R 100000:100000 "$T/copy"
  echo text >"$T/share/file"
  chown 7:8 "$T/share/file"
  lab mkdir /run/copy
  lab mount --bind "$T" /run/copy
  in_container "$(shell 'stat -c "%u %g" /mnt/file /tmp/plain/file') | .root = { path: \"/run/copy/copy\" } |
    .mounts |= map(select(.destination != \"/mnt\")) |
    .mounts += [{ destination: \"/mnt\", source: \"/run/copy/share\", options: [\"bind\", \"idmap\"] },
      { destination: \"/tmp/plain\", source: \"/run/copy/share\", options: [\"bind\"] }] |
    .linux.namespaces += [{ type: \"user\" }] |
    .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }] |
    .linux.gidMappings = .linux.uidMappings"
  lab umount /run/copy
  lab rmdir /run/copy
  [[ $output == $'7 8\n65534 65534' ]]
}

# --- linux: namespaces ------------------------------------------------------------------------

@test "oci: namespaces: new ones are new, those that are not named are the host's" {
  local kind
  in_container "$(shell 'cd /proc/self/ns; for n in pid net ipc uts mnt cgroup user; do readlink $n; done')"
  for kind in pid net ipc uts mnt cgroup; do
    ! grep -qxF "$(lab readlink "/proc/self/ns/$kind")" <<<"$output" || { echo "$kind is shared"; return 1; }
  done
  grep -qxF "$(lab readlink /proc/self/ns/user)" <<<"$output"

  in_container "$(shell 'cd /proc/self/ns; for n in net ipc uts cgroup; do readlink $n; done') |
    del(.hostname) | .linux.namespaces = [{ type: \"pid\" }, { type: \"mount\" }] |
    .mounts |= map(select(.type | IN(\"sysfs\", \"cgroup\", \"mqueue\") | not))"
  for kind in net ipc uts cgroup; do
    grep -qxF "$(lab readlink "/proc/self/ns/$kind")" <<<"$output" || { echo "$kind is not"; return 1; }
  done
}

@test "oci: namespaces: by path, as a pod's members join" {
  started infra
  local pid
  pid=$(pid_of infra)
  in_container "$(shell 'cd /proc/self/ns; for n in net ipc uts; do readlink $n; done; hostname') |
    del(.hostname) | .linux.namespaces = [
      { type: \"pid\" }, { type: \"mount\" }, { type: \"cgroup\" },
      { type: \"network\", path: \"/proc/$pid/ns/net\" }, { type: \"ipc\", path: \"/proc/$pid/ns/ipc\" },
      { type: \"uts\", path: \"/proc/$pid/ns/uts\" }]"
  [[ $output == "$(for n in net ipc uts; do readlink "/proc/$pid/ns/$n"; done; echo box)" ]]
  # The pid namespace: the program sees infra's first process as 1.
  in_container "$(shell 'grep -c sleep /proc/1/cmdline; test $$ -ne 1 && echo not first') |
    (.linux.namespaces[] | select(.type == \"pid\")) |= (.path = \"/proc/$pid/ns/pid\")"
  [[ $output == $'1\nnot first' ]]
  remove infra
}

@test "oci: namespaces: a user namespace with mappings" {
  # Root inside must own the root; the files' owner inside is nobody, without an idmapped root.
  cp -a "$ALPINE" "$T/copy"
  chown -R 100000:100000 "$T/copy"
  # Where root of the inside can come: what bats makes is closed to others.
  lab mkdir /run/copy
  lab mount --bind "$T/copy" /run/copy
  in_container "$(shell 'tr -s " " </proc/self/uid_map; tr -s " " </proc/self/gid_map; id -u; stat -c %u /bin; cat /proc/self/setgroups') |
    .root = { path: \"/run/copy\" } | .mounts |= map(select(.destination != \"/mnt\")) |
    .linux.namespaces += [{ type: \"user\" }] |
    .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }] |
    .linux.gidMappings = [{ containerID: 0, hostID: 100000, size: 1000 }, { containerID: 1000, hostID: 300000, size: 1 }]"
  lab umount /run/copy
  lab rmdir /run/copy
  [[ $output == $' 0 100000 65536\n 0 100000 1000\n 1000 300000 1\n0\n0\nallow' ]]
}

# --- linux: the rest --------------------------------------------------------------------------

@test "oci: devices: with mode and owner; it can be opened" {
  table <<'END'
.linux.devices = [{ path: "/dev/mine", type: "c", major: 1, minor: 7, fileMode: 432, uid: 3, gid: 4 }] ;; stat -c "%a %u %g" /dev/mine; echo y 2>/dev/null >/dev/mine || echo full ;; 660 3 4\nfull
.linux.devices = [{ path: "/dev/null", type: "c", major: 1, minor: 3 }] ;; echo y >/dev/null && echo once ;; once
END
}

@test "oci: sysctl, maskedPaths, readonlyPaths" {
  mkdir "$T/share/dir"
  echo text >"$T/share/dir/file"
  table <<'END'
.linux.sysctl = { "net.ipv4.ip_forward": "1", "kernel.msgmax": "9000" } ;; cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax ;; 1\n9000
.linux.maskedPaths += ["/mnt/dir", "/proc/version"] ;; ls -A /mnt/dir; cat /proc/version; touch /mnt/dir/x 2>&1 | grep -o "Read-only.*" ;; Read-only file system
.linux.maskedPaths += ["/nowhere"] ;; echo no harm ;; no harm
.linux.readonlyPaths += ["/mnt/dir"] ;; cat /mnt/dir/file; touch /mnt/x && echo w; touch /mnt/dir/x 2>&1 | grep -o "Read-only.*" ;; text\nw\nRead-only file system
.linux.readonlyPaths += ["/nowhere"] ;; echo no harm ;; no harm
del(.linux.readonlyPaths) ;; echo 10 >/proc/sys/net/ipv4/ip_default_ttl; cat /proc/sys/net/ipv4/ip_default_ttl ;; 10
. ;; (echo 1 >/proc/sys/net/ipv4/ip_forward) 2>&1 | grep -o "Read-only.*"; head -c 1 /proc/kcore | wc -c; ls -A /sys/firmware | wc -l ;; Read-only file system\n0\n0
END
  [[ $(lab cat /proc/sys/net/ipv4/ip_default_ttl) == 64 ]]
}

@test "oci: rootfsPropagation" {
  table <<'END'
. ;; awk '$5 == "/" { print $7 }' /proc/self/mountinfo ;; -
.linux.rootfsPropagation = "rprivate" ;; awk '$5 == "/" { print $7 }' /proc/self/mountinfo ;; -
.linux.rootfsPropagation = "rslave" ;; awk '$5 == "/" { print $7 }' /proc/self/mountinfo | cut -d : -f 1 | tr - m | cut -c 1 ;; m
END
}

# --- seccomp ----------------------------------------------------------------------------------

# What no shell calls, and what takes no notice of arguments: sched_yield.
number() { # NAME
  printf '#include <sys/syscall.h>\nSYS_%s\n' "$1" | gcc -E - | tail -n 1
}

@test "oci: seccomp: actions and errno" {
  prober
  local sched_yield
  sched_yield=$(number sched_yield)
  table <<END
. ;; /mnt/call $sched_yield ;; ok
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW" } ;; grep Seccomp: /proc/self/status | cut -f 2 ;; 2
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_ERRNO" }] } ;; /mnt/call $sched_yield ;; EPERM
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["no_such_call", "sched_yield"], action: "SCMP_ACT_ERRNO", errnoRet: 38 }] } ;; /mnt/call $sched_yield ;; ENOSYS
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64"], syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_ERRNO", errnoRet: 0 }] } ;; /mnt/call $sched_yield ;; ok
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_LOG" }] } ;; /mnt/call $sched_yield ;; ok
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_TRACE" }] } ;; /mnt/call $sched_yield ;; ENOSYS
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_KILL_PROCESS" }] } ;; /mnt/call $sched_yield; echo \$? ;; 159
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_KILL" }] } ;; /mnt/call $sched_yield; echo \$? ;; 159
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_TRAP" }] } ;; /mnt/call $sched_yield; echo \$? ;; 159
END
}

@test "oci: seccomp: tests of arguments, on 64 bits" {
  prober
  local sched_yield line op value two call want
  sched_yield=$(number sched_yield)
  while read -r op value two call want; do
    [[ $op != '#' ]] || continue
    printf '.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_ERRNO", errnoRet: 5, args: [{ index: 1, value: %s, valueTwo: %s, op: "SCMP_CMP_%s" }] }] } ;; /mnt/call %s 0 %s ;; %s\n' \
      "$value" "$two" "$op" "$sched_yield" "$call" "$want"
  done <<'END' >"$T/table"
EQ 5 0 5 EIO
EQ 5 0 6 ok
EQ 5 0 0x100000005 ok
EQ 4294967301 0 0x100000005 EIO
EQ 4294967301 0 5 ok
NE 5 0 5 ok
NE 5 0 0x100000005 EIO
LT 5 0 4 EIO
LT 5 0 5 ok
LT 4294967296 0 0xffffffff EIO
LT 4294967296 0 0x100000000 ok
LE 5 0 5 EIO
LE 5 0 6 ok
LE 4294967296 0 0x100000001 ok
GE 5 0 5 EIO
GE 5 0 4 ok
GE 4294967296 0 5 ok
GE 4294967296 0 0x200000000 EIO
GT 5 0 5 ok
GT 5 0 6 EIO
GT 4294967297 0 0x100000001 ok
GT 4294967297 0 0x200000000 EIO
GT 0 0 0x8000000000000000 EIO
MASKED_EQ 6 4 5 EIO
MASKED_EQ 6 4 6 ok
MASKED_EQ 4294967296 4294967296 0x1ffffffff EIO
MASKED_EQ 4294967296 4294967296 0xffffffff ok
MASKED_EQ 2114060288 0 0x7f ok
MASKED_EQ 2114060288 0 0x10000000 ok
END
  # The last but one: the mask does not see 0x7f, so it is 0 and equal. As podman's clone has it.
  sed -i '/value: 2114060288.* 0x7f ;; ok/s/;; ok/;; EIO/' "$T/table"
  table <"$T/table"
}

@test "oci: seccomp: no call of x32 gets past a list of what is denied" {
  requires gcc
  ours && [[ $(uname -m) == x86_64 ]] || skip 'x32 is of x86_64'
  gcc -std=gnu11 -O1 -static -o "$T/attack" "$BATS_TEST_DIRNAME/attacks/attack.c"
  started box '.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW" }'
  [[ $("$T/attack" verdict "$(pid_of box)" 0xC000003E 39) == allow ]] # getpid
  [[ $("$T/attack" verdict "$(pid_of box)" 0xC000003E 0x40000027) == ENOSYS ]]
  remove box
}

@test "oci: seccomp: several tests must all hold, several rules are each enough" {
  prober
  local n
  n=$(number sched_yield)
  table <<END
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_ERRNO", errnoRet: 5, args: [{ index: 0, value: 1, op: "SCMP_CMP_EQ" }, { index: 5, value: 2, op: "SCMP_CMP_EQ" }] }] } ;; /mnt/call $n 1 0 0 0 0 2; /mnt/call $n 1; /mnt/call $n 0 0 0 0 0 2 ;; EIO\nok\nok
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_ERRNO", errnoRet: 5, args: [{ index: 0, value: 1, op: "SCMP_CMP_EQ" }] }, { names: ["sched_yield"], action: "SCMP_ACT_ERRNO", errnoRet: 5, args: [{ index: 0, value: 2, op: "SCMP_CMP_EQ" }] }] } ;; /mnt/call $n 1; /mnt/call $n 2; /mnt/call $n 3 ;; EIO\nEIO\nok
END
}

@test "oci: seccomp: it holds with and without noNewPrivileges, and for a user" {
  prober
  local n
  n=$(number sched_yield)
  table <<END
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_ERRNO" }] } | .process.noNewPrivileges = true ;; /mnt/call $n ;; EPERM
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_ERRNO" }] } | .process.user.uid = 1000 ;; /mnt/call $n; grep NoNew /proc/self/status | cut -f 2 ;; EPERM\n0
.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_ERRNO" }] } | .process.user.uid = 1000 | .process.noNewPrivileges = true ;; /mnt/call $n ;; EPERM
END
}

@test "oci: seccomp: the clients' own profiles run a shell, and forbid what they forbid" {
  prober
  local file
  # With bad arguments the kernel would say something else than EPERM.
  for file in "$REPO"/test/fixtures/{podman,docker}-default.json; do
    in_container "$(shell "ls / >/dev/null && /mnt/call $(number quotactl) 0 0 0 0") |
      .linux.seccomp = $(jq -c .linux.seccomp "$file")"
    [[ $status -eq 0 && $output == EPERM ]]
  done
  in_container "$(shell "/mnt/call $(number quotactl) 0 0 0 0")"
  [[ $output != EPERM ]]
}

@test "oci: the bundles of podman, containerd and docker, without their limits" {
  # A machine may have no controllers, and root there not CAP_SYS_RESOURCE.
  run_fixtures 'del(.linux.resources, .process.rlimits)'
}

# --- hooks, annotations -----------------------------------------------------------------------

@test "oci: hooks: all six kinds, in their order, each with the state on its standard input" {
  cat >"$T/share/hook" <<'HOOK'
#!/bin/sh
state=$(cat)
echo "$1 $(echo "$state" | grep -o '"status": *"[a-z]*"' | grep -o '[a-z]*"$' | tr -d '"') $A" >>"${0%/*}/log"
echo "$state" >"${0%/*}/state.$1"
HOOK
  chmod +x "$T/share/hook"
  # Those that run inside the container's mounts see it below /mnt, startContainer after pivot.
  bundle "$(shell 'echo program >>/mnt/log') | .annotations = { k: \"v\" } | .hooks = {
    prestart: [{ path: \"$T/share/hook\", args: [\"hook\", \"prestart\"], env: [\"A=b\", \"PATH=$PATH\"] }],
    createRuntime: [{ path: \"$T/share/hook\", args: [\"hook\", \"createRuntime\"], env: [\"PATH=$PATH\"] }],
    createContainer: [{ path: \"$T/share/hook\", args: [\"hook\", \"createContainer\"], env: [\"PATH=$PATH\"] }],
    startContainer: [{ path: \"/mnt/hook\", args: [\"hook\", \"startContainer\"], env: [\"PATH=/bin:/usr/bin\"] }],
    poststart: [{ path: \"$T/share/hook\", args: [\"hook\", \"poststart\"], env: [\"PATH=$PATH\"] }],
    poststop: [{ path: \"$T/share/hook\", args: [\"hook\", \"poststop\"], env: [\"PATH=$PATH\"] }] }"
  create box
  [[ $(awk '{ print $1 }' "$T/share/log" | paste -sd ' ') == 'prestart createRuntime createContainer' ]]
  grep -q '^prestart .* b$' "$T/share/log"
  local pid
  pid=$(pid_of box)
  jq -e --argjson pid "$pid" --arg bundle "$(realpath "$BUNDLE")" '.id == "box" and .pid == $pid and
    .bundle == $bundle and .annotations.k == "v" and .ociVersion' "$T/share/state.prestart"
  # As it is in the container's own namespace of processes. (crun: as it is on the host)
  ! ours || jq -e '.pid == 1 and .status == "creating"' "$T/share/state.createContainer"
  rt start box
  wait_until 10 is box stopped
  ! ours || jq -e '.pid == 1 and .status == "created"' "$T/share/state.startContainer"
  rt delete box
  # poststart may come before or after the program's own words.
  [[ $(awk '{ print $1 }' "$T/share/log" | grep -v poststart | paste -sd ' ') == \
    'prestart createRuntime createContainer startContainer program poststop' ]]
  grep -q poststart "$T/share/log"
}

# It is a program of the image's.
@test "oci: hooks: startContainer has no more rights than the program" {
  chmod 777 "$T/share"
  bundle "$(shell 'cat /proc/self/status >/mnt/program') | .process.user.uid = 5 |
    .linux.seccomp = { defaultAction: \"SCMP_ACT_ALLOW\" } | .hooks.startContainer =
    [{ path: \"/bin/sh\", args: [\"sh\", \"-c\", \"cat /proc/self/status >/mnt/hook\"] }]"
  create box
  rt start box
  wait_until 10 is box stopped
  rt delete box
  diff <(grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)' "$T/share/hook") \
    <(grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)' "$T/share/program")
}

@test "oci: hooks: startContainer has the environment of the program, and nothing of the host's" {
  printf '#!/bin/sh\nenv >/mnt/env\n' >"$T/share/hook"
  chmod +x "$T/share/hook"
  export OF_THE_HOST=secret
  in_container '.hooks.startContainer = [{ path: "/mnt/hook" }] | .process.env += ["OF=box"]'
  [[ $status -eq 0 ]]
  grep -x OF=box "$T/share/env"
  try grep OF_THE_HOST "$T/share/env"
  [[ $status -eq 1 ]]
}

@test "oci: hooks: one that fails before the start stops it, one that takes too long, too" {
  bundle '.hooks.startContainer = [{ path: "/bin/false" }]'
  create box || true
  ! is box created || rt start box || true
  wait_until 10 eval '! is box running'
  [[ -z $(<"$T/box.out") ]]
  rt delete --force box
  bundle '.hooks.createRuntime = [{ path: "/bin/sleep", args: ["sleep", "20"], timeout: 1 }]'
  SECONDS=0
  fails create --bundle "$BUNDLE" box
  ((SECONDS < 15))
  rt delete --force box
}

@test "oci: hooks: one that fails after the start is no failure of the container, nor of the next" {
  bundle "$(shell 'echo ran') | .hooks.poststart = [{ path: \"/bin/false\" },
      { path: \"/bin/touch\", args: [\"touch\", \"$T/start\"] }] |
    .hooks.poststop = [{ path: \"/bin/false\" },
      { path: \"/bin/touch\", args: [\"touch\", \"$T/stop\"] }]"
  create box
  rt start box
  wait_until 10 is box stopped
  rt delete box
  [[ $(<"$T/box.out") == ran && -e $T/start && -e $T/stop ]]
}

@test "oci: hooks: poststop also after a create that failed when hooks had run, and not before" {
  bundle ".hooks.prestart = [{ path: \"/bin/touch\", args: [\"touch\", \"$T/pre\"] }] |
    .hooks.poststop = [{ path: \"/bin/touch\", args: [\"touch\", \"$T/post\"] }] |
    .process.args = [\"/nowhere\"]"
  fails create --bundle "$BUNDLE" box
  [[ -e $T/pre && -e $T/post ]]
  rm "$T/post"
  fails create --bundle "$BUNDLE" --console-socket "$T/nowhere" box
  [[ ! -e $T/post ]]
}

# --- the reader, and what is refused by name --------------------------------------------------

@test "oci: config.json: what is no JSON is refused, with line and column" {
  local text
  mkdir -p "$BUNDLE"
  for text in '' '{' '[]' '{ "ociVersion": "1.0.2", }' "{ 'a': 1 }" '{ "a": 01 }' '{ "a": +1 }' \
    '{ "a": "\x" }' '{ "a": "\ud800" }' $'{ "a": "\t" }' '{ "a": tru }' '{} {}' 'nonsense'; do
    printf '%s' "$text" >"$BUNDLE/config.json"
    fails create --bundle "$BUNDLE" box || { printf 'text: %s\n' "$text"; return 1; }
  done
  ours || return 0
  bundle
  sed -i '3s/^/!/' "$BUNDLE/config.json"
  fails -w 'config.json:3:1' create --bundle "$BUNDLE" box
  # Twice the same key; a NUL; deeper than anybody means it; bytes that are not UTF-8.
  bundle && sed -i '1a "hostname": "again",' "$BUNDLE/config.json"
  fails -w hostname create --bundle "$BUNDLE" box
  bundle '.hostname = "a\u0000b"' && fails create --bundle "$BUNDLE" box
  bundle ".annotations = $(printf '[%.0s' {1..500})$(printf ']%.0s' {1..500})"
  fails create --bundle "$BUNDLE" box
  bundle && sed -i 's/"box"/"b\xff"/' "$BUNDLE/config.json"
  fails create --bundle "$BUNDLE" box
}

@test "oci: config.json: escapes and numbers are read as they are meant" {
  bundle '.process.args = ["echo", "\u00e4 \ud83d\ude00 \"\\/ \t"]'
  # jq writes these plainly; the escapes are put back.
  sed -i 's/ä/\\u00e4/; s/😀/\\ud83d\\ude00/; s#/ #\\/ #' "$BUNDLE/config.json"
  try -0 rt run --bundle "$BUNDLE" box
  [[ $output == $'ä 😀 "\\/ \t' ]]
}

@test "oci: config.json: a value of the wrong kind" {
  ours || skip 'crun passes over what it does not understand'
  local filter
  for filter in '.process.args = "sh"' '.process.args = [1]' '.process.env = {}' '.root = "x"' \
    '.process.user.uid = "0"' '.process.user.uid = -1' '.mounts = {}' '.process.terminal = "false"' \
    '.annotations = { a: 1 } | .hooks.prestart = [{ path: "/bin/true" }]' '.annotations = []' \
    '.linux.namespaces = "pid"' '.process.rlimits = [{ type: "RLIMIT_NOFILE" , soft: "1", hard: 1 }]'; do
    bundle "$filter"
    fails create --bundle "$BUNDLE" box || { printf 'filter: %s\n' "$filter"; rt delete --force box; return 1; }
  done
}

@test "oci: config.json: unknown keys are passed over, as the specification says" {
  table <<'END'
.x = { y: [1, 2.5e3, null, true, "z"] } | .process.x = 1 | .linux.x = [] | .annotations = { a: "b" } ;; echo runs ;; runs
END
}

@test "oci: config.json: what cannot be done is refused by name" {
  refusals <<'END'
nonsense ;; .linux.namespaces[0].type = "nonsense"
NONSENSE ;; .process.rlimits = [{ type: "RLIMIT_NONSENSE", soft: 1, hard: 1 }]
RLIMIT_CORE ;; .process.rlimits = [{ type: "RLIMIT_CORE", soft: 1, hard: 1 }, { type: "RLIMIT_CORE", soft: 2, hard: 2 }]
kernel.nonsense ;; .linux.sysctl = { "kernel.nonsense": "1" }
END
  ours || return 0
  refusals <<'END'
CAP_NONSENSE ;; .process.capabilities.bounding += ["CAP_NONSENSE"] | .process.capabilities.effective += ["CAP_NONSENSE"]
apparmor ;; .process.apparmorProfile = "some-profile"
selinux ;; .process.selinuxLabel = "system_u:system_r:svirt_lxc_net_t:s0:c124,c675"
mountLabel ;; .linux.mountLabel = "system_u:object_r:svirt_sandbox_file_t:s0"
ociVersion ;; .ociVersion = "2.0.0"
ociVersion ;; del(.ociVersion)
SCMP_ACT_NOTIFY ;; .linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/x", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_NOTIFY" }] }
SCMP_CMP ;; .linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_ERRNO", args: [{ index: 0, value: 1, op: "SCMP_CMP_NONSENSE" }] }] }
index ;; .linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sched_yield"], action: "SCMP_ACT_ERRNO", args: [{ index: 6, value: 1, op: "SCMP_CMP_EQ" }] }] }
uidMappings ;; .mounts += [{ destination: "/tmp/a", source: "/", options: ["bind", "idmap"], uidMappings: [{ containerID: 0, hostID: 9, size: 1 }] }]
uidMappings ;; .mounts += [{ destination: "/tmp/a", source: "/", options: ["bind", "idmap"] }]
destination ;; .mounts += [{ destination: "//", type: "tmpfs", source: "tmpfs" }]
propagation ;; .mounts += [{ destination: "/tmp/a", type: "tmpfs", options: ["rshared"] }]
cgroupsPath ;; .linux.cgroupsPath = "/oci/box/."
cgroupsPath ;; .linux.cgroupsPath = "/oci/../box"
cgroupsPath ;; .linux.cgroupsPath = "/oci/" + ("x" * 250) + "/" + ("y" * 250)
intelRdt ;; .linux.intelRdt = { closID: "x", l3CacheSchema: "y" }
flags ;; .linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_LOG"] }
throttleReadBpsDevice ;; .linux.resources.blockIO.throttleReadBpsDevice = [{ major: 8, minor: 0, rate: 1 }]
throttleWriteIOPSDevice ;; .linux.resources.blockIO.throttleWriteIOPSDevice = [{ major: 8, minor: 0, rate: 1 }]
hugepageLimits ;; .linux.resources.hugepageLimits = [{ pageSize: "2MB", limit: 1 }]
rdma ;; .linux.resources.rdma = { mlx5: { hcaHandles: 1 } }
network ;; .linux.resources.network = { classID: 1 }
all devices ;; .linux.resources.devices = [{ allow: true, access: "rwm" }, { allow: false, type: "b", major: 8, minor: 0, access: "rwm" }]
personality ;; .linux.personality = { domain: "LINUX32" }
nonsense ;; .mounts += [{ destination: "/tmp/a", type: "tmpfs", source: "x", options: ["nonsense=1"] }]
kernel.msgmax ;; .linux.sysctl = { "kernel.msgmax": "9000" } | .linux.namespaces |= map(select(.type != "ipc"))
hostname ;; .linux.namespaces |= map(select(.type != "uts"))
domainname ;; .domainname = "example.org" | del(.hostname) | .linux.namespaces |= map(select(.type != "uts"))
mount ;; .linux.namespaces |= map(select(.type != "mount"))
destination ;; .mounts += [{ destination: "relative", type: "tmpfs", source: "x" }]
cwd ;; .process.cwd = "relative"
uidMappings ;; .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }]
END
}

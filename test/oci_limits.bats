#!/usr/bin/env bats
# The OCI face on a host whose cgroup v2 has controllers: linux.resources and `update`, and the
# bundles that podman, containerd and docker wrote, just as they are (see fixtures/README).
#
# OCI_RUNTIME=crun CE_SLOW=10 test/vm.sh bats test/oci_limits.bats: the same with another runtime.

load helpers
load oci

setup() {
  requires root controllers alpine jq
  lab_snapshot
  oci_setup
}

# The files of the container's own cgroup, in the lab's tree.
value() { # FILE
  cat "$LAB_CGROUP/oci/box/$1"
}

AT='.linux.cgroupsPath = "/oci/box"'

@test "oci: limits: cgroupsPath, and what resources say is in force at the first instruction" {
  in_container "$(shell 'cd /sys/fs/cgroup; cat pids.max memory.max memory.low memory.swap.max cpu.max cpu.weight') | $AT |
    .linux.resources = { pids: { limit: 33 }, cpu: { quota: 25000, period: 50000, shares: 2048 },
      memory: { limit: 67108864, reservation: 33554432, swap: 100663296 } }"
  [[ $status -eq 0 && $output == $'33\n67108864\n33554432\n33554432\n25000 50000\n79' ]]
}

@test "oci: limits: -1 is no limit, 0 and null are what is there" {
  in_container "$(shell 'cd /sys/fs/cgroup; cat pids.max memory.max cpu.max') | $AT |
    .linux.resources = { pids: { limit: -1 }, memory: { limit: -1 }, cpu: { quota: -1 } }"
  [[ $status -eq 0 && $output == $'max\nmax\nmax 100000' ]]
  in_container "$(shell 'cd /sys/fs/cgroup; cat pids.max memory.max cpu.max') | $AT |
    .linux.resources = { memory: {}, cpu: { shares: 0 }, blockIO: { weight: 0 } }"
  [[ $status -eq 0 && $output == $'max\nmax\nmax 100000' ]]
}

@test "oci: limits: unified" {
  in_container "$(shell 'cd /sys/fs/cgroup; cat memory.high pids.max') | $AT |
    .linux.resources.unified = { \"memory.high\": \"50000000\", \"pids.max\": \"9\" }"
  [[ $status -eq 0 && $output == $'49999872\n9' ]]
  bundle "$AT | .linux.resources.unified = { \"memory.nonsense\": \"1\" }"
  fails create --bundle "$BUNDLE" box
}

@test "oci: limits: the program is inside them" {
  in_container "$(shell 'for i in 1 2 3 4 5 6 7 8 9; do sleep 3 & done; wait') | $AT |
    .linux.resources.pids.limit = 5"
  [[ $status -ne 0 && $stderr == *'fork'* ]]
  in_container "$(shell 'head -c 100m /dev/zero | tail -c 100m | wc -c') | $AT |
    .linux.resources.memory = { limit: 20971520, swap: 20971520 }"
  [[ $output != 104857600 ]]
}

@test "oci: limits: update, from standard input and from a file" {
  started box "$AT"
  try -0 typing '{ "memory": { "limit": 67108864 }, "cpu": { "quota": 50000, "period": 100000 }, "pids": { "limit": 44 } }' \
    rt update --resources - box
  [[ $(value memory.max) == 67108864 && $(value cpu.max) == '50000 100000' && $(value pids.max) == 44 ]]
  echo '{ "pids": { "limit": 55 } }' >"$T/resources"
  try -0 rt update --resources="$T/resources" box
  [[ $(value pids.max) == 55 && $(value memory.max) == 67108864 ]]
  try -0 rt update --resources "$T/resources" box
  fails update --resources "$T/nowhere" box
  fails update --resources "$T/resources" nobody
  remove box
}

# docker writes all keys, and means only those that are not zero. (crun refuses the kernel's 0.)
@test "oci: limits: update as docker has it" {
  ours || skip 'crun 1.8.1 cannot'
  started box "$AT | .linux.resources.cpu.shares = 2048"
  try -0 typing '{"memory":{"limit":67108864,"reservation":0,"kernel":0},"cpu":{"shares":0,"quota":50000,"period":100000},"blockIO":{"weight":0}}' \
    rt update --resources - box
  [[ $(value memory.max) == 67108864 && $(value cpu.max) == '50000 100000' && $(value cpu.weight) == 79 ]]
  remove box
}

@test "oci: limits: a device is there only when it was asked for" {
  in_container "$(shell 'echo y 2>/dev/null >/dev/mine || echo full; mknod /tmp/m c 1 7; echo z 2>/dev/null >/tmp/m || echo no; head -c 1 /dev/zero | wc -c') | $AT |
    .process.capabilities |= map_values(. + [\"CAP_MKNOD\"]) |
    .linux.devices = [{ path: \"/dev/mine\", type: \"c\", major: 1, minor: 7 }] |
    .linux.resources.devices = [{ allow: false, access: \"rwm\" },
      { allow: true, type: \"c\", major: 1, minor: 7, access: \"rw\" }]"
  [[ $status -eq 0 && $output == $'full\nno\n1' ]]
}

@test "oci: limits: the bundles of podman, containerd and docker, as they are" {
  run_fixtures .
}

@test "oci: limits: the process files of podman, containerd and docker" {
  local file
  started box '.root.readonly = true'
  for file in "$REPO"/test/fixtures/*-exec*.json; do
    printf '%s:\n' "${file##*/}"
    sed 's/@SHORT@/0123456789ab/' "$file" | jq '.args = ["sh", "-c", "id -u; pwd"] | del(.terminal)' >"$T/process.json"
    try -0 rt exec --process "$T/process.json" box
    [[ $output == "$(jq -r '.user.uid, .cwd' "$T/process.json")" ]]
  done
  remove box
}

#!/usr/bin/env bats
# env.sh where cgroup v2 has the controllers. (All the rest of it is in env.bats.)

load helpers

setup() {
  requires root controllers
  lab_snapshot
}

@test "env set: the five controllers are handed down, in two levels, and clean takes them back" {
  try -0 lab "$REPO/env.sh" clean
  [[ -z $(<"$LAB_CGROUP/cgroup.subtree_control") ]]
  # One of them was handed down before, by someone else.
  echo +memory >"$LAB_CGROUP/cgroup.subtree_control"
  try -0 lab "$REPO/env.sh" set
  [[ ${lines[1]} == '+cpu +memory +pids +io +cpuset' && ${#lines[@]} -eq 3 ]]
  mkdir "$LAB_CGROUP/container_engine/c1"
  [[ $(<"$LAB_CGROUP/container_engine/c1/cgroup.controllers") == 'cpuset cpu io memory pids' ]]
  try -0 lab "$REPO/env.sh" check
  [[ $output == *'OK   cgroup2: /sys/fs/cgroup: cpu memory pids io cpuset'* ]]

  try -0 lab "$REPO/env.sh" clean # and what a dead container left
  [[ $(<"$LAB_CGROUP/cgroup.subtree_control") == memory ]]
  echo -memory >"$LAB_CGROUP/cgroup.subtree_control"
  try -0 lab "$REPO/env.sh" set
}

@test "env clean: a controller that others use by now stays, and that is said" {
  mkdir "$LAB_CGROUP/other"
  echo +pids >"$LAB_CGROUP/other/cgroup.subtree_control"
  try -0 lab "$REPO/env.sh" clean
  [[ $output == 'ENV CLEAN DONE.' && $stderr == 'env.sh: note: pids stays in '*': others use it now' ]]
  [[ $(<"$LAB_CGROUP/cgroup.subtree_control") == pids ]]
  rmdir "$LAB_CGROUP/other"
  try -0 lab "$REPO/env.sh" set
}

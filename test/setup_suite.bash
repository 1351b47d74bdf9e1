# shellcheck shell=bash
# Once for the whole run: the engine, a place on a real disk, the laboratory (see helpers.bash).

setup_suite() {
  ((EUID == 0)) || return 0 # every test then skips, and says why
  # shellcheck source=helpers.bash
  source "${BASH_SOURCE[0]%/*}/helpers.bash"
  # shellcheck source=inputs.bash
  source "${BASH_SOURCE[0]%/*}/inputs.bash"
  [[ -n ${CE_ALPINE-} && -n ${CE_DEBIAN-} ]] ||
    ensure_inputs 2> >(sed 's/^/# /' >&3)

  LAB=$(mktemp -d "$(disk)/ce-lab.XXXXXX")
  chmod 755 "$LAB"
  host_state >"$LAB/host_before"
  mkdir "$LAB/layers"
  export LAB SUITE=$$
  export ALPINE=$LAB/alpine HOST_ROOTFS=$LAB/host DEBIAN_ROOTFS=$LAB/debian

  export SHELL=/bin/bash # script(1) and tmux run their commands in what the caller prefers

  # A copy: whatever runs this very file belongs to this very suite.
  engine_build
  export ENGINE=$LAB/container_engine
  export ASAN_OPTIONS=detect_leaks=0 # for `make sanitize`; tools.bats looks for leaks

  # The directory that the laboratory's own is mounted on; rmdir later, if we made it.
  [[ -d /var/lib/container_engine ]] || { mkdir /var/lib/container_engine; touch "$LAB/made"; }
  cgroup_make
  lab_make
}

teardown_suite() {
  [[ -n ${LAB-} ]] || return 0
  local controller status=0
  lab_end
  rmdir "$LAB_CGROUP"
  for controller in $LAB_CONTROLLERS; do
    echo "-$controller" >"${LAB_CGROUP%/*}/cgroup.subtree_control"
  done
  [[ ! -e $LAB/made ]] || rmdir /var/lib/container_engine
  host_state >"$LAB/host_after"
  comm -13 "$LAB/host_before" "$LAB/host_after" | sed 's/^/# left on the host: /' >&3
  [[ -z $(comm -13 "$LAB/host_before" "$LAB/host_after") ]] || status=1
  rm -rf --one-file-system "$LAB"
  return "$status"
}

# What of the machine's own a container, or env.sh, could have made or changed. (Whatever else is
# done on it meanwhile is not the tests' business.)
host_state() {
  local ours='container_engine|cebr0|\bve[0-9a-f]{8}\b|ce-lab|192\.168\.1\.'
  {
    ip -o link
    ip -o -4 addr
    ip -o -4 route show table all
    findmnt -rn -o TARGET,SOURCE
    # What is not there is nothing that was left.
    nft -s list ruleset 2>/dev/null || :
    iptables-legacy-save 2>/dev/null || :
    find /run/netns /run/container_engine /var/lib/container_engine -mindepth 1 -printf 'file %p\n' \
      2>/dev/null || :
    grep -H . /proc/sys/net/ipv4/{ip_forward,conf/*/forwarding}
  } | grep -E "$ours|/run/netns/|forward" | grep -v /ce-test- | sort
}

# Where layers can live: overlay, 9p and the like cannot be idmapped or hold an upper layer.
disk() {
  local dir
  for dir in "${CE_DISK-}" "$BATS_SUITE_TMPDIR" /var/tmp; do
    case $([[ -z $dir ]] || findmnt -nT "$dir" -o FSTYPE) in
      ext4 | xfs | btrfs | tmpfs) echo "$dir"; return ;;
    esac
  done
  echo 'no ext4, xfs, btrfs or tmpfs for the layers: set CE_DISK to a directory on one' >&2
  return 1
}

# ENGINE names one that is already built (with sanitizers, say). Else the tree's, if up to date.
engine_build() {
  local source=$REPO/container_engine.c built=$REPO/container_engine
  if [[ -n ${ENGINE-} ]]; then
    cp "$ENGINE" "$LAB/container_engine"
  elif [[ -x $built && $built -nt $source ]]; then
    cp "$built" "$LAB/container_engine"
  else
    gcc "$source" -o "$LAB/container_engine"
  fi
}

# A cgroup of the suite's own, with what controllers there are; those that were not handed down
# before are taken back by teardown_suite. It is named after the suite's process: what a suite left
# that was killed goes now.
cgroup_make() {
  local top controller old
  top=$(findmnt -rnt cgroup2 -o TARGET | tail -n 1)
  [[ -n $top ]] || { echo 'no cgroup2 is mounted: see env.sh check' >&2; return 1; }
  for old in "$top"/ce-test-*; do
    [[ -d $old && ! -e /proc/${old##*-} ]] || continue
    echo 1 >"$old/cgroup.kill"
    wait_until 10 grep -q 'populated 0' "$old/cgroup.events"
    find "$old" -depth -type d -exec rmdir {} +
  done
  export LAB_CGROUP=$top/ce-test-${LAB##*.}-$SUITE LAB_CONTROLLERS=
  for controller in $(<"$top/cgroup.controllers"); do
    [[ " $(<"$top/cgroup.subtree_control") " != *" $controller "* ]] || continue
    [[ " cpu memory pids io cpuset " == *" $controller "* ]] || continue
    echo "+$controller" >"$top/cgroup.subtree_control"
    LAB_CONTROLLERS+=" $controller"
  done
  mkdir "$LAB_CGROUP"
}

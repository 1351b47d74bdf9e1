#!/usr/bin/env bats
# seccomp profiles: the engine's filter and libseccomp's say the same (see seccomp/compare.c).

load helpers

@test "seccomp: the same verdicts as libseccomp's, for every call and a grid of arguments" {
  requires gcc
  local profile
  gcc -O2 -w "$BATS_TEST_DIRNAME/seccomp/compare.c" -lseccomp -o "$BATS_TEST_TMPDIR/compare" ||
    skip 'libseccomp-dev is not installed'
  for profile in seccomp/{podman,docker,comparisons} fixtures/containerd-options; do
    try -0 "$BATS_TEST_TMPDIR/compare" "$BATS_TEST_DIRNAME/$profile.json"
    [[ $output == *'the same' ]]
  done
}

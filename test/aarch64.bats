#!/usr/bin/env bats
# The engine on an emulated aarch64 machine: it is compiled for one, and what differs is tried.

bats_require_minimum_version 1.5.0

REPO=$(cd "$BATS_TEST_DIRNAME/.." && pwd)

@test "aarch64: the filter, the limits, a bundle and the commands work there, too" {
  local program
  [[ $(uname -m) == x86_64 ]] || skip 'here all tests run on aarch64'
  for program in qemu-system-aarch64 aarch64-linux-gnu-gcc; do
    [[ -n $(type -P "$program") ]] || skip "no $program: ./env.sh deps test installs it"
  done
  [[ -e ${CE_ALPINE_AARCH64-} ]] || skip 'CE_ALPINE_AARCH64 names no tarball of Alpine for aarch64'
  run "$REPO/test/aarch64.sh" --again
  printf '%s\n' "$output"
  ((status == 0))
  [[ ${lines[-1]} == 1..16 && $(grep -c '^ok ' <<<"$output") == 16 ]]
}

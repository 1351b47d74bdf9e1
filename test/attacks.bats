#!/usr/bin/env bats
# Every wall, by the attack that it stops: BROKEN without it, HOLDS with it. In the VM; slow.

bats_require_minimum_version 1.5.0

REPO=$(cd "$BATS_TEST_DIRNAME/.." && pwd)

setup() {
  ((EUID == 0)) || skip 'these tests need root'
}

@test "attacks: each is BROKEN without its wall, and HOLDS with it" {
  local n
  n=$("$REPO/test/attacks.sh" --list | wc -l)
  ((n >= 20))
  run "$REPO/test/attacks.sh"
  printf '%s\n' "$output"
  ((status == 0))
  [[ ${lines[-1]} == "$n attacks: $n broken without, $n hold with" ]]
}

@test "attacks: every wall that can be left out has one, and one that is not there is an error" {
  local wall
  for wall in pid net uts ipc user cgroup pivot proc masks devices caps seccomp limits layer descriptors; do
    "$REPO/test/attacks.sh" --list | grep -q "^| $wall |" || { echo "no attack on $wall"; return 1; }
  done
  run -2 --separate-stderr "$REPO/test/attacks.sh" nonsense
  [[ $stderr == *'no attack is called nonsense'* ]]
}

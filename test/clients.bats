#!/usr/bin/env bats
# podman, containerd and docker get from the engine what they get from crun. In the VM; slow.

bats_require_minimum_version 1.5.0

REPO=$(cd "$BATS_TEST_DIRNAME/.." && pwd)

@test "clients: podman, containerd and docker drive the engine as they drive crun" {
  local program
  ((EUID == 0)) || skip 'these tests need root'
  for program in podman ctr dockerd; do
    [[ -n $(type -P "$program") ]] || skip "no $program: ./env.sh deps clients installs it"
  done
  run "$REPO/test/clients.sh"
  printf '%s\n' "$output"
  ((status == 0))
  [[ ${lines[-1]} =~ ^'# clients: '([0-9]+)' lines, 0 different'$ ]]
  ((BASH_REMATCH[1] >= 63))
}

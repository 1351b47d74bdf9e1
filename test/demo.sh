#!/usr/bin/env bash
# `make demo`: from a clean clone to a shell in a container. Everything it does is one of the
# commands that the README explains; what the host gets is undone by ./env.sh clean.
set -euo pipefail

cd "${BASH_SOURCE[0]%/*}/.."
BRIDGE=${BRIDGE:-cebr0}
NAME=centos1

step() {
  printf '\n\033[1m$ %s\033[0m\n' "$*" | if [[ -t 1 ]]; then cat; else sed 's/\x1b\[[0-9]*m//g'; fi
  "$@"
}

bridge_address() {
  ip -4 -o addr show dev "$BRIDGE" 2>/dev/null | awk '{ sub("/.*", "", $4); print $4; exit }'
}

# Where the usual subnet is taken, env.sh names one that is free.
ensure_bridge() {
  local said free
  printf '\n$ ./env.sh set\n'
  if said=$(./env.sh set 2>&1); then
    printf '%s\n' "$said"
    return
  fi
  printf '%s\n' "$said"
  free=$(sed -nE 's/.*use SUBNET=([0-9.\/]+).*/\1/p' <<<"$said")
  [[ -n $free ]] || exit 1
  SUBNET=$free step ./env.sh set
}

main() {
  local gateway address proof
  ((EUID == 0)) || { printf 'demo: it needs root: sudo make demo\n' >&2; exit 1; }
  step ./env.sh deps
  step make --no-print-directory container_engine
  ensure_bridge
  step ./env.sh check
  step ./rootfs-fetch.sh host rootfs

  gateway=$(bridge_address)
  address=${gateway%.*}.$((${gateway##*.} + 1))
  if [[ -t 0 && -t 1 ]]; then
    printf '\nTry: ps -e; whoami; ls; ip a; ping %s.   The end: exit\n' "$gateway"
    step ./container_engine rootfs "$NAME" "$address" || (($? != 125)) # it is the shell's own
  else
    proof="ps -e && hostname && ip a && ping -c 2 $gateway"
    printf "\n$ ./container_engine rootfs %s %s sh -c '%s'\n" "$NAME" "$address" "$proof"
    ./container_engine rootfs "$NAME" "$address" sh -c "$proof"
  fi
  printf '\nTo undo what was set up: sudo ./env.sh clean\n'
}

main "$@"

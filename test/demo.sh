#!/usr/bin/env bash
# `make demo`: from a clean clone to a shell in a container. Everything it does is one of the
# commands that the README explains; what the host gets is undone by ./env.sh clean.
set -euo pipefail

cd "${BASH_SOURCE[0]%/*}/.."
NAME=centos1

step() {
  printf '\n\033[1m$ %s\033[0m\n' "$*" | if [[ -t 1 ]]; then cat; else sed 's/\x1b\[[0-9]*m//g'; fi
  "$@"
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
  local bridge gateway address proof engine=(./container_engine)
  ((EUID == 0)) || { printf 'demo: it needs root: sudo make demo\n' >&2; exit 1; }
  step ./env.sh deps
  step make --no-print-directory container_engine
  ensure_bridge
  step ./env.sh check
  step ./rootfs-fetch.sh host rootfs

  read -r _ _ bridge gateway < <(./env.sh status | grep '^OK *bridge:')
  gateway=${gateway%/*}
  [[ $bridge == cebr0 ]] || engine+=(--bridge "$bridge")
  address=${gateway%.*}.$((${gateway##*.} + 1))
  if [[ -t 0 && -t 1 ]]; then
    printf '\nTry: ps -e; whoami; ls; ip a; ping %s.   The end: exit\n' "$gateway"
    step "${engine[@]}" rootfs "$NAME" "$address" || (($? != 125)) # it is the shell's own
  else
    proof='ps -e && hostname && ip a'
    [[ -z $(type -P ping) ]] || proof+=" && ping -c 2 $gateway"
    printf "\n$ %s rootfs %s %s sh -c '%s'\n" "${engine[*]}" "$NAME" "$address" "$proof"
    "${engine[@]}" rootfs "$NAME" "$address" sh -c "$proof"
  fi
  printf '\nTo undo what was set up: sudo ./env.sh clean\n'
}

main "$@"

#!/usr/bin/env bash
# `make bench`: how long a container takes from start to end, next to crun, in milliseconds.
#
# The program is `true`, the rootfs the same, without a network where nothing else is said, and in
# mount and network namespaces of the benchmark's own. crun's container is that of `crun spec`: no
# user namespace, no layer, no filter. Once back to back, and once with pauses, because the kernel
# puts work off that a loop then never waits for.
set -euo pipefail

cd "${BASH_SOURCE[0]%/*}/.."
RUNS=${RUNS:-50}
PAUSE=${PAUSE:-0.2} # seconds

in_private() {
  [[ -n ${CE_BENCH-} ]] || CE_BENCH=1 exec unshare --mount --net "$0" "$@"
  # crun looks for cgroup2 here and nowhere else.
  [[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]] || mount -t cgroup2 none /sys/fs/cgroup
  ip link set lo up
  ip link add cebench type bridge
  ip addr add 192.168.1.1/24 dev cebench
  ip link set cebench up
  mount -t tmpfs tmpfs /run
}

make_inputs() {
  ./rootfs-fetch.sh host "$tmp/rootfs" >&2
  mkdir "$tmp/bundle"
  crun spec --bundle "$tmp/bundle"
  jq --arg rootfs "$tmp/rootfs" '.process.args = ["true"] | .process.terminal = false |
    .root = {path: $rootfs, readonly: false} | del(.linux.resources)' \
    "$tmp/bundle/config.json" >"$tmp/config.json"
  mv "$tmp/config.json" "$tmp/bundle/"
}

measure() { # TITLE COMMAND...
  local title=$1 pauses
  shift
  "$@" 2>/dev/null # what does not work is not to be measured
  for pauses in 0 "$PAUSE"; do
    hyperfine -N --style none --warmup 3 --runs "$RUNS" --prepare "sleep $pauses" \
      --export-json "$tmp/$pauses.json" "$*" >/dev/null 2>&1
  done
  jq -rs --arg title "$title" '[$title] + [.[].results[0] | .min, .median] |
    [.[0], (.[1:][] * 1000 | . * 100 | round / 100)] | @tsv' "$tmp/0.json" "$tmp/$PAUSE.json" |
    awk -F'\t' '{ printf "%-44s %7.2f %7.2f   %7.2f %7.2f\n", $1, $2, $3, $4, $5 }'
}

main() {
  local engine=$PWD/container_engine
  ((EUID == 0)) || { printf 'bench: it needs root: sudo make bench\n' >&2; exit 1; }
  in_private "$@"
  tmp=$(mktemp -d /var/tmp/ce-bench.XXXXXX)
  trap 'rm -rf --one-file-system "$tmp"' EXIT
  make_inputs
  printf '%-44s %15s   %15s\n' "milliseconds, of $RUNS runs" 'back to back' "pauses of $PAUSE s"
  printf '%-44s %7s %7s   %7s %7s\n' '' min median min median
  measure "$(crun --version | sed 1q), as in crun spec" crun run --bundle "$tmp/bundle" cebench1
  measure 'ours: --userns off --write-through' \
    "$engine" --userns off --write-through --rm "$tmp/rootfs" cebench2 none true
  measure 'ours: a user namespace, layer and filter' \
    "$engine" --rm "$tmp/rootfs" cebench3 none true
  measure 'ours: the same, and a network' \
    "$engine" --rm --bridge cebench "$tmp/rootfs" cebench4 192.168.1.4 true
}

main "$@"

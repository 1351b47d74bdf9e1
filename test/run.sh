#!/usr/bin/env bash
# All tests, each once, as root: `make test`, or test/run.sh test/engine.bats ... for some.
#
# The files that measure limits need a host whose cgroup v2 has cpu, memory and pids. Where this
# one does, everything runs here. Otherwise those files run in the throw-away VM (test/vm.sh),
# which is some ten times slower, and the rest run here.
set -euo pipefail

cd "${BASH_SOURCE[0]%/*}/.."
REPO=$PWD
# shellcheck source=inputs.bash
source test/inputs.bash

has_controllers() {
  local top have
  top=$(findmnt -rnt cgroup2 -o TARGET | tail -n 1)
  [[ -n $top ]] || return 1
  have=" $(<"$top/cgroup.controllers") "
  [[ $have == *' cpu '* && $have == *' memory '* && $have == *' pids '* ]]
}

# Of this machine as it is now, so not from the cache; a tarball, because making one takes minutes
# in the VM.
ensure_host() {
  ./rootfs-fetch.sh host "$tmp/host" >&2
  tar -C "$tmp/host" -cf "$CACHE/host.tar" .
  export CE_HOST=$CACHE/host.tar
}

# Runs the files and keeps their TAP. A plan that is not kept to, or none at all, is a failure.
run_bats() { # WHERE FILE...
  local where=$1 status=0
  shift
  (($#)) || return 0
  printf '# %s: %s\n' "$where" "$*"
  case $where in
    here) env --default-signal=INT,QUIT,HUP bats --formatter tap "$@" ;; # a background job ignores them
    vm) CE_SLOW=10 test/vm.sh --again --timeout 3000 bats --formatter tap "$@" ;;
  esac | tee -a "$tap" || status=$?
  ((status <= 1)) ||
    printf 'not ok 0 %s: ended with status %s\n' "$where" "$status" | tee -a "$tap"
}

# Who sees only the end of the log sees what failed: where, and the last that was printed.
summary() {
  awk '
    function tell() {
      for (i = 0; i < n; i++)
        if (i < 5 || i >= n - 10) print (i ? "#   " : "# ") line[i]
      n = 0
    }
    /^(not )?ok |^1\.\.[0-9]+$/ { tell(); failing = /^not/ }
    failing { line[n++] = $0 }
    END { tell() }' "$tap"
  awk '
    /^1\.\.[0-9]+$/    { planned += substr($0, 4) }
    /^ok .*# skip/     { skipped++; next }
    /^ok /             { passed++ }
    /^not ok /         { failed++ }
    END {
      missing = planned - passed - failed - skipped
      if (missing > 0) failed += missing
      printf "%d tests: %d ok, %d not ok, %d skipped\n",
        passed + failed + skipped, passed, failed, skipped
      exit failed > 0 || passed == 0
    }' "$tap"
}

main() {
  local file here=() vm=()
  ((EUID == 0)) || { printf 'run.sh: the tests need root: sudo make test\n' >&2; exit 1; }
  (($#)) || set -- test/*.bats
  for file; do
    if grep -q 'requires .*controllers' "$file" && ! has_controllers; then
      vm+=("$file")
    else
      here+=("$file")
    fi
  done
  tmp=$(mktemp -d)
  trap 'rm -rf --one-file-system "$tmp"' EXIT
  tap=$tmp/tap
  ensure_inputs
  ensure_host
  run_bats here "${here[@]}"
  run_bats vm "${vm[@]}"
  summary
}

main "$@"

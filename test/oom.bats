#!/usr/bin/env bats
# When memory or processes run out, while a container runs and while it is being set up.

load helpers

setup() {
  requires root controllers alpine
  lab_snapshot
  T=$BATS_TEST_TMPDIR
}

# The lines of the last `try` that are no warnings.
said() {
  grep -v '^container_engine: warning: ' <<<"$stderr" || :
}

@test "oom: a container that needs too much memory: 137, and a line that says why" {
  try -137 ce --memory 20M "$ALPINE" c1 none tail /dev/zero
  [[ $(said) =~ ^container_engine:\ c1\ .*memory.*--memory && $(said | grep -c .) -eq 1 ]]
}

@test "oom: so does exec, and so does list of a detached one" {
  start_idle c1 none --memory 20M
  try -137 ce exec c1 tail /dev/zero
  [[ $(said) == *memory*--memory* ]]
  ended "$pid"
  [[ $status -eq 137 ]]
  grep -q 'container_engine: c1 .*memory' "$T/c1.err"
  try -0 ce -d --memory 20M "$ALPINE" c2 none tail /dev/zero
  wait_until 20 ended_with_137 c2
}

ended_with_137() { # NAME
  ce list | grep -q "^$1 *exited (137)"
}

@test "oom: who is killed for something else is not said to have needed memory" {
  start_idle c1 none --memory 20M
  kill -KILL "$(init_pid c1)"
  ended "$pid"
  [[ $status -eq 137 && ! -s $T/c1.err ]]
}

@test "oom: too little memory to start: a line that names it, and nothing is left" {
  local size too_little=0 before=0 enough=0
  for size in 1 16K 128K 192K 256K 384K 512K 1M 4M 16M; do
    try ce --memory "$size" "$ALPINE" c1 none true
    case $status in
      0) enough=$((enough + 1)) ;;
      125 | 137)
        too_little=$((too_little + 1))
        [[ $(said | grep -c .) -eq 1 && $(said) =~ ^container_engine:\ .*memory ]]
        [[ $status -eq 137 || $(said) == *'too low'* ]]
        before=$((before + (status == 125)))
        ;;
      *) false ;;
    esac
    wait_until 5 leaks
  done
  ((too_little > 1 && before > 0 && enough > 1))
}

@test "oom: no process to be had: a line that names it, and nothing is left" {
  local n lacking=0 enough=0 few=$LAB_CGROUP/few
  mkdir "$few"
  for n in 1 2 3 4 8; do
    echo "$n" >"$few/pids.max"
    # shellcheck disable=SC2016  # the variables are those of the inner shell
    try lab sh -c 'echo $$ >/sys/fs/cgroup/few/cgroup.procs; exec "$@"' sh \
      "$ENGINE" "$ALPINE" c1 192.168.1.2 true
    if ((status == 0)); then
      enough=$((enough + 1))
    else
      lacking=$((lacking + 1))
      [[ $status -eq 125 && $(said | grep -c .) -eq 1 ]]
      [[ $(said) == *'Resource temporarily unavailable'* ]]
    fi
    wait_until 5 leaks
  done
  ((lacking > 0 && enough > 0))
  wait_until 5 rmdir "$few"
}

@test "oom: --pids 1 is enough for one" {
  try -0 ce --pids 1 "$ALPINE" c1 none echo one
  [[ $output == one ]]
}

# The calls that write limits, each of which may fail (faults.bats, on a host without them, cannot).
@test "oom: a limit that cannot be written is an error, each of them" {
  requires strace
  local file line n
  try -0 lab strace -o "$T/log" -e trace=openat,write "$ENGINE" "$ALPINE" c1 none true
  try -0 ce delete c1 # a layer that is there is looked at, and the numbers would not be the same
  for file in cpu.max memory.max pids.max memory.swap.max memory.oom.group; do
    for call in openat write; do
      # Which one it is: the opening of the file, or the writing after that.
      n=$(awk -F'(' -v call="$call" -v file="\"$file\"" '
        { n[$1]++ }
        index($0, file) { found = 1 }
        found && $1 == call { print n[$1]; exit }' "$T/log")
      refuses "$file" lab strace -qq -o "$T/fault" -e "trace=$call" \
        -e "inject=$call:error=EIO:when=$n" "$ENGINE" "$ALPINE" c1 none true
      [[ $stderr == *'cgroup: '*'Input/output error'* ]]
      grep -q INJECTED "$T/fault"
    done
  done
}

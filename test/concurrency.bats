#!/usr/bin/env bats
# Many at once: each start wins or says why not, and at the end nothing is left.

load helpers

setup_file() {
  export FIGURES=$BATS_FILE_TMPDIR/figures
  : >"$FIGURES"
}

teardown_file() {
  [[ ! -s $FIGURES ]] || printf '# concurrency: %d containers started, %d starts refused, %s\n' \
    "$(grep -c started "$FIGURES")" "$(grep -c refused "$FIGURES")" \
    "$(grep -c left "$FIGURES") leftovers" >&3
}

setup() {
  requires root alpine
  lab_snapshot
  T=$BATS_TEST_TMPDIR
}

teardown() {
  [[ -n ${T-} ]] || return 0
  lab_bridge # where a test of env.sh left none
  leak_check 20 || { echo left >>"$FIGURES"; return 1; }
}

# An engine in the background, TAG, that waits for the shot.
ready() { # TAG ENGINE-ARGUMENT...
  local tag=$1
  shift
  [[ -p $T/gun ]] || mkfifo "$T/gun"
  # To open it takes somebody who writes: one shot, and all are off.
  start "$tag" bash -c ': <"$0"; exec "$@"' "$T/gun" "$ENGINE" "$@"
  pids[$tag]=$pid
}

shoot() {
  exec {gun}<>"$T/gun"
}

# Waits for all, and counts: sets $won and $lost. To lose is status 125 with one line with WORD.
harvest() { # WORD
  local tag
  won=0 lost=0
  for tag in "${!pids[@]}"; do
    CE_SLOW=$((${CE_SLOW:-1} * 6)) ended "${pids[$tag]}"
    grep -v '^container_engine: warning: ' "$T/$tag.err" >"$T/said" || :
    printf '%s: status %s %s\n' "$tag" "$status" "$(<"$T/said")"
    if ((status == 0)); then
      [[ ! -s $T/said ]]
      won=$((won + 1))
      echo started >>"$FIGURES"
    else
      [[ $status -eq 125 && $(grep -c . "$T/said") -eq 1 ]]
      grep -q "^container_engine: .*\($1\)" "$T/said"
      lost=$((lost + 1))
      echo refused >>"$FIGURES"
    fi
  done
  exec {gun}>&-
  pids=()
}

# How many of them have ended, are up.
ended_are() { # NUMBER
  local tag n=0
  for tag in "${!pids[@]}"; do
    ! gone "${pids[$tag]}" || n=$((n + 1))
  done
  ((n == $1))
}

up_are() { # NUMBER
  [[ $(cat "$T"/*.out | grep -cx up) -eq $1 ]]
}

# A container's program that is up until it is told to end.
STAY='trap "exit 0" TERM; echo up; sleep 1000 & wait'

@test "concurrency: 20 starts of one name: one wins, the others say so" {
  local -A pids
  local i round
  for round in 1 2 3; do
    for ((i = 0; i < 20; i++)); do
      ready "s$i" "$ALPINE" c1 none sh -c "$STAY"
    done
    shoot
    wait_until 60 ended_are 19
    wait_until 60 up_are 1
    try -0 ce stop c1
    harvest 'a container named c1'
    ((won == 1 && lost == 19))
  done
}

@test "concurrency: two with one address: one wins, the other says so" {
  local -A pids
  local round
  for round in 1 2 3 4 5; do
    ready c1 "$ALPINE" c1 192.168.1.2 sh -c "$STAY"
    ready c2 "$ALPINE" c2 192.168.1.2 sh -c "$STAY"
    shoot
    wait_until 60 ended_are 1
    wait_until 60 up_are 1
    kill -TERM "${pids[@]}" 2>/dev/null || : # one of them is gone
    harvest 'address 192.168.1.2 is in use: see container_engine list'
    ((won == 1 && lost == 1))
  done
}

@test "concurrency: stop, kill and delete of one container, all at once" {
  local -A pids
  local i round
  for round in 1 2 3; do
    start_idle c1 192.168.1.2
    for i in 1 2 3; do
      ready "stop$i" stop c1
      ready "kill$i" kill c1
      ready "delete$i" delete -f c1
    done
    shoot
    harvest 'no container named c1\|not running: c1\|c1 has just ended\|c1 is in use'
    ((won > 0))
    ended "$pid"
  done
}

@test "concurrency: 50 names start at once and end at once, 5 times" {
  local -A pids
  local i round
  for round in 1 2 3 4 5; do
    for ((i = 0; i < 50; i++)); do
      ready "c$i" "$ALPINE" "c$i" "192.168.1.$((100 + i))" sh -c "$STAY"
    done
    shoot
    wait_until 120 up_are 50
    [[ $(lab ip -o link show master cebr0 | grep -c .) -eq 50 ]]
    try -0 ce list -q
    [[ ${#lines[@]} -ge 50 ]]
    kill -TERM "${pids[@]}"
    harvest nothing
    ((won == 50))
    wait_until 20 leaks
  done
}

@test "concurrency: env.sh set and clean between starts: done, or a clear refusal" {
  local -A pids
  local i round said
  for round in 1 2 3 4; do
    for i in 1 2 3 4; do
      ready "c$i" "$ALPINE" "c$i" "192.168.1.$i$i" true
    done
    for i in clean set clean set; do
      start "$i$((RANDOM))" bash -c ': <"$0"; exec "$@"' "$T/gun" "$REPO/env.sh" "$i"
      env_sh+=("$pid")
    done
    shoot
    harvest 'env\.sh\|cebr0'
    for pid in "${env_sh[@]}"; do
      CE_SLOW=$((${CE_SLOW:-1} * 6)) ended "$pid"
      [[ $status -le 1 ]]
    done
    env_sh=()
    for said in "$T"/{set,clean}*.err; do
      # Done, or one line that says why not.
      cat "$said" "${said%err}out"
      if grep -q 'DONE\.$' "${said%err}out"; then
        [[ ! -s $said ]]
      else
        [[ $(grep -c . "$said") -eq 1 && $(<"$said") == 'env.sh: '* ]]
      fi
    done
    rm -f "$T"/{set,clean}*
  done
}

@test "concurrency: list, inspect, exec while containers come and go" {
  requires jq
  local i command churn=()
  for i in 1 2 3; do
    start "churn$i" bash -c 'for ((i = 0; i < 30; i++)); do "$@" || exit 1; done' churn \
      "$ENGINE" --rm "$ALPINE" "c$i" "192.168.1.$i$i" sh -c 'exit 0'
    churn+=("$pid")
  done
  i=0
  until gone "${churn[0]}" && gone "${churn[1]}" && gone "${churn[2]}"; do
    for command in 'list' 'list -q' 'list --json' "inspect c$((i % 3 + 1))" \
      "exec c$((i % 3 + 1)) true"; do
      status=0
      # shellcheck disable=SC2086  # a command and its words
      ce $command >"$T/out" 2>"$T/err" </dev/null || status=$?
      case $command:$status in
        'list --json:0') jq -e type "$T/out" >"$T/type" ;;
        list*:0 | inspect*:0 | exec*:0 | exec*:137) ;;
        inspect*:125 | exec*:125)
          grep -q '^container_engine: ' "$T/err" && [[ $(grep -c . "$T/err") -eq 1 ]] ;;
        *) printf '%s: status %s\n%s\n' "$command" "$status" "$(<"$T/err")" && false ;;
      esac
    done
    i=$((i + 1))
  done
  echo "$i rounds of looking"
  for i in 0 1 2; do
    ended "${churn[i]}"
    grep -v ': warning: ' "$T/churn$((i + 1)).err" || :
    [[ $status -eq 0 ]]
    printf 'started\n%.0s' {1..30} >>"$FIGURES"
  done
}

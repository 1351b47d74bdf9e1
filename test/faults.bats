#!/usr/bin/env bats
# Each step may fail, each process may die: the caller gets one line, and nothing is left behind.
#
# The last line is the account. CE_FAULTS=N makes it quicker: only every call that a sweep would
# fail whose number is a multiple of N.

load helpers

setup_file() {
  export FIGURES=$BATS_FILE_TMPDIR/figures
  : >"$FIGURES"
}

teardown_file() {
  [[ ! -s $FIGURES ]] || printf '# faults: %d calls injected (%d of them did no harm), %d %s\n' \
    "$(figure injected)" "$(figure harmless)" "$(figure kill)" \
    "kills, $(figure leftover) leftovers" >&3
}

setup() {
  requires root alpine strace
  lab_snapshot
  T=$BATS_TEST_TMPDIR
  RUNS=$LAB_CGROUP/faults
  mkdir -p "$RUNS"
  before=$(traces)
  STAND_IN=()
}

teardown() {
  [[ -n ${RUNS-} ]] || return 0
  leak_check || { count leftover; return 1; }
  rmdir "$RUNS"
}

count() {
  echo "$1" >>"$FIGURES"
}

figure() {
  grep -cx "$1" "$FIGURES" || :
}

# --- what is left, in a moment ---------------------------------------------------------------

# leaks() starts a dozen programs, which is too slow to do it hundreds of times. This one starts
# none: what a container makes is looked for in /proc and in the cgroups. Every process that
# runs_exec starts is in the cgroup $RUNS or in a container's: not even a process escapes.
traces() {
  local keeper at id word
  shopt -s nullglob
  keeper=/proc/$(<"$LAB/pid")
  for at in "$keeper"/root/run/netns/* "$LAB"/layers/.deleted.* \
    "$LAB_CGROUP"/container_engine/*/; do
    echo "$at"
  done
  for at in "$RUNS/" "$LAB_CGROUP"/container_engine/*/; do
    while read -r id; do echo "process $id"; done <"${at}cgroup.procs"
  done
  while read -r word _; do [[ $word != ve* ]] || echo "link $word"; done <"$keeper/net/dev"
  printf '%s\n' "$(<"$keeper/mountinfo")"
}

as_before() {
  now=$(traces 2>/dev/null) # what vanishes while we look is no error
  [[ $now == "$before" ]]
}

# The kernel takes its moment over a dead container.
nothing_left() {
  soon as_before || {
    diff <(echo "$before") <(echo "$now") | sed -n 's/^>/left behind:/p'
    count leftover
    return 1
  }
}

# Like wait_until, but quicker to see it.
soon() {
  local end=$((SECONDS + 10 * ${CE_SLOW:-1}))
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.005
  done
}

# Like lab_exec, in the cgroup of this file.
runs_exec() {
  echo "$BASHPID" >"$RUNS/cgroup.procs"
  lab_exec "$@"
}

# Layers stay until they are deleted.
forget() {
  rm -rf --one-file-system "${LAB:?}/layers"/*
}

# --- one call of one process fails -----------------------------------------------------------

# What the program in the container says about its walls: a failure that seems to do no harm must
# not have cost one.
WALLS='umask; id; hostname; pwd; env; stat -c "%n %A %t:%T" /dev/*; ip -o -4 addr; ip route
  cd /proc/self; ls fd; cat cgroup uid_map gid_map /etc/hosts /etc/resolv.conf /mnt/volume
  cut -d " " -f 4- mountinfo; grep -E "^(Uid|Gid|Groups|Sig(Blk|Ign|Cgt)|Cap|NoNew|Seccomp)" status'

# Runs "${RUN[@]}" to its end with the engine traced. Sets $status; out, err and log are in $T.
# shellcheck disable=SC2120  # without options everything is traced
trace_engine() { # STRACE-OPTION...
  status=0
  (runs_exec timeout 60 strace -qq -o "$T/log" "$@" "${RUN[@]}") </dev/null \
    >"$T/out" 2>"$T/err" || status=$?
}

# What it says when it has to do without a user namespace.
trace_fallback() {
  local RUN=("$ENGINE" --userns off "${RUN[@]:1}")
  trace_engine
  cp "$T/out" "$T/fallback.out"
}

# The same with the child traced, and nobody else: strace counts the calls of each process, and
# could not tell the child's third mount from the engine's. So a first strace stops the engine
# right after it has made the child, which waits for a word from it, and a second one takes it.
trace_child() { # STRACE-OPTION...
  local tracer
  status=0
  : >"$T/stop"
  : >"$T/attached"
  runs_exec timeout 60 strace -qq -o "$T/stop" -e "trace=${STOP% *}" \
    -e "inject=${STOP% *}:signal=STOP:when=${STOP#* }" "${RUN[@]}" \
    </dev/null >"$T/out" 2>"$T/err" 3>&- 4>&- &
  tracer=$!
  soon child_waits || { kill -KILL "$tracer"; return 1; }
  runs_exec strace -o "$T/log" -p "$child" "$@" 2>"$T/attached" 3>&- 4>&- &
  soon test -s "$T/attached"
  kill -CONT "$engine"
  wait "$tracer" || status=$?
  wait
}

# Sets $engine and $child: the one has been stopped, the other sleeps.
child_waits() {
  local line
  [[ $(<"$T/stop") == *'--- stopped by SIGSTOP'* ]] || return 1
  child=$(<"$LAB_CGROUP/container_engine/c1/cgroup.procs")
  while read -r engine; do
    [[ ! "/proc/$engine/exe" -ef "$ENGINE" ]] || break
  done <"$RUNS/cgroup.procs"
  read -r line <"/proc/$child/stat"
  [[ $line == *') S '* ]]
}

# The calls in a log of the engine or the child: name, the count among those of that name, all. Not
# the loader's, up to the first call of main, and not those after exec, or, in the engine, when it
# knows of that. Some cannot fail when their arguments are right; an error of TCGETS is an answer
# (isatty); and close closes whatever it says, but an injected failure would leave it out.
# Sanitizers have memory of their own, and end without it.
calls() { # engine|child
  local without='^(close|umask|get.?[up]id|getpgrp|rt_sig.*|clock_nanosleep|exit_group)$'
  ! grep -q __asan_init "$ENGINE" || without+='|^(mmap|munmap|madvise|sigaltstack)$'
  awk -F'(' -v who="$1" -v without="$without" '
    BEGIN { on = who == "child" }
    /^[a-z]/ {
      name = $1
      n[name]++
      if (name == "execve" && / = 0$/) { if (who == "child") exit; on = 0 }
      if (/^openat\(AT_FDCWD, "\/dev\/null", O_RDWR\)/) on = who != "back"
      if (name == "poll" && /\], 10, /) on = who == "back" # serve: all streams at once
      if (on && name !~ without && !/TCGETS/) print name, n[name], $0
    }' "$T/log"
}

# An errno that the call is known for, as far as there is one.
usual_error() { # CALL
  case $1 in
    open* | pipe2 | memfd_create | socket | signalfd4 | pidfd_*) echo EMFILE ;;
    write | pwrite64 | mkdir* | mknod* | symlink* | rename*) echo ENOSPC ;;
    clone*) echo EAGAIN ;;
    execve) echo EACCES ;;
    brk | mmap | munmap | getdents64 | seccomp) echo ENOMEM ;;
    *mount* | pivot_root | unshare | set* | prctl | cap* | ch* | fch*) echo EPERM ;;
    *) echo EIO ;;
  esac
}

# Fails each call of one of the two processes, in turn.
sweep() { # engine|child
  local who=$1 name n i=0 wrong=0 why injected
  injected=$(figure injected)
  trace_fallback
  forget
  "trace_$who"
  cp "$T/out" "$T/clean.out"
  cp "$T/err" "$T/clean.err"
  calls "$who" >"$T/calls"
  printf '%s calls of the %s\n' "$(grep -c . "$T/calls")" "$who"
  [[ $status -eq 0 && -s $T/calls ]] || {
    printf 'status %s\n' "$status"
    tail "$T/err" "$T/out"
    return 1
  }
  forget
  while read -r name n _; do
    ((++i % ${CE_FAULTS:-1} == 0)) || continue
    "trace_$who" -e "trace=$name,execve,openat,poll" \
      -e "inject=$name:error=$(usual_error "$name"):when=$n"
    why=$(verdict) || {
      wrong=$((wrong + 1))
      printf '%s %s: %s\n  %s\n' "$name" "$n" "$why" "$(grep INJECTED "$T/log")"
      sed 's/^/  /' "$T/err"
    }
    nothing_left || {
      wrong=$((wrong + 1))
      printf '... by %s %s: %s\n' "$name" "$n" "$(grep INJECTED "$T/log")"
      ce list -q # sweeps, so that the next one is not blamed
      nothing_left
    }
    forget
  done <"$T/calls"
  # A run does not always make the same calls, but nearly.
  ((wrong == 0 && ($(figure injected) - injected) * 10 >= 9 * (i / ${CE_FAULTS:-1})))
}

# What a line may name: a step of the engine, one of the child, or what was given and looked at
# before anything was made.
STEPS='claim|cgroup|clone|users|network|layer|go'
STEPS+='|private|mounts|pivot|hostname|caps|seccomp|exec'
STEPS+="|-v '.*'|rootfs '.*'|there is no bridge|socket|/proc/self/ns/mnt|/var/lib/container_engine"
STEPS+='|join|terminal|cannot join c1|container c1|the cgroup of container c1'
STEPS+='|/dev/null|no cgroup2 on|/proc/sys/kernel/random/boot_id|open /var/lib/container_engine|mkdir /var/lib/container_engine|pipe|fork|cannot tell whether c1 runs|cannot begin|enter|out of memory|uname|neither a command nor a rootfs'

# How a run must end in which a call failed. Status 125 with one line that names the step and the
# errno, no layer left; or, where the failure does no harm, as a clean run ends, walls and all.
# Prints what is wrong.
verdict() {
  local line error
  line=$(calls "$who" | grep -m 1 INJECTED) || return 0 # it did not come so far, or farther
  count injected
  error=${line% (INJECTED)*}
  error=${error##*(}
  error=${error%)}
  mapfile -t lines < <(grep -vxFf "$T/clean.err" "$T/err")
  case $status:${#lines[@]} in
    0:0)
      diff "$T/out" "$T/clean.out" && count harmless
      ;;
    0:1)
      [[ ${lines[0]} == "container_engine: warning: no user namespace,"*"$error"* ]] ||
        { echo 'no errno'; return 1; }
      [[ $error =~ $CANNOT ]] || { echo 'a wall fell for want of what may come'; return 1; }
      cmp "$T/out" "$T/fallback.out" && count harmless
      ;;
    12[56]:1)
      # What /proc cannot tell of a process is taken for its end.
      [[ ${lines[0]} =~ ^container_engine:\ ($STEPS).*$error ||
        ${running-}$line =~ ^c1.*/proc/[0-9]*/stat|^c1read ]] || {
        echo 'no step, or no errno'
        return 1
      }
      [[ -n ${running-} || ! -e $LAB/layers/c1 ]] || { echo 'the layer is left'; return 1; }
      ;;
    *)
      printf 'status %s, %s lines\n' "$status" "${#lines[@]}"
      return 1
      ;;
  esac
}

# There is no such thing; all other errors mean: not now.
CANNOT='^(Function not implemented|Invalid argument|Operation not (permitted|supported))$'

container() {
  RUN=("$ENGINE" -v "$T/volume:/mnt/volume:ro" "$ALPINE" c1 192.168.1.2 sh -c "$WALLS")
  echo shown >"$T/volume"
}

@test "faults: each system call of the engine fails once" {
  container
  sweep engine
}

# A run that ended: with its users mapped, or with an error, or where there can be no user namespace
# with the one warning. Prints what is wrong.
walls_stood() {
  if [[ $status -eq 125 ]]; then
    [[ ! -s $T/out && $(grep -vc '^container_engine: warning: ' "$T/err") -eq 1 ]] && return
  elif [[ $status -eq 0 ]] && grep -qxE ' +0 +[0-9]{6,} +65536' "$T/out"; then
    return
  elif [[ ${1-} == cannot && $status -eq 0 ]]; then
    grep -q '^container_engine: warning: no user namespace' "$T/err" && return
  fi
  printf 'status %s: %s\n' "$status" "$(cat "$T/out" "$T/err")"
  return 1
}

@test "faults: no user namespace for want of a process, memory or room is an error" {
  local call error n wrong=0 injected=0
  RUN=("$ENGINE" --rm "$ALPINE" c1 none cat /proc/self/uid_map)
  for call in clone3 clone unshare setns mount_setattr open_tree fsopen fsconfig; do
    for error in EAGAIN ENOMEM ENOSPC EUSERS; do
      for n in 1 2 3 4 5 6; do
        trace_engine -e "trace=$call" -e "inject=$call:error=$error:when=$n"
        grep -q INJECTED "$T/log" || break
        injected=$((injected + 1))
        count injected
        walls_stood || {
          wrong=$((wrong + 1))
          printf '... %s %s: %s\n' "$call" "$n" "$error"
        }
        nothing_left
      done
    done
  done
  for call in clone3 mount_setattr; do
    for error in ENOSYS EINVAL EPERM EOPNOTSUPP; do
      trace_engine -e "trace=$call" -e "inject=$call:error=$error:when=1"
      walls_stood cannot
      nothing_left
    done
  done
  ((wrong == 0 && injected >= 12))
}

@test "faults: a caller that ignores SIGCHLD does not cost the user namespace" {
  local i wrong=0
  for ((i = 0; i < 20; i++)); do
    status=0
    # Whatever is opened, is opened late: so a child of the engine's has gone by then.
    (runs_exec env --ignore-signal=CHLD timeout 60 strace -qq -o "$T/log" -e trace=openat \
      -e inject=openat:delay_enter=2000 env --ignore-signal=CHLD \
      "$ENGINE" --rm "$ALPINE" c1 none cat /proc/self/uid_map) \
      </dev/null >"$T/out" 2>"$T/err" || status=$?
    walls_stood || wrong=$((wrong + 1))
  done
  ((wrong == 0))
}

@test "faults: each system call of the child fails once" {
  container
  trace_engine
  # The next call after the one that makes the child.
  STOP=$(awk -F'(' '/^[a-z]/ { n[$1]++; if (made) { print $1, n[$1]; exit } }
    /^clone3.*CLONE_NEWPID/ { made = 1 }' "$T/log")
  forget
  sweep child
}

@test "faults: each system call of exec fails once, and its container goes on" {
  local running=c1
  start_idle c1 192.168.1.2
  before=$(traces)
  forget() { :; }
  trace_fallback() { :; } # there is none
  RUN=("$ENGINE" exec c1 sh -c "$WALLS")
  sweep engine
  ce exec c1 true
}

@test "faults: each system call of the engine fails once, on a terminal" {
  requires script
  # strace is within, or it would fail script's calls; the engine's line goes to a file.
  trace_engine() {
    status=0
    (runs_exec timeout 60 script -qec "exec strace -qq -o $T/log ${*@Q} ${RUN[*]@Q} 2>$T/err" \
      /dev/null) </dev/null >"$T/out" 2>&1 || status=$?
    sed -i 's/\^@//g' "$T/out" # echo of script's end of input, now here, now there
  }
  container
  sweep engine
  grep -q '^/dev/console .* 88:0' "$T/clean.out" # or it was none
}

@test "faults: each system call of -d fails once, in the process that returns" {
  trace_fallback() { :; } # here it is the same
  trace_detached() {
    trace_engine "$@"
    case $status:$(<"$T/err") in
      0:*) ce delete -f c1 ;;
      *'cannot tell whether c1 runs'*) ce delete c1 || : ;; # had it not been ended: refused
    esac >"$T/deleted" 2>&1
  }
  RUN=("$ENGINE" -d "$ALPINE" c1 192.168.1.2 sleep 1000)
  sweep detached
}

@test "faults: each call of the way back fails: the next start of that name puts it right" {
  local name n i=0 wrong=0
  RUN=("$ENGINE" "$ALPINE" c1 192.168.1.2 true)
  trace_engine
  calls back >"$T/calls"
  [[ $status -eq 0 && -s $T/calls ]]
  nothing_left
  while read -r name n _; do
    ((++i % ${CE_FAULTS:-1} == 0)) || continue
    trace_engine -e "trace=$name" -e "inject=$name:error=$(usual_error "$name"):when=$n"
    ! grep -q INJECTED "$T/log" || count injected
    case $status in
      0 | 125 | 137) ;;
      *) wrong=$((wrong + 1)) && printf 'status %s\n' "$status" ;;
    esac
    ce "$ALPINE" c1 192.168.1.2 true
    nothing_left || {
      wrong=$((wrong + 1))
      printf '... by %s %s: %s\n' "$name" "$n" "$(grep INJECTED "$T/log")"
    }
  done <"$T/calls"
  printf '%s calls of the way back\n' "$i"
  ((wrong == 0))
}

# --- ip ---------------------------------------------------------------------------------------

# A command that runs others where FILE lies over the real ip: in a mount namespace of their own.
IP=$(readlink -f "$(type -P ip)")
instead_of_ip() { # FILE
  cp "$IP" "$T/ip.real"
  STAND_IN=(unshare --mount sh -c 'mount --bind "$0" "$1" && shift && exec "$@"' "$1" "$IP")
}

# An ip that stands before the real one: BODY, where $n is the number of the run.
stand_in() { # BODY
  : >"$T/runs"
  printf '#!/bin/bash\necho run >>%q\nn=$(grep -c . %q)\n%s\nexec %q "$@"\n' \
    "$T/runs" "$T/runs" "$1" "$T/ip.real" >"$T/ip.stand_in"
  chmod +x "$T/ip.stand_in"
  instead_of_ip "$T/ip.stand_in"
}

start_c1() {
  lab timeout --foreground -k 5 30 "${STAND_IN[@]}" "$ENGINE" "$ALPINE" c1 192.168.1.2 true
}

@test "faults: each run of ip fails, in words, in silence, and by a signal" {
  local n runs
  stand_in ''
  try -0 start_c1
  runs=$(grep -c . "$T/runs")
  ((runs > 0))
  for ((n = 1; n <= runs; n++)); do
    stand_in "((n != $n)) || { echo 'Not today'; echo 'Really not'; exit 2; }"
    refuses 'network: ip failed: Not today' start_c1
    nothing_left
    stand_in "((n != $n)) || exit 1"
    refuses 'network: ip failed' start_c1
    nothing_left
    stand_in "((n != $n)) || kill -KILL \$\$"
    refuses 'network: ip failed' start_c1
    nothing_left
    count ip && count ip && count ip
  done
}

# Missing: from an overlay over its directory.
@test "faults: ip is missing, or is no program" {
  STAND_IN=(unshare --mount sh -c 'mkdir "$0" && mount -t tmpfs over "$0" &&
    mkdir "$0/upper" "$0/work" && mount -t overlay \
      -o "lowerdir=${1%/*},upperdir=$0/upper,workdir=$0/work" over "${1%/*}" && rm "$1" &&
    shift && exec "$@"' "$T/over" "$IP")
  refuses iproute2 start_c1
  nothing_left
  echo text >"$T/text"
  instead_of_ip "$T/text"
  refuses iproute2 start_c1
  nothing_left
  chmod +x "$T/text"
  refuses ip start_c1
  nothing_left
  count ip && count ip && count ip
}

@test "faults: ip and rm are found whatever PATH the caller has, and no others" {
  local path name
  mkdir "$T/bin"
  for name in ip rm sh; do
    printf '#!/bin/bash\necho %s >>%q\nexit 1\n' "$name" "$T/owned" >"$T/bin/$name"
  done
  chmod 755 "$T/bin"/*
  cd "$T/bin"
  for path in /none '' . "$T/bin" "$T/bin:$PATH"; do
    try -0 lab env PATH="$path" "$ENGINE" "$ALPINE" c1 192.168.1.2 \
      sh -c 'ip -o addr show eth0; mkdir -p /a/b; touch /a/b/c'
    [[ $output == *192.168.1.2* ]]
    try -0 lab env PATH="$path" "$ENGINE" delete c1
    try -0 lab env PATH="$path" "$ENGINE" --rm "$ALPINE" c1 192.168.1.2 true
    [[ ! -e $T/owned && -z $(ls -A "$LAB/layers") ]]
  done
  try -0 lab env -u PATH "$ENGINE" --rm "$ALPINE" c1 192.168.1.2 true
  nothing_left
}

@test "faults: ip hangs, each of its runs: the engine gives up after 10 seconds" {
  local n runs engines=()
  stand_in ''
  try -0 start_c1
  runs=$(grep -c . "$T/runs")
  for ((n = 1; n <= runs; n++)); do
    stand_in "((n != $n)) || exec sleep 1000"
    sed "s|$T/runs|$T/runs$n|g" "$T/ip.stand_in" >"$T/ip$n"
    : >"$T/runs$n"
    chmod +x "$T/ip$n"
    instead_of_ip "$T/ip$n"
    runs_exec "${STAND_IN[@]}" "$ENGINE" "$ALPINE" "c$n" "192.168.1.1$n" true \
      </dev/null >"$T/out$n" 2>"$T/err$n" 3>&- 4>&- &
    engines[n]=$!
  done
  for ((n = 1; n <= runs; n++)); do
    status=0
    wait "${engines[n]}" || status=$?
    cat "$T/err$n"
    [[ $status -eq 125 ]]
    grep -q '^container_engine: network: ip did not finish within 10 seconds' "$T/err$n"
    count ip
  done
  nothing_left
}

# --- SIGKILL, SIGSTOP -------------------------------------------------------------------------

# Sets $victim, if there is one of that kind now.
find_victim() { # engine|child|ip
  local id comm parent
  case $1 in
    engine) victim=$engine ;;
    child) read -r victim <"$LAB_CGROUP/container_engine/c1/cgroup.procs" ;;
    ip)
      while read -r id; do
        read -r _ comm _ parent _ <"/proc/$id/stat" && [[ $comm$parent == "(ip)$engine" ]] &&
          victim=$id
      done <"$RUNS/cgroup.procs"
      ;;
  esac 2>/dev/null
  [[ -n $victim || -s $T/out ]] # it is up already: too late for ip
}

over() { gone "$engine" || [[ -s $T/out ]]; }

# Starts c1 and kills one of its processes, not before so many milliseconds.
strike() { # engine|child|ip MILLISECONDS [SIGNAL]
  victim=''
  : >"$T/out"
  : >"$T/err"
  # What tells that it is up, waits, and (unlike a shell) never handles a signal.
  runs_exec "${STAND_IN[@]}" "$ENGINE" "$ALPINE" c1 192.168.1.2 tail -f /etc/passwd \
    </dev/null >"$T/out" 2>"$T/err" 3>&- 4>&- &
  engine=$!
  STARTED+=("$engine")
  soon test "/proc/$engine/exe" -ef "$ENGINE"
  sleep "$(printf '0.%03d' "$2")"
  soon find_victim "$1"
  kill "-${3-KILL}" "${victim:-$engine}" 2>/dev/null || kill -KILL "$engine"
  # An ip that had just ended did not feel it.
  ! { [[ $1 == ip ]] && soon over && ! gone "$engine"; } || kill -KILL "$engine" || gone "$engine"
  ended "$engine"
  count kill
}

@test "faults: SIGKILL to the engine, to the child, to ip, at a random moment of the start" {
  local i who when all=(engine child ip)
  stand_in 'sleep 0.01' # gives the blows a chance
  for ((i = 0; i < 60; i++)); do
    ((i % ${CE_FAULTS:-1} == 0)) || continue
    who=${all[i % 3]}
    when=$((RANDOM % 31))
    strike "$who" "$when"
    grep -v '^container_engine: warning: ' "$T/err" >"$T/said" || :
    printf '%s after %s ms: %s, %s\n' "$who" "$when" "$status" "$(<"$T/said")"
    # 137: of the engine, or because the program ran; 125: and one line says why.
    [[ $status -eq 137 && ! -s $T/said ]] || [[ $status -eq 125 && $(grep -c . "$T/said") -eq 1 ]]
    # The next command has the name and the address, and leaves nothing.
    ce "$ALPINE" c1 192.168.1.2 true
    nothing_left
  done
}

@test "faults: SIGINT, SIGTERM, SIGHUP to the engine at a random moment of the start: all undone" {
  local i signal when all=(INT TERM HUP)
  stand_in 'sleep 0.01'
  for ((i = 0; i < 60; i++)); do
    ((i % ${CE_FAULTS:-1} == 0)) || continue
    signal=${all[i % 3]}
    when=$((RANDOM % 31))
    strike engine "$when" "$signal"
    grep -v '^container_engine: warning: ' "$T/err" >"$T/said" || :
    printf '%s after %s ms: %s, %s\n' "$signal" "$when" "$status" "$(<"$T/said")"
    [[ $status -eq $((128 + $(kill -l "$signal"))) && ! -s $T/said ]]
    nothing_left # without another command
  done
}

@test "faults: SIGKILL to the engine of a running container: the next command clears up" {
  local i init
  for i in 1 2 3; do
    start_idle c1 192.168.1.2
    init=$(init_pid c1)
    kill -KILL "$pid"
    count kill
    wait_until 10 gone "$init"
    case $i in
      1) try -0 ce list ;;
      2) try -0 ce "$ALPINE" c2 192.168.1.2 true ;;
      3) try -0 ce delete c1 ;;
    esac
    nothing_left
  done
}

@test "faults: SIGKILL to a container's first process: 137, and nothing is left" {
  start_idle c1 192.168.1.2
  kill -KILL "$(init_pid c1)"
  count kill
  ended "$pid"
  [[ $status -eq 137 ]]
  nothing_left
}

@test "faults: SIGKILL to a detached engine and its container, and the layer is still good" {
  try -0 ce -d "$ALPINE" c1 192.168.1.2 sh -c 'echo 1 >/made; exec sleep 1000'
  wait_until 10 test -e "$LAB/layers/c1/upper/made"
  local engine
  engine=$(lab sed -n 's/^engine=//p' /var/lib/container_engine/c1/state)
  kill -KILL "$engine"
  count kill
  wait_until 10 gone "$engine"
  try -0 ce "$ALPINE" c1 192.168.1.2 cat /made
  [[ $output == 1 ]]
  nothing_left
}

@test "faults: SIGSTOP to the engine: everything else goes on, stop says what is wrong" {
  start_idle c1 192.168.1.2
  kill -STOP "$pid"
  try -0 ce list
  [[ $output =~ c1\ +running ]]
  try -0 ce exec c1 true
  refuses c1 ce "$ALPINE" c1 none true
  refuses 192.168.1.2 ce "$ALPINE" c2 192.168.1.2 true
  try -0 ce "$ALPINE" c2 192.168.1.3 true
  try -125 ce stop -t 1 c1 # waits 10 seconds for the engine
  # The first line: TERM did not help.
  [[ ${stderr_lines[-1]} =~ ^container_engine:\ .*engine.*c1 && ${#stderr_lines[@]} -eq 2 ]]
  kill -CONT "$pid"
  ended "$pid"
  nothing_left
}

@test "faults: SIGSTOP, then SIGKILL: the next command clears up" {
  start_idle c1 192.168.1.2
  kill -STOP "$pid"
  kill -KILL "$pid"
  count kill
  try -0 ce "$ALPINE" c1 192.168.1.2 true
  nothing_left
}

@test "faults: who holds the host's lock for ever is not waited for for ever" {
  local id
  try -0 ce "$ALPINE" c0 none true # an empty list needs no lock
  start holder flock --no-fork /var/lib/container_engine sh -c 'echo held; exec sleep 1000'
  wait_until 10 grep -q held "$T/holder.out"
  start list "$ENGINE" list
  id=$pid
  start c1 "$ENGINE" "$ALPINE" c1 none true
  wait_until 20 gone "$pid"
  ended "$pid"
  [[ $status -eq 125 ]]
  ended "$id"
  [[ $status -eq 125 ]]
  cat "$T/list.err" "$T/c1.err"
  [[ $(grep -c '^container_engine: .*/var/lib/container_engine' "$T/c1.err") -eq 1 ]]
  [[ $(grep -c '^container_engine: .*/var/lib/container_engine' "$T/list.err") -eq 1 ]]
}

# --- what a dead engine wrote -----------------------------------------------------------------

# Leaves what an engine that was killed leaves: a directory with a state, a cgroup, a name in
# /run/netns.
leave_state() { # CONTENT
  local netns
  netns=/proc/$(<"$LAB/pid")/root/run/netns
  mkdir -p "$LAB/layers/c1" "$LAB_CGROUP/container_engine/c1" "$netns"
  ln -sfn /proc/4194304/ns/net "$netns/c1" # a number that no process has
  printf '%b' "$1" >"$LAB/layers/c1/state"
}

@test "faults: a half-written state file never wedges a name" {
  local content
  for content in '' p pid pid= 'pid=\n' '=' '\n\n\n' 'pid=x\nstart=y\n' 'rootfs=\n' 'rootfs=/\n' \
    'pid=99999999999999999999\nstart=99999999999999999999\n' 'pid=-1\nstart=-1\nbase=-1\n' \
    "rootfs=$(printf '%05000d' 1)" "$(printf '%09000d=' 1)" 'name=../../../etc\naddress=\0377\0'; do
    leave_state "$content"
    try -0 ce list
    nothing_left
    leave_state "$content"
    # Where it does not say which rootfs it is of, it may be any.
    [[ $content == *rootfs=[/0]* ]] || try -0 ce "$ALPINE" c1 192.168.1.2 true
    try -0 ce delete c1
    nothing_left
    count state
  done
  mkdir "$LAB/layers/c1" # killed before it could write one
  try -0 ce "$ALPINE" c1 none true
  nothing_left
}

@test "faults: the state of another boot, or of a process number used again, harms nobody" {
  local other
  sleep 1000 3>&- 4>&- &
  other=$!
  STARTED+=("$other")
  leave_state "rootfs=$ALPINE\npid=$other\nstart=1\nengine=$other\nengine_start=1\nstatus=-1\n"
  try -0 ce list
  [[ $output =~ c1\ +exited ]]
  nothing_left
  leave_state "rootfs=$ALPINE\npid=$other\nstart=1\nstatus=-1\n"
  try -0 ce "$ALPINE" c1 none true
  nothing_left
  leave_state "rootfs=$ALPINE\npid=$other\nstart=1\nstatus=-1\n"
  try -0 ce delete -f c1
  nothing_left
  [[ $(<"/proc/$other/comm") == sleep ]]
}

OTHER_BOOT=a1c9a53f-1c13-44d1-b5f4-5e3b1c24d9b8

# A container that ends with the machine, which then starts again: /run and the cgroups are empty,
# and the numbers in the state are those of another boot.
reboot() { # OPTION...
  local init
  start_idle c1 192.168.1.2 "$@"
  init=$(init_pid c1)
  kill -KILL "$pid"
  count kill
  wait_until 10 gone "$init"
  rm "/proc/$(<"$LAB/pid")/root/run/netns/c1"
  wait_until 10 rmdir "$LAB_CGROUP/container_engine/c1"
  change_state c1 "s/^boot=.*/boot=$OTHER_BOOT/"
}

@test "faults: a process with the number and the start of one of another boot is not ours" {
  local other at state
  sleep 1000 3>&- 4>&- &
  other=$!
  STARTED+=("$other")
  at=$(awk '{ print $22 }' "/proc/$other/stat")
  state="rootfs=$ALPINE\npid=$other\nstart=$at\nengine=4194304\nengine_start=1\nstatus=-1\n"
  leave_state "${state}boot=$OTHER_BOOT\n"
  try -0 ce list -q
  nothing_left
  [[ $(<"/proc/$other/comm") == sleep ]]
  # Of this boot it would be ended.
  leave_state "${state}boot=$(</proc/sys/kernel/random/boot_id)\n"
  try -0 ce list -q
  nothing_left
  wait_until 5 gone "$other"
}

@test "faults: after a reboot a layer with --rm is gone" {
  reboot --rm
  [[ -e $LAB/layers/c1/state ]]
  try -0 ce list -q
  [[ -z $output && ! -e $LAB/layers/c1 ]]
  nothing_left
  reboot --rm
  try -0 ce "$ALPINE" c1 192.168.1.2 true
  nothing_left
}

@test "faults: after a reboot a layer is as it was, and its name is free" {
  reboot
  try -0 ce list
  [[ $output =~ c1\ +exited ]]
  try -0 ce "$ALPINE" c1 192.168.1.2 true
  nothing_left
}

# --- when there is not enough -----------------------------------------------------------------

# Runs CMD where it may lack something. Sets $lacking when it failed for REASON, $enough when it
# did not fail; anything else is wrong.
scarce() { # REASON CMD...
  local reason=$1
  shift
  try "$@" 3>&- 4>&-
  count scarce
  nothing_left
  if [[ $status -eq 0 ]]; then
    enough=yes
    forget
  else
    lacking=yes
    grep -v '^container_engine: warning: ' <<<"$stderr" >"$T/said"
    [[ $status -eq 125 && $(grep -c . "$T/said") -eq 1 && -z $(ls "$LAB/layers") ]] &&
      grep -q "^container_engine: .*$reason" "$T/said"
  fi
}

@test "faults: of what is called for the child, the one that failed is named" {
  requires strace
  local call
  for call in socketpair:error=EMFILE setresuid:error=EAGAIN:when=1 clone3:error=EAGAIN; do
    refuses "clone: ${call%%:*}" lab strace -f -qq -o /dev/null -e inject="$call" \
      "$ENGINE" --rm --userns on "$ALPINE" c1 none true
  done
}

@test "faults: few file descriptors: it does, or it says so" {
  local n enough='' lacking=''
  for n in {4..16} 32 64; do
    scarce 'Too many open files' lab prlimit --nofile="$n" "$ENGINE" "$ALPINE" c1 192.168.1.2 true
  done
  [[ -n $enough && -n $lacking ]]
}

# The signal that comes with it would end the engine without a word.
@test "faults: a limit on the size of files: it does, or it says so" {
  local n enough='' lacking=''
  for n in 1000 4096 8191 8192 1000000; do # the line of stderr goes to a file, too
    scarce '\(File too large\|No space left\)' lab prlimit --fsize="$n" "$ENGINE" "$ALPINE" c1 192.168.1.2 true
  done
  [[ -n $enough && -n $lacking ]]
  try -0 lab prlimit --fsize=20000: "$ENGINE" "$ALPINE" c1 none grep -E '^Sig(Blk|Ign|Cgt):\s*0*$' -c /proc/self/status
  [[ $output == 3 ]]
}

# CMD with a tmpfs of few bytes or few files on DIR. In the end nothing must be left in it.
on_small() { # DIR OPTIONS CMD...
  lab unshare --mount bash -c '
    dir=$0 options=$1
    shift
    mount -t tmpfs -o "$options" small "$dir"
    "$@"
    status=$?
    [[ $status -eq 0 ]] || find "$dir" -mindepth 1 \( -name c1 -o -name ".deleted.*" \)
    exit "$status"' "$@"
}

@test "faults: a full disk below /var/lib/container_engine: a line, and no layer" {
  local n enough='' lacking=''
  for n in {1..12} 40; do
    scarce 'No space left' on_small /var/lib/container_engine "nr_inodes=$n" \
      "$ENGINE" "$ALPINE" c1 192.168.1.2 true
    [[ -z $output ]]
  done
  [[ -n $enough && -n $lacking ]]
  lacking=''
  scarce 'No space left' on_small /var/lib/container_engine size=4k \
    sh -c 'head -c 4096 /dev/zero >/var/lib/container_engine/full; exec "$@"' sh \
    "$ENGINE" "$ALPINE" c1 192.168.1.2 true
  [[ -n $lacking && -z $output ]]
}

@test "faults: a full /run: a line, and nothing there" {
  local n enough='' lacking=''
  for n in {1..12} 40; do
    scarce 'No space left' on_small /run "nr_inodes=$n" "$ENGINE" "$ALPINE" c1 192.168.1.2 true
    [[ -z $output ]]
  done
  for n in 4 8 12 16 64; do
    scarce 'No space left' on_small /run "size=${n}k" "$ENGINE" "$ALPINE" c1 192.168.1.2 true
    [[ -z $output ]]
  done
  [[ -n $enough && -n $lacking ]]
}

#!/usr/bin/env bats
# The terminal of a container, with a person at it (tmux), and what happens when there is none.

load helpers

setup() {
  requires root alpine tmux
  TMUX_SOCKET=$BATS_TEST_TMPDIR/tmux
  lab_snapshot
}

teardown() {
  [[ ! -S $TMUX_SOCKET ]] || at_tmux kill-server
  [[ -n ${BATS_TEST_SKIPPED-} ]] || leak_check
}

# --- the person ---------------------------------------------------------------------------------

at_tmux() {
  env -u TMUX tmux -S "$TMUX_SOCKET" -f /dev/null "$@" 3>&- 4>&-
}

# Sits down at the host's shell, in a terminal of 24 lines of 80 characters.
sit_down() {
  local keeper
  keeper=$(<"$LAB/pid")
  at_tmux new-session -d -x 80 -y 24 nsenter --target "$keeper" --net --mount --wdns="$PWD" -- \
    env PS1='host$ ' CE="$ENGINE" R="$ALPINE" HOST_R="$HOST_ROOTFS" D="$BATS_TEST_TMPDIR" \
    bash --noprofile --norc -i
  at_tmux set-option -g remain-on-exit on
  sees '^host\$'
  type_in 'stty -g >$D/stty.before'
}

type_in() {
  at_tmux send-keys -l "$1"
  at_tmux send-keys Enter
}

press() {
  at_tmux send-keys "$@"
}

on_screen() {
  at_tmux capture-pane -p | grep -qE "$1"
}

# Waits until a line on the screen is like PATTERN; shows the screen when none gets so.
sees() { # PATTERN
  wait_until 15 on_screen "$1" && return
  printf 'no %s on the screen:\n' "$1"
  at_tmux capture-pane -p | sed '/^ *$/d'
  return 1
}

# The screen, cleared by a shell that is there: so what is seen next is new.
clean_screen() {
  type_in 'clear; echo cle""an'
  sees '^clean'
}

# The host's terminal is as it was, its shell there, and the last status was N.
back_at_host() { # STATUS
  wait_until 20 host_prompts || { at_tmux capture-pane -p | sed '/^ *$/d'; return 1; }
  type_in 'echo "status: $?"; stty -g >$D/stty.after; echo ba""ck'
  sees '^back'
  sees "^status: $1\$"
  cmp "$BATS_TEST_TMPDIR/stty.before" "$BATS_TEST_TMPDIR/stty.after"
}

host_prompts() {
  [[ $(at_tmux capture-pane -p | grep . | tail -n 1) == *'host$' ]]
}

# A job of the container's shell runs: its first child.
job_runs() { # NAME
  pgrep -x -P "$(init_pid "${2-c1}")" "$1" >/dev/null
}

enter_container() { # [ROOTFS [OPTION...]]
  type_in "clear; \$CE ${*:2} ${1:-\$R} c1 none sh"
  sees '^/ #'
  clean_screen
}

# --- what a shell needs ---------------------------------------------------------------------------

@test "terminal: tty says /dev/pts/0, the size is the host's, the devices are there" {
  sit_down
  enter_container
  type_in 'tty; stty size; ls /dev/pts; test -c /dev/console && echo con""sole'
  sees '^/dev/pts/0$'
  sees '^24 80$'
  sees '^0 +ptmx$'
  sees '^console$'
  type_in 'exit 3'
  back_at_host 3
}

@test "terminal: the same without a user namespace, and for a user who is not root" {
  sit_down
  enter_container '' --rm --userns off
  type_in 'tty; echo to the terminal >/dev/tty; echo to the console >/dev/console'
  sees '^/dev/pts/0$'
  sees '^to the terminal$'
  sees '^to the console$'
  type_in exit
  back_at_host 0
  type_in '$CE -u 1000 $R c1 none sh -c "tty; echo x >/dev/pts/0 && stat -c %u:%g:%a /dev/pts/0"'
  sees '^1000:5:620$'
  back_at_host 0
}

@test "terminal: --without devices, proc, ipc, net: the container's own terminal all the same" {
  sit_down
  type_in '$CE --rm --without devices,proc,ipc,net $R c1 none'
  sees '^/ #'
  type_in 'tty; ls /dev | grep -c "^loop-control\|^autofs"; echo err >&2'
  sees '^/dev/pts/0$'
  sees '^err$'
  type_in 'echo x >/dev/null && exit 5'
  sees '^host\$'
  type_in 'echo status $?'
  sees '^status 5'
  # As the host's root it has the host's terminals, and one of them.
  type_in '$CE --rm --without devices,user $R c1 none sh -c "tty; echo \$(ls /dev/pts | grep -c [0-9]) terminals; exit 6"'
  sees '^/dev/pts/[0-9]'
  sees '^[2-9][0-9]* terminals'
  type_in 'echo status $?'
  sees '^status 6'
}

@test "terminal: with bash of the host's root file system" {
  requires host_rootfs
  sit_down
  type_in '$CE $HOST_R c2 none'
  sees '[#$]$'
  type_in 'PS1="in$ "; clear'
  sees '^in\$'
  type_in 'tty; stty size; sleep 100'
  sees '^24 80$'
  wait_until 10 job_runs sleep c2
  press C-z
  sees 'Stopped +sleep 100'
  type_in 'fg %1'
  sees '^sleep 100'
  press C-c
  type_in 'echo "last: $?"'
  sees '^last: 130$'
  type_in 'exit'
  back_at_host 0
}

@test "terminal: Ctrl-C ends the program, not the shell" {
  sit_down
  enter_container
  type_in 'sleep 100'
  wait_until 10 job_runs sleep
  press C-c
  type_in 'echo "last: $?"'
  sees '^last: 130$'
  press C-d
  back_at_host 0
}

@test "terminal: Ctrl-Z, jobs, fg, and Ctrl-C again" {
  sit_down
  enter_container
  type_in 'sleep 100'
  wait_until 10 job_runs sleep
  press C-z
  sees 'Stopped +sleep 100'
  type_in 'jobs; echo on""ward'
  sees '^onward'
  type_in fg
  sees '^sleep 100'
  press C-c
  type_in 'jobs | wc -l; echo "last: $?"'
  sees '^0$'
  type_in 'exit 0'
  back_at_host 0
}

@test "terminal: the window's size follows, and the program is told" {
  sit_down
  enter_container
  type_in "sh -c 'trap \"stty size\" WINCH; while :; do sleep 0.1; done'"
  wait_until 10 job_runs sh
  at_tmux resize-window -x 100 -y 30
  sees '^30 100$'
  at_tmux resize-window -x 60 -y 20
  sees '^20 60$'
  press C-c
  type_in 'exit 0'
  back_at_host 0
}

@test "terminal: full screen: vi edits a file, top refreshes" {
  sit_down
  enter_container
  type_in 'vi /tmp/letter'
  sees '^~'
  press i 'Dear reader' Escape
  sees '^Dear reader'
  press :wq Enter
  sees '^/ #'
  type_in 'clear; cat /tmp/letter; echo re""ad'
  sees '^read'
  sees '^Dear reader$'
  type_in 'top -d 1'
  sees '^Mem: .*'
  sees 'PID +PPID'
  press q
  type_in 'exit 0'
  back_at_host 0
}

@test "terminal: every key gets in, every byte gets out" {
  requires script
  sit_down
  enter_container
  type_in 'stty raw -echo; echo go; head -c 6 | od -An -tx1 | tr -d " \n"; stty sane'
  sees '^go'
  press C-c C-z C-a C-d C-q C-s
  sees '031a01041113'
  press Enter
  type_in 'exit 0'
  back_at_host 0
  # To the last byte, though the program ends at once.
  mkfifo "$BATS_TEST_TMPDIR/keyboard"
  lab script -qec "'$ENGINE' '$ALPINE' c1 none seq 1 100000" "$BATS_TEST_TMPDIR/log" \
    <>"$BATS_TEST_TMPDIR/keyboard" >/dev/null 2>&1
  tr -d '\r' <"$BATS_TEST_TMPDIR/log" | grep -E '^[0-9]+$' | cmp - <(seq 1 100000)
}

# --- however it ends ------------------------------------------------------------------------------

@test "terminal: is restored when the container is killed" {
  sit_down
  enter_container
  # In raw mode the host's shell would not see its line.
  try -0 lab "$ENGINE" kill c1 KILL
  back_at_host 137
  enter_container
  lab kill -KILL "$(init_pid c1)"
  back_at_host 137
}

@test "terminal: is restored when the engine is told to end" {
  sit_down
  type_in '$CE $R c1 none sh -c "echo rea\"\"dy; exec sleep 1000"'
  sees '^ready'
  kill -TERM "$(engine_of c1)"
  back_at_host 143
  type_in 'clear; $CE $R c1 none sh -c "echo aga\"\"in; exec sleep 1000"'
  sees '^again' # the first one's word may still stand there
  kill -HUP "$(engine_of c1)"
  back_at_host 129
}

# The engine: the parent of the container's first process.
engine_of() {
  local init
  init=$(init_pid "$1") && sed -n 's/^PPid:\t//p' "/proc/$init/status"
}

@test "terminal: a first process that ignores Ctrl-C: the second says how it ends, Ctrl-\\ x 3 does" {
  sit_down
  type_in '$CE $R c1 none sh -c "trap \"\" INT QUIT; echo rea\"\"dy; while :; do sleep 0.1; done"'
  sees '^ready'
  press C-c
  sleep 0.5
  try -1 on_screen 'ignores Ctrl-C'
  press C-c
  sees 'container_engine: c1 ignores Ctrl-C'
  press C-\\
  press C-\\
  sleep 0.5
  [[ -d /proc/$(init_pid c1) ]]
  press C-\\
  back_at_host 137
}

@test "terminal: is left alone when nothing was started" {
  sit_down
  type_in '$CE $R c1 none nosuch'
  back_at_host 127
  type_in '$CE $R/none c1 none true'
  back_at_host 125
}

@test "terminal: when it goes away, so does the container" {
  sit_down
  enter_container
  at_tmux kill-server
  wait_until 15 leaks
}

@test "terminal: the program may change it as it likes; it is restored after that, too" {
  sit_down
  enter_container
  type_in 'stty raw -echo; exit 0'
  back_at_host 0
}

# --- exec -----------------------------------------------------------------------------------------

@test "terminal: exec has one of its own, with size, Ctrl-C and all" {
  start_idle c1 none
  sit_down
  type_in '$CE exec c1 sh'
  sees '^/ #'
  clean_screen
  type_in 'tty; stty size'
  sees '^/dev/pts/0$'
  sees '^24 80$'
  at_tmux resize-window -x 90 -y 22
  type_in 'stty size; sleep 100'
  sees '^22 90$'
  wait_until 10 lab "$ENGINE" exec c1 pgrep -x sleep
  press C-c
  type_in 'echo "last: $?"'
  sees '^last: 130$'
  type_in 'exit 4'
  back_at_host 4
  [[ -d /proc/$(init_pid c1) ]]
}

@test "terminal: exec beside a shell is a second terminal, and its end is not the shell's" {
  sit_down
  enter_container
  at_tmux split-window -d nsenter --target "$(<"$LAB/pid")" --net --mount -- \
    "$ENGINE" exec c1 sh -c 'tty >/tmp/second; stty size >>/tmp/second; exec sleep 1000'
  wait_until 10 lab "$ENGINE" exec c1 grep -q /dev/pts/1 /tmp/second
  at_tmux kill-pane -t 1
  clean_screen
  wait_until 10 lab "$ENGINE" exec c1 sh -c '! pgrep sleep'
  type_in 'tty; ls /dev/pts'
  sees '^/dev/pts/0$'
  type_in 'exit 0'
  back_at_host 0
}

# --- --step ---------------------------------------------------------------------------------------

# It waits at STEP (a pattern), and shows a command to look with.
waits_at() { # STEP
  sees "^(HOST|CONTAINER) +[0-9] $1 "
  sees 'Enter: go on; q: walk back *$'
}

@test "terminal: --step waits at each step, of both processes, and Enter goes on to the end" {
  local n
  sit_down
  type_in 'clear; $CE --step --rm $R c1 none echo wa""lked'
  waits_at claim
  sees 'look from another terminal: container_engine list'
  type_in ''
  waits_at cgroup
  type_in ''
  waits_at clone
  sees 'look from another terminal: lsns -p PID' # there is none yet; a 0 would be all of the host's
  for n in {1..40}; do # more than there are steps
    ! on_screen '^walked' || break
    sleep 0.3 # time for the other process to ask, too, if it could
    ! on_screen 'walk back +(HOST|CONTAINER|host|container)' || { sees nothing; return 1; }
    press Enter
  done
  sees '^walked'
  at_tmux send-keys C-u
  back_at_host 0
}

@test "terminal: --step: q walks back, from a step of the engine's and of the child's" {
  local n
  sit_down
  type_in 'clear; $CE --step --rm $R c1 none true'
  waits_at claim
  type_in ''
  waits_at cgroup
  type_in q
  sees 'cgroup: ended by q'
  sees '^HOST +back 1 claim'
  back_at_host 125
  [[ ! -e $LAB_CGROUP/container_engine/c1 && ! -e $LAB/layers/c1 ]]
  type_in 'clear; $CE --step --rm $R c1 none true'
  for n in {1..40}; do
    ! on_screen '^CONTAINER +3 pivot' || break
    press Enter
    sleep 0.2
  done
  sees 'look from another terminal: ls /proc/[0-9]+/root'
  type_in q
  sees 'pivot: ended by q'
  sees '^HOST +back 1 claim'
  back_at_host 125
  [[ ! -e $LAB_CGROUP/container_engine/c1 && ! -e $LAB/layers/c1 ]]
}

@test "terminal: --step waits for nobody at another terminal" {
  sit_down
  type_in 'clear; $CE --step --rm $R c1 none true'
  waits_at claim
  # shellcheck disable=SC2016
  try -0 lab bash -c 'yes "" | head -n 40 | timeout "$0" script -qec "$1" /dev/null' \
    "$((20 * ${CE_SLOW:-1}))" "$ENGINE --step --rm $ALPINE c2 none true"
  type_in q
  back_at_host 125
}

# --- no terminal ----------------------------------------------------------------------------------

@test "terminal: in the background it is left alone, and the container runs" {
  sit_down
  type_in '$CE --rm $R c1 none sh -c "tty; trap \"echo bye; exit 3\" TERM; sleep 1000 & wait" &'
  sees '^/dev/pts/0$'
  type_in 'jobs; $CE stop c1'
  sees 'Running'
  sees '^c1$'
  type_in 'wait $!; echo "job: $?"' # stop may return a moment before the engine has ended
  sees '^job: 3$'
  back_at_host 0
}

# What the program has as 0, 1, 2: its own terminal, a pipe, or whatever; and whether /dev/tty and
# /dev/console are that terminal. The answer goes to a file of the layer.
ENDS='own=$(stat -c %d.%i /dev/pts/0 2>/dev/null)
  ends=$(for n in 0 1 2; do
    if [ -n "$own" ] && [ "$(stat -Lc %d.%i /proc/$$/fd/$n)" = "$own" ]; then
      echo own
    else
      readlink /proc/$$/fd/$n | cut -d : -f 1
    fi
  done)
  if (: >/dev/tty) 2>/dev/null; then ends="$ends tty"; fi
  echo $ends >/ends.$0'

# Runs CMD with each of 0, 1, 2 the caller's terminal or something else, as the letters say: t: the
# terminal, f: a file, n: /dev/null, p: a pipe.
with_ends() { # LETTERS CMD...
  local letters=$1 file=$BATS_TEST_TMPDIR/end script='exec "$@"' fifo=$BATS_TEST_TMPDIR/keyboard
  shift
  echo text >"$file"
  case ${letters:0:1} in
    f) script+=" <$file" ;;
    n) script+=' </dev/null' ;;
    p) script="true | { $script; }" ;;
  esac
  case ${letters:1:1} in
    f) script+=" >>$file" ;;
    n) script+=' >/dev/null' ;;
    p) script+=' > >(cat)' ;;
  esac
  case ${letters:2:1} in
    f) script+=" 2>>$file" ;;
    n) script+=' 2>/dev/null' ;;
    p) script+=' 2> >(cat)' ;;
  esac
  [[ -e $fifo ]] || mkfifo "$fifo"
  lab timeout 20 script -qec "$(printf '%q ' bash -c "$script" bash "$@")" /dev/null <>"$fifo"
}

# What ENDS must say of them.
ends_of() { # LETTERS
  local letters=$1 i ends=()
  for ((i = 0; i < 3; i++)); do
    if [[ ${letters:i:1} == t ]]; then ends+=(own); else ends+=(pipe); fi
  done
  if [[ $letters == *t* ]]; then ends+=(tty); fi
  echo "${ends[*]}"
}

@test "terminal: whatever the mix: its own where the caller has one, else a pipe" {
  requires script
  local letters mode ends
  for mode in --userns=on --userns=off; do
    for letters in ttt ttp tpt tpp ptt ptp ppt ppp tff ftf fft tnn ntn nnt fff nnn tfp; do
      try with_ends "$letters" "$ENGINE" "$mode" "$ALPINE" c1 none sh -c "$ENDS" "$letters"
      ends=$(<"$LAB/layers/c1/upper/ends.$letters")
      echo "$letters: $ends"
      [[ $ends == "$(ends_of "$letters")" ]]
    done
    try -0 ce delete c1
  done
}

@test "terminal: whatever the mix, in exec, too" {
  requires script
  local letters mode ends
  for mode in --userns=on --userns=off; do
    try -0 ce "$mode" -d "$ALPINE" c1 none sleep 1000
    for letters in ttt ttp tpt tpp ptt ptp ppt ppp tff ftf fft tnn ntn nnt fff nnn tfp; do
      try with_ends "$letters" "$ENGINE" exec c1 sh -c "$ENDS" "$letters"
      ends=$(<"$LAB/layers/c1/upper/ends.$letters")
      echo "$letters: $ends"
      [[ $ends == "$(ends_of "$letters")" ]]
    done
    try -0 ce delete -f c1
  done
}

@test "terminal: of the caller's, neither mode nor settings can be changed, whatever the mix" {
  requires script
  local letters mode change='exec 3<&0 4>&1 5>&2; for n in 3 4 5; do
    chmod 666 /proc/self/fd/$n; chown 5 /proc/self/fd/$n; stty -echo -icanon <&$n
    echo owned >/proc/self/fd/$n; done >/dev/null 2>&1'
  for mode in --userns=on --userns=off; do
    for letters in ttt tpp tff tpt ttp ppt; do
      try with_ends ttt bash -c 'T=$(tty); before=$(stat -c "%a %u" $T; stty -g)
        case ${1:0:1} in p) exec </dev/null ;; esac
        case ${1:1:1} in p) exec > >(cat) ;; f) exec >/dev/null ;; esac
        case ${1:2:1} in p) exec 2> >(cat >&2) ;; f) exec 2>/dev/null ;; esac
        shift
        "$@"
        [[ $before == "$(stat -c "%a %u" $T; stty -g <$T)" ]] && echo unchanged >$T' bash \
        "$letters" "$ENGINE" "$mode" --rm "$ALPINE" c1 none sh -c "$change"
      [[ $output == *unchanged* ]]
    done
  done
}

@test "terminal: in the background what is typed is the shell's, also after a stop" {
  local i group
  sit_down
  type_in '$CE --rm $R c1 none sh -c "echo rea\"\"dy; while read -r x; do echo got-\$x; done" &'
  wait_until 10 job_is_there c1
  for i in 1 2 3 4 5 6 7 8; do
    type_in "echo sh\"\"ell-$i"
    sees "^shell-$i"
  done
  try -1 on_screen 'got-[^\\]'
  try -0 ce delete -f c1
  clean_screen
  # The same when the engine was in the foreground, and its output is a pipe, and it is stopped.
  type_in '$CE --rm $R c2 none sh -c "echo rea\"\"dy; while read -r x; do echo got-\$x; done" | cat'
  sees '^ready'
  group=$(ps -o pgid= -p "$(engine_of c2)" | tr -d ' ')
  kill -STOP -- "-$group"
  for i in 1 2 3 4 5 6 7 8; do
    type_in "echo sh\"\"ell-$i"
    sees "^shell-$i"
  done
  try -1 on_screen 'got-[^\\]'
  kill -CONT -- "-$group"
  try -0 ce delete -f c2
  clean_screen
}

job_is_there() { # NAME
  init_pid "$1" | grep -q .
}

@test "terminal: /dev/console says what is written to it, also when nobody had it open meanwhile" {
  requires script
  local mode script='exec </dev/null >/dev/null 2>&1
    for i in 1 2 3; do sleep 0.3; echo "word $i" >/dev/console; done; sleep 0.3'
  for mode in --userns=on --userns=off; do
    try -0 with_ends ttt "$ENGINE" "$mode" --rm "$ALPINE" c1 none sh -c "$script"
    [[ $output == *'word 1'*'word 2'*'word 3'* ]]
    try -0 ce "$mode" -d "$ALPINE" c1 none sleep 1000
    try -0 with_ends ttt "$ENGINE" exec c1 sh -c "${script//console/pts\/0}"
    [[ $output == *'word 1'*'word 2'*'word 3'* ]]
    try -0 ce delete -f c1
  done
}

@test "terminal: what is a pipe outside is one inside, and lines look as they should" {
  sit_down
  type_in '$CE $R c1 none sh -c "test -t 1 || echo no terminal; ls /dev/pts" | cat'
  sees '^no terminal$'
  sees '^ptmx$'
  type_in 'clear; echo x | $CE $R c1 none sh -c "cat; test -t 0 || echo no input; ls /dev/pts"'
  sees '^no input$'
  sees '^0 +ptmx$'
  back_at_host 0
  type_in 'clear; $CE $R c1 none sh -c "echo rea\"\"dy; sleep 100" | cat'
  sees '^ready'
  press C-c
  type_in 'echo "first: ${PIPESTATUS[0]}"'
  sees '^first: 130$'
  back_at_host 0
}

@test "pipes: 1 GiB in and out is byte-identical" {
  local size=$(((1 << 30) / ${CE_SLOW:-1}))
  head -c "$size" /dev/urandom | tee >(sha256sum >"$BATS_TEST_TMPDIR/in") |
    CE_TIMEOUT=120 ce "$ALPINE" c1 none cat 2>/dev/null | tee >(wc -c >"$BATS_TEST_TMPDIR/size") |
    sha256sum >"$BATS_TEST_TMPDIR/out"
  wait_until 10 test -s "$BATS_TEST_TMPDIR/size" -a -s "$BATS_TEST_TMPDIR/in"
  [[ $(<"$BATS_TEST_TMPDIR/size") -eq $size ]]
  cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
}

@test "pipes: stderr is separate, also through exec; end of input arrives" {
  try -0 ce --cpus max --memory max --pids max "$ALPINE" c1 none sh -c 'echo out; echo err >&2'
  [[ $output == out && $stderr == err ]]
  start_idle c1 none
  try -5 lab "$ENGINE" exec c1 sh -c 'echo out; echo err >&2; exit 5'
  [[ $output == out && $stderr == err ]]
  try -0 typing 'a line' lab "$ENGINE" exec c1 sh -c 'cat; echo end'
  [[ $output == $'a line\nend' ]]
  printf 'all\0bytes\377\n' | lab "$ENGINE" exec c1 cat | cmp - <(printf 'all\0bytes\377\n')
}

@test "pipes: a reader that goes away ends the writer" {
  ce "$ALPINE" c1 none sh -c 'yes; echo "ended: $?" >&2' 2>"$BATS_TEST_TMPDIR/err" | head -n 1
  [[ $(tail -n 1 "$BATS_TEST_TMPDIR/err") == 'ended: 141' ]] # 128+SIGPIPE
}

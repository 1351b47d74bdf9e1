#!/usr/bin/env bash
# attacks.sh [--list | ATTACK...]: each attack of test/attacks/ twice, with the wall that stops it and
# without. Ends with `N attacks: N broken without, N hold with`. (`make attacks A=forkbomb`)
#
# All of it happens in a throw-away VM: without their walls some of them would do harm.
set -euo pipefail

REPO=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
IP=192.168.1.2
PASSWORD=tiger

# ATTACK: the wall that stops it; `also` are walls that are missing both times, because they would
# stop it, too; the program and its arguments ($ADDRESS and the like are set by before_ATTACK).
# shellcheck disable=SC2016  # make_command expands them
ATTACKS='
#attack       wall         also     program and arguments
chroot        pivot        -        chroot $VICTIM
hostfile      user         pivot    chroot $VICTIM owned
processes     pid          -        processes.sh $PASSWORD
proc          proc         -        processes.sh $PASSWORD
kill          pid          user     kill.sh $VICTIM
memory        limits       -        memory
forkbomb      limits       -        forkbomb
cpu           limits       -        cpu
network       net          -        network.sh
sniff         net          user     sniff $PASSWORD
sharedmemory  ipc          -        sharedmemory.sh
hostname      uts          user     hostname.sh $VICTIM
cgroup        cgroup       -        cgroup.sh
disk          devices      user     disk.sh
keys          devices      user     keys
setting       masks        user     setting.sh
address       caps         -        address.sh 192.168.1.99
newuser       seccomp      -        newuser
leak          descriptors  -        leak.sh
terminal      descriptors  seccomp  terminal $PASSWORD
image         layer        -        image.sh
inotify       limits       -        inotify
'
# Options that an attack needs besides: to rename a host takes this capability.
declare -A OPTIONS=([hostname]='--cap-add SYS_ADMIN')

# ---- what an attack finds on the host, and what it did there ----

background() {
  "$@" >/dev/null 2>&1 &
  victims+=($!)
  disown # whoever kills it, the shell has nothing to say about it
}

before_chroot() { VICTIM=$work/victim && echo mine >"$VICTIM"; }
before_hostfile() { before_chroot && chmod 600 "$VICTIM"; }
before_processes() { background bash -c "exec -a 'sleep --password=$PASSWORD' sleep 1000"; }
before_proc() { before_processes; }
before_kill() { background sleep 1000 && VICTIM=${victims[-1]}; }
before_sniff() { background bash -c "while sleep 0.2; do echo $PASSWORD >/dev/udp/127.0.0.1/9; done"; }
before_sharedmemory() { ipcmk -M 4096 >/dev/null; }
after_sharedmemory() { ipcrm --all=shm; }
before_hostname() { VICTIM=$(hostname); }
before_keys() { # somebody types at a terminal
  background bash -c "while sleep 0.3; do echo $PASSWORD; done | script -qfc 'sleep 1000' /dev/null"
}
# A command under a terminal, and then the user's shell, which reads what was typed meanwhile.
run_terminal() {
  local said
  said=$(SHELL=/bin/bash script -qec "${command[*]}; read -rt 2 line; echo \"the shell read: \$line\"" /dev/null </dev/null)
  case $said in
    *"the shell read: $PASSWORD"*) echo "BROKEN: the host's shell read: $PASSWORD" ;;
    *HOLDS:*) grep -o 'HOLDS:.*' <<<"$said" ;;
    *) echo 'HOLDS: it typed into a terminal of its own' ;;
  esac
}
run_leak() { "${command[@]}" 9</; }
after_image() {
  if [[ -e rootfs/etc/owned ]]; then
    echo 'BROKEN: wrote into the root file system itself: /etc/owned'
  else
    echo "HOLDS: what it wrote is in the container's layer"
  fi
  rm -f rootfs/etc/owned
}
run_inotify() {
  rm -f "$work/taken" # of the try before
  "${command[@]}" 2>"$work/taken" &
  for _ in {1..300}; do
    ! grep -q taken "$work/taken" || break
    sleep 0.1
  done
  rootfs/attacks/inotify one || :
  wait $!
}

# ---- one attack ----

is_function() { [[ $(type -t "$1") == function ]]; }

# The command line, with $1 as the list of walls that are missing. Sets $command.
make_command() {
  local words=()
  read -ra words <<<"${OPTIONS[$attack]-}"
  command=(./container_engine --rm "${words[@]}")
  [[ -z $1 ]] || command+=(--without "$1")
  eval "words=($program)" # the table's own variables
  command+=(rootfs c1 "$IP" "/attacks/${words[0]}" "${words[@]:1}")
}

# Prints the line that tells how it went. Who runs into a limit is killed, and says nothing.
attack_once() {
  local status=0 said line
  said=$({ if is_function "run_$attack"; then "run_$attack"; else "${command[@]}" </dev/null; fi } \
    2>"$work/errors") || status=$?
  line=$(grep -E '^(BROKEN|HOLDS): ' <<<"$said" | tail -n 1 | tr -d '\r') || line=''
  ! is_function "after_$attack" || line=${line:-$("after_$attack")}
  [[ -n $line || $status -ne 137 ]] ||
    line="HOLDS: $(grep -m 1 killed "$work/errors" || echo 'killed')"
  printf '%s\n' "${line:-ERROR: status $status: $(tail -n 1 "$work/errors")}"
}

try_both() {
  local with without victims=() commands=() VICTIM=''
  ! is_function "before_$attack" || "before_$attack"
  [[ $also != - ]] || also=''
  make_command "$also"
  commands+=("${command[*]}")
  with=$(attack_once)
  make_command "$also${also:+,}$wall"
  commands+=("${command[*]}")
  without=$(attack_once)
  ((!${#victims[@]})) || kill "${victims[@]}" 2>/dev/null || :
  printf '%-12s %-13s %-8s %-8s\n' "$wall" "$attack" "${with%%:*}" "${without%%:*}"
  printf '    $ %s\n      %s\n' "${commands[0]}" "$with" "${commands[1]}" "$without"
  attacks=$((attacks + 1))
  [[ $with != HOLDS:* ]] || holds=$((holds + 1))
  [[ $without != BROKEN:* ]] || broken=$((broken + 1))
}

# The rows of the lab sheet's table.
list() {
  local attack wall also program with without
  while read -r attack wall also program; do
    [[ -n $program && $attack != \#* ]] || continue
    [[ $also != - ]] || also=''
    with=${OPTIONS[$attack]-}${also:+ --without $also}
    without="${OPTIONS[$attack]-} --without ${also:+$also,}$wall"
    with=${with# } without=${without# }
    # shellcheck disable=SC2016  # those are markdown's
    printf '| %s | [%s](attacks/%s) | %s | `%s` |\n' "$wall" "$attack" "$(source_of "${program%% *}")" \
      "${with:+\`$with\`}" "$without"
  done <<<"$ATTACKS"
}

source_of() { # PROGRAM
  if [[ $1 == *.sh ]]; then echo "$1"; else echo "$1.c"; fi
}

# In the VM. BUILT has the engine and the programs.
inside() { # BUILT [ATTACK...]
  local built=$1 attack wall also program attacks=0 holds=0 broken=0
  shift
  work=$(mktemp -d /var/lib/ce-disk/attacks.XXXXXX)
  chmod 755 "$work"
  cd "$work"
  mkdir rootfs
  tar -xf "$CE_ALPINE" -C rootfs
  cp -r "$built" rootfs/attacks
  mv rootfs/attacks/container_engine .
  "$REPO/env.sh" set >/dev/null
  printf '%-12s %-13s %-8s %-8s\n' wall attack with without
  while read -ru 3 attack wall also program; do
    [[ -n $program && $attack != \#* ]] || continue
    [[ $# -gt 0 && " $* " != *" $attack "* ]] || try_both
  done 3<<<"$ATTACKS"
  ((attacks)) || { printf 'attacks.sh: no attack is called %s\n' "$*" >&2; exit 2; }
  printf '%d attacks: %d broken without, %d hold with\n' "$attacks" "$broken" "$holds"
  ((attacks == broken && attacks == holds))
}

build() { # INTO
  local file
  cp "${ENGINE:-$REPO/container_engine}" "$1/container_engine"
  cp "$REPO"/test/attacks/*.sh "$1"
  for file in "$REPO"/test/attacks/*.c; do
    case $file in */attack.c | */loader.c) continue ;; esac # escape.bats' own
    gcc -std=gnu11 -O1 -static -o "$1/$(basename "$file" .c)" "$file"
  done
}

main() {
  case ${1-} in
    --inside)
      shift
      inside "$@"
      return
      ;;
    --list)
      list
      return
      ;;
  esac
  # shellcheck source=inputs.bash
  source "$REPO/test/inputs.bash"
  ensure_inputs
  tmp=$(mktemp -d)
  trap 'rm -rf "$tmp"' EXIT
  chmod 755 "$tmp"
  build "$tmp"
  "$REPO/test/vm.sh" --again --timeout 1200 "$REPO/test/attacks.sh" --inside "$tmp" "$@"
}

main "$@"

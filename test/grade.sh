#!/usr/bin/env bash
# grade.sh FILE...: what a student's container_engine.c can do, topic by topic: a line of TAP each,
# and the score. (`sudo make grade FILE=lesson3.c`) Ends with 0 when all topics are ok.
#
# The file is compiled and run in a throw-away VM, never here: nothing in it can hurt this machine.
# Nor can it go on for ever: each trial has its time, and all together have ($CE_GRADE_SECONDS).
# But there it is root beside us: a score says that the file works, not that its author is honest.
set -euo pipefail

REPO=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
# In the order of the steps, and the builds first.
TOPICS='build claim cgroup clone users network layer go private mounts pivot hostname caps seccomp exec'

# ---- the topics: what a step is there for, seen from outside ----

# Runs the engine under test; what it says goes to files, which unlike a pipe nobody can hold open.
# Sets $status. After one that hung, the others get less time.
ce() {
  local seconds=${CE_TRIAL_SECONDS:-20}
  [[ ! -e hung ]] || seconds=$((seconds / 5))
  status=0
  timeout -k 1 "$seconds" ./engine "$@" </dev/null >out 2>err || status=$?
  [[ $status != @(124|137) ]] || touch hung
}

# A command in a container without, or with, a network.
inside() { ce --rm rootfs t1 none sh -c "$1" && ((!status)); }
connected() { ce --rm rootfs t1 192.168.1.2 sh -c "$1" && ((!status)); }
started() { ce -d --rm rootfs t1 none sleep 100 && ((!status)); }
has_line() { grep -qxE -- "$1" out; }

topic_build() { # 'it compiles with plain gcc'
  [[ -x engine ]]
}
topic_claim() { # 'a name that runs is taken'
  started
  ce rootfs t1 none true
  ((status == 125)) && grep -q claim err
}
topic_cgroup() { # 'the limits are written, and the first process is in its cgroup'
  local cgroup=/sys/fs/cgroup/container_engine/t1
  started
  [[ $(cat $cgroup/cpu.max $cgroup/memory.max $cgroup/pids.max 2>/dev/null | xargs) == '50000 100000 52428800 64' ]]
  [[ $(cat $cgroup/cgroup.procs) -gt 0 ]]
}
topic_clone() { # 'process number 1, in namespaces of its own'
  local kind
  # shellcheck disable=SC2016  # the shell inside expands it
  inside 'echo "I am $$"; for link in /proc/self/ns/*; do readlink $link; done'
  has_line 'I am 1'
  for kind in cgroup ipc mnt net pid user uts; do
    [[ $(<out) != *"$(readlink "/proc/self/ns/$kind")"* ]]
  done
}
topic_users() { # 'root inside is nobody outside'
  inside 'cat /proc/self/uid_map; id -u'
  has_line ' *0 +[1-9][0-9]{5,} +65536' && has_line 0
}
topic_network() { # 'eth0 has the address, and the gateway answers'
  connected 'ip -o -4 addr show eth0; ping -c 1 192.168.1.1'
  grep -q 'inet 192.168.1.2/24' out && grep -q '1 packets received' out
}
topic_layer() { # 'what is written stays, and not in the rootfs'
  ce rootfs t1 none sh -c 'echo mine >/root/x'
  ce rootfs t1 none cat /root/x
  has_line mine && [[ ! -e rootfs/root/x ]]
}
topic_go() { # 'it becomes the program, whose status is the status; if it cannot, it says why'
  ce --rm rootfs t1 none sh -c 'echo here; exit 7'
  ((status == 7)) && has_line here
  ce --rm rootfs t1 none /no/such/program
  grep -q '^container_engine: exec: ' err
}
topic_private() { # 'the host sees none of its mounts'
  local before
  before=$(findmnt -rno TARGET,FSTYPE | sort)
  started
  [[ $(findmnt -rno TARGET,FSTYPE | sort) == "$before" ]]
}
topic_mounts() { # 'proc, sys and dev are its own; settings of the kernel are read-only'
  inside 'ls -d /proc/[0-9]* | wc -l; stat -c %t:%T /dev/null; wc -c </proc/interrupts
    grep -c " /sys/fs/cgroup ro" /proc/self/mountinfo; (echo 1 >/proc/sys/kernel/panic) 2>&1; :'
  [[ $(head -n 4 out | xargs) =~ ^[1-9]\ 1:3\ 0\ 1$ ]] && grep -q 'Read-only' out
}
topic_pivot() { # 'no mount and no path of the host is there'
  inside 'grep " / / " /proc/self/mountinfo | grep -vc overlay
    ls -d /host-marker /etc/alpine-release; :'
  has_line 0
  [[ $(<out) != */host-marker* ]]
  has_line /etc/alpine-release
}
topic_hostname() { # 'its own name, and lo is up'
  inside 'hostname; ip link show lo'
  has_line t1 && grep -q 'LOOPBACK,UP' out && [[ $(hostname) != t1 ]]
}
topic_caps() { # '13 capabilities, and no new privileges'
  inside 'grep -E "^(CapBnd|NoNewPrivs)" /proc/self/status'
  has_line 'CapBnd:.00000000a00425fb' && has_line 'NoNewPrivs:.1'
}
topic_seccomp() { # 'a filter, which denies a new user namespace'
  inside 'grep ^Seccomp: /proc/self/status; unshare -U true 2>&1; :'
  has_line 'Seccomp:.2' && grep -q 'Operation not permitted' out
}
topic_exec() { # 'a clean environment, only 0, 1, 2 open, 127 for what is not found'
  SECRET=x inside 'env; ls /proc/self/fd | wc -l'
  [[ $(<out) != *SECRET* ]]
  has_line HOME=/root
  has_line 4 # ls has the directory itself open
  ce --rm rootfs t1 none /no/such/program
  ((status == 127))
}

# ---- one file, in the VM ----

# Whatever the trial left: its processes, its cgroups, its names, its layers.
clean_up() {
  local link kill
  for link in /proc/[0-9]*/exe; do
    [[ ! $link -ef engine ]] || kill -KILL "$(cut -d / -f 3 <<<"$link")" 2>/dev/null || :
  done
  for kill in /sys/fs/cgroup/container_engine/*/cgroup.kill; do
    [[ ! -e $kill ]] || echo 1 >"$kill"
  done
  find /sys/fs/cgroup/container_engine -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || :
  rm -rf /run/netns/* /run/container_engine/t1
  find /var/lib/container_engine -mindepth 1 -delete 2>/dev/null || :
  rm -f rootfs/root/x
}

# All files, two at a time: in an emulated machine a compiler takes its time. (A file that the tests
# have built, and trust, lies in $CE_BUILT.)
compile() { # FILE...
  local n=0 file built
  mkdir built
  for file; do
    n=$((n + 1)) built=${CE_BUILT-}/${file##*/}
    : >"built/$n.err"
    if [[ -x ${built%.c} ]]; then
      cp "${built%.c}" "built/$n"
    else
      (timeout 300 gcc "$file" -o "built/$n" 2>"built/$n.err" || :) &
    fi
    ((n % 2)) || wait
  done
  wait
}

# The topics of a file: all, or those that the tests name: FILE=TOPIC,TOPIC...
topics_of() { # FILE
  local word topics=$TOPICS
  for word in ${CE_ONLY-}; do
    [[ $word != "${1##*/}="* ]] || topics=${word#*=}
  done
  echo "${topics//,/ }"
}

grade() { # N FILE
  local topic what n=0 score=0 topics
  topics=$(topics_of "$2")
  printf '# %s\n1..%d\n' "${2##*/}" "$(wc -w <<<"$topics")"
  rm -f engine hung
  [[ ! -e built/$1 ]] || cp "built/$1" engine
  cp "built/$1.err" err
  for topic in $topics; do
    n=$((n + 1))
    what=$(sed -n "s/^topic_$topic() { # '\(.*\)'$/\1/p" "$REPO/test/grade.sh")
    # a shell of its own, for which -e holds: the first line that fails ends it
    if [[ -x engine ]] && timeout -k 1 90 "$REPO/test/grade.sh" --topic "$topic"; then
      printf 'ok %d - %s: %s\n' "$n" "$topic" "$what"
      score=$((score + 1))
    else
      printf 'not ok %d - %s: %s\n' "$n" "$topic" "$what"
      { grep -m 1 -E 'error: |^container_engine: ' err || grep -m 1 . err; } |
        tr -cd '[:print:]\n' | cut -c 1-200 | sed 's/^/# /' || :
    fi
    clean_up
  done </dev/null
  printf '# score: %d of %d\n' "$score" "$n"
  ((score == n))
}

in_vm() { # FILE...
  local file n=0 failed=0
  cd /var/lib/ce-disk
  mkdir rootfs
  tar -xf "$CE_ALPINE" -C rootfs
  touch /host-marker
  "$REPO/env.sh" set >/dev/null
  compile "$@"
  for file; do
    n=$((n + 1))
    grade "$n" "$file" || failed=1
  done
  return "$failed"
}

main() {
  local file files=()
  case ${1-} in
    --in-vm)
      shift
      in_vm "$@"
      exit
      ;;
    --topic)
      "topic_$2"
      exit
      ;;
    '') printf 'usage: grade.sh FILE...\n' >&2 && exit 2 ;;
  esac
  for file; do
    [[ -f $file && -r $file ]] || { printf 'grade.sh: %s: no such file\n' "$file" >&2; exit 2; }
    files+=("$(realpath "$file")")
  done
  # shellcheck source=inputs.bash
  source "$REPO/test/inputs.bash"
  ensure_inputs
  "$REPO/test/vm.sh" --again --timeout "${CE_GRADE_SECONDS:-600}" "$REPO/test/grade.sh" --in-vm "${files[@]}"
}

main "$@"

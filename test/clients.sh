#!/usr/bin/env bash
# clients.sh: podman, containerd and docker drive crun and this engine, side by side: `make
# test-clients`.
#
#   test/clients.sh [CLIENT...]    each line below, with crun and with the engine, must give the
#                                  same output and exit status; CLIENT: podman, containerd, docker
#   test/clients.sh record DIR     the lines with crun alone, behind a recorder: what the clients
#                                  call and the bundles they write go to DIR (see fixtures/README)
#
# CE_LINES=REGEX takes only the lines whose names match, CE_VERBOSE=1 shows what they gave.
#
# ENGINE is the engine, container_engine of this tree by default. ENGINE=/usr/sbin/runc shows what
# a difference looks like, ENGINE=/usr/bin/crun that there is none without a cause.
#
# All of it happens in one throw-away VM (test/vm.sh): cgroup v2 with its controllers, Debian's own
# clients as they are installed here, cgroupfs as the cgroup manager, no security option. The image
# is the Alpine tarball $CE_ALPINE; there is no network to fetch from. One VM, because it takes 6 s
# to boot and dockerd 12 s to start; both runtimes at once, because the VM has two processors.
set -euo pipefail

cd "${BASH_SOURCE[0]%/*}/.."
REPO=$PWD

# --- the lines -------------------------------------------------------------------------------
#
# NAME | COMMAND. A line with ONLY before its name is for the engine alone, because crun cannot do
# it; its exit status must be 0. $R is the runtime's name, which outputs show as R; $PORT is a port
# that no other runtime has; $RT selects the runtime of `docker run`: the engine is docker's default
# one, so nothing. `tty` gives a command a terminal, `apart` has its errors last. In a line that
# creates a container or executes in one NAME is that of its fixture as well.
#
# Left out, with crun 1.8.1 and the clients of Debian 12:
#   podman update --pids-limit, --init     4.3 does not know the one, the other needs catatonit
#   a pod below its own cgroup             podman 4.3 with cgroupfs forbids all devices there (an
#                                          empty list of rules), so crun cannot mknod /dev/null:
#                                          --share-parent=false
#   podman healthcheck by a timer          its timers are systemd's: --health-interval disable
#   ctr task update                        1.6 has no such command; `docker update` makes the shim
#                                          call the same `update --resources -`
#   docker: the OOM score                  docker asks for 0, and crun leaves what the caller has
#   docker: HOME of a user without one     / for runc and for us, none for crun: so it is user 8
#   docker run of a missing program: 127   docker looks for runc's words, crun gets 125: only that
#                                          it is one of them

lines_podman() {
  cat <<'LINES'
podman-default    | apart podman run --rm --network none alpine sh -c "$FACTS; $SCORE; echo err >&2; exit 3"
podman-terminal   | tty podman run --rm --network none -it alpine sh -c 'tty; test -c /dev/console && echo console; exit 4'
podman-stdin      | echo text | podman run --rm --network none -i alpine cat
podman-not-found  | podman run --rm --network none alpine nosuch
podman-not-a-file | podman run --rm --network none alpine /etc
podman-user       | podman run --rm --network none --user 1000:1001 --group-add 5 --ulimit nofile=100:200 -w /tmp alpine sh -c "$FACTS; ulimit -n; ulimit -Hn"
podman-read-only  | podman run --rm --network none --read-only --tmpfs /x alpine sh -c "$FACTS; touch /x/a && echo x; grep ' /x ' /proc/mounts"
podman-caps       | podman run --rm --network none --cap-add SYS_PTRACE --cap-drop CHOWN --device /dev/fuse alpine sh -c "$FACTS; chown 1 /tmp; : <>/dev/fuse && echo fuse"
podman-unconfined | podman run --rm --network none --security-opt seccomp=unconfined alpine sh -c "$FACTS; unshare -U true"
podman-limits     | podman run --rm --network none --memory 64m --cpus 0.5 --pids-limit 50 alpine sh -c 'cd /sys/fs/cgroup; cat memory.max cpu.max pids.max; cat /proc/self/cgroup'
podman-volume     | podman run --rm --network none -v /etc:/e:ro --hostname hh --sysctl kernel.msgmax=9000 alpine sh -c 'hostname; cat /proc/sys/kernel/msgmax; head -n 1 /e/passwd; touch /e/x'
podman-userns     | podman run --rm --network none --uidmap 0:100000:65536 --gidmap 0:100000:65536 alpine sh -c "$FACTS; cat /proc/self/uid_map; stat -c %u /bin"
podman-published  | podman run -d --name web-$R -p $PORT:80 --health-cmd 'test -d /etc' --health-interval disable alpine sh -c "$SERVER"
podman-connect    | patiently connect $PORT
podman-address    | podman exec web-$R ip -o -4 addr show eth0 | sed 's/.*inet //'
podman-exec       | podman exec web-$R sh -c "$FACTS; exit 5"
podman-exec-user  | podman exec -e A=b -w /tmp -u 1000 web-$R sh -c "$FACTS"
podman-exec-terminal | tty podman exec -it web-$R sh -c 'tty; exit 6'
podman-exec-not-found | podman exec web-$R nosuch
podman-health     | podman healthcheck run web-$R && podman inspect -f '{{.State.Health.Status}}' web-$R
podman-top        | podman top web-$R user pid args
podman-pause      | podman pause web-$R; podman inspect -f '{{.State.Status}}' web-$R
podman-unpause    | podman unpause web-$R; podman inspect -f '{{.State.Status}}' web-$R
podman-update     | podman update --cpus 0.5 --memory 64m web-$R; podman exec web-$R cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max
podman-kill       | podman kill -s USR1 web-$R && patiently said podman web-$R usr1
podman-stop       | podman stop -t 20 web-$R; podman inspect -f '{{.State.ExitCode}} {{.State.Status}}' web-$R; podman logs web-$R
podman-rm         | podman rm web-$R; podman ps -aq --filter name=web-$R
podman-pod        | podman pod create --name pod-$R --network none --share-parent=false --infra-image alpine --infra-command 'sleep 1000'
podman-pod-first  | podman run -d --pod pod-$R --name first-$R alpine sh -c "$SERVER"
podman-pod-member | podman run --rm --pod pod-$R alpine sh -c 'sleep 2; nc 127.0.0.1 80 </dev/null; hostname; ls /proc | grep -c "^[0-9]"'
podman-pod-kill   | podman kill first-$R; podman inspect -f '{{.State.ExitCode}}' first-$R
podman-pod-rm     | podman pod rm -f -t 0 pod-$R >/dev/null; podman pod ls -q --filter name=pod-$R
LINES
}

lines_containerd() {
  cat <<'LINES'
containerd-default  | ctr run --rm --runc-binary $BINARY localhost/alpine:latest a-$R sh -c "$FACTS; $SCORE; exit 3"
containerd-terminal | tty ctr run --rm -t --runc-binary $BINARY localhost/alpine:latest t-$R sh -c 'tty; exit 4'
containerd-options  | ctr run --rm --runc-binary $BINARY --seccomp --read-only --memory-limit 64000000 --cpus 0.5 --cwd /tmp --env A=b --cap-drop CAP_CHOWN localhost/alpine:latest o-$R sh -c "$FACTS; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max"
containerd-not-found | ctr run --rm --runc-binary $BINARY localhost/alpine:latest n-$R nosuch 2>/dev/null
containerd-detached | ctr run -d --null-io --runc-binary $BINARY localhost/alpine:latest c-$R sh -c "$SERVER"
containerd-exec     | ctr task exec --exec-id e1 c-$R sh -c "$FACTS; exit 5"
containerd-exec-terminal | tty ctr task exec -t --exec-id e2 c-$R tty
containerd-ps       | ctr task ps c-$R | wc -l
containerd-pause    | ctr task pause c-$R; ctr task ls | awk '$1 == "c-'$R'" { print $3 }'
containerd-resume   | ctr task resume c-$R; ctr task ls | awk '$1 == "c-'$R'" { print $3 }'
containerd-metrics  | ctr task metrics c-$R | awk '{ print $1 }'
containerd-kill     | ctr task kill -s TERM c-$R && patiently stopped c-$R
containerd-delete   | ctr task delete c-$R 2>&1 | grep -o 'exit code .*'; ctr container delete c-$R; ctr container ls -q | grep -c -- "-$R"
LINES
}

lines_docker() {
  cat <<'LINES'
docker-default    | apart docker run --rm $RT alpine sh -c "$FACTS; ip -o -4 addr show eth0 | sed 's/.*inet //'; echo err >&2; exit 3"
docker-by-name    | docker run --rm --runtime $R --network none alpine echo here
docker-terminal   | tty docker run --rm $RT --network none -it alpine sh -c 'tty; exit 4'
docker-options    | docker run --rm $RT --network none --user 8:1001 --read-only --tmpfs /x --ulimit nofile=100:200 --device /dev/fuse --cap-add SYS_PTRACE --cap-drop CHOWN --memory 64m --cpus 0.5 --pids-limit 50 alpine sh -c "$FACTS; ulimit -Hn; cd /sys/fs/cgroup; cat memory.max cpu.max pids.max"
docker-not-found  | docker run --rm $RT --network none alpine nosuch 2>/dev/null; [[ $? == 12[57] ]]
docker-detached   | docker run -d $RT --name d-$R -p $PORT:80 alpine sh -c "$SERVER"
docker-connect    | patiently connect $PORT
docker-exec       | docker exec d-$R sh -c "$FACTS; exit 5"
docker-exec-user  | docker exec -u 8 -w /tmp -e A=b d-$R sh -c "$FACTS"
docker-exec-terminal | tty docker exec -it d-$R tty
docker-top        | docker top d-$R -o pid,args | sed 's/^ *[0-9]* //'
docker-pause      | docker pause d-$R; docker inspect -f '{{.State.Status}}' d-$R; docker unpause d-$R
ONLY docker-update | docker update --cpus 0.5 --memory 64m d-$R; docker exec d-$R grep -x -e 67108864 -e '50000 100000' /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max
docker-kill       | docker kill -s USR1 d-$R && patiently said docker d-$R usr1
docker-stop       | docker stop -t 20 d-$R; docker inspect -f '{{.State.ExitCode}} {{.State.Status}}' d-$R; docker logs d-$R
docker-rm         | docker rm d-$R; docker ps -aq --filter name=d-$R
docker-network    | docker network create br-$R; docker run --rm $RT --network br-$R alpine sh -c 'ip -o -4 addr show eth0 | grep -c inet; ip route | grep -c default; cat /etc/resolv.conf | grep ^nameserver'; docker network rm br-$R
LINES
}

# What a program can see of its container. (What is mounted how, and /dev/core, is the runtime's
# own affair.) The attempts to write, to read and to enter must fail or succeed alike.
# shellcheck disable=SC2089 # they are for a shell inside, quotes and all
FACTS='id -u; id -g; id -G; umask; pwd; hostname; env | sort
grep -E "^(Cap|NoNew|Seccomp:)" /proc/self/status; ls /dev | grep -v core; readlink /dev/fd; tr "\0" " " </proc/1/cmdline | cut -c 1-3
touch /etc/x 2>/dev/null && echo root is writable
echo 1 2>/dev/null >/proc/sys/kernel/printk && echo /proc/sys is writable
mkdir /sys/fs/cgroup/x 2>/dev/null && echo cgroup is writable
head -c 1 /proc/kcore 2>/dev/null | wc -c; ls /sys/firmware 2>/dev/null | wc -l
mount -t tmpfs t /mnt 2>/dev/null && echo can mount
mknod /tmp/m b 8 0 2>/dev/null && echo can mknod; rm -f /tmp/m; test ! -e /dev/mem'

# Serves a line on port 80, speaks on SIGUSR1, ends with 7 on SIGTERM.
# shellcheck disable=SC2089
SERVER='trap "echo usr1" USR1; trap "echo term; exit 7" TERM; echo ready
(while :; do echo hello | nc -l -p 80; done) & while :; do wait; done'

SCORE='cat /proc/self/oom_score_adj'

# shellcheck disable=SC2090
export FACTS SERVER SCORE

# --- what the lines call -----------------------------------------------------------------------

podman() { command podman --runtime "$R" "$@"; }

# A FIFO open for both never ends: the terminal gets no end of file, which it would echo or not,
# depending on who was faster.
tty() {
  [[ -p /run/silence-$R ]] || mkfifo "/run/silence-$R"
  script -qec "${*@Q}" /dev/null <>"/run/silence-$R"
}

# Output and errors come by two ways: which is first differs from run to run.
apart() {
  local status=0
  "$@" 2>"/run/errors-$R" || status=$?
  cat "/run/errors-$R"
  return "$status"
}

connect() { timeout 10 cat <"/dev/tcp/127.0.0.1/$1" | grep .; }
said() { "$1" logs "$2" 2>&1 | grep -x "$3"; }
stopped() { ctr task ls | awk -v name="$1" '$1 == name { print $3 }' | grep STOPPED; }

patiently() {
  local end=$((SECONDS + 15))
  until "$@" 2>/dev/null; do
    ((SECONDS < end)) || return 1
    sleep 0.5
  done
}

export -f podman tty apart connect said stopped patiently

# --- in the VM: the clients ---------------------------------------------------------------------

DISK=${CE_DISK:-/var/lib/ce-disk}

# netavark's and docker's rules need these; iptables in an emulated machine is slow, but it works.
load_modules() {
  modprobe -a xt_comment xt_mark nft_compat xt_MASQUERADE xt_addrtype xt_conntrack xt_nat xt_tcpudp \
    nft_nat nft_chain_nat bridge br_netfilter veth fuse overlay
}

start_podman() {
  mkdir -p /etc/containers
  cat >/etc/containers/containers.conf <<CONF
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
[engine.runtimes]
crun = ["/run/bin/crun"]
ours = ["/run/bin/ours"]
[network]
network_backend = "netavark"
CONF
  printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/podman"\nrunroot = "%s"\n' "$DISK" \
    /run/containers/storage >/etc/containers/storage.conf
  command podman import --change CMD=/bin/sh "$CE_ALPINE" alpine
}

# Both daemons use the one containerd.
start_containerd() {
  printf 'version = 2\nroot = "%s/containerd"\nstate = "/run/containerd"\ndisabled_plugins = [%s]\n' \
    "$DISK" '"io.containerd.grpc.v1.cri"' >/run/containerd.toml
  containerd -c /run/containerd.toml >/run/containerd.log 2>&1 &
  until ctr version >/dev/null 2>&1; do sleep 0.3; done
  [[ -d $DISK/podman ]] || start_podman
  command podman save -o "$DISK/alpine.tar" alpine
  ctr image import --base-name alpine "$DISK/alpine.tar"
}

start_docker() {
  [[ -S /run/containerd/containerd.sock ]] || start_containerd
  dockerd --data-root "$DISK/docker" -H unix:///run/docker.sock \
    --containerd /run/containerd/containerd.sock --exec-opt native.cgroupdriver=cgroupfs \
    --add-runtime crun=/run/bin/crun --add-runtime ours=/run/bin/ours \
    --default-runtime "$default_runtime" >/run/docker.log 2>&1 &
  until docker version >/dev/null 2>&1; do sleep 0.5; done
  docker import "$CE_ALPINE" alpine
}

# --- in the VM: the comparison ------------------------------------------------------------------

# Runs CLIENT's lines with runtime $R: DIR/$R/NAME.out is what each printed and its exit status.
run_lines() { # CLIENT DIR
  local name command status
  mkdir -p "$2/$R"
  while IFS='|' read -r name command; do
    [[ $name =~ ${CE_LINES-} ]] || continue
    if [[ $name == 'ONLY '* ]]; then
      name=${name#ONLY }
      [[ $R == ours ]] || continue
      touch "$2/only.${name// /}"
    fi
    name=${name// /}
    printf '%s\n' "$name" >"/run/now-$R"
    status=0
    timeout -k 5 300 bash -c "$command" </dev/null >"$2/$R/$name.raw" 2>&1 || status=$?
    printf 'status %d\n' "$status" | cat "$2/$R/$name.raw" - | normalise >"$2/$R/$name.part"
    mv "$2/$R/$name.part" "$2/$R/$name.out"
  done < <("lines_$1")
}

# What differs from run to run, and what is said in the runtime's own words.
normalise() {
  tr -d '\r' | sed -E \
    -e '/resize pty/d' -e 's/[0-9a-f]{64}/ID/g; s/\b[0-9a-f]{12}\b/SHORT/g' \
    -e 's/-(crun|ours)\b/-R/g; s/\b(808|909)[0-9]\b/PORT/g' \
    -e 's/(10\.88\.[0-9]+|172\.[0-9]+\.[0-9]+)\.[0-9]+/\1.N/g; s/172\.[0-9]+\./172.N./g' \
    -e 's/time="[^"]*"/TIME/g' \
    -e 's/\b(crun|ours): .*: (OCI [^:]*)$/R: \2/'
}

both_are_done() { # NAME DIR
  [[ -e $2/ours/$1.out && (-e $2/crun/$1.out || -e $2/only.$1) ]]
}

# One line of TAP for each line of CLIENT, as soon as both have run it; a difference is shown whole.
compare_lines() { # CLIENT DIR
  local name command
  while IFS='|' read -r name command; do
    [[ $name =~ ${CE_LINES-} ]] || continue
    name=${name#ONLY } name=${name// /} total=$((total + 1))
    while ! both_are_done "$name" "$2" && kill -0 "${jobs[@]}" 2>/dev/null; do sleep 0.5; done
    if [[ -e $2/only.$name ]]; then
      printf 'status 0\n' >"$2/crun/$name.out"
      ! tail -n 1 "$2/ours/$name.out" | grep -qx 'status 0' ||
        cp "$2/ours/$name.out" "$2/crun/$name.out"
    fi
    if diff -U 100 --label crun --label ours "$2/crun/$name.out" "$2/ours/$name.out" >"$2/diff" 2>&1
    then
      printf 'ok %d - %s\n' "$total" "$name"
      [[ -z ${CE_VERBOSE-} ]] || sed 's/^/#   /' "$2/ours/$name.out"
    else
      failed=$((failed + 1))
      printf 'not ok %d - %s\n' "$total" "$name"
      printf '# $%s\n' "$command"
      sed 's/^/# /' "$2/diff"
    fi
  done < <("lines_$1")
}

# Nothing of a container may be left when all are removed: no process, cgroup or state of ours.
nothing_left() {
  find /sys/fs/cgroup -mindepth 1 -type d \( -name '*-crun' -o -name '*-ours' \
    -o -regextype posix-extended -regex '.*[0-9a-f]{64}' \)
  find /var/lib/container_engine /run/netns -mindepth 1 -maxdepth 1 ! -name '.*' 2>/dev/null
  pgrep -x -a 'ours|conmon|containerd-shim' || :
}

all_is_gone() { [[ -z $(nothing_left) ]]; }

compare() { # CLIENT...
  local client dir=/run/lines total=0 failed=0 left='' port=0 begin
  mkdir -p /run/bin
  cp /usr/bin/crun /run/bin/crun
  cp "$ENGINE" /run/bin/ours
  default_runtime=ours
  load_modules
  for client; do
    "lines_$client" | cut -d '|' -f 1 | grep -qE "${CE_LINES-}" || continue
    begin=$SECONDS
    "start_$client" >/run/start.log 2>&1 || { cat /run/start.log; return 1; }
    printf '# %s: ready after %d s\n' "$client" "$((SECONDS - begin))"
    begin=$SECONDS
    port=$((port + 1))
    R=crun RT='--runtime crun' BINARY=/run/bin/crun PORT=808$port run_in_background "$client" "$dir"
    R=ours RT='' BINARY=/run/bin/ours PORT=909$port run_in_background "$client" "$dir"
    compare_lines "$client" "$dir"
    wait "${jobs[@]}"
    jobs=()
    printf '# %s: %d s\n' "$client" "$((SECONDS - begin))"
  done
  total=$((total + 1))
  patiently all_is_gone || left=$(nothing_left)
  if [[ -z $left ]]; then
    printf 'ok %d - nothing is left\n' "$total"
  else
    failed=$((failed + 1))
    printf 'not ok %d - nothing is left\n# %s\n' "$total" "${left//$'\n'/$'\n'# }"
  fi
  printf '1..%d\n# clients: %d lines, %d different\n' "$total" "$total" "$failed"
  ((failed == 0))
}

jobs=()
run_in_background() {
  export R RT BINARY PORT
  run_lines "$@" &
  jobs+=($!)
}

# --- in the VM: the recorder --------------------------------------------------------------------

# Takes crun's place: notes what it is called with, copies the bundle's files, and runs crun.
write_recorder() {
  cat >/run/bin/recorder <<'RECORDER'
#!/bin/bash
call=/run/calls/$(date +%s%N)
mkdir -p "$call"
cat /run/now-crun >"$call/line" 2>/dev/null
printf '%q ' "$@" >"$call/argv"
env | sort >"$call/env"
ls -l /proc/self/fd >"$call/fds"
command='' previous='' log=''
for word; do
  case $previous in
    --bundle) cp "$word/config.json" "$call/" ;;
    --process) cp "$word" "$call/process.json" ;;
    --log) log=$word ;;
  esac
  case $word in
    create | exec | update) [[ -n $command ]] || command=$word ;;
    --resources=*) cp "${word#*=}" "$call/stdin" ;;
  esac
  [[ $previous$word != --resources- ]] || { cat >"$call/stdin"; exec <"$call/stdin"; }
  previous=$word
done
/usr/bin/crun "$@" 2> >(tee "$call/stderr" >&2)
status=$?
echo "$status" >"$call/status"
[[ ! -s $log ]] || tail -n 1 "$log" >"$call/log"
exit "$status"
RECORDER
  chmod +x /run/bin/recorder
}

record_inside() {
  local client
  mkdir -p /run/bin /run/calls
  write_recorder
  cp /run/bin/recorder /run/bin/crun
  cp /run/bin/recorder /run/bin/ours
  default_runtime=crun
  load_modules
  for client in podman containerd docker; do
    printf 'start-%s\n' "$client" >/run/now-crun
    "start_$client" >&2
    R=crun RT='--runtime crun' BINARY=/run/bin/crun PORT=8081 run_in_background "$client" /run/lines
    wait "${jobs[@]}"
    jobs=()
  done
  tar -C /run -cf - calls lines
}

# --- here ---------------------------------------------------------------------------------------

die() { printf 'clients.sh: %s\n' "$*" >&2 && exit 1; }

# One config.json or process.json without what another run would write otherwise.
normalise_json() {
  jq --indent 1 . "$1" | sed -E \
    -e 's#"/[^"]*/overlay2?/[0-9a-f]{64}/merged#"@ROOTFS@#' \
    -e 's#"/[^"]*/(overlay-containers/[0-9a-f]{64}/userdata|docker/containers/[0-9a-f]{64})/#"@FILES@/#' \
    -e 's#/run/netns/netns-[-0-9a-f]*#@NETNS@#; s#/proc/[0-9]+/ns/#/proc/@PID@/ns/#' \
    -e 's#/proc/[0-9]+/exe#/proc/@PID@/exe#; s#[0-9a-f]{64}#@ID@#g; s#\b[0-9a-f]{12}\b#@SHORT@#g' \
    -e 's#"20[0-9-]+T[0-9:.Z+-]+"#"@TIME@"#'
}

record() { # DIR
  local dir=$1 call name file
  mkdir -p "$dir/raw"
  test/vm.sh --timeout 2400 -- test/clients.sh record-inside | tar -C "$dir/raw" -xf -
  for call in "$dir"/raw/calls/*; do
    name=$(<"$call/line")
    for file in config.json process.json; do
      [[ ! -e $call/$file || -e $dir/$name.json ]] || normalise_json "$call/$file" >"$dir/$name.json"
    done
    printf '%s [%s] %s\n' "$name" "$(cat "$call/status" 2>/dev/null || echo -)" "$(<"$call/argv")"
    [[ ! -e $call/stdin ]] || printf '    with %s\n' "$(<"$call/stdin")"
    [[ ! -s $call/stderr ]] || sed 's/^/    stderr: /' "$call/stderr"
    [[ ! -e $call/log || $(<"$call/status") == 0 ]] || sed 's/^/    log: /' "$call/log"
  done | sed -E -e 's#/var/lib/ce-disk/podman/overlay-containers/[0-9a-f]{64}/userdata#BUNDLE#g' \
    -e 's#/run/containers/storage/overlay-containers/[0-9a-f]{64}/userdata#RUN#g' \
    -e 's#/run/containerd/io.containerd.runtime.v2.task#TASK#g; s/[0-9a-f]{64}/ID/g' >"$dir/calls"
}

main() {
  export PATH=/usr/sbin:/usr/bin:/sbin:/bin
  ENGINE=${ENGINE:-$REPO/container_engine}
  export ENGINE
  case ${1-} in
    inside) compare "${@:2}"; return ;;
    record-inside) record_inside; return ;;
  esac
  ((EUID == 0)) || die 'needs root'
  # shellcheck source=inputs.bash
  source test/inputs.bash
  CE_DEBIAN=${CE_DEBIAN:-none} ensure_inputs # that one is not needed here
  ./env.sh deps clients >&2 # they must be installed here; nothing of them is started
  if [[ ${1-} == record ]]; then
    record "$(realpath -m "${2:?a directory}")"
  else
    (($#)) || set -- podman containerd docker
    test/vm.sh --again --timeout 4800 -- test/clients.sh inside "$@"
  fi
}

main "$@"

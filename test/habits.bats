#!/usr/bin/env bats
# What hands type that know docker, podman, bwrap or runc, or that follow the source documents: each
# line works, or is answered in one line that leads on.

load helpers

setup() {
  requires root alpine
  lab_snapshot
  T=$BATS_TEST_TMPDIR
  wrong=0
  lines=0
}

teardown() {
  local names
  [[ -z ${BATS_TEST_SKIPPED-} ]] || return 0
  mapfile -t names < <(ce list -q)
  ((${#names[@]} == 0)) || ce delete -f "${names[@]}" >/dev/null 2>&1
  leak_check
}

setup_file() {
  export COUNT_FILE=$BATS_FILE_TMPDIR/count HELP_FILE=$BATS_FILE_TMPDIR/help
  : >"$COUNT_FILE"
  : >"$HELP_FILE"
}

# For those that are about one that is there: up runs, over has ended with 3, and so has again.
fixtures() {
  ce -d "$ALPINE" up none sh -c 'trap "exit 3" TERM; echo said; while :; do sleep 0.1; done' \
    >/dev/null 2>&1 </dev/null 3>&- 4>&-
  try -3 ce "$ALPINE" over none sh -c 'exit 3'
}

# One line of a table: STATUS | WORDS OF THE ANSWER | WHAT IS TYPED, in which @ is the rootfs and $T
# the test's directory. An error is one line, in the engine's own name.
typed() { # STATUS WORDS LINE
  local status=0 why='' answer errors words=()
  eval "words=(${3//@/\"\$ALPINE\"})"
  CE_TIMEOUT=10 ce "${words[@]}" </dev/null >"$T/out" 2>"$T/err" 3>&- 4>&- || status=$?
  errors=$(grep -v '^container_engine: warning: ' "$T/err" || :)
  answer=$(<"$T/out")$errors
  [[ $status -eq $1 ]] || why+="status $status, not $1; "
  [[ ${answer,,} == *"${2,,}"* ]] || why+="no word of $2; "
  if (($1 >= 125 && $1 <= 127)); then
    [[ $(grep -c . <<<"$errors") -eq 1 && $errors == 'container_engine: '* ]] || why+='not one line; '
    [[ $errors != *'unknown, or not for this command'* ]] || echo "$3" >>"$HELP_FILE"
  fi
  echo "$3" >>"$COUNT_FILE"
  lines=$((lines + 1))
  [[ -n $why ]] || return 0
  wrong=$((wrong + 1))
  printf '%s\n  %s\n  %s\n' "$why" "$3" "$answer"
}

# The table on stdin. It fails when one line of it is not answered as it says.
table() {
  local status words line
  while IFS='|' read -r status words line; do
    [[ -n ${status// /} && $status != '#'* ]] || continue
    words=${words#"${words%%[! ]*}"}
    typed "${status// /}" "${words%"${words##*[! ]}"}" "$line"
  done
  ((lines > 0 && wrong == 0))
}

@test "habits: docker run, podman run" {
  mkdir "$T/d"
  echo seen >"$T/d/f"
  table <<'END'
  0   | hi                  | run --rm --name c1 @ none echo hi
  0   | hi                  | run -it --rm --name c1 @ none echo hi
  0   | hi                  | run -i -t --rm --name=c1 @ none echo hi
  0   | hi                  | run --interactive --tty --rm --name c1 @ none echo hi
  0   | hi                  | run --rm @ c1 none sh -c 'echo hi'
  0   | 1                   | run --rm -e A=1 @ c1 none sh -c 'echo $A'
  0   | 1                   | run --rm --env A=1 @ c1 none sh -c 'echo $A'
  0   | 1 2                 | run --rm -e A=1 --env=B=2 @ c1 none sh -c 'echo $A $B'
  125 | KEY=VALUE           | run --rm -e HOME @ c1 none env
  125 | -e                  | run --rm --env-file f @ c1 none env
  0   | seen                | run --rm -v $T/d:/mnt:ro @ c1 none cat /mnt/f
  0   | seen                | run --rm --volume $T/d:/mnt @ c1 none cat /mnt/f
  125 | HOST:/CONTAINER     | run --rm -v $T/d @ c1 none ls
  125 | -v '/none'          | run --rm -v /none:/mnt @ c1 none ls
  125 | -v HOST:/CONTAINER  | run --mount type=bind,src=$T/d,dst=/mnt @ c1 none ls
  125 | -v HOST:/CONTAINER  | run --tmpfs /tmp @ c1 none ls
  125 | -v HOST:/CONTAINER  | run --device /dev/fuse @ c1 none ls
  0   | /tmp                | run --rm -w /tmp @ c1 none pwd
  0   | /tmp                | run --rm --workdir=/tmp @ c1 none pwd
  125 | absolute            | run --rm -w tmp @ c1 none pwd
  0   | 1000                | run --rm -u 1000:1000 @ c1 none id -u
  0   | 1000                | run --rm --user 1000 @ c1 none id -u
  0   | 65534               | run --rm -u nobody @ c1 none id -u
  0   | 100 82 /            | run --rm -u 100:www-data @ c1 none sh -c 'echo $(id -u) $(id -g) ~'
  125 | /etc/passwd         | run --rm -u somebody @ c1 none id -u
  0   | box                 | run --rm --hostname box @ c1 none hostname
  0   | --hostname NAME     | run -h box @ c1 none hostname
  0   |                     | run --rm -m max --cpus max --pids-limit max @ c1 none true
  125 | 50M or 1G           | run -m 64MB @ c1 none true
  125 | 50M or 1G           | run --memory lots @ c1 none true
  125 | such as 0.5         | run --cpus half @ c1 none true
  125 | whole number        | run --pids-limit 0 @ c1 none true
  125 | --memory            | run --memory-swap 1g @ c1 none true
  125 | --cpus              | run --cpu-shares 512 @ c1 none true
  125 | --pids              | run --ulimit nofile=10 @ c1 none true
  0   |                     | run --rm --read-only @ c1 none true
  0   |                     | run --rm --cap-add NET_ADMIN @ c1 none true
  0   |                     | run --rm --cap-drop=ALL @ c1 none true
  125 | capabilities(7)     | run --cap-add NETADMIN @ c1 none true
  125 | --seccomp           | run --security-opt seccomp=unconfined @ c1 none true
  125 | --cap-add ALL       | run --privileged @ c1 none true
  125 | 'host': on          | run --userns=host @ c1 none true
  125 | no ports            | run -p 8080:80 @ c1 auto
  125 | no ports            | run -P @ c1 auto
  125 | no ports            | run --publish 8080:80 @ c1 auto
  125 | no ports            | run --expose 80 @ c1 auto
  125 | auto or none        | run --network host @ c1
  125 | auto or none        | run --net=none @ c1 true
  125 | auto or none        | run --ip 192.168.1.9 @ c1 true
  125 | auto or none        | run --link db @ c1 none
  125 | auto or none        | run --dns 8.8.8.8 @ c1 none
  125 | systemd             | run --restart always @ c1 none true
  125 | --without           | run --pid host @ c1 none true
  125 | --without           | run --ipc=host @ c1 none true
  125 | words after <ip>    | run --entrypoint sh @ c1 none
  125 | words after <ip>    | run --init @ c1 none true
  125 | rootfs-fetch.sh     | run -it alpine sh
  125 | rootfs-fetch.sh     | run --rm ubuntu:22.04 bash
  125 | address is missing  | run -it @
  125 | address is missing  | run --rm @ c1
  125 | auto or none        | run -it --rm --name c1 @ sh
  125 | options come before | run @ c1 none -it sh
  125 | options come before | run @ --rm c1 none
  125 | options come before | run @ c1 none --memory=1G sh
  125 | letters             | run --name a/b @ none true
  125 | option --nmae       | run --nmae c1 @ none true
  0   |                     | create --rm @ c1 none true
END
}

@test "habits: docker's and podman's other commands" {
  fixtures
  table <<'END'
  0   | up                  | ps
  0   | up                  | ps -a
  0   | over                | ps -aq
  0   | over                | ls
  0   | over                | list --all
  0   | over                | list --quiet
  125 | list --json         | ps --format json
  125 | list --json         | ps --filter name=up
  125 | leave that word out | container ls
  125 | rootfs-fetch.sh     | images
  125 | rootfs-fetch.sh     | image ls
  125 | rootfs-fetch.sh     | pull alpine
  125 | rootfs-fetch.sh     | push alpine
  125 | rootfs-fetch.sh     | build -t me .
  125 | rootfs-fetch.sh     | import x.tar
  125 | rootfs-fetch.sh     | load -i x.tar
  125 | rootfs-fetch.sh     | rmi alpine
  125 | rootfs-fetch.sh     | search alpine
  125 | rootfs-fetch.sh     | login
  125 | inspect NAME layer  | cp up:/etc/passwd .
  125 | inspect NAME layer  | commit up me
  125 | inspect NAME layer  | diff up
  125 | inspect NAME layer  | export up
  125 | exec NAME           | attach up
  125 | exec NAME           | top up
  125 | list                | stats
  125 | no ports            | port up
  125 | then start          | restart up
  125 | delete NAME         | rename up down
  125 | kill NAME STOP      | pause up
  125 | env.sh              | network ls
  125 | -v                  | volume ls
  125 | env.sh check        | info
  125 | env.sh              | system prune
  125 | a line of its own   | compose up
  0   | uid=0               | exec up id
  0   | uid=0               | exec -it up id
  0   | uid=5               | exec --user 5 up id
  0   | uid=65534(nobody)   | exec -u nobody up id
  125 | /etc/group          | exec -u nobody:none up id
  0   | /tmp                | exec -w /tmp up pwd
  0   | 1                   | exec -e A=1 up sh -c 'echo $A'
  125 | --cap-add           | exec --privileged up id
  125 | options come before | exec up -it sh
  127 | bash                | exec up bash
  125 | not running         | exec over sh
  125 | no container named  | exec nobody sh
  125 | too few words       | exec
  0   | said                | logs up
  0   | said                | logs --tail 5 up
  0   | said                | logs -n 1 up
  125 | without -d          | logs over
  125 | no container named  | logs nobody
  0   | running             | inspect up status
  0   | exited (3)          | inspect over
  125 | inspect NAME KEY    | inspect -f '{{.State.Pid}}' up
  125 | inspect NAME KEY    | inspect --format x up
  125 | try pid             | inspect up IPAddress
  125 | runs already        | start up
  3   |                     | start over
  3   |                     | start -ai over
  125 | no container named  | start nobody
  125 | --cpus, --memory    | update up
  125 | options come before | update up --pids 5
  125 | kill NAME TERM      | kill -9 up
  125 | kill NAME TERM      | kill -s TERM up
  125 | kill NAME TERM      | kill --signal=TERM up
  125 | signal '-9'         | kill up -9
  125 | kill NAME TERM      | kill up -9
  125 | such as TERM        | kill up NOSUCH
  125 | stop it first       | rm up
  125 | options come before | stop up -t 1
  0   |                     | kill up STOP
  0   |                     | kill up CONT
  0   | up                  | stop --time 5 up
  125 | not running         | stop up
  0   | up                  | rm -f up
  0   | over                | rm over
  125 | no container named  | rm over
  125 | knows the commands  | exce up sh
END
}

@test "habits: asking for help" {
  table <<'END'
  0   | Usage               | --help
  0   | Usage               | -h
  0   | Usage               | help
  0   | Usage               | help run
  0   | SECONDS             | help stop
  0   | SECONDS             | stop --help
  0   | LINES               | logs -h
  0   | container_engine    | --version
  0   | container_engine    | version
  125 | HOST:CONTAINER      | -v
  125 | --help              |
END
}

@test "habits: bwrap, runc, crun" {
  fixtures
  table <<'END'
  125 | -v HOST:/CONTAINER  | --ro-bind / / bash
  125 | -v HOST:/CONTAINER  | --bind /tmp /tmp bash
  125 | --without           | --unshare-all bash
  125 | --without           | --unshare-net bash
  125 | -e KEY=VALUE        | --setenv A 1 bash
  0   | /tmp                | --rm --chdir /tmp @ c1 none pwd
  0   | /tmp                | exec --cwd /tmp up pwd
  0   |                     | kill up CONT
  0   |                     | kill up 18
  0   |                     | kill up SIGCONT
  0   | up                  | delete --force up
END
}

@test "habits: the source documents" {
  table <<'END'
  0   | 192.168.1.2/24      | @ centos1 192.168.1.2 ip addr show eth0
  0   | centos1             | @ centos1 192.168.1.2 hostname
  0   | root                | @ centos1 192.168.1.2 whoami
  125 | address is missing  | @ centos1
  125 | address is missing  | @
  125 | neither a command   | centos1 192.168.1.2
  125 | address 'c1'        | @ 192.168.1.2 c1
  125 | IPv4                | @ c1 192.168.1.2/24 true
  125 | IPv4                | @ c1 localhost true
  125 | not in the bridge   | @ c1 10.0.0.2 true
  125 | gateway             | @ c1 192.168.1.1 true
  125 | broadcast           | @ c1 192.168.1.255 true
  125 | No such file        | rootfs c1 none
  125 | Not a directory     | @/etc/passwd c1 none
  125 | host's own          | / c1 none
  125 | letters             | @ 'my container' none true
  125 | env.sh set          | --bridge br9 @ c1 192.168.1.2 true
  127 | bash                | @ c1 none bash
  127 | ls -l               | @ c1 none 'ls -l'
  126 | Permission denied   | @ c1 none /etc/passwd
END
}

@test "habits: make install: messages name what is there, and uninstall takes exactly that away" {
  local p=$T/prefix
  mkdir "$T/source" "$p" && touch "$p/other"
  cp "$REPO"/{container_engine.c,Makefile,env.sh,rootfs-fetch.sh} "$T/source"
  try -0 make -C "$T/source" install PREFIX="$p"
  try -0 "$p/bin/container_engine-rootfs" --help
  try -0 "$p/bin/container_engine-env" help
  try -0 bash -c '. "$1"; type _container_engine' bash "$p"/share/bash-completion/completions/*
  [[ -s $p/share/man/man8/container_engine.8 || -z $(type -P help2man) ]]
  local ENGINE=$p/bin/container_engine
  refuses container_engine-rootfs ce pull alpine
  refuses 'sudo container_engine-env set' ce --bridge br9 "$ALPINE" c1 192.168.1.2 true
  [[ $(ce --help) != *env.sh* ]]
  try -1 grep -c rootfs-fetch.sh "$ENGINE"
  try -0 make -C "$T/source" uninstall PREFIX="$p"
  [[ $(find "$p" ! -type d) == "$p/other" ]]
}

@test "habits: at least 120 lines, of which at most 5 are only sent to --help" {
  printf '# habits: %d lines, %d only sent to --help\n' \
    "$(grep -c . "$COUNT_FILE")" "$(grep -c . "$HELP_FILE")" >&3
  (($(grep -c . "$COUNT_FILE") >= 120 && $(grep -c . "$HELP_FILE") <= 5))
}

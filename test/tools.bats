#!/usr/bin/env bats
# What tools see and tests do not: sanitizers, valgrind, and which descriptors are open at the end.
# (`make sanitize` runs all tests with an engine that has sanitizers, but no search for leaks, as
# exec changes its PID namespace, where the leak detector is lost. Here it is on.)

load helpers

setup() {
  requires root alpine gcc
  # The suite's may have sanitizers, which bear no other tool.
  ENGINE=$LAB/plain/container_engine
  [[ -e $ENGINE ]] || { mkdir "$LAB/plain" && gcc -g "$REPO/container_engine.c" -o "$ENGINE"; }
  lab_snapshot
  T=$BATS_TEST_TMPDIR
}

# One life and a half, with every command in it. Each must end as it should.
every_command() {
  try -0 ce --version
  try -0 ce --help
  try -7 ce -v "$T:/mnt" -e A=1 -w /tmp --hostname h "$ALPINE" c1 192.168.1.2 sh -c 'exit 7'
  try -0 ce --rm --read-only -u 1:1 --cap-drop ALL "$ALPINE" c2 none true
  try -0 ce --rm --userns off "$ALPINE" c2 none true
  try -127 ce --rm "$ALPINE" c2 none no-such-program
  try -125 ce --rm "$ALPINE" c2 192.168.1.1 true
  try -125 ce --chocolate
  try -0 ce -d "$ALPINE" c1 192.168.1.2 sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
  try -125 ce "$ALPINE" c1 none true
  try -125 ce "$ALPINE" c2 192.168.1.2 true
  try -0 ce list
  try -0 ce list --json
  try -0 ce list -q
  try -0 ce inspect c1
  ASAN_OPTIONS=detect_leaks=0 try -5 ce exec -e A=1 -w /tmp -u 1:1 c1 sh -c 'exit 5'
  try ce update --pids 20 c1 # which some hosts cannot
  try -0 ce kill c1 CONT
  try -125 ce delete c1
  try -0 ce stop c1
  try -0 ce inspect c1
  try -0 ce delete c1
  try -125 ce delete c1
}

@test "tools: no command leaves a descriptor open" {
  cat >"$T/tell.c" <<'END'
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
/* Loaded into the engine: when it ends well it tells its pid and its descriptors, but of those that
 * its caller had. */
static void tell(int status, void *unused) {
    FILE *log = fopen(getenv("TELL"), "ae");
    DIR *fds = opendir("/proc/self/fd");
    struct dirent *e;
    (void)unused;
    if (!log) return; /* exec: it is in the container's mounts, where no log is */
    fprintf(log, "end of %d, status %d\n", getpid(), status);
    while (status != 125 && (e = readdir(fds)) != NULL) {
        char target[256] = "";
        int fd = atoi(e->d_name);
        if (fd > 2 && fd != dirfd(fds) && fd != fileno(log) &&
            readlinkat(dirfd(fds), e->d_name, target, sizeof target - 1) > 0)
            fprintf(log, "open in %d: %s\n", getpid(), target);
    }
    fclose(log);
}
static void __attribute__((constructor)) start(void) {
    if (strcmp(program_invocation_short_name, "container_engine") != 0) return;
    syscall(SYS_close_range, 3, ~0U, 0);
    on_exit(tell, NULL);
}
END
  gcc -shared -fPIC -o "$T/tell.so" "$T/tell.c"
  # Only a program that is linked dynamically loads it.
  mkdir "$T/dynamic"
  gcc "$REPO/container_engine.c" -o "$T/dynamic/container_engine"
  local ENGINE=$T/dynamic/container_engine
  local -x TELL=$T/told
  ce() { LD_PRELOAD=$T/tell.so lab "$ENGINE" "$@" 3>&- 4>&-; }
  every_command
  cat "$TELL"
  (($(grep -c '^end of' "$TELL") > 20))
  try -1 grep '^open in' "$TELL"
}

@test "tools: no sanitizer complains, no memory is lost" {
  gcc -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
    "$REPO/container_engine.c" -o "$LAB/sanitized"
  local ENGINE=$LAB/sanitized
  local -x ASAN_OPTIONS=detect_leaks=1:log_path=$T/asan UBSAN_OPTIONS=log_path=$T/ubsan
  every_command
  try -2 ls "$T"/*san.*
  rm "$ENGINE"
}

@test "tools: valgrind complains of nothing" {
  [[ -n $(type -P valgrind) || ${MUST_WORK-} == 1 ]] || skip 'valgrind is not installed'
  # (Closed inside, or bats could not say that it failed.)
  # shellcheck disable=SC2016  # the inner shell expands it
  local command check=(lab sh -c 'exec "$@" 3>&- 4>&-' sh valgrind -q
    --track-fds=yes --leak-check=full --show-leak-kinds=all
    --errors-for-leak-kinds=all --error-exitcode=99 --log-file="$T/valgrind")
  try -3 ce "$ALPINE" c2 none sh -c 'exit 3'
  start_idle c1 192.168.1.2
  # It does not know all the newest system calls, so that no container can be started in it.
  for command in --help list 'list --json' 'list -q' 'inspect c2'; do
    # shellcheck disable=SC2086  # a command and its words
    try -0 "${check[@]}" "$ENGINE" $command
    cat "$T/valgrind"
    [[ -z $(complaints "$T/valgrind") ]]
  done
}

# What valgrind says, but of descriptors that were open before (--help ends before it closes them).
complaints() { # FILE
  grep '^==' "$1" | sed -E '/Open .*(descriptor|socket)/{N;/<inherited from parent>/d;};/FILE DESCRIPTORS/d;/^==[0-9]+== *$/d'
}

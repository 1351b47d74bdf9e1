#!/usr/bin/env bats
# make lesson and make grade: the untouched engine has full score; each hole has none on its topic
# and full on the topics that do not depend on it; who hangs, or does harm, ends in time.
#
# All is graded in one VM, and only what decides: the holes are built here, where a compiler takes a
# second, and a hole without which no container runs at all is tried on its own topic alone.

bats_require_minimum_version 1.5.0

REPO=$(cd "$BATS_TEST_DIRNAME/.." && pwd)

# What has to work for any container to run at all. A hole in one of these fails nearly everything,
# and nothing is said about that; a hole in another fails its own topic alone.
ALONE='cgroup network hostname caps seccomp'

setup_file() {
  export WORK=$BATS_FILE_TMPDIR
  local name only='hangs.c=build,claim,go hostile.c=build,claim,go'
  ((EUID == 0)) || return 0
  mkdir "$WORK/built"
  for name in $("$REPO/test/lesson.sh" | cut -d ' ' -f 2); do
    "$REPO/test/lesson.sh" "$name" "$WORK/$name.c"
    gcc -w -O1 -static "$WORK/$name.c" -o "$WORK/built/$name" || gcc -w "$WORK/$name.c" -o "$WORK/built/$name"
    [[ " $ALONE " == *" $name "* ]] || only+=" $name.c=build,$name"
  done
  cp "$REPO/container_engine.c" "$WORK/engine.c"
  echo 'int main(void) { for (;;) ; }' >"$WORK/hangs.c"
  cat >"$WORK/hostile.c" <<'END_C'
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    puts("ok 1 - build\n# score: 15 of 15");
    for (int i = 1; i < 65; i++) signal(i, SIG_IGN);
    if (fork() == 0) setsid();
    for (;;) pause();
}
END_C
  echo 'int main(void) { return }' >"$WORK/broken.c"
  (cd "$WORK" && CE_BUILT=$WORK/built CE_ONLY=$only CE_GRADE_SECONDS=1500 \
    "$REPO/test/grade.sh" ./*.c >graded 2>errors) || :
}

setup() {
  ((EUID == 0)) || skip 'these tests need root'
  cat "$WORK/errors"
}

# The lines of one file's report.
report() { # FILE
  sed -n "/^# $1\$/,/^# score/p" "$WORK/graded"
}

@test "grade: the untouched engine has full score" {
  report engine.c
  [[ $(report engine.c | grep -c '^ok ') -eq 15 ]]
  [[ $(report engine.c | tail -n 1) == '# score: 15 of 15' ]]
}

@test "grade: a hole has nothing on its topic" {
  local name
  for name in $("$REPO/test/lesson.sh" | cut -d ' ' -f 2); do
    report "$name.c"
    report "$name.c" | grep -q '^ok 1 - build' || { echo "$name: does not build"; return 1; }
    report "$name.c" | grep -q "^not ok [0-9]* - $name:" || { echo "$name: still ok"; return 1; }
  done
}

@test "grade: a hole that others do not depend on leaves them as they were" {
  local name
  for name in $ALONE; do
    report "$name.c"
    [[ $(report "$name.c" | grep -c '^not ok ') -eq 1 ]] || { echo "$name: others fail"; return 1; }
  done
}

@test "grade: what does not compile, hangs, or lies has no score" {
  [[ $(report broken.c | tail -n 1) == '# score: 0 of 15' ]]
  [[ $(report hangs.c | tail -n 1) == '# score: 1 of 3' ]] # it builds
  [[ $(report hostile.c | tail -n 1) == '# score: 1 of 3' ]]
}

# No program of a student's is ever started here: what would tell is that a file appears.
@test "grade: nothing of it runs on this machine" {
  local proof=$BATS_TEST_TMPDIR/proof
  cat >"$BATS_TEST_TMPDIR/x.c" <<END
#include <stdio.h>
int main(void) { fclose(fopen("$proof", "w")); }
END
  run -0 --separate-stderr env CE_GRADE_SECONDS=1 sh -c '"$@" || :' sh "$REPO/test/grade.sh" "$BATS_TEST_TMPDIR/x.c"
  [[ ! -e $proof ]]
  run -2 "$REPO/test/grade.sh" /nonexistent
  run -2 "$REPO/test/grade.sh"
}

@test "lesson: each step has a hole, once, with something to read; the rest is untouched" {
  local name
  for name in $("$REPO/test/lesson.sh" | cut -d ' ' -f 2); do
    [[ $(grep -c 'HOLE' "$WORK/$name.c") -eq 1 ]]
    grep -A 3 HOLE "$WORK/$name.c" | grep -q 'Read: '
    # but for the body of one function
    [[ $(diff "$REPO/container_engine.c" <(sed 1,3d "$WORK/$name.c") | grep -c '^>') -le 8 ]]
    gcc -std=gnu11 -Wall -Wextra -Wno-missing-field-initializers -Werror -fsyntax-only "$WORK/$name.c"
  done
  run -1 "$REPO/test/lesson.sh" nonsense
  run -1 "$REPO/test/lesson.sh" 99
}

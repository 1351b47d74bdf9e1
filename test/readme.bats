#!/usr/bin/env bats
# The README says what the engine is: its steps, options, commands and files.

bats_require_minimum_version 1.5.0

setup() {
  cd "$BATS_TEST_DIRNAME/.." || return 1
}

# The names in one of the engine's tables: {"NAME", FUNCTION, UNDO}.
table() { # TABLE
  sed -n "/^static const struct step $1\[\] = {/,/^};/"'s/^ *{"\([a-z]*\)", .*/\1/p' \
    container_engine.c
}

# The items of a numbered list that starts with **NAME**: "1 NAME".
steps() {
  sed -n 's/^\([0-9]*\)\. \*\*\([a-z]*\)\*\* .*/\1 \2/p' README.md
}

# TEXT is there in code, as a word: not as the beginning, or the end, of another.
in_code() { # TEXT
  grep -oE '`[^`]+`' README.md | grep -qE -- "(^|[^[:alnum:]-])$1($|[^[:alnum:]-])" && return
  printf 'not in the README: %s\n' "$1"
  return 1
}

@test "readme: every step of the two tables, by its name, in its order" {
  local named
  named=$(for name in host_steps container_steps; do table "$name" | cat -n | xargs -n 2; done)
  printf '%s\n' "$named"
  (($(wc -l <<<"$named") >= 10))
  diff <(echo "$named") <(steps)
}

# The lines between **STEP** and the next one.
@test "readme: each step has a command to look with" {
  local name n=0
  while read -r _ name; do
    n=$((n + 1))
    awk -v name="**$name**" '
      /^[0-9]+\. |^$/ { here = index($0, name) }
      here && /`[^`]* [^`]*`/ { found = 1 }
      END { exit !found }' README.md || { printf 'no command: %s\n' "$name"; return 1; }
  done < <(steps)
  ((n >= 10))
}

@test "readme: every option of --help" {
  local option n=0
  [[ -n ${ENGINE-} ]] || { ENGINE=$BATS_TEST_TMPDIR/engine; gcc container_engine.c -o "$ENGINE"; }
  while read -r option; do
    in_code "$option"
    n=$((n + 1))
  done < <("$ENGINE" --help | grep -oE -- '(^|[ [,])--?[a-z][a-z-]*' | tr -d ' [,' | sort -u)
  ((n >= 20))
}

@test "readme: every command of --help" {
  local command n=0
  [[ -n ${ENGINE-} ]] || { ENGINE=$BATS_TEST_TMPDIR/engine; gcc container_engine.c -o "$ENGINE"; }
  for command in $("$ENGINE" --help | sed -nE '/^  list /,$s/^  ([a-z]+) .*/\1/p; s/.*\(also: ([a-z, ]*)\).*/\1/p' |
    tr -d ,); do
    grep -qE -- "^\|.*\`$command( |\`)" README.md || { printf 'no row: %s\n' "$command"; return 1; }
    n=$((n + 1))
  done
  ((n >= 8))
}

@test "readme: a transcript within 15 lines, the two commands to start with, 250 lines in all" {
  [[ $(awk '/^```/ && fence++ { print FNR; exit }' README.md) -le 15 ]]
  grep -q '^\$ sudo ' <(head -n 15 README.md)
  grep -qF 'sudo apt-get install -y make && sudo make demo' <(head -n 15 README.md)
  grep -qF 'sudo make test' <(head -n 15 README.md)
  (($(wc -l <README.md) <= 250))
}

@test "readme: what it links to, and the tests and scripts it names, are there" {
  local path n=0
  while read -r path; do
    [[ $path == http* || -e $path || -e test/$path ]] || { printf 'not there: %s\n' "$path"; return 1; }
    n=$((n + 1))
  done < <(
    grep -oE '\]\([^)#]+' README.md | cut -c 3-
    grep -oE '\b(test/)?[a-z_-]+\.(sh|bats|bash|c)\b' README.md
  )
  ((n >= 5))
}

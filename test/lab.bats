#!/usr/bin/env bats
# The lab sheet, lesson by lesson: each `$ command` of its console blocks is run, in the laboratory,
# and the lines below it are compared with what it prints. In an expected line [...] stands for any
# text, and as a line of its own for any lines; numbers of three and more digits are not compared.

load helpers

# The console blocks of a sheet, each line with the number of the lesson in front (0: before it).
blocks() { # SHEET
  awk '
    /^## / { lesson = $2 + 0; if (!lesson) lesson = 99 }
    /^```/ { inside = $0 == "```console"; next }
    inside { print lesson ":" $0 }' "$REPO/test/$1"
}

# As a person would have it: the project's directory with rootfs in it, and sudo.
make_desk() {
  desk=$BATS_TEST_TMPDIR/desk
  mkdir -p "$desk/bin"
  ln -s "$REPO"/{env.sh,rootfs-fetch.sh,Makefile,container_engine.c,test} "$desk"
  ln -s "$ENGINE" "$desk/container_engine"
  ln -s "$HOST_ROOTFS" "$desk/rootfs"
  printf '#!/bin/sh\nexec "$@"\n' >"$desk/bin/sudo"
  chmod +x "$desk/bin/sudo"
}

# One shell runs all commands of a lesson, so that its variables last. A line that no program prints
# tells where the next one begins. (The laboratory's cgroup has the same path as a host's.)
run_lesson() { # NUMBER
  local script=$BATS_TEST_TMPDIR/script line
  requires controllers host_rootfs # what only looks at the sheet runs everywhere
  make_desk
  {
    printf 'cd %q; PATH=%q:$PATH; export LC_ALL=C.UTF-8\n' "$desk" "$desk/bin"
    while IFS= read -r line; do
      [[ $line == '$ '* ]] || continue
      printf 'printf "\\n@@@ %%s\\n" %q\n%s\n' "$line" "${line#'$ '}"
    done < <(blocks lab.md | sed -n "s/^$1://p")
  } >"$script"
  lab timeout --foreground -k 5 "$((90 * ${CE_SLOW:-1}))" bash "$script" \
    </dev/null >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- 4>&- || :
  blocks lab.md | sed -n "s/^$1://p" >"$BATS_TEST_TMPDIR/sheet"
  compare "$BATS_TEST_TMPDIR/sheet" "$BATS_TEST_TMPDIR/said"
}

# Per command: the expected lines become one pattern for all that was printed.
compare() { # SHEET SAID
  python3 - "$@" <<'PYTHON'
import re, sys
def numbers(s): # and how wide a column is
    return re.sub(r'[0-9]{3,}', 'N', re.sub(r'(?m)^ +', '', re.sub(r' +', ' ', s)))
def parts(lines, mark):
    out = []
    for line in lines:
        if line.startswith(mark): out.append([line[len(mark):], []])
        elif out: out[-1][1].append(line)
    return out
sheet = parts(open(sys.argv[1]).read().split('\n')[:-1], '$ ')
said = parts(open(sys.argv[2]).read().split('\n'), '@@@ $ ')
bad = 0
for n, (command, want) in enumerate(sheet):
    got = '\n'.join(said[n][1]).strip('\n') if n < len(said) else '(it never came to it)'
    pattern = ''
    for line in want:
        if line == '[...]': pattern += '(.*\n)*?'
        else: pattern += '.*'.join(re.escape(numbers(p)) for p in line.split('[...]')) + '\n'
    ok = re.fullmatch(pattern, numbers(got) + '\n' if got else '')
    if not ok: bad += 1
    print('%s $ %s\n%s' % ('ok ' if ok else 'NOT', command, got))
    if not ok: print('--- wanted:\n%s\n---' % '\n'.join(want))
sys.exit(bad > 0 or not sheet or len(sheet) != len(said))
PYTHON
}

@test "lab: the sheet's two languages have the same blocks, commands and pictures' edges" {
  diff <(blocks lab.md) <(blocks lab.zh.md)
  diff <(grep -c '^```mermaid' "$REPO/test/lab.md") <(grep -c '^```mermaid' "$REPO/test/lab.zh.md")
  diff <(grep -oE 'A=[a-z]+|A=.[a-z ]+.' "$REPO/test/lab.md") \
    <(grep -oE 'A=[a-z]+|A=.[a-z ]+.' "$REPO/test/lab.zh.md")
}

@test "lab: each lesson has a question, functions to read, and an attack that is there" {
  local lesson attack
  for lesson in {1..10}; do
    awk -v n="$lesson" '/^## /{ here = $2 + 0 == n } here' "$REPO/test/lab.md" >"$BATS_TEST_TMPDIR/one"
    grep -q '^<details><summary>Question:' "$BATS_TEST_TMPDIR/one"
    grep -q '^Read: ' "$BATS_TEST_TMPDIR/one"
    grep -qE '^Attacks?: ' "$BATS_TEST_TMPDIR/one"
    for attack in $(grep -oE "A='[a-z ]+'|A=[a-z]+" "$BATS_TEST_TMPDIR/one" | tr -d "'" | cut -c 3-); do
      grep -qE "^$attack +" "$REPO/test/attacks.sh" || { echo "no attack $attack"; return 1; }
    done
  done
}

@test "lab: the table of attacks is that of attacks.sh, in both languages" {
  local sheet
  for sheet in lab.md lab.zh.md; do
    diff <("$REPO/test/attacks.sh" --list) <(sed -n '/^| --- /,$p' "$REPO/test/$sheet" | sed 1d)
  done
  (($("$REPO/test/attacks.sh" --list | wc -l) >= 13))
}

# Names of steps are in the engine's tables.
@test "lab: the steps that it names are the engine's" {
  local step n=0
  for step in $(grep -oE '\bsteps? \*\*[a-z]+\*\*( and \*\*[a-z]+\*\*)*' "$REPO/test/lab.md" |
    grep -oE '\*\*[a-z]+' | tr -d '*' | sort -u); do
    grep -qE "^ *\{ *\"$step\"," "$REPO/container_engine.c" || { echo "no step $step"; return 1; }
    n=$((n + 1))
  done
  ((n >= 10))
}

# What a mermaid parser would trip over, as far as our pictures go: a line of another form, a name
# that was not introduced, a block without its end. (They were looked at once, rendered.)
@test "lab: the pictures are well-formed mermaid" {
  local sheet
  for sheet in lab.md lab.zh.md; do
    awk '
      function bad(why) { printf "%s: %d: %s: %s\n", FILENAME, FNR, why, $0; failed = 1 }
      function known(name) { if (!(name in names)) bad("unknown " name) }
      /^```mermaid$/ { inside = 1; kind = ""; depth = 0; split("", names); next }
      /^```$/ && inside { if (depth) bad("an end is missing"); inside = 0; pictures++; next }
      !inside { next }
      kind == "" { kind = $1; if ($0 !~ /^(sequenceDiagram|flowchart (LR|TB))$/) bad("no picture"); next }
      $1 == "end" && NF == 1 { if (--depth < 0) bad("one end too many"); next }
      kind == "sequenceDiagram" {
        if (/^ +participant [A-Z] as [^;:#]+$/) names[$2] = 1
        else if (/^ +Note over [A-Z]: [^;#]+$/) known(substr($3, 1, 1))
        else if (match($0, /^ +[A-Z]--?>>[A-Z]: [^;#]+$/)) {
          known(substr($1, 1, 1)); known(substr($1, length($1) - 1, 1))
        } else if (/^ +par$/) depth++
        else if (!/^ +and$/) bad("no line of a sequence")
        next
      }
      /^ +subgraph [A-Za-z0-9]+(\["[^"]+"\])?$/ { depth++; names[$2] = 1; sub(/\[.*/, "", $2); names[$2] = 1; next }
      {
        line = $0
        gsub(/"[^"]*"/, "S", line)
        gsub(/\[S\]/, "", line)
        gsub(/-- S -->|---|===|-->/, "=", line)
        if (line !~ /^ +[A-Z0-9]+( = [A-Z0-9]+)?$/) bad("neither node nor edge")
      }
      END { exit failed || pictures != 3 }' "$REPO/test/$sheet"
  done
}

@test "lab 1: a container is a process" {
  run_lesson 1
}

@test "lab 2: namespaces, and entering them" {
  run_lesson 2
}

@test "lab 3: ps asks /proc" {
  run_lesson 3
}

@test "lab 4: a root of its own" {
  run_lesson 4
}

@test "lab 5: the layer" {
  run_lesson 5
}

@test "lab 6: root inside is nobody outside" {
  run_lesson 6
}

@test "lab 7: capabilities and the filter" {
  run_lesson 7
}

@test "lab 8: the fork bomb" {
  run_lesson 8
}

@test "lab 9: half a processor, 50 MiB" {
  run_lesson 9
}

@test "lab 10: two containers" {
  run_lesson 10
}

@test "lab: the last exercise" {
  run_lesson 99
}

#!/usr/bin/env bash
# lesson.sh [N|STEP [FILE]]: a copy of the engine, lessonN.c or FILE, in which the step number N of
# its two tables does nothing yet: a hole to fill, with the man page to read. Without a number it
# lists the steps. (`make lesson N=3`; then `sudo make grade FILE=lesson3.c`)
set -euo pipefail

REPO=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
SOURCE=$REPO/container_engine.c

die() { printf 'lesson.sh: %s\n' "$*" >&2; exit 1; }
steps() { awk -f "$REPO/test/steps.awk" "$SOURCE"; }

# Copies the source, the function FUNCTION without its body. The body ends at the first brace in the
# first column; the comment above it names the man pages: clone3(2), cgroups(7).
make_hole() { # N STEP FUNCTION
  awk -v n="$1" -v step="$2" -v function_name="$3" '
    function flush() { printf "%s", kept; kept = "" }
    function hole(   pages, parameters, word, count, list, i) {
      while (match(comment, /[a-z_0-9-]+\([1-9]\)/)) {
        word = substr(comment, RSTART, RLENGTH)
        if (index(pages, word) == 0) pages = pages (pages == "" ? "" : ", ") word
        comment = substr(comment, RSTART + RLENGTH)
      }
      print "    /*"
      printf "     * HOLE %d: the step %s. What it has to do is said above, or in the text of its row\n", n, step
      printf "     * in the step table; look there at what its undo takes back.\n"
      printf "     * Read: %s.\n     */\n", pages == "" ? "the man page of each call you make" : pages
      parameters = signature
      sub(/^[^(]*\(/, "", parameters)
      sub(/\)[^)]*$/, "", parameters)
      count = split(parameters, list, ",")
      for (i = 1; i <= count; i++)
        if (match(list[i], /[A-Za-z_0-9]+(\[[^]]*\])?[ \n]*$/)) {
          word = substr(list[i], RSTART, RLENGTH)
          sub(/[^A-Za-z_0-9].*/, "", word)
          if (word != "void") printf "    (void)%s;\n", word
        }
      if (signature !~ /^static (_Noreturn )?void/) print "    return 0; /* nothing done, and no error */"
      print "}"
    }
    # a prototype ends with a semicolon, a definition with a brace
    !done && !collecting && $0 ~ "^static .*[ *]" function_name "\\(" { collecting = 1; signature = "" }
    collecting {
      signature = signature $0 "\n"
      if ($0 ~ /;$/) { collecting = 0; printf "%s", signature; next }
      if ($0 !~ /\{$/) next
      printf "%s", signature
      hole()
      collecting = 0; skipping = 1; done = 1
      next
    }
    skipping { if (/^\}/) skipping = 0; next }
    /^\/\*/ { comment = "" }
    /^\/\*/, /\*\// { comment = comment $0 "\n" }
    /^[^\/ *]/ { comment = "" }
    { print }
    END { exit !done }' "$SOURCE" || die "there is no function $3 to empty"
}

main() {
  local n name function file
  (($#)) || { steps; exit; }
  read -r n name function < <(steps | awk -v which="$1" '$1 == which || $2 == which') ||
    die "there is no step '$1': test/lesson.sh lists them"
  file=${2:-lesson$n.c}
  [[ ! -e $file ]] || die "$file is there already"
  make_hole "$n" "$name" "$function" >"$file.part"
  { # helpers that only the body used would be warned of
    printf '#pragma GCC diagnostic ignored "-Wunused-function"\n'
    printf '#pragma GCC diagnostic ignored "-Wunused-const-variable"\n#line 1\n'
    cat "$file.part"
  } >"$file"
  rm "$file.part"
  printf '%s: step %s, function %s. Fill the hole, then: sudo make grade FILE=%s\n' \
    "$file" "$name" "$function" "$file"
}

main "$@"

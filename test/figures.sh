#!/usr/bin/env bash
# `make figures`: what container_engine.c and the two shell scripts amount to, as text; as root also
# the figures of a short benchmark. test/figures.sh [FILE.c] counts another file.
set -euo pipefail

cd "${BASH_SOURCE[0]%/*}/.."

# Lines per part (`/* ==== Part I: ...`) and per section (`/* ---- Title ---`), what stands before
# the first of them included; functions over 50 lines; prototypes; the longest line.
#
# The file is formatted by clang-format: a function ends at a `}` alone on its line, and starts at
# the last line before it that begins in column one with a word and has a parenthesis.
count_c() { # FILE
  awk '
    function shown(text) { # a title without the comment around it
      sub(/^\/\* (====|----) */, "", text)
      sub(/ *[=-]* *\*\/ *$/, "", text)
      sub(/ *[=-]+ *$/, "", text)
      return text
    }
    function note(level, text) { title[++titles] = text; rank[titles] = level; at[titles] = NR }
    # The end of declaration text that stands outside of functions: how many prototypes is it?
    function prototypes_in(text, words) {
      gsub(/__attribute__ *\(\(.*\)\)/, "", text)
      if (text ~ /^(typedef|#|extern)/ || text ~ /[={]/) return 0
      if (text ~ /\(/) return 1
      # static step_fn claim, layer, cgroup; where step_fn is a typedef for a function
      if (match(text, /^(static )?[a-z_]+_fn /)) return split(text, words, ",")
      return 0
    }
    NR == 1 { note(0, "before the first part") }
    length($0) > longest { longest = length($0); longest_at = NR }
    /^\/\* ==== / { note(1, shown($0)); parts++ }
    /^\/\* ---- / { note(2, shown($0)) }
    /^[A-Za-z_].*\(/ && !/;$/ { start = NR; name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
    /^}$/ && start {
      functions++
      size[functions] = NR - start + 1
      if (size[functions] > 50) { long_one[++over] = sprintf("%4d %s (line %d)", size[functions], name, start) }
      start = 0
    }
    # Declarations, joined; a brace opens something that is none.
    /^#/ || /\\$/ { next }
    /^[a-z]/ { text = $0; open = 1 }
    !/^[a-z]/ && open { text = text " " $0 }
    open && /\{/ { open = 0 }
    open && /;( *\/\*.*\*\/)?$/ { prototypes += prototypes_in(text); open = 0 }
    END {
      for (i = 1; i <= titles; i++) {
        # A part ends where the next one starts, a section where anything starts.
        end = NR + 1
        for (j = i + 1; j <= titles; j++)
          if (rank[i] == 2 || rank[i] == 0 || rank[j] == 1) { end = at[j]; break }
        if (i == 1 && end == 1) continue
        printf "%s%5d  %s\n", rank[i] == 2 ? "      " : "", end - at[i], title[i]
      }
      printf "%5d  lines in all%s\n", NR, parts ? "" : " (it has no parts)"
      for (i = 2; i <= functions; i++) # insertion sort, for the median
        for (j = i; j > 1 && size[j] < size[j - 1]; j--) { s = size[j]; size[j] = size[j - 1]; size[j - 1] = s }
      printf "%5d  functions, of %d lines in the middle, %d at most\n", functions,
        size[int((functions + 1) / 2)], size[functions]
      printf "%5d  of them over 50 lines\n", over
      for (i = 1; i <= over; i++) printf "         %s\n", long_one[i]
      printf "%5d  prototypes\n", prototypes
      printf "%5d  characters in the longest line (line %d)\n", longest, longest_at
    }' "$1"
}

count_shell() {
  wc -l env.sh rootfs-fetch.sh | awk '{ printf "%5d  %s\n", $1, $2 == "total" ? "lines of shell in all" : $2 }'
}

# What the benchmark knows better.
measure() {
  if ((EUID != 0)); then
    printf '       (system calls, memory and times need root)\n'
    return
  fi
  values=$(mktemp) # global: the trap reads it
  trap 'rm -f "$values"' EXIT
  RUNS=${RUNS:-20} VALUES=$values test/bench.sh calls start >/dev/null
  awk -F= '
    $1 == "calls"       { printf "%5d  system calls of engine and child without a network (strace -fc)\n", $2 }
    $1 == "rss"         { printf "%5.2f  MiB: peak RSS of the engine\n", $2 }
    $1 == "ratio_none"  { printf "%5.2f  start to exit without a network, crun = 1\n", $2 }
    $1 == "ratio_net"   { printf "%5.2f  start to exit with a network, crun without one = 1\n", $2 }
  ' "$values"
}

main() {
  count_c "${1:-container_engine.c}"
  count_shell
  measure
}

main "$@"

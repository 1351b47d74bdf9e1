#!/usr/bin/env bats
# README.zh.md says what README.md says: the same code, steps and tables, in Chinese.

bats_require_minimum_version 1.5.0

setup() {
  cd "$BATS_TEST_DIRNAME/.." || return 1
}

# The code blocks, fences and all.
blocks() { # FILE
  awk '/^```/ { fence = !fence; print; next } fence' "$1"
}

# The items of the numbered lists: "1 NAME".
steps() { # FILE
  sed -n 's/^\([0-9]*\)\. \*\*\([a-z]*\)\*\* .*/\1 \2/p' "$1"
}

# How many rows each table has: "HEADING-NUMBER ROWS".
rows() { # FILE
  awk '
    /^```/ { fence = !fence }
    fence { next }
    /^## / { heading++ }
    /^\|/ { count[heading]++ }
    END { for (i = 0; i <= heading; i++) if (count[i]) print i, count[i] }' "$1"
}

# The stress test speaks the reader's language; each line here must be one of its own.
english() {
  local line english chinese
  line="$(sed -nE "s/^ *(ask|say) '([^']*)' '([^']*)'$/s:\3:\2:/p" test/stress_test.sh)"
  sed -e 's/# LANG=zh_CN.UTF-8 /# /' -e "$line"
}

@test "readme_zh: the code blocks are the same, but for the language of the stress test" {
  (($(blocks README.md | grep -c '^```') >= 10))
  diff <(blocks README.md) <(blocks README.zh.md | english)
}

@test "readme_zh: the steps have the same names, in the same order" {
  (($(steps README.md | wc -l) >= 10))
  diff <(steps README.md) <(steps README.zh.md)
}

@test "readme_zh: each links to the other" {
  grep -qF '](README.zh.md)' README.md
  grep -qF '](README.md)' README.zh.md
  [[ $(head -n 1 README.zh.md) == '# container_engine' ]]
  grep -q '使用' README.zh.md # and is not a copy
}

@test "readme_zh: the tables have the same number of rows" {
  (($(rows README.md | wc -l) >= 3))
  diff <(rows README.md) <(rows README.zh.md)
}

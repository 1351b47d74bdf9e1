# Prints the steps in the two tables of container_engine.c, one a line: NUMBER NAME FUNCTION.
# A row is {"name", ..., make, undo}: its first string, and its first word that is no string.
/^static const struct step (host|container)_steps\[\] = \{/ { inside = 1; text = ""; next }
inside && /^};/ {
  inside = 0
  while (match(text, /\{[^{}]*\}/)) {
    row = substr(text, RSTART + 1, RLENGTH - 2)
    text = substr(text, RSTART + RLENGTH)
    split(row, strings, "\"")
    gsub(/"([^"\\]|\\.)*"/, "", row) # what is left: commas, words, comments
    gsub(/\.[a-z_]+ *=/, "", row) # .make =
    gsub(/\/\*[^*]*\*\//, "", row)
    if (match(row, /[A-Za-z_][A-Za-z_0-9]*/)) print ++n, strings[2], substr(row, RSTART, RLENGTH)
  }
}
inside {
  line = $0
  # braces inside of strings would end a row
  out = ""
  while (match(line, /"([^"\\]|\\.)*"/)) {
    string = substr(line, RSTART, RLENGTH)
    gsub(/[{}]/, "", string)
    out = out substr(line, 1, RSTART - 1) string
    line = substr(line, RSTART + RLENGTH)
  }
  text = text out line "\n"
}

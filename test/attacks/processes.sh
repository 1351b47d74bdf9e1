#!/bin/sh
# processes.sh WORD: are there processes of the host's to be seen? One has WORD, a password, on its
# command line.
set -- "$1" /proc/[0-9]*
count=$(($# - 1))
for process in /proc/[0-9]*; do
  [ "${process#/proc/}" != $$ ] || continue
  if tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -q "^sleep .*$1"; then
    echo "BROKEN: of $count processes in /proc no. ${process#/proc/} has a password: $1"
    exit 0
  fi
done
echo "HOLDS: processes in /proc: $count, its own"

#!/bin/sh
# setting.sh: change a setting of the one kernel that all share: for how many seconds a file's lease
# is honoured, which hardly anybody uses. It is put back.
file=/proc/sys/fs/lease-break-time
was=$(cat $file)
if said=$( { echo $((was + 1)) >$file; } 2>&1); then
  echo "BROKEN: $file was $was and became $(cat $file)"
  echo "$was" >$file
else
  echo "HOLDS: $file: ${said##*: }"
fi

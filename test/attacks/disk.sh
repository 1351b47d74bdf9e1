#!/bin/sh
# disk.sh: read a disk of the host's, past all files and their modes. Where there is no device file
# for it, make one.
why='no disks'
while read -r major minor _ name; do
  case $name in '' | name) continue ;; esac
  disk=/dev/$name
  if [ ! -e "$disk" ]; then
    disk=/tmp/$name
    why=$(mknod "$disk" b "$major" "$minor" 2>&1) || continue
  fi
  if why=$(head -c 512 "$disk" 2>&1 >/dev/null) && [ -z "$why" ]; then
    echo "BROKEN: read 512 bytes of $disk, a disk of the host's"
    exit 0
  fi
done </proc/partitions
echo "HOLDS: ${why##*: }"

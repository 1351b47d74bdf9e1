#!/bin/sh
# sharedmemory.sh: System V shared memory has numbers instead of names in a file system. Is there
# any that we have not made?
count=$(sed 1d /proc/sysvipc/shm | wc -l)
if [ "$count" -gt 0 ]; then
  echo "BROKEN: sees $count shared memory of the host's"
else
  echo 'HOLDS: there is no shared memory'
fi

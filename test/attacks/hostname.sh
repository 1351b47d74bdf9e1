#!/bin/sh
# hostname.sh: give the host another name, for a moment.
was=$(hostname)
if said=$(hostname owned 2>&1); then
  hostname "$was"
  [ "$was" != "$1" ] || { echo "BROKEN: renamed the host, $was, to owned"; exit 0; }
  echo "HOLDS: could only rename itself, $was"
else
  echo "HOLDS: $was: ${said##*: }"
fi

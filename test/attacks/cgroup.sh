#!/bin/sh
# cgroup.sh: where in the host's tree of cgroups are we? The names there tell what else runs.
where=$(sed -n 's/^0:://p' /proc/self/cgroup)
if [ "$where" != / ]; then
  echo "BROKEN: knows its place on the host: $where"
else
  echo 'HOLDS: to itself it is in the root, /'
fi

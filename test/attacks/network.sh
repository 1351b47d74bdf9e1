#!/bin/sh
# network.sh: whose network interfaces are there? A container has lo and eth0.
names=$(sed -n 's/^ *\([^ :]*\):.*/\1/p' /proc/net/dev | tr '\n' ' ')
case " $names" in
  *' cebr0 '*) echo "BROKEN: sees the host's interfaces: $names" ;;
  *) echo "HOLDS: only $names" ;;
esac

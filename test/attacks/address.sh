#!/bin/sh
# address.sh IP: take the address of a neighbour, and with it what is sent to it.
if said=$(ip addr add "$1/24" dev eth0 2>&1); then
  echo "BROKEN: has the address $1 of somebody else as well"
else
  echo "HOLDS: ip addr add: ${said##*: }"
fi

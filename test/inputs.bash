# shellcheck shell=bash
# The root file systems that the tests want, as tarballs, for run.sh and for a direct `bats test/`.
# CE_ALPINE, CE_DEBIAN and CE_HOST name them where somebody has them already.

CACHE=${CE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/container_engine}

# SOURCE of rootfs-fetch.sh as a tarball: once, because the VM cannot fetch, and a test should
# not need the network.
ensure_tarball() { # SOURCE FILE
  local dir
  [[ ! -e $2 ]] || return 0
  printf 'fetching %s for the tests, into %s\n' "$1" "$2" >&2
  dir=$(mktemp -d "$2.XXXXXX")
  if "$REPO/rootfs-fetch.sh" "$1" "$dir/root" >&2; then
    tar -C "$dir/root" -cf "$dir/tar" . && mv "$dir/tar" "$2"
  fi
  rm -rf --one-file-system "$dir" # without it the tests that need it skip, and say so
}

ensure_inputs() {
  mkdir -p "$CACHE"
  if [[ -z ${CE_ALPINE-} ]]; then
    ensure_tarball alpine:3.20 "$CACHE/alpine.tar"
    export CE_ALPINE=$CACHE/alpine.tar
  fi
  if [[ -z ${CE_DEBIAN-} ]]; then
    ensure_tarball debian:bookworm "$CACHE/debian.tar"
    export CE_DEBIAN=$CACHE/debian.tar
  fi
}

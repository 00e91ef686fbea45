#!/bin/sh
# Start the BIDS app in a container: as any user, with a home or without, on a read-only disk.
set -eu
prefix=$(dirname "$(dirname "$(readlink -f "$0")")")
scratch=${TMPDIR:-/tmp}

# The compiled code of the image is for processors with AVX2; others compile for themselves.
if grep -qw avx2 /proc/cpuinfo 2>/dev/null; then
    eval "$("$prefix/bin/python" -c 'from ivimkit.portable_bits import VARIABLES
for name, text in VARIABLES.items(): print(f"export {name}=\"{text}\"")')"
fi

# numba passes over a cache that it cannot write to: this user gets a copy. One of another user is
# not trusted, as compiled code is executed.
if [ -z "${NUMBA_CACHE_DIR:-}" ]; then
    NUMBA_CACHE_DIR="$scratch/ivimkit-cache-$(id -u)"
    mkdir -p -m 700 "$NUMBA_CACHE_DIR" 2>/dev/null || true
    if [ ! -O "$NUMBA_CACHE_DIR" ] || [ ! -w "$NUMBA_CACHE_DIR" ]; then
        NUMBA_CACHE_DIR=$(mktemp -d "$scratch/ivimkit-cache-XXXXXX")
    fi
    export NUMBA_CACHE_DIR
fi
mkdir -p "$NUMBA_CACHE_DIR"
cp -R -n "$prefix/cache/." "$NUMBA_CACHE_DIR/"
chmod -R u+w "$NUMBA_CACHE_DIR"

: "${MPLCONFIGDIR:=$NUMBA_CACHE_DIR/matplotlib}"
export MPLCONFIGDIR
exec "$prefix/bin/ivimkit" "${IVIMKIT_COMMAND:-bids}" "$@"

#!/bin/sh
# Install ivimkit for a container, and compile what its fits need: install.sh WHEEL PREFIX
#
# The Dockerfile, the definition for Apptainer and check.sh take these steps. METHODS are the fit
# methods that are compiled; others are compiled when they are used.
set -eu
wheel=$1
prefix=$2
here=$(dirname "$0")

python3 -m venv "$prefix"
"$prefix/bin/python" -m pip install --no-cache-dir --quiet --disable-pip-version-check \
    --constraint "$here/constraints.txt" "${wheel}[cluster,parquet,preprocess]"
cp "$here/entrypoint.sh" "$prefix/bin/ivimkit-app"
chmod 755 "$prefix/bin/ivimkit-app"

# Compiled once, for every processor with AVX2, whatever machine builds the image.
NUMBA_CACHE_DIR="$prefix/cache" MPLCONFIGDIR="$prefix/matplotlib" "$prefix/bin/python" - \
    "${METHODS:-varpro segmented bayes}" <<'PY'
import sys

import ivimkit as ik

ik.use_portable_bits()
scan = ik.simulate.phantom(shape=(12, 10, 3), snr=20).dwi
for method in sys.argv[1].split():
    ik.report.build(ik.fit(scan, method=method))
PY
chmod -R a+rX "$prefix"

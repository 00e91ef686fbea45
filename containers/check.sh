#!/bin/sh
# Take the steps of the image without Docker, and run the app as a container would: as an unknown
# user without a home, without a network, on input that it cannot write to. As root, on Linux:
#
#   sh containers/check.sh dist/ivimkit-*.whl
#
# It fails if anything is compiled when the app runs: then the cache of the image is not used.
set -eu
wheel=$(readlink -f "$1")
here=$(dirname "$(readlink -f "$0")")
root=$(mktemp -d /tmp/ivimkit-image-XXXXXX)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

as_user() {
    setpriv --reuid=54321 --regid=54321 --clear-groups -- "$@"
}
as_user "$(python3 -c 'import sys; print(sys.executable)')" -c "" || {
    echo "another user cannot run this Python; put one into PATH that all users can run" >&2
    exit 2
}

sh "$here/install.sh" "$wheel" "$root/opt"
"$root/opt/bin/python" - "$root/data" <<'PY'
import json, sys
from pathlib import Path
import ivimkit as ik

root = Path(sys.argv[1])
for name in ("01", "02"):
    home = root / f"sub-{name}" / "dwi"
    home.mkdir(parents=True)
    ik.io.save_scan(ik.simulate.phantom(shape=(16, 12, 3)).dwi, home / f"sub-{name}_dwi.nii.gz")
about = {"Name": "phantoms", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
(root / "dataset_description.json").write_text(json.dumps(about))
PY
find "$root/data" "$root/opt" -exec chmod a-w {} +
mkdir -m 777 "$root/out" "$root/tmp"

app() {
    (cd / && unshare --net -- setpriv --reuid=54321 --regid=54321 --clear-groups -- \
        env -i PATH="$root/opt/bin:/usr/bin:/bin" HOME=/nonexistent TMPDIR="$root/tmp" \
        PYTHONDONTWRITEBYTECODE=1 NUMBA_DEBUG_CACHE=1 \
        "$root/opt/bin/ivimkit-app" "$root/data" "$root/out" "$@" >"$root/log" 2>&1) ||
        { tail -n 20 "$root/log"; exit 1; }
}

for method in ${METHODS:-varpro segmented}; do
    start=$(date +%s)
    app participant --method "$method" --overwrite
    compiled=$(grep -c "\[cache\] data saved" "$root/log" || true)
    loaded=$(grep -c "\[cache\] data loaded" "$root/log" || true)
    echo "$method: $compiled functions compiled, $loaded loaded; $(($(date +%s) - start)) s"
    grep "scans fitted" "$root/log"
    [ "$compiled" -eq 0 ] && [ "$loaded" -gt 0 ]
done
app group
ls "$root/out/group.html" "$root/out/sub-01.html"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: cnv2bfn.sh CNV2BFN SOURCE
# Every recorded thresholded network converts, twice to the same bytes; broken models are refused.
set -eu
data=${BFIMNA_DATA:-$2/../shared/data}
[ -d "$data" ] || { echo "skipped: no recorded data"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
found=0
for model in $(find "$data" -name model.json); do
  "$1" "$model" "$dir/a.bfn"
  "$1" "$model" "$dir/b.bfn"
  cmp "$dir/a.bfn" "$dir/b.bfn"
  cmp "$dir/a.npz" "$dir/b.npz"
  found=1
done
[ $found = 1 ] || { echo "skipped: no model.json"; exit 77; }
echo '{"name": "x", "layers": []}' > "$dir/broken.json"
status=0
"$1" "$dir/broken.json" "$dir/c.bfn" 2> "$dir/message" || status=$?
[ $status = 1 ] && grep -q 'wanted: a name' "$dir/message" && [ ! -e "$dir/c.bfn" ]
status=0
"$1" "$dir/absent.json" "$dir/c.bfn" 2> "$dir/message" || status=$?
[ $status = 1 ] && [ ! -e "$dir/c.bfn" ]

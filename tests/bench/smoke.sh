#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sees that runtime-bench works on a small network: smoke.sh RUNTIME-BENCH BFIMNAC TESTKIT SOURCE-FOLDER WORK-FOLDER
set -eu
bench=$1 compiler=$2 kit=$3 source=$4 work=$5
mkdir -p "$work"
cd "$work"
. "$source/tests/cli/lib.sh"
PATH=$(dirname "$kit"):$PATH
tiny
"$compiler" tiny.bfn -o tiny.apbin
"$bench" tiny.apbin --json bench.json --images=2 --threads=2
for path in schema threads limit_row_additions_per_s.fused limit_row_additions_per_s.counted "networks[].macs" "networks[].additions" \
  "networks[].runs[].seconds_per_image" "networks[].runs[].fraction" "networks[].runs[].layers[].seconds"; do
  testkit json bench.json "$path" | awk -v path="$path" '!($1 >= 0) || NF != 1 {print path ": " $0; bad = 1} END {exit bad || NR == 0}'
done

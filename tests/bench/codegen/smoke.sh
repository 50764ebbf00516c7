#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sees that codegen-bench works on a small network: smoke.sh CODEGEN-BENCH BFIMNAC TESTKIT SOURCE-FOLDER WORK-FOLDER
set -eu
bench=$1 compiler=$2 kit=$3 source=$4 work=$5
net=$source/examples/resnet8/resnet8.bfn
mkdir -p "$work"
cd "$work"
"$bench" --network="$net" --batch=4 --layers --json bench.json >bench.txt
grep -q "GEMM / mac" bench.txt
for path in "networks[].gemm_vs_formula" "networks[].gemm_vs_mac" "networks[].energy_vs_mac" "networks[].total_vs_mac" "networks[].all.cycles"; do
  "$kit" json bench.json "$path" | awk -v path="$path" '!($1 > 0) || NF != 1 {print path ": " $0; bad = 1} END {exit bad || NR == 0}'
done
# The analysis gives the cycles that the compiler reports.
"$bench" --network="$net" --no-mac --movement=1 --json one.json >/dev/null
"$compiler" "$net" -O3 --report=json >report.json
test "$("$kit" json one.json "networks[].all.cycles" | cut -d. -f1)" = "$("$kit" json report.json cycles)"

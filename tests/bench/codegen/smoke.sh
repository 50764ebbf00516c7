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
# Wrong usage says which option, and what it wants.
refused() { # PATTERN OPTION...
  pattern=$1
  shift
  if "$bench" "$@" >wrong.out 2>wrong.err; then status=0; else status=$?; fi
  test "$status" = 2 && test ! -s wrong.out && grep -q -e "$pattern" wrong.err || { echo "$*: status $status"; cat wrong.err; exit 1; }
}
refused "--bits wants 8|4, not '5'" --bits=5
refused "--bits is for the networks of the zoo" --bits=4 --network="$net"
refused "--network wants NAME|FILE, not 'alexnett'" --network=alexnett
refused "--movement wants 0..1, not '2'" --movement=2
refused "unknown option '--bit5'" --bit5

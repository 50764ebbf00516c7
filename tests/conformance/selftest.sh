#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: selftest.sh CONFORMANCE
# The program itself, on recordings made by hand: equal, altered, damaged, none.
set -eu
program=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() {
  echo "selftest: $*" >&2
  cat "$dir/out" "$dir/err" >&2
  exit 1
}
# run STATUS ARGUMENT...
run() {
  want=$1
  shift
  status=0
  "$program" "$@" > "$dir/out" 2> "$dir/err" || status=$?
  [ "$status" = "$want" ] || fail "status $status, not $want: $*"
}
has() { grep -q -- "$1" "$dir/out" || fail "no '$1' in the output"; }

# A row of 1 2 3 with -5 before it and behind it; vec LAST makes the recorded last element LAST.
vec() {
  printf 'case pad\nkind pad\ncfg INPUT_N 1\ncfg INPUT_H 1\ncfg INPUT_W 3\ncfg INPUT_C 1\ncfg PRE_PAD_W 1\ncfg POST_PAD_W 1\n'
  printf 'cfg PAD_VALUE -5\ntensor input_tensor int8 3\n1 2 3\ntensor output int8 5\n-5 1 2 3 %s\nend\n' "$1"
}

run 77 --data="$dir/absent"
run 2 --engine=other
run 2 --time=soon
run 2 --nonsense
run 0 --help
has '--filter=GLOB'
run 0 --version
mkdir -p "$dir/data/hand/made"
run 1 --data="$dir/data"
grep -q 'no case found' "$dir/err" || fail "no message"

vec -5 > "$dir/data/hand/made/pad.vec"
run 0 --data="$dir/data" --markdown="$dir/page.md"
has '^reference bit-exact    hand/made/pad.vec  5 of 5 bytes, 1 of 1 samples$'
ap=$(sed -n 's/^\(interp\|jit\) .*/\1/p' "$dir/out" | head -n 1)  # the faster engine of this build
has "^$ap  *bit-exact    hand/made/pad.vec  5 of 5 bytes, 1 of 1 samples\$"
grep -q "^| hand/made | $ap | 1 | 1 | 0 |" "$dir/page.md" || fail "no row in the page"
run 0 --data="$dir/data" --engine=reference
! grep -q '^interp\|^jit' "$dir/out" || fail "the other engine ran too"

vec 4 > "$dir/data/hand/made/other.vec"
run 1 --data="$dir/data"
has "^$ap  *WRONG        hand/made/other.vec  4 of 5 bytes"
has '^reference WRONG        hand/made/other.vec  4 of 5 bytes'
run 0 --data="$dir/data" --filter='*/pad.vec'
run 1 --data="$dir/data" --filter=pad
grep -q "matches 'pad'" "$dir/err" || fail "the filter is not blamed"
rm "$dir/data/hand/made/other.vec"

# Files that are no recordings are refused one by one, and nothing else happens.
printf 'no model' > "$dir/data/hand/made/a.tflite"
printf 'no model' > "$dir/data/hand/made/b.onnx"
printf 'kind pad\ntensor output int8 1\n7\n' > "$dir/data/hand/made/c.vec"
mkdir -p "$dir/data/hand/net" "$dir/data/hand/node/test_data_set_0" "$dir/data/hand/layers"
printf '{' > "$dir/data/hand/net/model.json"
: > "$dir/data/hand/net/L0_w.i8"
: > "$dir/data/hand/node/model.onnx"
printf '\010' > "$dir/data/hand/node/test_data_set_0/input_0.pb"
: > "$dir/data/hand/layers/d.onnx"
printf 'input.bin\tuint8\t1\n' > "$dir/data/hand/layers/index.tsv"
run 0 --data="$dir/data" --jobs=3
has "^all  *$ap  *7  *1  *0 "

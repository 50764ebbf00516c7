#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Both readers and both simulators on many binaries: compare.sh CASE PROGRAMS-FOLDER SOURCE-FOLDER WORK-FOLDER
set -eu
name=$1
BIN=$(cd "$2" && pwd)
SRC=$(cd "$3" && pwd)
rm -rf "$4"
mkdir -p "$4" && cd "$4"
PATH=$BIN:$BIN/tests:$PATH
LC_ALL=C
DATA=${BFIMNA_DATA:-$SRC/../shared/data}
export PATH LC_ALL
. "$SRC/tests/cli/lib.sh"
compared=0

fail() {
  echo "$name: $*"
  exit 1
}
# Both list the same contents.
same_dump() {
  apfirst "$1" --dump >first.dump || fail "the project refuses $1"
  apsecond "$1" --dump >second.dump || fail "the second reader refuses $1"
  cmp first.dump second.dump || fail "the listings of $1 differ: $(diff first.dump second.dump | head -4)"
  compared=$((compared + 1))
}
technology() { echo "$SRC/isa/technologies/$(sed -n 's/^network [^ ]* [0-9]* \([^ ]*\) .*/\1/p' first.dump).ini"; }
# Besides, both count the same events and cycles and leave the same numbers in all tensors.
same_run() {
  same_dump "$1"
  for seed in ${2:-1 2}; do
    apfirst "$1" --run $seed ${3:-} >first.run || fail "the project does not run $1"
    apsecond "$1" --tech "$(technology)" --run $seed ${3:-} >second.run || fail "the second simulator does not run $1"
    cmp first.run second.run || fail "runs of $1 differ: $(diff first.run second.run | head -8)"
    [ -s first.run ] || fail "nothing was run"
  done
}
# And aprun: same bytes of the output, same figures in the report. same_aprun FILE NAMES-OF-OUTPUTS INPUT-OPTIONS...
same_aprun() {
  same_run "$1"
  file=$1
  outputs=$2
  shift 2
  one= two=
  for output in $outputs; do
    one="$one --output $output=one-$output.npy"
    two="$two --output $output=two-$output.npy"
  done
  aprun "$file" "$@" $one --report=json --report-file=report.json
  apsecond "$file" "$@" $two --tech "$(technology)" --values >second.values
  for output in $outputs; do
    cmp one-$output.npy two-$output.npy
  done
  testkit json report.json cycles $(printf 'events.%s ' $keys) 'layers[].cycles' $(printf 'layers[].events.%s ' $keys) >first.values
  cmp first.values second.values || fail "reports of $file differ: $(diff first.values second.values | head -8)"
}
keys='compare write load store move shift count external host stall'

# The examples in assembly, with the outputs that stand beside them.
case_asm() {
  dir=$SRC/examples/asm
  for text in "$dir"/*.aps; do
    base=$(basename "$text" .aps)
    apas "$text" -o $base.apbin
    set -- --
    for array in "$dir"/$base.*.npy; do
      input=$(basename "$array" .npy)
      input=${input#"$base".}
      if grep -q "^ *\.input $input\$" "$text"; then
        set -- "$@" --input "$input=$array"
      fi
    done
    shift
    same_aprun $base.apbin "$(sed -n 's/^ *\.output \([a-z_0-9]*\).*/\1/p' "$text")" "$@"
  done
}

# Every instruction and kind of step, and the same with other features and geometry.
case_ops() {
  apas "$SRC/tests/second/all-ops.aps" -o ops.apbin
  same_run ops.apbin "1 2 3"
  for change in 's/^rows = .*/rows = 300/' 's/^caps_per_cluster = .*/caps_per_cluster = 1/;s/^multicast = .*/multicast = no/' \
    's/ row-gating//' 's/ accumulate//'; do
    apas_machine "$change"
    if [ "$change" = 's/ accumulate//' ]; then
      grep -v 'compare.or' other.aps >plain.aps
      mv plain.aps other.aps
    fi
    apas other.aps -o other.apbin
    same_run other.apbin 4
  done
}
# all-ops.aps for the research machine with a change: other.aps
apas_machine() {
  grep -v '^;' "$SRC/isa/machines/research.ini" | sed "$1" >machine.ini
  sed -e '/^\.machine /{s/.*/.machine/;r machine.ini
a .end
}' "$SRC/tests/second/all-ops.aps" >other.aps
}

# Narrow ports, few and many of them, with and without multicast.
case_ports() {
  text=$SRC/tests/second/ports.aps
  for change in '' 's/^multicast = .*/multicast = no/' 's/^unlimited_caps = .*/unlimited_caps = yes/' 's/^clusters = .*/clusters = 1/' \
    's/^clusters = .*/clusters = 9/;s/^rows = .*/rows = 1000/' 's/^port_bits = .*/port_bits = 16/' \
    's/^caps_per_cluster = .*/caps_per_cluster = 20/'; do
    sed "$change" "$text" >ports.aps
    apas ports.aps -o ports.apbin
    same_run ports.apbin
  done
}

# The small network for the machines, mappings, levels and technologies; a file whose array is small, so that a layer takes many waves.
case_machines() {
  tiny
  testkit npy image.npy int8:1,6,6,2:seed=9
  sed -e 's/^rows = .*/rows = 7/' -e 's/^caps_per_cluster = .*/caps_per_cluster = 2/' -e 's/^clusters = .*/clusters = 3/' \
    -e 's/^port_bits = .*/port_bits = 4/' "$SRC/isa/machines/edge.ini" >small.ini
  sed -e 's/^multicast = .*/multicast = no/' -e 's/row-gating//' small.ini >apart.ini
  sed -e 's/^unlimited_caps = .*/unlimited_caps = yes/' small.ini >many.ini
  for options in -O0 -O1 -O2 -O3 --mapping=pixel --objective=energy --keep=all --target=bf-imna-lr --target=bf-imna-ir --target=edge \
    --target=rtm-256 --target=research --target=small.ini --target=apart.ini --target=many.ini --tech=reram --tech=pcm --tech=fefet; do
    echo "$options"
    bfimnac tiny.bfn -o tiny.apbin $options
    same_aprun tiny.apbin fc --input image.npy
  done
}

# Several images, groups with waste, a stripped file, altered microcode.
case_tiny() {
  tiny_binary
  testkit npy images.npy int8:3,6,6,2:seed=4
  same_aprun tiny.apbin fc --input images.npy
  strip -I elf64-little -O elf64-little -o stripped.apbin tiny.apbin
  same_run stripped.apbin
  bfimnac tiny.bfn -S -o tiny.aps
  sed '/^\.micro add /,/^\.end/s/^\(  1: write d\[1\]=\)1$/\10/' tiny.aps >altered.aps
  apas altered.aps -o altered.apbin
  same_aprun altered.apbin fc --input images.npy
  mv first.run altered.run
  same_run tiny.apbin
  ! cmp -s first.run altered.run || fail "the altered microcode made no difference"
  bfimnac tiny.bfn -o pairs.apbin --batch=2
  same_aprun pairs.apbin fc --input images.npy
}

# The whole ResNet8; its softmax is a host op and left out.
case_resnet8() {
  need_example resnet8/resnet8.bfn
  bfimnac "$SRC/examples/resnet8/resnet8.bfn" -o resnet8.apbin
  same_run resnet8.apbin 5
}

# All profiles of one binary.
case_profiles() {
  tiny_with 's/^ *output fc;/&\nprofile low { c2: w3 a4; default: w5 a6; }\nprofile odd { default: w2 a3; }/'
  bfimnac tiny.bfn --keep=all -o profiles.apbin
  for number in 0 1 2; do
    same_run profiles.apbin "1 2" "--profile $number"
    [ ! -e last.run ] || ! cmp -s first.run last.run || fail "two profiles are the same"
    mv first.run last.run
  done
}

# Random networks that the fuzz targets start from.
case_seeds() {
  for file in "$BIN"/tests/fuzz/seeds/apbin/*; do
    [ -e "$file" ] || skip "no seeds were made"
    same_run "$file" 6
  done
}

# What the project still reads with one byte altered reads the same in the second reader.
case_altered() {
  apas "$SRC/examples/asm/vector-add.aps" -o whole.apbin
  size=$(wc -c <whole.apbin)
  step=$((size / 150 + 1))
  offset=0 accepted=0
  while [ $offset -lt $size ]; do
    cp whole.apbin other.apbin
    poke other.apbin $offset 001
    if apfirst other.apbin --dump >/dev/null 2>&1; then
      same_dump other.apbin
      accepted=$((accepted + 1))
    fi
    offset=$((offset + step))
  done
  [ $accepted -gt 5 ] || fail "only $accepted altered files were read"
}

case_$name
echo "$name: $compared binaries compared"

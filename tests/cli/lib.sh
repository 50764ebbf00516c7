# SPDX-License-Identifier: Apache-2.0
# Functions for the command-line tests (see run.sh).

skip() {
  echo "skipped: $*"
  exit 77
}
need_data() { [ -e "$DATA/$1" ] || skip "no $1 in the data folder"; }
need_example() { [ -e "$SRC/examples/$1" ] || skip "no examples/$1"; }

# Makes tiny.bfn and tiny.npz: one convolution, one residual addition, pooling, a dense layer.
tiny_weights="conv_w=int8:4,3,3,2:seed=1 conv_b=int32:4:100,-200,30,0 conv2_w=int8:4,3,3,4:seed=2 conv2_b=int32:4:5,6,-7,8
fc_w=int8:3,4:seed=3 fc_b=int32:3:1,-2,3"
tiny_text() {
  cat <<'END'
bfn 1;

network tiny {
  weights "tiny.npz";
  input image: s8[6, 6, 2] scale 0.05 zero -3;
  const conv_w: s8[4, 3, 3, 2] scale 0.02;
  const conv_b: s32[4];
  const conv2_w: s8[4, 3, 3, 4] scale [0.01, 0.02, 0.015, 0.03];
  const conv2_b: s32[4];
  const fc_w: s8[3, 4] scale 0.04;
  const fc_b: s32[3];

  c1 = conv2d(image, conv_w, conv_b, stride 1, pad same, activation relu) -> s8 scale 0.06 zero -128;
  c2 = conv2d(c1, conv2_w, conv2_b, stride 1, pad same) -> s8 scale 0.1 zero 4;
  sum = add(c1, c2, activation relu) -> s8 scale 0.08 zero -128;
  pool = avg_pool2d(sum, kernel 6, stride 6);
  flat = flatten(pool);
  fc = dense(flat, fc_w, fc_b) -> s8 scale 0.1 zero 2;

  output fc;
}
END
}
tiny() {
  tiny_text >tiny.bfn
  testkit npz tiny.npz $tiny_weights
}
# The same with one change: tiny_with 's/sed/script/'
tiny_with() {
  tiny
  tiny_text | sed "$1" >tiny.bfn
  if tiny_text | cmp -s - tiny.bfn; then
    echo "the change changes nothing: $1"
    exit 3
  fi
}
# The same with one weight left out or replaced: tiny_weight NAME [NEW-MEMBER]
tiny_weight() {
  tiny
  members=
  for member in $tiny_weights; do
    case $member in "$1="*) member=${2:-} ;; esac
    members="$members $member"
  done
  testkit npz tiny.npz $members
}
# Makes tiny.apbin and image.npy besides.
tiny_binary() {
  tiny
  bfimnac tiny.bfn -o tiny.apbin "$@"
  testkit npy image.npy int8:1,6,6,2:seed=9
}
# truncate_to FILE BYTES (negative: that many off the end)
truncate_to() {
  length=$2
  [ "$length" -ge 0 ] || length=$(($(wc -c <"$1") + length))
  head -c "$length" "$1" >truncated.part
  mv truncated.part "$1"
}
# Replaces one byte: poke FILE OFFSET OCTAL
poke() { printf "\\$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null; }
# The sections of an ELF file whose name contains $2.
section_of() { readelf -SW "$1" | sed -n "s/^ *\[ *[0-9]*\] \([^ ]*$2[^ ]*\) .*/\1/p" | head -1; }
# Runs a command that must end with status 1 and exactly one diagnostic; says so on standard output if it doesn't.
# For loops over many wrong inputs: expect_wrong NAME COMMAND...
expect_wrong() {
  what=$1
  shift
  "$@" >wrong.out 2>wrong.err
  code=$?
  count=$(grep -c 'error: ' wrong.err)
  if [ $code != 1 ] || [ "$count" != 1 ] || [ -s wrong.out ]; then
    echo "$what: status $code, $count diagnostics, $(wc -c <wrong.out) bytes of output"
    cat wrong.err
  fi
  rm -f wrong.out wrong.err
}
# objcopy on an .apbin: binutils must be told the format, because the machine is none of theirs.
elf_copy() { objcopy -I elf64-little -O elf64-little "$@"; }
# Takes the section out into a file: elf_section FILE SECTION OUT
elf_section() { objcopy -I elf64-little -O binary --only-section="$2" --set-section-flags "$2=alloc" "$1" "$3"; }
# Makes sensitivity.json and costs.json for the tiny network.
tiny_sensitivity() {
  cat >sensitivity.json <<'END'
{
  "layers": {
    "c1": {"8": 0, "4": 0.5, "2": 3},
    "c2": {"8": 0, "4": 0.125, "2": 1},
    "fc": {"8": 0, "4": 2, "2": 9}
  }
}
END
  cat >costs.json <<'END'
{
  "base": {"cycles": 100},
  "layers": {
    "c1": {"8": {"cycles": 640, "energy": 8e-9}, "4": {"cycles": 160, "energy": 4e-9}, "2": {"cycles": 40, "energy": 2e-9}},
    "c2": {"8": {"cycles": 1280, "energy": 16e-9}, "4": {"cycles": 320, "energy": 8e-9}, "2": {"cycles": 80, "energy": 4e-9}},
    "fc": {"8": {"cycles": 64, "energy": 1e-9}, "4": {"cycles": 16, "energy": 5e-10}, "2": {"cycles": 4, "energy": 2e-10}}
  }
}
END
}

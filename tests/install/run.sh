#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs bfimna, moves the installed tree, builds examples/embed against it by CMake and by pkg-config (shared and static),
# and runs all. run.sh SOURCE-FOLDER BUILD-FOLDER WORK-FOLDER LIBDIR C-COMPILER
set -eu
source=$1 build=$2 work=$3 libdir=$4 cc=$5

rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$work/first" >"$work/install.log"
# Nothing in it may depend on where it was put.
mv "$work/first" "$work/moved tree"
prefix="$work/moved tree"

for file in bin/bfimnac bin/aprun bin/apas bin/apdump bin/bfref include/bfimna/bfimna.h "$libdir/libbfimna.so" "$libdir/libbfimna.a" \
  "$libdir/pkgconfig/bfimna.pc" "$libdir/cmake/bfimna/bfimnaConfig.cmake" share/bfimna/machines/edge.ini \
  share/bfimna/technologies/sram16.ini share/bfimna/examples/embed/embed.c; do
  [ -e "$prefix/$file" ] || { echo "not installed: $file"; exit 1; }
done

# The shared library shows the public names, all those that the header declares, and no others.
nm -D --defined-only "$prefix/$libdir/libbfimna.so" | sed 's/.* //' | grep -v '^_' | sort >"$work/exported"
grep -o 'bfimna_[a-z_]*(' "$prefix/include/bfimna/bfimna.h" | tr -d '(' | sort -u >"$work/declared"
diff "$work/declared" "$work/exported" || { echo "declared (<) and exported (>) names differ"; exit 1; }

# The header stands alone, for C and, where there is a compiler for it, C++.
echo '#include <bfimna/bfimna.h>' >"$work/alone.c"
"$cc" -std=c99 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I "$prefix/include" "$work/alone.c"
if command -v c++ >/dev/null; then
  c++ -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I "$prefix/include" "$work/alone.c"
fi

# A small network, made as the command-line tests make theirs.
mkdir "$work/net"
cd "$work/net"
PATH=$build/tests:$PATH
. "$source/tests/cli/lib.sh"
tiny

cp -r "$prefix/share/bfimna/examples/embed" "$work/embed"
cmake -S "$work/embed" -B "$work/embed/build" "-DCMAKE_PREFIX_PATH=$prefix" "-DCMAKE_C_COMPILER=$cc" >"$work/embed.log"
cmake --build "$work/embed/build" >>"$work/embed.log" || { cat "$work/embed.log"; exit 1; }
"$work/embed/build/embed" tiny.bfn edge >by-cmake

# pkg-config takes no prefix with a space in it reliably: a link without one.
ln -s "$prefix" "$work/plain"
PKG_CONFIG_PATH=$work/plain/$libdir/pkgconfig
export PKG_CONFIG_PATH
"$cc" "$work/embed/embed.c" -o shared $(pkg-config --cflags --libs bfimna)
LD_LIBRARY_PATH=$work/plain/$libdir ./shared tiny.bfn edge >by-pkg-config
"$cc" "$work/embed/embed.c" -o static $(pkg-config --cflags bfimna) "$work/plain/$libdir/libbfimna.a" \
  $(pkg-config --static --libs-only-l bfimna | sed 's/-lbfimna//')
./static tiny.bfn edge >by-static
cmp by-cmake by-pkg-config
cmp by-cmake by-static
cat by-cmake

# The installed programs run, and say the same of the same network.
"$prefix/bin/bfimnac" tiny.bfn --target=edge -o tiny.apbin
"$prefix/bin/aprun" tiny.apbin --random-input=1 --check >/dev/null

# Wrong input through the API: status 1 and a message, no crash.
echo 'nonsense' >bad.bfn
code=0
LD_LIBRARY_PATH=$work/plain/$libdir ./shared bad.bfn 2>bad.err || code=$?
if [ $code != 1 ] || ! grep -q "bad.bfn:1:1: error: " bad.err; then
  echo "bad.bfn: status $code"
  cat bad.err
  exit 1
fi

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs one command-line test: run.sh CASE-FOLDER PROGRAMS-FOLDER SOURCE-FOLDER WORK-FOLDER
#
# A case is a folder with
#   cmd          the commands under test (POSIX sh), run in an empty work folder; under set -e if it should succeed
#   setup        optional: makes the inputs first; its output doesn't count
#   status       optional: expected exit status of cmd (default 0)
#   stdout, stderr            optional: expected bytes
#   stdout.grep, stderr.grep  optional: each line is a basic regular expression that some line must match
# Of every cmd that must fail with status 1 it is required besides that there is exactly one diagnostic, that it stands on
# standard error, and that no file was written or changed. Status 77 of setup or cmd skips the test.
# Available to both scripts: the programs and testkit on PATH; $CASE, $SRC, $DATA (maybe absent); functions of lib.sh.
set -u
CASE=$(cd "$1" && pwd)
BIN=$(cd "$2" && pwd)
SRC=$(cd "$3" && pwd)
WORK=$4
DATA=${BFIMNA_DATA:-$SRC/../shared/data}
LIB=$SRC/tests/cli/lib.sh
export CASE SRC DATA LIB
PATH=$BIN:$BIN/tests:$PATH
LC_ALL=C
BFIMNA_CACHE=none  # nothing outside the work folder
export PATH LC_ALL BFIMNA_CACHE

rm -rf "$WORK"
mkdir -p "$WORK/in" && cd "$WORK/in" || exit 3

name=$(basename "$CASE")
problems=0
bad() {
  problems=$((problems + 1))
  printf '%s: %s\n' "$name" "$*"
}
list_files() { find . -type f -exec cksum {} + | sort; }

if [ -f "$CASE/setup" ]; then
  (set -e; . "$LIB"; . "$CASE/setup") >../setup.out 2>&1
  got=$?
  if [ $got != 0 ]; then
    cat ../setup.out
    [ $got = 77 ] || echo "$name: setup ended with status $got"
    exit $got
  fi
fi
want=0
[ -f "$CASE/status" ] && want=$(cat "$CASE/status")
list_files >../before
(. "$LIB"; [ $want != 0 ] || set -e; . "$CASE/cmd") >../stdout 2>../stderr </dev/null
got=$?
list_files >../after
if [ $got = 77 ]; then
  cat ../stdout ../stderr
  exit 77
fi

[ "$got" = "$want" ] || bad "status $got, expected $want"
for stream in stdout stderr; do
  if [ -f "$CASE/$stream" ] && ! cmp -s "$CASE/$stream" "../$stream"; then
    bad "$stream differs from what is expected:"
    diff "$CASE/$stream" "../$stream"
  fi
  [ -f "$CASE/$stream.grep" ] || continue
  while IFS= read -r pattern; do
    grep -q -e "$pattern" "../$stream" || bad "$stream has no line matching: $pattern"
  done <"$CASE/$stream.grep"
done
if grep -q -e 'AddressSanitizer' -e 'runtime error:' -e 'LeakSanitizer' ../stderr; then
  bad "a sanitizer complains"
fi
if [ "$want" = 1 ]; then
  errors=$(grep -c 'error: ' ../stderr)
  [ "$errors" = 1 ] || bad "$errors diagnostics, expected exactly one"
  grep -q 'error: ' ../stdout && bad "a diagnostic on standard output"
  if ! cmp -s ../before ../after; then
    bad "files were written although the input is wrong:"
    diff ../before ../after
  fi
fi
if [ $problems != 0 ]; then
  echo "---- standard output"
  head -c 4000 ../stdout
  echo "---- standard error"
  head -c 4000 ../stderr
  exit 1
fi

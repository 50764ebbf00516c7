#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks that the relative links of README.md, CONTRIBUTING.md and docs/ lead somewhere. links.sh SOURCE-FOLDER
set -eu
cd "$1"
bad=0
for page in README.md CONTRIBUTING.md docs/*.md; do
  for link in $(grep -o ']([^):#]*)' "$page" | tr -d '])('); do
    [ -e "$(dirname "$page")/$link" ] || { echo "$page: no $link"; bad=1; }
  done
done
exit $bad

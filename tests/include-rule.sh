#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks the dependency rule of docs/architecture.md: which folder may include headers of which.
# include-rule.sh SOURCE-FOLDER
set -eu
cd "$1"
allowed_of() {
  case $1 in
    base) echo base ;;
    ir) echo base ir ;;
    isa) echo base isa ;;
    frontend) echo base ir frontend ;;
    quantize) echo base ir frontend quantize ;;
    passes) echo base ir isa passes ;;
    backend) echo base ir isa passes backend ;;
    runtime) echo base isa runtime ;;
    api) echo base ir isa frontend quantize passes backend runtime bfimna api ;;
  esac
}
folders="base ir isa frontend quantize passes backend runtime api"
bad=0
for folder in $folders; do
  allowed=" $(allowed_of "$folder") "
  for file in "$folder"/*.[chly] "$folder"/*.def; do
    [ -f "$file" ] || continue
    for header in $(sed -n 's|^ *# *include *"\([^"]*\)".*|\1|p' "$file"); do
      case $header in
        */*) target=${header%%/*} ;;
        *)
          echo "$file: \"$header\": project headers are included by their path from the root"
          bad=1
          continue
          ;;
      esac
      case $allowed in
        *" $target "*) ;;
        *)
          echo "$file: folder $folder may not include \"$header\""
          bad=1
          ;;
      esac
    done
  done
done
exit $bad

#!/bin/sh
# No two libraries define the same external name: a static link takes the first without a word.
#   tests/symbols.sh LIBRARY.a...
set -eu
double=$(nm --defined-only --extern-only "$@" 2>/dev/null |
    awk 'NF == 3 && $2 ~ /[TDBR]/ && $3 !~ /^__(asan|ubsan|tsan|gcov|odr)/ {print $3}' | sort | uniq -d)
[ -z "$double" ] || {
    echo "defined more than once: $double"
    exit 1
}

#!/bin/sh
# Every header compiles by itself.
#   tests/headers.sh [COMPILER]
set -eu
cd "$(dirname "$0")/.."
bad=0
# The only library whose headers have a directory of their own.
libpq=$(pkg-config --cflags-only-I libpq)
for header in $(find runner apis k8s compose -name '*.h' | sort); do
    printf '#include "%s"\n' "$header" |
        "${1:-cc}" -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only \
            -Irunner -I. $libpq -x c - || bad=1
done
exit $bad

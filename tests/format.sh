#!/bin/sh
# Every source file has the layout that .clang-format asks for; `tests/format.sh -i` gives it to them.
set -eu
cd "$(dirname "$0")/.."
find runner apis k8s compose examples tests/unit tests/fuzz tests/bench -name '*.[ch]' -print0 |
    if [ "${1:-}" = -i ]; then
        xargs -0 clang-format -i
    else
        xargs -0 clang-format --dry-run -Werror
    fi

#!/usr/bin/env bash
# From a fresh clone on Debian or Ubuntu to a running pipeline:
#
#   deploy/run.sh exec examples/hello.yaml
#
# Installs the build's packages and builds into build/ where that is needed, then becomes the
# runner. Without anything to do it costs a few milliseconds and prints nothing.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
runner=$root/build/runner

# Newer than every file that goes into it?
up_to_date() {
    [[ -x $runner ]] &&
        [[ -z $(find "$root"/{CMakeLists.txt,runner,apis,k8s} -newer "$runner" -print -quit) ]]
}

build() {
    local log
    local -a options=()
    # A build directory that is there already keeps the way its owner set it up.
    [[ -e $root/build/CMakeCache.txt ]] ||
        options=(-G Ninja -DCMAKE_BUILD_TYPE=Release -DRUNNER_TESTS=OFF)
    "$root/tests/env/packages.sh" build
    log=$(mktemp)
    printf 'building the runner\n' >&2
    if ! (cd "$root" && cmake -S . -B build "${options[@]}" && cmake --build build &&
        touch -c "$runner") >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
}

up_to_date || build
exec "$runner" "$@"

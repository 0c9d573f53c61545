#!/bin/bash
# examples/embed builds against librunner as it is installed, and nothing else, and does what it
# says.
#   tests/embed.sh CMAKE BUILD_DIR COMPILER [FLAG…]
set -euo pipefail
root=$(realpath "$(dirname "$0")/..")
cmake=$1
build=$2
compiler=("${@:3}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --prefix "$work/usr" --component library >/dev/null
PKG_CONFIG_PATH=$(dirname "$(find "$work/usr" -name runner.pc)")
export PKG_CONFIG_PATH
read -ra cflags < <(pkg-config --cflags runner)
read -ra libs < <(pkg-config --libs runner)
"${compiler[@]}" -Wall -Wextra -Werror "${cflags[@]}" -o "$work/embed" "$root/examples/embed/embed.c" "${libs[@]}"

# What a program adds must be installed with all that it includes.
for header in runner engine/engine step/kind spec/engine_names spec/service_kinds; do
    echo "#include <runner/$header.h>"
done | "${compiler[@]}" -Wall -Wextra -Werror "${cflags[@]}" -fsyntax-only -x c -

mkdir "$work/home" "$work/here"
cd "$work/here"
export HOME=$work/home XDG_RUNTIME_DIR=$work/home TMPDIR=$work/home
unset XDG_STATE_HOME
"$work/embed" >"$work/out"
diff - "$work/out" <<'OUT'
step 0.0.0: hello world
step 0.0.1: and everybody
greeting: succeeded, exit status 0
note: cancelled by embed: it takes too long
endless: cancelled, exit status 143, cancelled by embed: it takes too long
OUT

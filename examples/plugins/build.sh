#!/bin/sh
# Builds the two example plugins for the Docker daemon of DOCKER_HOST. The one in C is compiled
# statically, as its image has nothing but the program.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sdk=$here/../../deploy/plugin-sdk
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

mkdir "$context/announce" "$context/count-lines"
cp "$here"/announce/* "$sdk/pipeline-plugin.sh" "$context/announce"
chmod 755 "$context/announce/run.sh"
docker build -q -t example/announce:1 "$context/announce"

cp "$here/count-lines/Dockerfile" "$context/count-lines"
"${CC:-cc}" -std=c99 -D_POSIX_C_SOURCE=200809L -Os -Wall -Wextra -pedantic -static -I "$sdk" \
    -o "$context/count-lines/run" "$here/count-lines/count-lines.c"
docker build -q -t example/count-lines:1 "$context/count-lines"

#!/usr/bin/env bash
# prepare.sh DIRECTORY: compiles the one static binary of the image.
set -euo pipefail

gcc -O2 -static -o "$1/pause" "$1/pause.c"

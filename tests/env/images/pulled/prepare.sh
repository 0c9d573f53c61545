#!/usr/bin/env bash
# prepare.sh DIRECTORY: bytes that do not compress, so that a pull takes a moment.
set -euo pipefail

head -c 8M /dev/urandom >"$1/blob"

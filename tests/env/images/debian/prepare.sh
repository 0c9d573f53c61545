#!/usr/bin/env bash
# prepare.sh DIRECTORY: a minimal Debian, without what the slim image on the hub leaves out too.
set -euo pipefail

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

root=$1/rootfs
as_root debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    bookworm "$root" ${RUNNER_TEST_DEBIAN_MIRROR:+"$RUNNER_TEST_DEBIAN_MIRROR"}
as_root find "$root/var/cache/apt" "$root/var/lib/apt/lists" "$root/var/log" -type f -delete
as_root find "$root/usr/share/doc" "$root/usr/share/man" "$root/usr/share/locale" \
    -mindepth 1 -delete
as_root tar -C "$root" --one-file-system --exclude=./dev/* -cf "$1/rootfs.tar" .
as_root rm -rf "$root"

#!/usr/bin/env bash
# Installs Debian or Ubuntu packages in groups: packages.sh [GROUP…], where a GROUP is build, test,
# kubernetes (what a cluster needs at run time), kubernetes_build (what makes its programs) or
# go (what makes Docker Compose and an IDP agent).
# Does nothing, and takes no time, when all of them are there.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# One entry per package; "a|b" is satisfied by either, the first that apt knows is installed.
# shellcheck disable=SC2034 # used by name in main
build=(
    ca-certificates cmake gcc libarchive-dev libc6-dev ninja-build 'pkg-config|pkgconf'
    libcurl4-openssl-dev libexpat1-dev libjansson-dev libpcre2-dev libssh2-1-dev libssl-dev libyaml-dev
    libcmocka-dev liblz4-dev libpq-dev libsqlite3-dev libwebsockets-dev nettle-dev
)
# The helper for the other architecture.
if [[ $(uname -m) == aarch64 ]]; then
    build+=(gcc-x86-64-linux-gnu linux-libc-dev-amd64-cross)
else
    build+=(gcc-aarch64-linux-gnu linux-libc-dev-arm64-cross)
fi
# shellcheck disable=SC2034 # used by name in main
test=(
    curl git iproute2 jq make openssl procps python3 time util-linux
    clang clang-format 'libclang-rt-14-dev|libclang-rt-dev' gcovr valgrind
    docker.io docker-compose iptables podman netavark aardvark-dns docker-registry apache2-utils libxml2-utils tmux
    'qemu-user-static|qemu-user' busybox-static debian-archive-keyring debootstrap
    openssh-client openssh-server python3-jsonschema python3-yaml graphviz zsh fish tcsh
    chromium postgresql systemd
)
# shellcheck disable=SC2034 # used by name in main
kubernetes=(conntrack curl docker.io ebtables etcd-server ethtool iptables jq openssl socat util-linux)
# shellcheck disable=SC2034 # used by name in main
kubernetes_build=(
    debian-archive-keyring dpkg-dev gcc golang-1.19-go golang-github-modern-go-reflect2-dev make rsync
)
# shellcheck disable=SC2034 # used by name in main
go=(ca-certificates 'golang-go|golang-1.19-go')

# missing ENTRY…: prints the entries of which no alternative is installed.
missing() {
    local -A installed=()
    local name entry alternative
    while read -r name; do
        installed[${name%%:*}]=1
    done < <(dpkg-query -W -f '${db:Status-Abbrev} ${binary:Package}\n' | sed -n 's/^ii  *//p')
    for entry; do
        for alternative in ${entry//|/ }; do
            [[ -z ${installed[$alternative]:-} ]] || continue 2
        done
        echo "$entry"
    done
}

first_known() {
    local alternative
    for alternative in ${1//|/ }; do
        if apt-cache show "$alternative" >/dev/null 2>&1; then
            echo "$alternative"
            return
        fi
    done
    die "apt knows no package $1"
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 -qq "$@"
}

# A package that brings a daemon must not start it: the tests run their own, and a second
# docker or a registry on all interfaces is not what somebody asked for who runs tests.
without_services() {
    local policy=/usr/sbin/policy-rc.d
    if [[ -e $policy ]]; then
        "$@"
        return
    fi
    # shellcheck disable=SC2016
    as_root sh -c 'printf "#!/bin/sh\nexit 101\n" >"$0" && chmod 755 "$0"' "$policy"
    local status=0
    "$@" || status=$?
    as_root rm -f "$policy"
    return "$status"
}

install_missing() {
    local -a entries names=()
    local entry
    mapfile -t entries < <(missing "$@")
    # Newer releases ship the command line client apart from the engine.
    if [[ " $* " == *" docker.io "* ]] && ! command -v docker >/dev/null; then
        entries+=('docker-cli|docker.io')
    fi
    # A kubectl from elsewhere and Debian's package exclude each other.
    if [[ " $* " == *" etcd-server "* ]] && ! command -v kubectl >/dev/null; then
        entries+=(kubernetes-client)
    fi
    ((${#entries[@]})) || return 0
    say "installing: ${entries[*]}"
    apt update
    for entry in "${entries[@]}"; do
        names+=("$(first_known "$entry")")
    done
    without_services apt install -y --no-install-recommends "${names[@]}" >&2
}

main() {
    command -v dpkg-query >/dev/null || die "this script knows Debian and Ubuntu only"
    local -a wanted=()
    local group
    for group in "${@:-build}"; do
        case $group in
        build | test | kubernetes | kubernetes_build | go)
            local -n list=$group
            wanted+=("${list[@]}")
            ;;
        *) die "unknown package group $group (build, test, kubernetes, kubernetes_build, go)" ;;
        esac
    done
    install_missing "${wanted[@]}"
}

main "$@"

# shellcheck shell=bash
# A current Docker Compose, as a witness: built once from the Go module proxy (two minutes on two
# cores) and kept in the cache.
#
#   compose_build   makes sure that it is there
#   compose_bin     the program

compose_version=5.5.1
# What that needs; newer ones do as well.
compose_go=1.26.3
# Of the recipe below: another number, and what is in caches is built again.
compose_recipe=1

compose_bin() { echo "$RUNNER_TEST_CACHE/compose/$compose_version-$compose_recipe/docker-compose"; }

# compose_go_is_new PROGRAM
compose_go_is_new() {
    local version
    version=$("$1" env GOVERSION 2>/dev/null) || return 1
    [[ $(printf '%s\n' "$compose_go" "${version#go}" | sort -V | head -n 1) == "$compose_go" ]]
}

# Prints a program that is new enough; the proxy has the toolchains of Go, too, and any release of Go
# can download them.
compose_find_go() {
    local go toolchain
    if go=$(command -v go) && compose_go_is_new "$go"; then
        echo "$go"
        return
    fi
    if [[ -z $go ]]; then
        "$RUNNER_TEST_ENV/packages.sh" compose_build
        go=$(command -v go || echo /usr/lib/go-1.19/bin/go)
    fi
    toolchain=golang.org/toolchain@v0.0.1-go$compose_go.linux-$("$go" env GOARCH)
    (cd "$1" && GOFLAGS=-modcacherw "$go" mod download "$toolchain") || return
    chmod +x "$GOMODCACHE/$toolchain"/bin/* "$GOMODCACHE/$toolchain"/pkg/tool/*/*
    echo "$GOMODCACHE/$toolchain/bin/go"
}

compose_build_in() {
    local go
    export GOPATH=$1/go GOMODCACHE=$1/modules GOCACHE=$1/cache GOTOOLCHAIN=local CGO_ENABLED=0
    unset GOBIN GOROOT
    mkdir -p "$1/module"
    # Called in a condition, where -e does nothing.
    go=$(compose_find_go "$1/module") || return
    # Of a module of our own: one that excludes versions, as this one does, is not installed by name.
    printf 'module witness\n\ngo %s\n\nrequire github.com/docker/compose/v5 v%s\n' \
        "$compose_go" "$compose_version" >"$1/module/go.mod"
    cd "$1/module" || return
    GOFLAGS='-mod=mod -modcacherw' nice -n 10 "$go" build -trimpath -ldflags '-s -w' \
        -o "$1/docker-compose" github.com/docker/compose/v5/cmd
}

# In a subshell, for the trap and the lock.
compose_build() (
    base=$RUNNER_TEST_CACHE/compose
    mkdir -p "$base"
    exec 9>"$base/lock"
    flock 9
    rm -rf "$base"/build.*/
    if [[ -x $(compose_bin) ]]; then
        exit 0
    fi
    say "building Docker Compose $compose_version"
    work=$(mktemp -d "$base/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    if ! (compose_build_in "$work") >"$base/build.log" 2>&1 9>&-; then
        tail -n 30 "$base/build.log" >&2
        die "Docker Compose could not be built; the whole log is $base/build.log"
    fi
    mkdir -p "$(dirname "$(compose_bin)")"
    mv "$work/docker-compose" "$(compose_bin)"
)

# shellcheck shell=bash
# Programs of others, as witnesses and peers: built once from the Go module proxy (a minute or two on
# two cores) and kept in the cache.
#
#   go_build NAME TITLE FILE MODULE VERSION PACKAGE   makes sure that FILE, the program, is there
#
# NAME is its directory of the cache. MODULE is required by a module of our own, as one that excludes
# versions cannot be installed by name.

# What the newest of them needs; newer ones do as well.
go_version=1.26.3

# go_is_new PROGRAM
go_is_new() {
    local version
    version=$("$1" env GOVERSION 2>/dev/null) || return 1
    [[ $(printf '%s\n' "$go_version" "${version#go}" | sort -V | head -n 1) == "$go_version" ]]
}

# go_find DIRECTORY: prints a program that is new enough; the proxy has the toolchains of Go, too, and
# any release of Go can download them.
go_find() {
    local go toolchain
    if go=$(command -v go) && go_is_new "$go"; then
        echo "$go"
        return
    fi
    if [[ -z $go ]]; then
        "$RUNNER_TEST_ENV/packages.sh" go
        go=$(command -v go || echo /usr/lib/go-1.19/bin/go)
    fi
    toolchain=golang.org/toolchain@v0.0.1-go$go_version.linux-$("$go" env GOARCH)
    (cd "$1" && GOFLAGS=-modcacherw "$go" mod download "$toolchain") || return
    chmod +x "$GOMODCACHE/$toolchain"/bin/* "$GOMODCACHE/$toolchain"/pkg/tool/*/*
    echo "$GOMODCACHE/$toolchain/bin/go"
}

# go_build_in DIRECTORY MODULE VERSION PACKAGE
go_build_in() {
    local go
    export GOPATH=$1/go GOMODCACHE=$1/modules GOCACHE=$1/cache GOTOOLCHAIN=local CGO_ENABLED=0
    unset GOBIN GOROOT
    mkdir -p "$1/module"
    # Called in a condition, where -e does nothing.
    go=$(go_find "$1/module") || return
    printf 'module tests\n\ngo %s\n\nrequire %s v%s\n' "$go_version" "$2" "$3" >"$1/module/go.mod"
    cd "$1/module" || return
    GOFLAGS='-mod=mod -modcacherw' nice -n 10 "$go" build -trimpath -ldflags '-s -w' \
        -o "$1/program" "$4"
}

# In a subshell, for the trap and the lock.
go_build() (
    base=$RUNNER_TEST_CACHE/$1 title=$2 file=$3
    mkdir -p "$base"
    exec 9>"$base/lock"
    flock 9
    rm -rf "$base"/build.*/
    if [[ -x $file ]]; then
        exit 0
    fi
    say "building $title"
    work=$(mktemp -d "$base/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    if ! (go_build_in "$work" "${@:4}") >"$base/build.log" 2>&1 9>&-; then
        tail -n 30 "$base/build.log" >&2
        die "$title could not be built; the whole log is $base/build.log"
    fi
    mkdir -p "$(dirname "$file")"
    mv "$work/program" "$file"
)

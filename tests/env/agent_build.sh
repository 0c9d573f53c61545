# shellcheck shell=bash
# A real IDP agent: built once from the Go module proxy (a minute on two cores) and kept in the
# cache.
#
#   agent_build   makes sure that it is there
#   agent_bin     the program

agent_version=1.9.6
# Of the recipe below: another number, and what is in caches is built again.
agent_recipe=1

agent_bin() { echo "$RUNNER_TEST_CACHE/agent/$agent_version-$agent_recipe/agent"; }

agent_build_in() {
    local go
    export GOPATH=$1/go GOMODCACHE=$1/modules GOCACHE=$1/cache GOTOOLCHAIN=local CGO_ENABLED=0
    unset GOBIN GOROOT
    mkdir -p "$1/module"
    # Called in a condition, where -e does nothing.
    go=$(compose_find_go "$1/module") || return
    printf 'module tests\n\ngo 1.22\n\nrequire github.com/go-idp/agent v%s\n' \
        "$agent_version" >"$1/module/go.mod"
    cd "$1/module" || return
    GOFLAGS='-mod=mod -modcacherw' nice -n 10 "$go" build -trimpath -ldflags '-s -w' \
        -o "$1/agent" github.com/go-idp/agent/cmd/agent
}

# In a subshell, for the trap and the lock.
agent_build() (
    base=$RUNNER_TEST_CACHE/agent
    mkdir -p "$base"
    exec 9>"$base/lock"
    flock 9
    rm -rf "$base"/build.*/
    if [[ -x $(agent_bin) ]]; then
        exit 0
    fi
    say "building the IDP agent $agent_version"
    work=$(mktemp -d "$base/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    if ! (agent_build_in "$work") >"$base/build.log" 2>&1 9>&-; then
        tail -n 30 "$base/build.log" >&2
        die "the IDP agent could not be built; the whole log is $base/build.log"
    fi
    mkdir -p "$(dirname "$(agent_bin)")"
    mv "$work/agent" "$(agent_bin)"
)

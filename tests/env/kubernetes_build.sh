# shellcheck shell=bash
# The four programs of Kubernetes, built once from Debian's source package (five minutes on two
# cores) and kept in the cache.
#
#   kube_build   makes sure that they are there
#   kube_bin     the directory that holds them

kube_version=1.20.2
# Of the recipe below: another number, and what is in caches is built again.
kube_recipe=2
kube_programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet)

kube_bin() { echo "$RUNNER_TEST_CACHE/kubernetes/$kube_version-$kube_recipe"; }

# The source package comes through lists of our own, as machines rarely have deb-src lines.
kube_source() {
    local archive
    local -a apt
    # shellcheck disable=SC2016
    archive=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
        awk '$2 == "bookworm" { print $1; exit }')
    [[ -n $archive ]] || die "apt knows no archive of Debian 12, from whose sources the cluster of the tests is built; set RUNNER_TEST_KUBECONFIG to use another cluster"
    mkdir -p "$1/apt/lists/partial" "$1/apt/archives/partial"
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive bookworm main" \
        >"$1/apt/sources.list"
    apt=(apt-get -qq -o "Dir::Etc::SourceList=$1/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$1/apt/lists" -o "Dir::Cache=$1/apt" -o Acquire::Retries=3
        -o APT::Sandbox::User=root)
    "${apt[@]}" update
    (cd "$1" && "${apt[@]}" source --download-only kubernetes && dpkg-source -x kubernetes_*.dsc tree)
}

# The tree is older than Go 1.18, since when its own release of this library reads maps out of wrong
# places: the apiserver dies of it sooner or later.
kube_renew_library() {
    local library=github.com/modern-go/reflect2
    rm -r "$1/vendor/$library" && cp -r "/usr/share/gocode/src/$library" "$1/vendor/$library"
}

# Newer releases of Go than 1.19 cannot build this tree.
kube_compile() {
    local tree=$1/tree go=/usr/lib/go-1.19
    kube_renew_library "$tree" || return
    mkdir -p "$tree/.go/src/k8s.io"
    ln -sfn "$tree" "$tree/.go/src/k8s.io/kubernetes"
    (
        cd "$tree" || exit
        export PATH=$go/bin:$PATH GOROOT=$go GOPATH=$tree/.go GOCACHE=$1/go-cache CGO_ENABLED=0 \
            GO111MODULE=off GOTOOLCHAIN=local KUBE_GIT_VERSION=v$kube_version
        unset GOBIN GOFLAGS
        nice -n 10 make WHAT="${kube_programs[*]/#/cmd/}" GOLDFLAGS="-s -w"
    )
}

# kube_keep DIRECTORY: moves the programs into the cache, all or none.
kube_keep() {
    local bin program found
    bin=$(kube_bin)
    rm -rf "$bin" "$bin.new"
    mkdir -p "$bin.new"
    for program in "${kube_programs[@]}"; do
        found=$(find "$1/tree/_output" -type f -name "$program" -perm -u+x | head -n 1)
        [[ -n $found ]] || die "the build left no $program"
        mv "$found" "$bin.new/"
    done
    mv "$bin.new" "$bin"
}

kube_build_in() {
    # Called in a condition, where -e does nothing.
    kube_source "$1" && kube_compile "$1" && kube_keep "$1"
}

# In a subshell, for the trap and the lock.
kube_build() (
    base=$RUNNER_TEST_CACHE/kubernetes
    mkdir -p "$base"
    exec 9>"$base/lock"
    flock 9
    rm -rf "$base"/build.*/
    if [[ -x $(kube_bin)/kubelet ]]; then
        exit 0
    fi
    "$RUNNER_TEST_ENV/packages.sh" kubernetes_build
    say "building Kubernetes $kube_version"
    work=$(mktemp -d "$base/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    if ! (kube_build_in "$work") >"$base/build.log" 2>&1 9>&-; then
        tail -n 30 "$base/build.log" >&2
        die "Kubernetes could not be built; the whole log is $base/build.log"
    fi
)

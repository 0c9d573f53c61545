# shellcheck shell=bash
# Test images, since no registry is within reach: each is a folder images/NAME with a Dockerfile,
# built once, then kept as a tarball in $RUNNER_TEST_CACHE/images, named by a hash of its sources
# and of its base image's. A prepare.sh in the folder makes further files of the build context.
#
#   images_ensure DOCKER_HOST TAG…   the daemon has these images (built, loaded or there already)
#   images_all                       all tags, bases before what is built on them
#                                    (all but runner-test/pulled, which only registries have, and
#                                    runner-test/pause, which holds the pods of a cluster)
#   images_tarball TAG               the tarball of an image, for another kind of daemon
#   images_other                     those of the tags on standard input that are no test images

declare -gA image_folder=(
    [busybox:1.36]=busybox
    [runner-test/plugin:1]=plugin
    [runner-test/entrypoint:1]=entrypoint
    [runner-test/nonroot:1]=nonroot
    [runner-test/noshell:1]=noshell
    [runner-test/service:1]=service
    [runner-test/healthy:1]=healthy
    [runner-test/pulled:1]=pulled
    [runner-test/pause:1]=pause
    [debian:bookworm-slim]=debian
    [node:16]=node
    [python:3.12]=python
    [golang:1.22]=golang
    [runner-test/tools:1]=tools
)
images_small=(busybox:1.36 runner-test/plugin:1 runner-test/entrypoint:1 runner-test/nonroot:1
    runner-test/noshell:1
    runner-test/service:1 runner-test/healthy:1)
images_large=(node:16 python:3.12 golang:1.22 runner-test/tools:1)

images_all() { printf '%s\n' "${images_small[@]}" debian:bookworm-slim "${images_large[@]}"; }

images_other() {
    local tag
    while read -r tag; do
        [[ -n ${image_folder[$tag]:-} || $tag == *'<none>'* ]] || echo "$tag"
    done
}

# images_base TAG: the tag that it is built on, if that is one of ours.
images_base() {
    local base
    base=$(sed -n 's/^FROM //p' "$RUNNER_TEST_ENV/images/${image_folder[$1]}/Dockerfile" | tail -n 1)
    [[ $base == scratch ]] || echo "$base"
}

images_key() {
    local base
    base=$(images_base "$1")
    (
        [[ -z $base ]] || images_key "$base"
        cd "$RUNNER_TEST_ENV/images/${image_folder[$1]}" && sha256sum -- *
    ) | sha256sum | cut -c 1-12
}

images_tarball() {
    echo "$RUNNER_TEST_CACHE/images/${image_folder[$1]}-$(images_key "$1").tar"
}

images_id() { docker image inspect -f '{{.Id}}' "$1" 2>/dev/null || true; }

# Builds in the daemon (in a subshell, for the trap) and leaves the tarball, with the image's id beside it.
images_build() {
    local tag=$1 tarball=$2
    context=$(mktemp -d "$RUNNER_TEST_CACHE/build.XXXXXX")
    trap 'as_root rm -rf "$context"' EXIT
    cp -a "$RUNNER_TEST_ENV/images/${image_folder[$tag]}/." "$context"
    if [[ -x $context/prepare.sh ]]; then
        "$context/prepare.sh" "$context" >"$tarball.log" 2>&1 ||
            images_failed "$tag" "$tarball.log"
    fi
    DOCKER_BUILDKIT=0 docker build -q -t "$tag" "$context" >>"$tarball.log" 2>&1 ||
        images_failed "$tag" "$tarball.log"
    docker save -o "$tarball.new" "$tag"
    images_id "$tag" >"$tarball.id"
    mv "$tarball.new" "$tarball"
}

images_failed() {
    say "the end of $2:"
    tail -n 25 "$2" >&2
    die "could not build the image $1"
}

# One image, under a lock so that runs beside this one wait for the tarball and do not build too.
images_ensure_one() {
    local tag=$1 tarball base
    tarball=$(images_tarball "$tag")
    mkdir -p "${tarball%/*}"
    (
        flock 9
        if [[ -s $tarball && $(images_id "$tag") == "$(cat "$tarball.id")" ]]; then
            exit 0
        fi
        if [[ -s $tarball ]]; then
            docker load -q -i "$tarball" >/dev/null
        else
            base=$(images_base "$tag")
            [[ -z $base ]] || images_ensure_one "$base"
            images_build "$tag" "$tarball"
        fi
    ) 9>"${tarball%-*}.lock"
}

images_ensure() {
    local -x DOCKER_HOST=$1
    local tag
    shift
    for tag; do
        images_ensure_one "$tag"
    done
}

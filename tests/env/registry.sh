# shellcheck shell=bash
# Two real registries on loopback: one open, one that asks for a name and a password.
#
#   registry_start            both; sets and exports RUNNER_TEST_REGISTRY, RUNNER_TEST_AUTH_REGISTRY
#                             (HOST:PORT), RUNNER_TEST_AUTH_USER, RUNNER_TEST_AUTH_PASSWORD
#   registry_fill DOCKER_HOST push the test images
#   registry_stop
#
# Contents: busybox:1.36, runner-test/plugin:1, and runner-test/pulled:1, whose 8 MB layer no daemon
# has beforehand; behind the password the same below private/.

registry_env() {
    local port=$((5600 + RUNNER_TEST_SLOT * 2))
    export RUNNER_TEST_REGISTRY=127.0.0.1:$port
    export RUNNER_TEST_AUTH_REGISTRY=127.0.0.1:$((port + 1))
    export RUNNER_TEST_AUTH_USER=tester
    # The dollar is on purpose: credentials must survive interpolation.
    # shellcheck disable=SC2016
    export RUNNER_TEST_AUTH_PASSWORD='s3cret$word'
}

# registry_config DIRECTORY ADDRESS [HTPASSWD]
registry_config() {
    cat <<YAML
version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: $1/data}
  delete: {enabled: true}
http: {addr: "$2"}
YAML
    if [[ -n ${3:-} ]]; then
        printf 'auth:\n  htpasswd: {realm: runner-test, path: %s}\n' "$3"
    fi
}

# The open one answers 200, the other 401.
registry_answers() {
    [[ $(curl -s -o /dev/null -m 2 -w '%{http_code}' "http://$1/v2/") == @(200|401) ]]
}

# registry_start_one NAME ADDRESS [HTPASSWD]
registry_start_one() {
    local dir=$RUNNER_TEST_STATE/registry/$1
    as_root rm -rf "$dir"
    mkdir -p "$dir"
    registry_config "$dir" "$2" "${3:-}" >"$dir/config.yml"
    launch "$dir/registry.pid" "$dir/registry.log" docker-registry serve "$dir/config.yml"
    if ! wait_until 20 registry_answers "$2"; then
        tail -n 25 "$dir/registry.log" >&2
        die "the registry $1 on $2 does not answer"
    fi
}

registry_start() {
    local htpasswd=$RUNNER_TEST_STATE/registry/htpasswd
    registry_env
    mkdir -p "${htpasswd%/*}"
    htpasswd -nbB "$RUNNER_TEST_AUTH_USER" "$RUNNER_TEST_AUTH_PASSWORD" >"$htpasswd"
    registry_start_one open "$RUNNER_TEST_REGISTRY"
    registry_start_one auth "$RUNNER_TEST_AUTH_REGISTRY" "$htpasswd"
}

registry_push() {
    docker tag "$1" "$2"
    docker push -q "$2" >/dev/null
    docker rmi "$2" >/dev/null
}

registry_fill() {
    local -x DOCKER_HOST=$1 DOCKER_CONFIG=$RUNNER_TEST_STATE/registry/login
    local tag
    docker login -u "$RUNNER_TEST_AUTH_USER" --password-stdin "$RUNNER_TEST_AUTH_REGISTRY" \
        <<<"$RUNNER_TEST_AUTH_PASSWORD" >/dev/null 2>&1
    for tag in busybox:1.36 runner-test/plugin:1 runner-test/pulled:1; do
        images_ensure "$DOCKER_HOST" "$tag"
        registry_push "$tag" "$RUNNER_TEST_REGISTRY/$tag"
        registry_push "$tag" "$RUNNER_TEST_AUTH_REGISTRY/private/${tag##*/}"
    done
    docker rmi runner-test/pulled:1 >/dev/null
}

registry_stop() {
    stop_pidfile "$RUNNER_TEST_STATE/registry/open/registry.pid" 5
    stop_pidfile "$RUNNER_TEST_STATE/registry/auth/registry.pid" 5
    as_root rm -rf "$RUNNER_TEST_STATE/registry"
}

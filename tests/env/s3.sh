# shellcheck shell=bash
# A real S3 server on loopback: versitygw over a directory, built from the Go module proxy once and
# kept in the cache (about a minute; Go of the version that its go.mod asks for is needed).
#
#   s3_env      RUNNER_TEST_S3 (http://HOST:PORT), RUNNER_TEST_S3_KEY, RUNNER_TEST_S3_SECRET, and
#               RUNNER_TEST_S3_DATA, the directory whose subdirectories are the buckets
#   s3_start    with the bucket "builds"; named http://builds.localhost:PORT, too
#   s3_stop

s3_version=v1.8.0

s3_env() {
    export RUNNER_TEST_S3=http://127.0.0.1:$((5620 + RUNNER_TEST_SLOT))
    export RUNNER_TEST_S3_KEY=tester
    export RUNNER_TEST_S3_SECRET=s3cret/+S3cret
    export RUNNER_TEST_S3_DATA=$RUNNER_TEST_STATE/s3/data
}

s3_binary() { echo "$RUNNER_TEST_CACHE/s3/versitygw-$s3_version"; }

# Sources and build cache are some gigabyte; only the program stays.
s3_build() {
    local binary work
    binary=$(s3_binary)
    mkdir -p "${binary%/*}"
    exec {s3_lock}>"$RUNNER_TEST_CACHE/s3/lock"
    flock "$s3_lock"
    rm -rf "$RUNNER_TEST_CACHE"/s3/build.*
    if [[ ! -x $binary ]]; then
        command -v go >/dev/null || die "Go is needed to build the S3 server of the tests"
        work=$(mktemp -d "$RUNNER_TEST_CACHE/s3/build.XXXXXX")
        env -u GOBIN GOPATH="$work/path" GOCACHE="$work/cache" GOFLAGS=-modcacherw CGO_ENABLED=0 \
            go install -ldflags '-s -w' "github.com/versity/versitygw/cmd/versitygw@$s3_version" >&2 ||
            {
                rm -rf "$work"
                die "the S3 server of the tests cannot be built"
            }
        mv "$work/path/bin/versitygw" "$binary"
        rm -rf "$work"
    fi
    exec {s3_lock}>&-
}

s3_answers() { [[ $(curl -s -m 2 "$RUNNER_TEST_S3/health") == OK ]]; }

s3_start() {
    local dir=$RUNNER_TEST_STATE/s3
    s3_env
    s3_build
    as_root rm -rf "$dir"
    mkdir -p "$RUNNER_TEST_S3_DATA/builds"
    launch "$dir/server.pid" "$dir/server.log" "$(s3_binary)" \
        --access "$RUNNER_TEST_S3_KEY" --secret "$RUNNER_TEST_S3_SECRET" \
        --port "${RUNNER_TEST_S3#http://}" --virtual-domain "localhost:${RUNNER_TEST_S3##*:}" \
        --keep-alive --health /health --quiet posix "$RUNNER_TEST_S3_DATA"
    if ! wait_until 20 s3_answers; then
        tail -n 25 "$dir/server.log" >&2
        die "the S3 server on $RUNNER_TEST_S3 does not answer"
    fi
}

s3_stop() {
    stop_pidfile "$RUNNER_TEST_STATE/s3/server.pid" 5
    as_root rm -rf "$RUNNER_TEST_STATE/s3"
}

# shellcheck shell=bash
# For end-to-end scripts that keep things in S3; sourced behind lib.sh.
#
#   s3_credentials    a bucket of the test's own; sets $bucket and $store, the URL, and the AWS_* variables
#   in_bucket         its objects as the server has them, one a line
#   s3_proxy LINES    puts the server behind tests/fake/s3.py with these faults; changes $store
#   s3_proxy_end      before the test ends

fake=$(realpath "$(dirname "${BASH_SOURCE[0]}")/fake")

s3_credentials() {
    : "${RUNNER_TEST_S3:?tests/env/up.sh starts the S3 server}"
    export AWS_ACCESS_KEY_ID=$RUNNER_TEST_S3_KEY AWS_SECRET_ACCESS_KEY=$RUNNER_TEST_S3_SECRET
    bucket=e2e-${case_dir##*.}
    bucket=${bucket,,}
    mkdir "$RUNNER_TEST_S3_DATA/$bucket"
    store=s3://$bucket/ci?endpoint=$RUNNER_TEST_S3
}

in_bucket() { (cd "$RUNNER_TEST_S3_DATA/$bucket" && find . -type f -not -path './.sgwtmp*' | sort); }

s3_proxy() {
    printf '%s\n' "$1" >faults
    mkfifo hold
    python3 "$fake/s3.py" "${RUNNER_TEST_S3#http://}" "$PWD" <hold >address &
    exec 9>hold
    wait_for 10 test -s address
    store=s3://$bucket/ci?endpoint=http://$(<address)
}

s3_proxy_end() {
    exec 9>&-
    wait
}

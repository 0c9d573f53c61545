#!/usr/bin/env bash
# Keys of steps and levels: checkout, pull_timeout, tty.
source "$(dirname "$0")/../lib.sh"

# pipeline STEPS [TOP-LEVEL KEYS…]: one job of steps.
pipeline() {
    local steps=$1
    shift
    { printf 'name: p\n'; printf '%s\n' "$@"
      printf 'stages: [{name: s, jobs: [{name: j, steps: [%s]}]}]\n' "$steps"; } >p.yaml
}

# Steps of one job share its empty workspace; those of another have another.
apart() {
    touch here
    cat >p.yaml <<EOF
name: p
$1
stages:
  - name: s
    run_mode: serial
    jobs:
      - name: one
        checkout: none
        steps:
          - {name: empty, command: "find . -type f | wc -l; pwd; echo \$PIPELINE_WORKDIR; echo left > made; mkdir -p sub"}
          - {name: shared, command: "cat ../made; pwd", workdir: sub}
          - {name: outside, checkout: workdir, command: "ls; pwd"}
      - name: two
        checkout: none
        steps:
          - {name: also empty, command: "ls -A | wc -l"}
      - name: three
        steps:
          - {name: usual, command: "ls"}
EOF
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[step(1/3): empty] 0"
    assert_contains "$stdout" "[step(2/3): shared] left"
    assert_contains "$stdout" "[step(3/3): outside] here"
    assert_contains "$stdout" "[step(3/3): outside] $PWD"
    assert_contains "$stdout" "also empty] 0"
    assert_contains "$stdout" "usual] here"
    [[ ! -e made ]] || fail "the step wrote into the workdir"
}

test_checkout_none_on_the_host() {
    apart ''
    local workspace
    workspace=$(sed -n 's/.*empty\] \(\/.*\)/\1/p' <<<"$stdout" | sort -u)
    assert_match "$workspace" "^$case_dir/tmp/runner-[0-9a-z]+/[^/]+$" "pwd and PIPELINE_WORKDIR"
    assert_contains "$stdout" "shared] $workspace/sub"
    [[ ! -e $workspace ]] || fail "the workspace is still there"
}

test_checkout_none_in_docker() {
    apart 'image: busybox:1.36'
    assert_contains "$stdout" "empty] $PWD"
    assert_contains "$stdout" "shared] $PWD/sub"
}

test_checkout_none_with_attempts() {
    pipeline '{name: a, command: "ls -A | wc -l; touch x; exit 1"}' 'checkout: none'
    sed -i 's/name: j,/name: j, retry: 1,/' p.yaml
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_eq 2 "$(grep -c '\] 0$' <<<"$stdout")" "attempts in an empty directory"
}

test_checkout_is_checked() {
    pipeline '{name: a, command: "true", checkout: workdri}'
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stdout$stderr" '"checkout" must be workdir or none, not "workdri"; did you mean "workdir"?'
}

# A registry that takes connections and says nothing.
test_pull_timeout() {
    python3 -c '
import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(9)
print(s.getsockname()[1], flush=True); time.sleep(60)' >port &
    local server=$!
    wait_for 10 test -s port
    pipeline "{name: a, image: \"127.0.0.1:$(cat port)/x:1\", pull_timeout: 2s, command: echo never},
        {name: b, if: always(), command: echo behind}"
    assert_exit 1 "$RUNNER" exec --report json=r.json p.yaml
    kill "$server"
    assert_contains "$stderr" "failed: image 127.0.0.1:$(cat port)/x:1 was not there after 2 seconds (\`pull_timeout\`)"
    assert_eq image_pull "$(jq -r '.stages[0].jobs[0].steps[0].reason' r.json)" reason
    assert_contains "$stdout" "] behind"
}

run_tests "$@"

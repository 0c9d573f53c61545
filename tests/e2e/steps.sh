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
    wait_for 20 test -s port
    pipeline "{name: a, image: \"127.0.0.1:$(cat port)/x:1\", pull_timeout: 2s, command: echo never},
        {name: b, if: always(), command: echo behind}"
    assert_exit 1 "$RUNNER" exec --report json=r.json p.yaml
    kill "$server"
    assert_contains "$stderr" "failed: image 127.0.0.1:$(cat port)/x:1 was not there after 2 seconds (\`pull_timeout\`)"
    assert_eq image_pull "$(jq -r '.stages[0].jobs[0].steps[0].reason' r.json)" reason
    assert_contains "$stdout" "] behind"
}

# One stream, in the order in which it was written, and all of it, also of a program that ends at once.
terminal() {
    pipeline '{name: a, tty: true, command: "test -t 1 && test -t 2 && echo terminal; echo err >&2; echo out; stty size </dev/tty; echo $TERM; cat; printf end"},
        {name: b, command: "test -t 1 || echo none; seq 3"},
        {name: c, tty: true, command: "seq 20000"}' "$1"
    TERM=vt100 assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "terminal err out 24 80 $2 end" \
        "$(sed -n 's/.*step(1\/3): a\] //p' <<<"$stdout" | paste -sd ' ')"
    assert_contains "$stdout" "b] none"
    assert_eq 20000 "$(grep -c 'step(3/3): c\]' "$case_dir/stdout")" "lines"
    assert_eq "$(seq 20000 | sha256sum)" "$(sed -n 's/.*step(3\/3): c\] //p' "$case_dir/stdout" | sha256sum)" "output"
    assert_not_contains "$stdout" $'\r'
}

test_tty_on_the_host() { terminal '' vt100; }
test_tty_in_docker() { terminal 'image: busybox:1.36' xterm; }
test_tty_in_a_shared_container() { terminal $'image: busybox:1.36\nisolation: job' xterm; }

test_tty_of_another_user() {
    [[ $(id -u) == 0 ]] || return 0
    pipeline '{name: a, tty: true, user: nobody, command: "echo x >$(readlink /proc/self/fd/2); echo y >/dev/tty"}' \
        "workdir: /tmp"
    assert_exit 0 "$RUNNER" exec p.yaml
    # Instrumentation may complain on the way to the other user.
    assert_eq "x y" "$(grep -v '\] profiling:' <<<"$stdout" | sed 's/.*\] //' | paste -sd ' ')"
    pipeline '{name: a, image: "busybox:1.36", tty: true, user: "1234", command: "echo x >/dev/pts/0; echo y >/dev/tty"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "x y" "$(sed 's/.*\] //' <<<"$stdout" | paste -sd ' ')"
}

# Nobody reads, the program does not end by itself, and closes what it has of the terminal.
test_tty_and_timeouts() {
    local image
    for image in '' 'image: busybox:1.36'; do
        pipeline '{name: a, tty: true, timeout: 2, grace: 1, command: "trap : TERM; while :; do yes; done"}' "$image"
        assert_exit 1 "$RUNNER" exec p.yaml
        assert_contains "$stderr" 'step "a" timeout after 2 seconds'
        pipeline '{name: a, tty: true, command: "exec >/dev/null 2>&1; sleep 0.5; echo still here >/dev/tty"}' "$image"
        assert_exit 0 "$RUNNER" exec p.yaml
        assert_contains "$stdout" "] still here"
    done
}

run_tests "$@"

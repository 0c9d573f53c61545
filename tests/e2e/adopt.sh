#!/usr/bin/env bash
# A server that is killed while its runs are in containers: they go on, and the next server has them.
source "$(dirname "$0")/../lib.sh"
source "$(dirname "$0")/../serving.sh"

serve_here() { serve --docker-host "$DOCKER_HOST" --max-concurrent 8; }

# counting KEYS: a run that counts in two steps, to 150 in each and on until there is a file `go`.
counting() {
    local count='i=0; until [ $i -ge 150 ] && [ -e go ]; do i=$((i + 1)); echo "line $i."; sleep 0.02; done; echo "last $i."'
    printf 'name: counting\n%s\nstages: [{name: s, jobs: [{name: j, steps: [%s, %s]}]}]\n' "$1" \
        "{name: a, command: '$count'}" "{name: b, command: '$count'}" >p.yaml
}

# assert_counted RUN: every line once and in order.
assert_counted() {
    local got last
    got=$("${case_env[@]}" "$RUNNER" logs -s "$url" "$1" 2>/dev/null | grep -oE '(line|last) [0-9]*\.')
    assert_eq "$(for last in $(sed -n 's/^last \([0-9]*\)\.$/\1/p' <<<"$got"); do
        seq "$last" | sed 's/.*/line &./'
        echo "last $last."
    done)" "$got" "output"
    assert_eq 2 "$(grep -c last <<<"$got")" "steps that came to their ends"
}

lines_of() { "${case_env[@]}" "$RUNNER" logs -s "$url" "$1" 2>/dev/null | grep -o 'line [0-9]*\.'; }

goes_on() {
    local id
    serve_here
    run "$RUNNER" client --detach -s "$url" p.yaml
    id=$stdout
    wait_for 60 eval "(( \$(lines_of $id | wc -l) > 20 ))"
    kill_server
    serve_here
    is running "$id" || fail "it does not run any more"
    touch "runs/$id/go"
    wait_for 60 is succeeded "$id"
    assert_counted "$id"
    end
    assert_no_leftovers 10
}

test_containers_go_on() {
    counting 'image: busybox:1.36'
    goes_on
}

test_a_shared_container_goes_on() {
    counting 'image: busybox:1.36
isolation: job'
    goes_on
}

test_processes_go_on() {
    counting ''
    goes_on
}

# At any moment of the run.
test_many_kills() {
    counting 'image: busybox:1.36'
    serve_here
    run "$RUNNER" client --detach -s "$url" p.yaml
    local id=$stdout i
    wait_for 60 touch "runs/$id/go"
    for i in {1..8}; do
        sleep "0.$((i * 3 % 7))"
        kill_server
        serve_here
    done
    wait_for 60 is succeeded "$id"
    assert_counted "$id"
    end
    assert_no_leftovers 10
}

# Who cancels it does not know that another server began it.
test_it_is_cancelled_by_the_next() {
    printf 'name: p\nimage: busybox:1.36\nstages: [{name: s, jobs: [{name: j, steps: [%s]}]}]\n' \
        '{name: a, command: "echo line 1.; sleep 1000"}' >p.yaml
    serve_here
    run "$RUNNER" client --detach -s "$url" p.yaml
    local id=$stdout
    wait_for 60 eval "(( \$(lines_of $id | wc -l) == 1 ))"
    kill_server
    serve_here
    run "$RUNNER" cancel -s "$url" "$id"
    assert_eq "run $id cancelled" "$stdout"
    assert_eq "" "$(docker ps -aq --filter label=dev.runner.run)" "containers"
    end
    assert_no_leftovers 10
}

run_tests "$@"

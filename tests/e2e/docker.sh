#!/usr/bin/env bash
# Steps in containers of a real daemon: what runs, what is told, what is left behind.
source "$(dirname "$0")/../lib.sh"

# pipeline STEPS [TOP-LEVEL KEYS…]: one job of steps in busybox.
pipeline() {
    local steps=$1
    shift
    { printf 'name: p\nimage: busybox:1.36\n'; printf '%s\n' "$@"
      printf 'stages: [{name: s, jobs: [{name: j, steps: [%s]}]}]\n' "$steps"; } >p.yaml
}

containers() { docker ps -q --filter label=dev.runner.run --filter status=running | wc -l; }

test_workspace_environment_and_streams() {
    pipeline '{name: a, command: "pwd; echo $A > file; echo oops >&2"}, {name: b, command: "cat file; env"}' \
        'environment: {A: from-file}'
    SECRET_OF_HOST=x assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[step(1/2): a] $PWD"
    assert_contains "$stdout" "[step(2/2): b] from-file"
    assert_contains "$stdout" "PIPELINE_STEP=b"
    assert_not_contains "$stdout" SECRET_OF_HOST
    assert_contains "$stderr" "[step(1/2): a] oops"
    assert_eq from-file "$(cat file)"
}

# It is the daemon's all the same, which is not asked by a mark then.
test_workspace_that_nothing_is_written_to() {
    ((EUID == 0)) || fail "needs root for a mount"
    pipeline '{name: a, command: "ls -A"}'
    mkdir w
    touch w/file
    assert_exit 0 unshare -m bash -c 'mount --bind w w && mount -o remount,bind,ro w && exec "$0" exec p.yaml -w w' "$RUNNER"
    assert_contains "$stdout" "[step(1/1): a] file"
    assert_not_contains "$stderr" "does not see"
}

test_many_fast_steps_are_complete() {
    local steps= i
    for i in $(seq 30); do steps+="{name: s$i, command: \"echo begin-$i; seq 200; echo end-$i\"},"; done
    pipeline "$steps"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq $((30 * 202)) "$(wc -l <"$case_dir/stdout")" "number of lines"
    for i in $(seq 30); do assert_contains "$stdout" "] end-$i"; done
}

test_script_that_reads_stdin_loses_nothing() {
    pipeline '{name: a, command: "cat\nread x\nwhile read y; do :; done\necho still here"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "still here"
}

test_exit_codes_and_signals() {
    pipeline '{name: a, command: exit 42}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "failed: exit code 42"
    pipeline '{name: a, command: no-such-command}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "failed: exit code 127"
    pipeline '{name: a, command: "kill -9 $$"}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "137"
}

# Its orderly answer must not pass for the end of its work.
test_step_that_is_stopped_from_outside_fails() {
    pipeline '{name: a, command: "trap \"exit 0\" TERM; touch up; while :; do sleep 0.1; done"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 20 test -e up
    docker stop "$(docker ps -q --filter label=dev.runner.role=step)" >/dev/null
    finish
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "failed: exit code 143"
}

test_shell_missing_in_the_image() {
    pipeline '{name: a, image: "runner-test/noshell:1", command: echo x}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "exit code 127: the image has no sh: name a shell that it has in \`shell\`"
    pipeline '{name: a, image: "runner-test/noshell:1", entrypoint: /none, command: echo x}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "exit code 127: runner: cannot run /none: not found"
}

test_entrypoint_of_the_image_is_kept() {
    pipeline '{name: a, image: "runner-test/entrypoint:1", command: echo inside}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "] inside"
    kept=$stdout
    pipeline '{name: a, image: "runner-test/entrypoint:1", entrypoint: [], command: echo inside}'
    assert_exit 0 "$RUNNER" exec p.yaml
    [[ $stdout != "$kept" ]] || fail "the entrypoint made no difference: $kept"
}

test_user_of_image_and_step() {
    pipeline '{name: a, image: "runner-test/nonroot:1", command: id -u}, {name: b, user: "4321", command: id -u}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_not_contains "$stdout" "[step(1/2): a] 0"
    assert_contains "$stdout" "[step(2/2): b] 4321"
    pipeline '{name: a, user: no-such-user, command: id}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "no-such-user"
}

test_volumes_and_data_dir() {
    mkdir given other
    echo content >given/file
    pipeline '{name: a, volumes: ["./given:/data:ro"], command: "cat /data/file; touch /data/x || echo read-only"}' \
        "data_dir_outer: $PWD/other" 'data_dir_inner: /inner'
    sed -i 's|command: "cat|command: "touch /inner/made; cat|' p.yaml
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "] content"
    assert_contains "$stdout" "] read-only"
    [[ -e other/made ]] || fail "data_dir was not mounted"
}

test_missing_bind_source_is_an_error() {
    pipeline "{name: a, volumes: [\"$PWD/not-there:/data\"], command: ls /data}"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "$PWD/not-there"
    [[ ! -e not-there ]] || fail "an empty directory was created in silence"
}

test_out_of_memory_is_named() {
    pipeline '{name: a, resources: {memory: 16m}, command: "head -c 200000000 /dev/zero | tail -c 150000000 >/dev/null; exit $?"}'
    assert_exit 1 "$RUNNER" exec --report json=r.json p.yaml
    assert_eq oom "$(jq -r '.stages[0].jobs[0].steps[0].reason' r.json)" reason
    assert_contains "$stderr" "out of memory"
    assert_contains "$stderr" "raise \`resources.memory\`"
}

test_sandbox() {
    pipeline '{name: a, sandbox: true, command: "touch /x || echo root-is-read-only; touch /tmp/x && echo tmp-is-not; grep CapEff /proc/self/status"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" root-is-read-only
    assert_contains "$stdout" tmp-is-not
    assert_match "$stdout" 'CapEff:[[:space:]]*0000000000000000'
}

test_names_in_security_are_expanded() {
    echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}' >profile.json
    pipeline '{name: a, environment: {CAP: CHOWN, PROFILE: profile.json, HOST: host, NONE: ""},
        security: {cap_drop: ["${ALL:-ALL}"], cap_add: ["${CAP}", "${NONE}"], seccomp: "${PROFILE}", userns: "${HOST}"},
        command: "touch up; mkdir d || echo no-mkdir; grep CapEff /proc/self/status; until [ -e go ]; do sleep 0.1; done"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 30 test -e up
    assert_eq "[CHOWN] [ALL] host" "$(docker inspect --format \
        '{{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}} {{.HostConfig.UsernsMode}}' \
        "$(docker ps -q --filter label=dev.runner.role=step | head -n 1)")"
    touch go
    finish
    assert_eq 0 "$status"
    assert_contains "$stdout" "] no-mkdir"
    assert_match "$stdout" 'CapEff:[[:space:]]*0000000000000001'
    pipeline '{name: a, security: {seccomp: "${NOT_SET}", cap_add: ["${NOT_SET}"], cap_drop: ["${NOT_SET:?say which}"]}, command: x}'
    assert_exit 2 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'p.yaml:4:75: warning: '
    assert_contains "$stderr" '${NOT_SET} is not set and becomes empty'
    assert_contains "$stderr" 'p.yaml:4:125: error: NOT_SET: say which'
}

test_resources_reach_the_container() {
    pipeline '{name: a, resources: {memory: 64m, cpus: 0.5, pids: 50, shm: 1m}, command: "touch up; sleep 60", grace: 0.1s}'
    spawn "$RUNNER" exec p.yaml
    wait_for 30 test -e up
    assert_eq "67108864 500000000 50 1048576" "$(docker inspect --format \
        '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.ShmSize}}' \
        "$(docker ps -q --filter label=dev.runner.role=step | head -n 1)")"
    kill -TERM "$spawned"
    finish
    assert_eq 143 "$status"
}

# tries NAME: how often it was tried, and why not only once.
tries() {
    jq -r --arg name "$1" '[.. | objects | select(.name == $name)] | first | "\(.attempt) \(.attempts[0].reason)"' report.json
}

# Each cause is told from the others, and what was lost gets a container anew.
test_causes_of_attempts() {
    pipeline '{name: lost, isolation: job, retry: {on: lost}, command: "test $PIPELINE_ATTEMPT = 2 || { touch up; sleep 60; }"},
        {name: engine, network: none-such, retry: {on: [engine]}, command: x, allow_failure: true},
        {name: image, image: "none-such:1", pull: never, retry: {attempts: 2, on: image_pull}, command: x, allow_failure: true},
        {name: oom, resources: {memory: 16m}, retry: {on: oom}, command: "head -c 200000000 /dev/zero | tail -c 150000000 >/dev/null; exit $?", allow_failure: true},
        {name: code, retry: {on: [lost, engine, image_pull, oom, timeout]}, command: exit 3, allow_failure: true},
        {name: not engine, network: none-such, retry: {not_on: engine}, command: x, allow_failure: true},
        {name: not image, image: "none-such:1", pull: never, retry: {not_on: [image_pull]}, command: x, allow_failure: true}'
    spawn "$RUNNER" exec --report json=report.json p.yaml
    wait_for 30 test -e up
    docker kill "$(docker ps -q --filter label=dev.runner.role=step)" >/dev/null
    finish
    assert_eq 0 "$status" "exit status"
    assert_contains "$stderr" "lost] attempt 1 failed: lost: no exit record: "
    assert_eq "2 lost, 2 error, 2 image_pull, 2 oom, 1 null, 1 null, 1 null" \
        "$(tries lost), $(tries engine), $(tries image), $(tries oom), $(tries code), $(tries "not engine"), $(tries "not image")"
}

test_timeout_of_a_step_that_ignores_term() {
    pipeline '{name: a, timeout: 2, grace: 0.5s, command: "trap : TERM; echo up; while :; do sleep 0.1; done"}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'step "a" timeout after 2 seconds'
}

test_daemons_and_closed_stdout() {
    pipeline '{name: a, command: "sleep 300 & setsid sleep 300 & echo started"}, {name: b, command: "exec >&- 2>&-; sleep 0.3; touch reached; exit 5"}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stdout" started
    assert_contains "$stderr" "exit code 5"
    [[ -e reached ]] || fail "the step ended when it closed its output"
}

test_binary_output_and_a_long_line() {
    head -c 2000000 /dev/urandom >data
    pipeline '{name: a, command: cat data}'
    assert_exit 0 "$RUNNER" exec --progress json p.yaml
    python3 - "$case_dir/stdout" >got <<'P'
import base64, json, sys
for line in open(sys.argv[1]):
    event = json.loads(line)
    if event["event"] == "StepLog":
        data = event["text"].encode() if "text" in event else base64.b64decode(event["base64"])
        sys.stdout.buffer.write(data)
P
    cmp data got || fail "the output differs from what the step printed"
    pipeline '{name: a, command: "head -c 100000000 /dev/zero | tr \"\\0\" x"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq 100000000 "$(tr -cd x <"$case_dir/stdout" | wc -c)" "number of bytes"
}

test_interrupt_once_and_twice() {
    pipeline '{name: a, command: "touch up; sleep 300"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 30 test -e up
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status"
    assert_contains "$stderr" "[step(1/1): a] cancelled"
    assert_no_leftovers
    rm up
    pipeline '{name: a, grace: 1h, command: "trap : TERM; touch up; while :; do sleep 0.1; done"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 30 test -e up
    kill -INT "$spawned"
    interrupt_again
    finish
    assert_eq 130 "$status"
}

test_job_shares_network_and_keeps_it_apart() {
    pipeline '{name: a, command: "echo page >index.html; httpd -p 8080 -h . ; wget -qO- localhost:8080/index.html"}, {name: b, network: none, command: "ls /sys/class/net"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[step(1/2): a] page"
    assert_eq "lo" "$(sed -n 's/.*step(2\/2): b\] //p' <<<"$stdout" | paste -sd ' ')"
}

test_image_missing_and_pull_never() {
    pipeline "{name: a, image: \"$RUNNER_TEST_REGISTRY/no/such:1\", command: x}"
    assert_exit 1 "$RUNNER" exec --report json=r.json p.yaml
    assert_eq image_pull "$(jq -r '.stages[0].jobs[0].steps[0].reason' r.json)" reason
    assert_contains "$stderr" "$RUNNER_TEST_REGISTRY/no/such:1"
    docker image rm -f "$RUNNER_TEST_REGISTRY/runner-test/pulled:1" >/dev/null 2>&1 || true
    pipeline "{name: a, image: \"$RUNNER_TEST_REGISTRY/runner-test/pulled:1\", pull: never, command: x}"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "never"
}

test_pull_denied_and_credentials() {
    local image=$RUNNER_TEST_AUTH_REGISTRY/private/busybox:1.36
    pipeline "{name: a, image: \"$image\", pull: always, command: echo in}"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "$image"
    mkdir -p "$case_dir/home/.docker"
    printf '{"auths": {"%s": {"auth": "%s"}}}' "$RUNNER_TEST_AUTH_REGISTRY" \
        "$(printf %s "$RUNNER_TEST_AUTH_USER:$RUNNER_TEST_AUTH_PASSWORD" | base64 -w0)" \
        >"$case_dir/home/.docker/config.json"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "] in"
}

test_pull_shows_progress_once_for_many_jobs() {
    docker image rm -f "$RUNNER_TEST_REGISTRY/runner-test/pulled:1" >/dev/null 2>&1 || true
    {
        printf 'name: p\nimage: %s/runner-test/pulled:1\nstages: [{name: s, jobs: [' "$RUNNER_TEST_REGISTRY"
        for i in 1 2 3 4; do printf '{name: j%s, steps: [{name: a, command: "true"}]},' $i; done
        printf ']}]\n'
    } >p.yaml
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "pull"
}

# variant ARCHITECTURE: busybox with /variant as an image of that architecture, pushed; prints its
# entry in a list of manifests.
variant() {
    local tag=$RUNNER_TEST_REGISTRY/multi/busybox:$1 id digest
    id=$(docker create busybox:1.36)
    echo "made for $1" >variant
    docker cp -q variant "$id:/variant" 2>/dev/null || docker cp variant "$id:/variant" >/dev/null
    docker export "$id" | docker import --platform "linux/$1" - "$tag" >/dev/null
    docker rm "$id" >/dev/null
    docker push -q "$tag" >/dev/null
    docker image rm "$tag" >/dev/null
    curl -fsS -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
        "http://$RUNNER_TEST_REGISTRY/v2/multi/busybox/manifests/$1" >manifest
    digest=sha256:$(sha256sum <manifest | cut -d ' ' -f 1)
    printf '{"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "size": %s,
        "digest": "%s", "platform": {"os": "linux", "architecture": "%s"}}' \
        "$(wc -c <manifest)" "$digest" "$1"
}

test_platform_of_an_image_that_has_several() {
    local image=$RUNNER_TEST_REGISTRY/multi/busybox:1 type=application/vnd.docker.distribution.manifest.list.v2+json
    printf '{"schemaVersion": 2, "mediaType": "%s", "manifests": [%s, %s]}' "$type" \
        "$(variant amd64)" "$(variant arm64)" |
        curl -fsS -X PUT -H "Content-Type: $type" --data-binary @- \
            "http://$RUNNER_TEST_REGISTRY/v2/multi/busybox/manifests/1"
    docker image rm -f "$image" >/dev/null 2>&1 || true
    # The one that is on the daemon by then is not that of the platform.
    pipeline "{name: a, image: \"$image\", platform: linux/amd64, command: cat /variant},
        {name: b, image: \"$image\", platform: linux/arm64, command: cat /variant},
        {name: c, image: \"$image\", platform: linux/amd64, command: cat /variant}"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[step(1/3): a] made for amd64"
    assert_contains "$stdout" "[step(2/3): b] made for arm64"
    assert_contains "$stdout" "[step(3/3): c] made for amd64"
    pipeline "{name: a, image: \"$image\", platform: linux/s390x, command: cat /variant}"
    assert_exit 1 "$RUNNER" exec --report json=r.json p.yaml
    assert_eq image_pull "$(jq -r '.stages[0].jobs[0].steps[0].reason' r.json)" reason
    assert_contains "$stderr" "no matching manifest for linux/s390x"
    docker image rm -f "$image" >/dev/null 2>&1 || true
    docker image prune -f >/dev/null
}

test_platform_that_the_image_is_not_for() {
    local image=$RUNNER_TEST_REGISTRY/busybox:1.36
    pipeline "{name: a, image: \"$image\", platform: linux/arm64, command: echo ran}"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_not_contains "$stdout" ran
    assert_contains "$stderr" "cannot create a container of $image: "
    assert_contains "$stderr" "does not match the specified platform: wanted linux/arm64, actual: linux/amd64"
    pipeline '{name: a, platform: linux/arm64, pull: never, command: echo ran}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "cannot create a container of busybox:1.36: "
    assert_contains "$stderr" "wanted linux/arm64, actual: linux/amd64"
    docker image rm -f "$image" >/dev/null
}

test_size_of_the_disk() {
    pipeline '{name: a, resources: {disk: 10m}, command: touch up}'
    assert_exit 1 "$RUNNER" exec p.yaml
    [[ ! -e up ]] || fail "the step ran without the limit"
    assert_contains "$stderr" "failed: cannot create a container of busybox:1.36: \`resources.disk\` cannot be had on this Docker host: --storage-opt is supported only for overlay over xfs with 'pquota' mount option"
}

test_daemon_absent_is_3() {
    pipeline '{name: a, command: x}'
    DOCKER_HOST=unix:///no/such.sock assert_exit 3 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "/no/such.sock"
    assert_exit 3 "$RUNNER" exec --docker-host tcp://127.0.0.1:1 p.yaml
    assert_contains "$stderr" "127.0.0.1:1"
}

test_isolation_job() {
    pipeline '{name: a, command: "echo state >/tmp/x; sleep 300 & echo $!"}, {name: b, command: "cat /tmp/x; ps | grep -c \"[s]leep 300\" || true"}, {name: c, command: exit 7}' \
        'isolation: job'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[step(2/3): b] state"
    assert_contains "$stdout" "[step(2/3): b] 0"
    assert_contains "$stderr" "exit code 7"
    pipeline '{name: a, timeout: 1, grace: 0.3s, command: "trap : TERM; while :; do sleep 0.1; done"}' 'isolation: job'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'step "a" timeout after 1 second'
}

test_plugin_missing_entrypoint() {
    pipeline '{name: a, plugin: {image: "busybox:1.36"}}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "exit code 127"
    assert_contains "$stdout$stderr" "it is not a pipeline plugin (/pipeline/plugin/run not found)"
}

test_plugin_environment_is_its_own() {
    pipeline '{name: a, environment: {MINE: x}, plugin: {image: "runner-test/plugin:1", settings: {some-key: "${MINE}", gone: "${NOT_SET}", exit_code: 3}}, command: "do it"}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "PIPELINE_PLUGIN_SETTINGS_SOME_KEY=x"
    assert_contains "$stdout" "command: do it"
    assert_not_contains "$stdout" "other: MINE"
    assert_not_contains "$stdout" "SETTINGS_GONE"
    assert_contains "$stderr" "exit code 3"
}

test_killed_runner_leaves_nothing() {
    pipeline '{name: a, command: "touch up; sleep 300"}, {name: b, command: "true"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 30 test -e up
    kill -KILL "$spawned"
    finish
    assert_no_leftovers 30
}

# The requests, without what may be secret in them; also those of the keeper.
test_debug_log() {
    pipeline '{name: a, environment: {SECRET: s3cr3t-value}, command: "touch up; sleep 300"}'
    spawn "$RUNNER" exec --log-level debug --log-file log p.yaml
    wait_for 30 test -e up
    assert_match "$(cat log)" 'debug exec: engine docker: ready after [0-9]+ ms'
    assert_match "$(cat log)" 'debug docker: the daemon has API version 1\.[0-9]+; this process is '
    assert_match "$(cat log)" 'debug http: .*: POST /v1.[0-9]+/containers/create: 201 done after [0-9]+ ms'
    kill -KILL "$spawned"
    finish
    assert_no_leftovers 30
    assert_match "$(cat log)" 'debug http: .*: DELETE /v1.[0-9]+/volumes/'
    assert_not_contains "$(cat log)" s3cr3t
    assert_eq "" "$(grep -v '^20..-..-..T[0-9:.]*Z \(debug\|warn \) [a-z]*: ' log)" "other lines"
}

test_killed_runner_and_keeper_are_reaped() {
    pipeline '{name: a, command: "touch up; sleep 300"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 30 test -e up
    local keeper
    keeper=$(pgrep -P "$spawned" | head -n 1)
    kill -KILL "$keeper" "$spawned"
    finish
    (($(docker ps -aq --filter label=dev.runner.run | wc -l) > 0)) || fail "nothing is left to reap"
    assert_exit 0 "$RUNNER" reap --dry-run
    assert_contains "$stdout" "would remove container"
    assert_exit 0 "$RUNNER" reap
    assert_contains "$stdout" "removed container"
    assert_no_leftovers 5
    assert_exit 0 "$RUNNER" reap
    assert_eq "nothing is left of dead runs" "$stdout"
}

test_reap_leaves_the_living_alone() {
    pipeline '{name: a, command: "touch up; until [ -e go ]; do sleep 0.1; done; echo survived"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 30 test -e up
    "${case_env[@]}" "$RUNNER" reap --all >reaped
    assert_eq "nothing is left of dead runs" "$(cat reaped)"
    touch go
    finish
    assert_eq 0 "$status"
    assert_contains "$stdout" survived
}

test_50_random_kills() {
    pipeline '{name: a, command: "sleep 0.3"}, {name: b, command: "sleep 0.3"}' 'workdir: w'
    local i
    for i in $(seq "${RUNNER_TEST_KILLS:-50}"); do
        spawn "$RUNNER" exec p.yaml
        sleep "$(printf '0.%03d' $((RANDOM % 900)))"
        kill -KILL "$spawned" 2>/dev/null || true
        finish
    done
    assert_no_leftovers 60
    [[ -z $(ls "$case_dir/runtime/runner" 2>/dev/null) ]] || fail "journals are left: $(ls "$case_dir/runtime/runner")"
}

declare -A case_timeout=([test_50_random_kills]=240 [test_many_fast_steps_are_complete]=120)
run_tests "$@"

#!/usr/bin/env bash
# Keys that every level takes: what a level says wins over what it inherits, on both engines.
source "$(dirname "$0")/../lib.sh"

# Of pipeline, stage, job and step each has its own value for all that can be told apart in its steps.
declare -A user=([pipeline]=1001 [stage]=1002 [job]=1003 [step]=1004)
declare -A memory=([pipeline]=32 [stage]=48 [job]=64 [step]=80)
declare -A host_shell=([pipeline]=dash [stage]=/bin/sh [job]=bash [step]=sh)
declare -A docker_shell=([pipeline]=ash [stage]=/bin/sh [job]=/bin/ash [step]=sh)

# host_keys LEVEL and docker_keys LEVEL: its keys, without the braces.
host_keys() {
    echo "environment: {WHO: $1}, workdir: $PWD/$1, shell: ${host_shell[$1]}, user: ${user[$1]}"
}

docker_keys() {
    echo "environment: {WHO: $1}, workdir: $PWD/$1, shell: ${docker_shell[$1]}, user: ${user[$1]},
        image: 'runner-test/level:$1', resources: {memory: ${memory[$1]}m},
        data_dir_outer: $PWD/$1, data_dir_inner: /data"
}

# levels ENGINE: one step for each level that has the last word on it.
levels() {
    local level
    for level in pipeline stage job step; do
        mkdir "$level"
        echo "$level" >"$level/name"
    done
    write p.yaml <<END
{name: p, $("$1_keys" pipeline), stages: [
  {name: above, jobs: [{name: j, steps: [{name: a, command: &show '$2'}]}]},
  {name: own, $("$1_keys" stage), run_mode: serial, jobs: [
    {name: above, steps: [{name: a, command: *show}]},
    {name: own, $("$1_keys" job), steps: [
      {name: a, command: *show},
      {name: b, command: *show, $("$1_keys" step)}]}]}]}
END
    assert_exit 0 "$RUNNER" exec p.yaml
    sed 's/.*\] //' <<<"$stdout" >got
}

test_levels_on_the_host() {
    [[ $(id -u) == 0 ]] || fail "this test needs root"
    levels host 'echo "$WHO $(pwd) $0 $(id -u)"'
    assert_eq "pipeline $PWD/pipeline dash 1001
stage $PWD/stage /bin/sh 1002
job $PWD/job bash 1003
step $PWD/step sh 1004" "$(grep -v '^profiling:' got)"
}

test_levels_in_docker() {
    local level
    for level in pipeline stage job step; do
        printf 'FROM busybox:1.36\nENV IMAGE=%s\n' "$level" |
            DOCKER_BUILDKIT=0 docker build -q -t "runner-test/level:$level" - >/dev/null 2>&1
    done
    levels docker 'echo "$WHO $(pwd) $0 $(id -u) $IMAGE $(cat /data/name) $(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null)"'
    assert_eq "pipeline $PWD/pipeline ash 1001 pipeline pipeline $((32 << 20))
stage $PWD/stage /bin/sh 1002 stage stage $((48 << 20))
job $PWD/job /bin/ash 1003 job job $((64 << 20))
step $PWD/step sh 1004 step step $((80 << 20))" "$(<got)"
    docker image rm runner-test/level:{pipeline,stage,job,step} >/dev/null
}

# The nearest level that says `engine` or `image` decides; of one that says both, `engine`.
test_engine_of_the_nearest_level() {
    write p.yaml <<'END'
name: p
image: busybox:1.36
stages:
  - name: s
    jobs:
      - {name: image of the pipeline, steps: [{name: a, command: &where 'test -e /bin/bash && echo out || echo in'}]}
  - name: t
    engine: host
    run_mode: serial
    jobs:
      - {name: engine of the stage, steps: [{name: a, command: *where}]}
      - name: image of the job
        image: busybox:1.36
        steps:
          - {name: a, command: *where}
          - {name: engine of the step, engine: host, command: *where}
      - {name: both, engine: host, image: "busybox:1.36", steps: [{name: a, command: *where}, {name: engine of the step, engine: docker, command: *where}]}
END
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "in out in out out in" "$(sed 's/.*\] //' <<<"$stdout" | paste -sd ' ')"
    sed -i 's/^image:.*/engine: docker/' p.yaml
    assert_exit 0 "$RUNNER" exec --image busybox:1.36 p.yaml
    assert_eq "in out in out out in" "$(sed 's/.*\] //' <<<"$stdout" | paste -sd ' ')"
}

# What an earlier step of the job has left in the container or the directory, and what is in the workdir.
test_isolation_and_checkout() {
    write p.yaml <<'END'
name: p
image: busybox:1.36
isolation: job
checkout: none
stages:
  - name: a
    jobs:
      - {name: j, steps: [&leave {name: leave, command: touch /tmp/left left}, &look {name: look, command: 'ls -d /tmp/left left p.yaml 2>/dev/null | paste -sd " "'}]}
  - name: b
    isolation: step
    checkout: workdir
    run_mode: serial
    jobs:
      - {name: j, steps: [*leave, *look, {name: clean, command: rm left}]}
      - {name: k, isolation: job, checkout: none, steps: [*leave, *look, {<<: *look, name: own, isolation: step}, {<<: *look, name: outside, checkout: workdir}]}
END
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "/tmp/left left, left p.yaml, /tmp/left left, left, p.yaml" \
        "$(sed 's/.*\] //' <<<"$stdout" | paste -sd , | sed 's/,/, /g')"
    sed -i '/^image:/d; /^ *isolation:/d; s/, isolation: step//; s/isolation: [a-z]*, //; s,/tmp/left ,,g' p.yaml
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "left, left p.yaml, left, left, p.yaml" \
        "$(sed 's/.*\] //' <<<"$stdout" | paste -sd , | sed 's/,/, /g')"
}

# start DIRECTORY FILE: runs it beside the test, in that directory.
declare -A started=()
start() {
    "${case_env[@]}" "$RUNNER" exec "$1/$2" -w "$1" >"$1/$2.out" 2>"$1/$2.err" </dev/null &
    started[$1/$2]=$!
}

# runs_with_limits: both pipelines on both engines, side by side.
runs_with_limits() {
    local engine
    rm -rf host docker
    for engine in 'host' 'docker, image: "busybox:1.36"'; do
        mkdir "${engine%%,*}"
        write "${engine%%,*}/levels.yaml" <<END
{name: p, engine: $engine, grace: 100ms, stages: [
  {name: a, depends_on: [], jobs: [{name: j, timeout: ${limit}s, steps: [
    {name: s, command: "trap 'sleep 100; touch a' TERM; touch up.a; while :; do sleep 0.1; done"}]}]},
  {name: b, depends_on: [], timeout: ${limit}s, grace: 1m, jobs: [{name: j, steps: [
    {name: s, command: "trap 'sleep 0.5; touch b; exit 1' TERM; touch up.b; while :; do sleep 0.1; done"}]}]},
  {name: c, depends_on: [], grace: 1m, jobs: [{name: j, grace: 100ms, steps: [
    {name: s, timeout: ${limit}s, command: "trap 'sleep 100; touch c' TERM; touch up.c; while :; do sleep 0.1; done"}]}]},
  {name: d, depends_on: [], jobs: [{name: j, steps: [
    {name: s, timeout: ${limit}s, grace: 1m, command: "trap 'sleep 0.5; touch d; exit 1' TERM; touch up.d; while :; do sleep 0.1; done"}]}]}]}
END
        write "${engine%%,*}/pipeline.yaml" <<END
{name: p, engine: $engine, timeout: 2s, grace: 100ms, post: echo post, stages: [
  {name: s, jobs: [{name: j, steps: [{name: a, command: sleep 60}]}]}]}
END
        start "${engine%%,*}" levels.yaml
        start "${engine%%,*}" pipeline.yaml
    done
    for engine in {host,docker}/{levels,pipeline}; do
        status=0
        wait "${started[$engine.yaml]}" || status=$?
        echo "$status" >"$engine.status"
    done
}

all_begin() { [[ $(echo {host,docker}/up.?) == "host/up.a host/up.b host/up.c host/up.d docker/up.a docker/up.b docker/up.c docker/up.d" ]]; }

# ended FILE: its exit status and what it said.
ended() { status=$(<"$1.status") stdout=$(<"$1.yaml.out") stderr=$(<"$1.yaml.err"); }

# What a step has time for after its SIGTERM is what the nearest `grace` says.
test_limits() {
    local engine
    local -a limits=(4 12 36)
    in_time all_begin runs_with_limits
    for engine in host docker; do
        ended $engine/levels
        assert_eq 1 "$status" "exit status"
        assert_match "$stderr" "job \"j\" timeout after $limit seconds?"
        assert_match "$stderr" "stage \"b\" timeout after $limit seconds?"
        assert_match "$stderr" "step \"s\" timeout after $limit seconds?"
        assert_eq "b d" "$(cd $engine && ls -d a b c d 2>/dev/null | paste -sd ' ')" "steps that had the time"
        ended $engine/pipeline
        assert_eq 124 "$status" "exit status"
        assert_contains "$stderr" 'pipeline "p" timeout after 2 seconds'
        assert_contains "$stdout" "] post"
    done
}

# Who may pull is inherited, too, and so is when.
test_registries_and_pull() {
    local registry=$RUNNER_TEST_AUTH_REGISTRY
    local image=$registry/private/busybox:1.36
    docker image rm -f "$image" >/dev/null 2>&1 || true
    write p.yaml <<END
name: p
image: $image
image_registry: $registry
image_registry_username: $RUNNER_TEST_AUTH_USER
image_registry_password: $RUNNER_TEST_AUTH_PASSWORD
pull: never
stages:
  - name: never
    allow_failure: true
    jobs: [{name: never, steps: [{name: a, command: echo not there}]}]
  - name: always
    pull: always
    jobs: [{name: right, steps: [{name: a, command: echo pulled}]}]
  - {name: other registry, allow_failure: true, pull: always, image_registry: "127.0.0.1:1", jobs: [{name: j, steps: [{name: a, command: echo denied}]}]}
  - {name: other user, allow_failure: true, pull: always, image_registry_username: nobody, jobs: [{name: j, steps: [{name: a, command: echo denied}]}]}
  - name: others
    image_registry_password: wrong-one
    pull: [always]
    fail_fast: false
    allow_failure: true
    jobs:
      - {name: denied, steps: [{name: a, command: echo denied}]}
      - {name: there, pull: never, steps: [{name: a, command: echo there}]}
      - {name: own, image_registry_password: $RUNNER_TEST_AUTH_PASSWORD, steps: [{name: a, command: echo own}]}
      - {name: any, image_registry_username: nobody, steps: [{name: a, pull: [always, if-not-present], command: echo any}]}
END
    exec_report p.yaml
    assert_eq 0 "$status" "exit status"
    assert_eq "any own pulled there" "$(sed 's/.*\] //' <<<"$stdout" | sort | paste -sd ' ')"
    assert_eq failed/image_pull "$(state_of never)"
    assert_eq failed/image_pull "$(state_of "other registry")"
    assert_eq failed/image_pull "$(state_of "other user")"
    assert_eq failed/image_pull "$(state_of denied)"
    docker image rm -f "$image" >/dev/null
}

run_tests "$@"

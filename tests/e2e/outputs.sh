#!/usr/bin/env bash
# What steps tell others: $PIPELINE_OUTPUT and $PIPELINE_ENV, on the host and in containers.
source "$(dirname "$0")/../lib.sh"

# pipeline KEYS STEPS: one job of steps; KEYS come before `stages`.
pipeline() {
    printf 'name: p\n%s\nstages: [{name: s, jobs: [{name: j, steps: [%s]}]}]\n' "$1" "$2" >p.yaml
}

# Where steps run: keys of the pipeline.
places=('engine: host' 'image: busybox:1.36' '{image: "busybox:1.36", isolation: job}')

# on_each FUNCTION: with the keys of each place in $keys, one a line.
on_each() {
    local place
    for place in "${places[@]}"; do
        keys=$(tr -d '{}' <<<"$place" | sed 's/, /\n/g')
        "$1"
    done
}

# step NAME JQ: of the report, what is asked about the step.
step() { jq -r --arg name "$1" "[.. | objects | select(.level == \"step\" and .name == \$name)] | last | $2" r.json; }

test_outputs_reach_later_steps() { on_each outputs_reach_later_steps; }
outputs_reach_later_steps() {
    cat >p.yaml <<EOF
name: p
$keys
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - name: set
            id: from
            command: |
              echo "version=1.2" >>"\$PIPELINE_OUTPUT"
              echo "with-dash=yes" >>"\$PIPELINE_OUTPUT"
              printf 'text<<EOT\nfirst line\n  second\nEOT\nEMPTY=\nversion=1.3' >>\$PIPELINE_OUTPUT
          - name: use
            if: steps.from.outputs.version == '1.3' && steps.set.outputs.none == null
            environment:
              V: "{{ steps.from.outputs.version }}"
              T: "{{ steps.set.outputs.text }}"
              ALL: "{{ toJSON(steps.set.outputs) }}"
              KEY: with-dash
              D: "{{ steps.set.outputs[\$KEY] }}"
            command: echo "<\$V><\$D>"; echo "\$T"; printf '%s\n' "\$ALL"; test ! -s "\$PIPELINE_OUTPUT"
  - name: t
    jobs:
      - name: k
        if: jobs.j.outputs.version == '1.3'
        steps:
          - {name: far, environment: {V: "{{ jobs.j.outputs.version }}{{ jobs['j'].outputs['with-dash'] }}"}, command: 'echo "far \$V"'}
EOF
    assert_exit 0 "$RUNNER" validate p.yaml
    assert_exit 0 "$RUNNER" exec --report json=r.json p.yaml
    assert_contains "$stdout" "use] <1.3><yes>"
    assert_contains "$stdout" "use] first line"
    assert_contains "$stdout" "use]   second"
    assert_contains "$stdout" 'use] {"version":"1.3","with-dash":"yes","text":"first line\n  second","EMPTY":""}'
    assert_contains "$stdout" "far] far 1.3yes"
    assert_eq '{"version":"1.3","with-dash":"yes","text":"first line\n  second","EMPTY":""}' \
        "$(step set '.outputs | tojson')"
    assert_eq null "$(step use .outputs)"
}

test_outputs_in_events() {
    pipeline 'engine: host' '{name: a, command: "echo k=v >>$PIPELINE_OUTPUT; echo hello"}'
    assert_exit 0 "$RUNNER" exec --progress json p.yaml
    assert_eq '[{"k":"v"}]' "$(jq -sc '[.[] | select(.outputs) | .outputs]' "$case_dir/stdout")"
    assert_eq StepCompleted "$(jq -r 'select(.outputs) | .event' "$case_dir/stdout")"
}

test_variables_of_later_steps() { on_each variables_of_later_steps; }
variables_of_later_steps() {
    cat >p.yaml <<EOF
name: p
$keys
environment: {FROM_FILE: file, WON: file}
stages:
  - name: s
    jobs:
      - name: j
        environment: {JOB: job}
        steps:
          - name: set
            command: |
              printf 'WHO=world\nJOB=changed\nWON=step\nSTEP=other\nTWO<<E\na\nb\nE\n' >>"\$PIPELINE_ENV"
              echo "\${WHO:-not yet}"
          - {name: use, environment: {STEP: own, X: "\${WHO}!"}, command: 'echo "\$WHO \$X \$JOB \$STEP \$FROM_FILE"; echo "\$TWO"; echo "won \$WON"'}
          - {name: cond, if: \$WHO == 'world', command: echo it holds}
          - {name: more, command: 'echo "WHO=moon" >>\$PIPELINE_ENV'}
          - {name: last, command: 'echo "hello \$WHO"'}
      - name: other
        depends_on: [j]
        steps: [{name: apart, command: 'echo "<\$WHO>"'}]
    
EOF
    assert_exit 0 "$RUNNER" exec -e WON=line p.yaml
    assert_contains "$stdout" "set] not yet"
    assert_contains "$stdout" "use] world world! changed own file"
    assert_contains "$stdout" "use] a"
    assert_contains "$stdout" "use] won line"
    assert_contains "$stdout" "cond] it holds"
    assert_contains "$stdout" "last] hello moon"
    assert_contains "$stdout" "apart] <>"
}

test_variables_change_the_image_of_the_next_step() {
    cat >p.yaml <<'EOF'
name: p
environment: {TAG: none}
stages:
  - name: s
    jobs:
      - name: j
        image: busybox:${TAG}
        steps:
          - {name: set, image: "busybox:1.36", command: "echo TAG=1.36 >>$PIPELINE_ENV; echo image=debian:bookworm-slim >>$PIPELINE_OUTPUT"}
          - {name: job, command: "busybox | head -n 1"}
          - {name: own, image: "{{ steps.set.outputs.image }}", command: "cat /etc/os-release"}
          - {name: both, image: "busybox:{{ $TAG }}", if: "$TAG == '1.36'", command: "echo ${TAG}"}
EOF
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "job] BusyBox v1."
    assert_contains "$stdout" "own] ID=debian"
    assert_contains "$stdout" "both] 1.36"
}

# An image with one static program, which writes an output: no shell, no /tmp.
tell_image() {
    cat >tell.c <<'EOF'
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    FILE *file = fopen(getenv("PIPELINE_OUTPUT"), "a");

    return !file || fprintf(file, "a=%d\n", (int)getuid()) < 0 || fclose(file) != 0;
}
EOF
    gcc -static -o tell tell.c
    printf 'FROM scratch\nCOPY tell /tell\nUSER 4321\n' >Dockerfile.case
    DOCKER_BUILDKIT=0 docker build -q -t runner-test/tell:1 -f Dockerfile.case . >/dev/null
}

test_any_user_and_any_image() {
    tell_image
    cat >p.yaml <<'EOF'
name: p
image: busybox:1.36
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: host, engine: host, user: "65534", command: "echo a=$(id -u) >>$PIPELINE_OUTPUT"}
          - {name: user, user: nobody, command: "echo a=$(id -u) >>$PIPELINE_OUTPUT"}
          - {name: image, image: "runner-test/nonroot:1", command: "echo a=$(id -u) >>$PIPELINE_OUTPUT"}
          - {name: readonly, user: nobody, security: {read_only: true}, command: "echo a=$(id -u) >>$PIPELINE_OUTPUT; touch /x || true"}
          - {name: sandbox, sandbox: true, command: "echo a=$(id -u) >>$PIPELINE_OUTPUT"}
          - {name: shared, isolation: job, user: nobody, command: "echo a=$(id -u) >>$PIPELINE_OUTPUT"}
          - {name: noshell, image: "runner-test/tell:1", entrypoint: [/tell]}
          - {name: noshellshared, image: "runner-test/tell:1", entrypoint: [/tell], isolation: job, security: {read_only: true}}
          - {name: entrypoint, image: "runner-test/entrypoint:1", command: "echo a=$(id -u) >>$PIPELINE_OUTPUT"}
EOF
    [[ $(id -u) == 0 ]] || sed -i '/name: host/d' p.yaml
    assert_exit 0 "$RUNNER" exec --report json=r.json p.yaml
    [[ $(id -u) != 0 ]] || assert_eq 65534 "$(step host .outputs.a)" host
    assert_match "$(step user .outputs.a)" '^[1-9][0-9]+$' user
    assert_match "$(step image .outputs.a)" '^[1-9][0-9]*$' "user of the image"
    assert_match "$(step readonly .outputs.a)" '^[1-9][0-9]+$' "user of a read-only image"
    assert_eq 0 "$(step sandbox .outputs.a)" sandbox
    assert_match "$(step shared .outputs.a)" '^[1-9][0-9]+$' "shared container"
    assert_eq 0 "$(step entrypoint .outputs.a)" entrypoint
    assert_eq 4321 "$(step noshell .outputs.a)" "image without a shell"
    assert_eq 4321 "$(step noshellshared .outputs.a)" "shared container without a shell"
}

test_plugin() {
    printf '%s\n' 'FROM runner-test/plugin:1' \
        'RUN printf "#!/bin/sh\\necho k=\$PIPELINE_PLUGIN_SETTINGS_A >>\$PIPELINE_OUTPUT\\n" >/pipeline/plugin/run' |
        DOCKER_BUILDKIT=0 docker build -q -t runner-test/outputs-plugin:1 - >/dev/null
    cat >p.yaml <<'EOF'
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: plug, plugin: {image: "runner-test/outputs-plugin:1", settings: {a: b}}}
          - {name: next, plugin: {image: "runner-test/plugin:1", settings: {from: "{{ steps.plug.outputs.k }}"}}}
EOF
    assert_exit 0 "$RUNNER" exec --report json=r.json p.yaml
    assert_eq b "$(step plug .outputs.k)"
    assert_contains "$stdout" "next] PIPELINE_PLUGIN_SETTINGS_FROM=b"
    assert_contains "$stdout" "next] PIPELINE_OUTPUT=/"
}

test_matrix_and_retries() {
    cat >p.yaml <<'EOF'
name: p
stages:
  - name: s
    jobs:
      - name: build
        matrix: {os: [a, b]}
        steps:
          - {name: set, environment: {OS: "{{ matrix.os }}"}, command: "echo $OS=yes >>$PIPELINE_OUTPUT; echo os=$OS >>$PIPELINE_OUTPUT"}
      - name: again
        retry: 1
        steps:
          - {name: first, command: "echo job$(test -e tried && echo 2)=yes >>$PIPELINE_OUTPUT; echo T$(test -e tried && echo 2)=yes >>$PIPELINE_ENV"}
          - {name: once, command: "echo <$T><$T2>; test -e tried || { touch tried; exit 1; }"}
      - name: step
        steps:
          - {name: flaky, retry: 2, command: "echo a$PIPELINE_ATTEMPT=yes >>$PIPELINE_OUTPUT; echo E=$PIPELINE_ATTEMPT >>$PIPELINE_ENV; test $PIPELINE_ATTEMPT = 3"}
          - {name: see, command: "echo attempt $E"}
  - name: t
    jobs:
      - name: j
        steps:
          - name: all
            environment:
              BUILD: "{{ jobs.build.outputs.a }}{{ jobs.build.outputs.b }}{{ jobs.build.outputs.os }}"
              AGAIN: "{{ toJSON(jobs.again.outputs) }}"
              STEP: "{{ toJSON(jobs.step.outputs) }}"
            command: 'echo "$BUILD $AGAIN $STEP"'
EOF
    sed -i 's/echo <$T><$T2>/echo \\"<$T><$T2>\\"/' p.yaml
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" 'all] yesyesb {"job2":"yes"} {"a3":"yes"}'
    assert_contains "$stdout" "once] <yes><>"
    assert_contains "$stdout" "once] <><yes>"
    assert_contains "$stdout" "see] attempt 3"
}

test_failures_tell_as_well() { on_each failures_tell_as_well; }
failures_in_limit() {
    rm -f late killed
    cat >p.yaml <<EOF
name: p
$keys
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: failed, allow_failure: true, command: "echo why=bad >>\$PIPELINE_OUTPUT; echo E=1 >>\$PIPELINE_ENV; exit 3"}
          - {name: late, allow_failure: true, timeout: ${limit}s, grace: 50s, command: "trap 'echo b=2 >>\$PIPELINE_OUTPUT; exit' TERM; echo a=1 >>\$PIPELINE_OUTPUT; touch late; while :; do sleep 0.05; done"}
          - {name: killed, allow_failure: true, timeout: ${limit}s, grace: 200ms, command: "trap '' TERM; echo a=1 >>\$PIPELINE_OUTPUT; touch killed; while :; do sleep 0.05; done"}
          - {name: see, environment: {O: "{{ steps.failed.outputs.why }} {{ steps.late.outputs.a }}{{ steps.late.outputs.b }} {{ steps.killed.outputs.a }}"}, command: 'echo "\$O \$E"'}
EOF
    assert_exit 0 "$RUNNER" exec p.yaml
}

failures_tell_as_well() {
    in_time 'test -e late -a -e killed' failures_in_limit
    assert_contains "$stdout" "see] bad 12 1 1"
}

neither='is neither KEY=VALUE nor the KEY<<END that a value of several lines needs'

test_malformed() { on_each malformed; }
malformed() {
    pipeline "$keys" '{name: a, command: "printf \"A=1\\n\\nsecret words\\n\" >>$PIPELINE_OUTPUT; echo B=2 >>$PIPELINE_ENV"},
        {name: b, if: always(), environment: {A: "{{ steps.a.outputs.A }}"}, command: "echo \"<$A><$B>\""}'
    assert_exit 1 "$RUNNER" exec --report json=r.json p.yaml
    assert_contains "$stderr" "a] failed: line 3 of \$PIPELINE_OUTPUT $neither"
    assert_contains "$stderr" "failed: step \"a\" failed: line 3 of"
    assert_not_contains "$stderr$stdout" "secret words"
    assert_contains "$stdout" "b] <><2>"
    assert_eq "failed error line 3 of \$PIPELINE_OUTPUT $neither" "$(step a '[.status, .reason, .error] | join(" ")')"
    assert_eq null "$(step a .outputs)"

    # What failed before fails by that; the other is a remark.
    pipeline "$keys" '{name: a, command: "echo bad >>$PIPELINE_ENV; exit 4"}'
    assert_exit 1 "$RUNNER" exec --report json=r.json p.yaml
    assert_contains "$stderr" "a] line 1 of \$PIPELINE_ENV $neither"
    assert_eq "exit code 4" "$(step a .error)"

    pipeline "$keys" '{name: a, retry: 1, command: "test $PIPELINE_ATTEMPT = 2 || echo bad >>$PIPELINE_OUTPUT"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    pipeline "$keys" '{name: a, allow_failure: true, command: "echo PIPELINE_NAME=x >>$PIPELINE_ENV"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'line 1 of $PIPELINE_ENV: "PIPELINE_NAME" cannot be set'
    pipeline "$keys" '{name: a, command: "rm $PIPELINE_OUTPUT; ln -s /etc/passwd $PIPELINE_OUTPUT"}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'failed: $PIPELINE_OUTPUT is no regular file any more'
    pipeline "$keys" '{name: a, command: "rm -f $PIPELINE_OUTPUT"}'
    assert_exit 0 "$RUNNER" exec p.yaml
}

test_too_large() { on_each too_large; }
too_large() {
    pipeline "$keys" '{name: a, command: "{ echo A=1; yes B=2 | head -c 50000000; } >>$PIPELINE_OUTPUT"}'
    assert_exit 1 "$RUNNER" exec --report json=r.json p.yaml
    assert_contains "$stderr" 'a] failed: $PIPELINE_OUTPUT holds more than 4 MiB; what is larger belongs in a file'
    assert_eq null "$(step a .outputs)"
    pipeline "$keys" '{name: a, command: "{ printf A=; head -c 1048576 /dev/zero | tr \"\\0\" x; echo; } >>$PIPELINE_OUTPUT"},
        {name: b, if: "startsWith(steps.a.outputs.A, '"'xxx'"')", command: "echo large"}'
    assert_exit 0 "$RUNNER" exec --report json=r.json p.yaml
    assert_contains "$stdout" "b] large"
    assert_eq 1048576 "$(step a '.outputs.A | length')"
    pipeline "$keys" '{name: a, command: "{ printf A=; head -c 1048577 /dev/zero | tr \"\\0\" x; } >>$PIPELINE_OUTPUT"}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'line 1 of $PIPELINE_OUTPUT: the value of "A" has more than 1 MiB'
    pipeline "$keys" '{name: a, command: "{ printf A=; head -c 131072 /dev/zero | tr \"\\0\" x; } >>$PIPELINE_ENV"}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'line 1 of $PIPELINE_ENV: "A" has more than the 128 KiB that a variable can have'
}

test_memory_is_bounded() {
    pipeline 'engine: host' '{name: a, command: "yes B=2 | head -c 50000000 >>$PIPELINE_OUTPUT"}'
    case ${RUNNER_TEST_PRESET:-release} in
    release) ;;
    *) return 0 ;; # with a sanitizer it says nothing
    esac
    run /usr/bin/time -f 'peak %M' "$RUNNER" exec p.yaml
    local peak
    peak=$(sed -n 's/^peak //p' "$case_dir/stderr")
    ((peak < 40000)) || fail "peak memory $peak KiB"
}

# Nothing of what comes back is seen in the logs, whatever the step prints last.
test_logs_hold_nothing_of_it() {
    pipeline 'image: busybox:1.36' '{name: a, command: "echo k=v >>$PIPELINE_OUTPUT; printf \"end\\036\"; printf \"err\\036\" >&2"},
        {name: b, isolation: job, command: "echo k=v >>$PIPELINE_OUTPUT; printf end; printf err >&2"}'
    assert_exit 0 "$RUNNER" exec --progress json p.yaml
    assert_eq '["end\u001e","err\u001e","end","err"]' \
        "$(jq -sc '[.[] | select(.event == "StepLog") | .text]' "$case_dir/stdout" | sed 's/\x1e/\\u001e/g')"
}

test_container_that_is_killed_is_no_success() {
    pipeline 'image: busybox:1.36' '{name: a, command: "echo k=v >>$PIPELINE_OUTPUT; touch up; sleep 60"}'
    spawn "$RUNNER" exec --report json=r.json p.yaml
    wait_for 20 test -e up
    docker kill "$(docker ps -q --filter label=dev.runner.role=step)" >/dev/null
    finish
    assert_eq 1 "$status" "exit status"
    assert_eq "failed 137 null" "$(step a '[.status, (.exit_code | tostring), (.outputs | tostring)] | join(" ")')"
}

test_steps_side_by_side() {
    local i steps='' needs=''
    for i in $(seq 20); do
        steps+="{name: s$i, depends_on: [first], environment: {SEEN: '\${V$((i - 1)):-}'}, command: \"echo k$i=v$i >>\$PIPELINE_OUTPUT; echo V$i=x >>\$PIPELINE_ENV\"},"
        needs+="s$i,"
    done
    pipeline 'engine: host' "{name: first, command: 'true'}, $steps
        {name: last, depends_on: [$needs], if: \"\$V1 == 'x'\", command: 'env | grep -c ^V[0-9]'}"
    assert_exit 0 "$RUNNER" exec --report json=r.json p.yaml
    assert_contains "$stdout" "last] 20"
    assert_eq v17 "$(step s17 .outputs.k17)"
}

test_podman() {
    [[ -n ${RUNNER_TEST_PODMAN_HOST:-} ]] || fail "there is no podman"
    podman_take
    pipeline 'image: busybox:1.36' '{name: a, command: "echo k=v >>$PIPELINE_OUTPUT"}, {name: b, environment: {K: "{{ steps.a.outputs.k }}"}, command: "echo <$K>"}'
    sed -i 's/echo <$K>/echo \\"<$K>\\"/' p.yaml
    DOCKER_HOST=$RUNNER_TEST_PODMAN_HOST assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "b] <v>"
}

declare -A case_timeout=([test_malformed]=120 [test_too_large]=120 [test_failures_tell_as_well]=200)
run_tests "$@"

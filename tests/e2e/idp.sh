#!/usr/bin/env bash
# Steps on a real IDP agent, which is alone with the runner in a network of its own.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034
needs_agent=yes needs_daemon=no
tests=$(cd "$(dirname "$0")/.." && pwd)
examples=$(realpath "$tests/../examples")

agent='' net=()
secret='s3cret/of@agents'
login='me:s3cret%2Fof%40agents'

# agent_start: an agent on port 8838; commands behind "${net[@]}" can reach it.
agent_start() {
    unshare --net bash -c 'ip link set lo up && exec "$@"' - \
        "$IDP_AGENT" server --port 8838 --client-id me --client-secret "$secret" \
        --workdir "$case_dir/agent/jobs" --metadata-dir "$case_dir/agent/meta" \
        >"$case_dir/agent.log" 2>&1 &
    agent=$!
    # shellcheck disable=SC2064
    trap "kill -KILL $agent 2>/dev/null || true" EXIT
    net=(nsenter -t "$agent" -n)
    set_mine
    wait_for 30 "${net[@]}" bash -c 'exec 3<>/dev/tcp/127.0.0.1/8838'
}

on_failure() { tail -n 20 "$case_dir/agent.log"; }

# pipeline STEPS: of one job on the agent.
pipeline() {
    printf 'name: p\nengine: idp://%s@127.0.0.1:8838\nstages: [{name: s, jobs: [{name: j, steps: [%s]}]}]\n' \
        "$login" "$1" >p.yaml
}

# on_agent COMMAND…: as run, in the agent's network.
on_agent() { run "${net[@]}" "$@"; }

# What steps get, by which they are found; the directory is where the helper comes to.
mine=()
set_mine() {
    mkdir "$case_dir/steps"
    mine=(-e "IDP_CASE=$case_dir" -e "TMPDIR=$case_dir/steps")
}
step_processes() { grep -lszxF "IDP_CASE=$case_dir" /proc/[0-9]*/environ || true; }
no_step_processes() { [[ -z $(step_processes) ]]; }
no_command_directories() { [[ -z $(ls "$case_dir/agent/jobs") ]]; }
# nothing_is_left: of the run that has ended.
nothing_is_left() {
    local run
    run=$(sed -n 's/^run \([0-9a-z]*\) .*/\1/p' <<<"$stderr")
    [[ -n $run ]] || fail "there was no run"
    # The helper's own end, and what the agent does behind its last word.
    wait_for 30 no_step_processes
    wait_for 30 no_command_directories
    assert_eq "" "$(ls -A "$case_dir/steps")" "what the helper came in"
    assert_eq "" "$(find /tmp /dev/shm /var/tmp -maxdepth 1 -name ".runner-$run*")" "files of steps"
}
exec_on_agent() { on_agent "$RUNNER" exec --report json=report.json "${mine[@]}" "$@" p.yaml; }

test_steps() {
    agent_start
    # What the agent's own client would call 127.
    pipeline '{name: a, command: exit 1, allow_failure: true},
        {name: b, command: exit 200, allow_failure: true},
        {name: c, command: exit 255, allow_failure: true},
        {name: d, command: nonesuch, allow_failure: true},
        {name: e, command: kill -9 $$, allow_failure: true},
        {name: f, command: "echo out; echo err >&2"}'
    exec_on_agent
    assert_eq 0 "$status"
    assert_eq "1 200 255 127 137" \
        "$(jq -r '[.. | objects | .exit_code? // empty | select(. != 0)] | join(" ")' report.json)"
    assert_contains "$stdout" "] out"
    assert_contains "$stderr" "] err"
    assert_not_contains "$stdout$stderr" "failed to run command"
    nothing_is_left
}

test_output_is_exact() {
    agent_start
    pipeline '{name: a, command: "head -c 5000000 /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 2>/dev/null;
        printf \"\\377\\000x\" >&2"}'
    on_agent "$RUNNER" exec --progress json p.yaml
    assert_eq 0 "$status"
    python3 - "$case_dir/stdout" <<'P'
import base64, json, sys
streams = {"stdout": open("out", "wb"), "stderr": open("err", "wb")}
for line in open(sys.argv[1]):
    event = json.loads(line)
    if event["event"] == "StepLog":
        data = event["text"].encode() if "text" in event else base64.b64decode(event["base64"])
        streams[event["stream"]].write(data)
P
    assert_eq "$(head -c 5000000 /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 2>/dev/null | sha256sum)" \
        "$(sha256sum <out)"
    assert_eq ff0078 "$(od -An -tx1 <err | tr -d ' \n')"
}

test_environment_files_and_outputs() {
    agent_start
    local large
    large=$(head -c 65536 /dev/zero | tr '\0' x)
    write env <<<"LARGE=$large"
    cat >p.yaml <<P
name: p
engine: idp://$login@127.0.0.1:8838
environment: {QUOTES: "'one' \"two\" \$three\nfour \`five\`"}
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - id: a
            name: a
            command: |
              printf '%s' "\$QUOTES" | cksum
              printf '%s' "\$LARGE" | wc -c
              echo answer=42 >>"\$PIPELINE_OUTPUT"
              echo "SET=by a" >>"\$PIPELINE_ENV"
              # A file of more than an argument can have comes along, too.
              : $(head -c 130000 /dev/zero | tr '\0' y)
          - {name: b, environment: {ANSWER: "{{ steps.a.outputs.answer }}"}, command: 'echo "it is \$ANSWER, \$SET"; pwd'}
          - {name: c, workdir: /usr/lib, command: pwd}
          - {name: d, workdir: sub/dir, command: 'pwd; env | grep -c "RUNNER_IDP\|GO_ZOOX" || true'}
P
    exec_on_agent --env-file env
    assert_eq 0 "$status"
    # shellcheck disable=SC2016
    assert_contains "$stdout" "] $(printf "'one' \"two\" \$three\nfour \`five\`" | cksum)"
    assert_contains "$stdout" "] 65536"
    assert_contains "$stdout" "] it is 42, by a"
    assert_match "$stdout" "step\(2/4\): b\] $case_dir/agent/jobs/[0-9a-f]+"
    assert_contains "$stdout" "[step(3/4): c] /usr/lib"
    assert_match "$stdout" "step\(4/4\): d\] $case_dir/agent/jobs/[0-9a-f]+/sub/dir"
    assert_contains "$stdout" "[step(4/4): d] 0"
}

test_timeout() {
    agent_start
    pipeline '{name: a, timeout: 1, command: "setsid sleep 1000 & exec sleep 1000"}'
    exec_on_agent
    assert_eq 1 "$status"
    assert_eq "failed/timeout" "$(state_of a)"
    nothing_is_left
}

test_grace() {
    agent_start
    pipeline '{name: a, grace: 60, command: "trap \"echo bye; exit 3\" TERM; setsid sleep 1000 & echo running; while :; do sleep 0.1 || :; done"}'
    spawn "${net[@]}" "$RUNNER" exec "${mine[@]}" p.yaml
    wait_for 30 grep -q "] running" "$case_dir/stdout"
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status"
    assert_contains "$stdout" "] bye"
    nothing_is_left
}

# What does not heed a signal is killed by the agent's own way.
test_cancel_kills_the_whole_tree() {
    agent_start
    pipeline '{name: a, grace: 1, command: "trap \"\" TERM; setsid sleep 1000 & echo running; sleep 1000"}'
    spawn "${net[@]}" "$RUNNER" exec "${mine[@]}" p.yaml
    wait_for 30 grep -q "] running" "$case_dir/stdout"
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status"
    nothing_is_left
}

# Neither of them can tell the other, or the step.
test_death_of_the_agent_or_the_runner() {
    agent_start
    pipeline '{name: a, command: "echo running; exec sleep 1000"}'
    spawn "${net[@]}" "$RUNNER" exec "${mine[@]}" p.yaml
    wait_for 30 grep -q "] running" "$case_dir/stdout"
    kill -KILL "$spawned"
    finish
    wait_for 30 no_step_processes
    spawn "${net[@]}" "$RUNNER" exec --report json=report.json "${mine[@]}" p.yaml
    wait_for 30 grep -q "] running" "$case_dir/stdout"
    kill -KILL "$agent"
    finish
    [[ $status != 0 ]] || fail "a lost step is no success"
    assert_eq "failed/lost" "$(state_of a)"
    assert_contains "$stderr" "the IDP agent at 127.0.0.1:8838"
    wait_for 30 no_step_processes
}

test_login() {
    agent_start
    pipeline '{name: a, command: echo never}'
    on_agent "$RUNNER" doctor "idp://$login@127.0.0.1:8838"
    assert_eq 0 "$status"
    assert_contains "$stdout" "the IDP agent at 127.0.0.1:8838, on Linux"
    sed -i "s|$login|me:wr0ng-password|" p.yaml
    on_agent "$RUNNER" exec p.yaml
    [[ $status != 0 ]] || fail "a wrong secret is refused"
    assert_contains "$stderr" "refuses the client_id and client_secret of the URL: failed to authenticate: invalid client id or secret"
    assert_not_contains "$stdout$stderr" "wr0ng"
    on_agent "$RUNNER" doctor idp://me:x@127.0.0.1:1
    assert_eq 3 "$status"
    assert_contains "$stdout" "see whether the agent runs"
}

test_tls() {
    agent_start
    "$tests/env/certs.sh" "$case_dir/certs"
    "${net[@]}" "$tests/fake/tls_front.py" 8443 "$case_dir/certs/server-cert.pem" \
        "$case_dir/certs/server-key.pem" 8838 &
    local front=$!
    # shellcheck disable=SC2064
    trap "kill -KILL $front $agent 2>/dev/null || true" EXIT
    wait_for 30 "${net[@]}" bash -c 'exec 3<>/dev/tcp/127.0.0.1/8443'
    pipeline '{name: a, command: echo over tls}'
    sed -i "s|idp://.*|idps://$login@localhost:8443|" p.yaml
    on_agent "$RUNNER" doctor "idps://$login@localhost:8443"
    assert_eq 3 "$status"
    assert_contains "$stdout" "certificate"
    sed -i "s|:8443|:8443?ca=$case_dir/certs/ca.pem|" p.yaml
    on_agent "$RUNNER" exec p.yaml
    assert_eq 0 "$status"
    assert_contains "$stdout" "] over tls"
    sed -i "s|ca=.*|insecure=true|" p.yaml
    on_agent "$RUNNER" exec p.yaml
    assert_eq 0 "$status"
}

test_what_does_not_work_is_told() {
    agent_start
    pipeline '{name: a, command: echo never}'
    sed -i 's|^engine|checkout: workdir\nengine|' p.yaml
    on_agent "$RUNNER" exec p.yaml
    assert_eq 1 "$status"
    assert_contains "$stderr" "checkout: workdir does not work with IDP agents"
}

test_example() {
    agent_start
    on_agent "$RUNNER" exec -e "AGENT=$login@127.0.0.1:8838" "$examples/remote/idp.yaml"
    assert_eq 0 "$status"
    assert_contains "$stdout" "] deployed 1.2.3 to /tmp"
}

run_tests "$@"

#!/usr/bin/env bash
# The pipelines of examples/ that need nothing but a shell do on a host by ssh, and on the machine of
# an IDP agent, what they do here: every state, reason, exit code, attempt, message and output of the
# report is the same, and so is what the steps print.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034
needs_agent=yes
tests=$(cd "$(dirname "$0")/.." && pwd)
examples=$(realpath "$tests/../examples")
port=2222
secret=s3cret

# What a report does not depend on when and where.
comparable() {
    jq 'walk(if type == "object" then del(.id, .duration_ms)
        | with_entries(select(.key | endswith("_at") | not))
        else . end)' "$1"
}

# begin: a server and an agent, alone with the runner in a network of their own; sets urls and net.
begin() {
    local agent sshd
    mkdir -p "$case_dir/sshd" home
    ssh-keygen -q -t ed25519 -N '' -f "$case_dir/key"
    cp "$case_dir/key.pub" "$case_dir/sshd/authorized_keys"
    unshare --net bash -c 'ip link set lo up && exec "$@"' - \
        "$IDP_AGENT" server --port 8838 --client-id me --client-secret "$secret" \
        --workdir "$case_dir/agent/work" --metadata-dir "$case_dir/agent/meta" \
        >"$case_dir/agent.log" 2>&1 &
    agent=$!
    net=(nsenter -t "$agent" -n)
    # shellcheck disable=SC2064
    trap "kill -KILL $agent 2>/dev/null || true" EXIT
    wait_for 30 listens 8838
    "${net[@]}" bash "$tests/env/sshd.sh" "$case_dir/sshd" 127.0.0.1 "$port" "SetEnv HOME=$PWD/home" \
        2>"$case_dir/sshd.log" &
    sshd=$!
    # shellcheck disable=SC2064
    trap "kill -KILL $agent $sshd 2>/dev/null || true" EXIT
    wait_for 30 listens "$port"
    declare -gA urls=(
        [host]=host
        [ssh]="ssh://$(id -un)@127.0.0.1:$port?key=$case_dir/key&insecure=true&config=none"
        [idp]="idp://me:$secret@127.0.0.1:8838"
    )
}

# listens PORT
listens() { "${net[@]}" bash -c "exec 3<>/dev/tcp/127.0.0.1/$1"; }

on_failure() { tail -n 20 "$case_dir"/{agent,sshd}.log; }

# all CODE FILE OPTION…: runs the example on each engine.
all() {
    local code=$1 file=$2 engine
    shift 2
    for engine in host ssh idp; do
        rm -rf work
        mkdir work
        (cd work && assert_exit "$code" "${net[@]}" "$RUNNER" exec --report json=../report.json \
            --engine "${urls[$engine]}" "$examples/$file" "$@")
        sed "s|$(jq -r .id report.json)|RUN|g" "$case_dir/stdout" | sort >"$engine.out"
        comparable report.json >"$engine.report"
        [[ $(jq '[.. | objects | select(.level == "step")] | length' "$engine.report") -gt 0 ]] ||
            fail "no step is in the report"
        diff host.report "$engine.report" >differs || fail "the reports of $file differ on $engine:
$(<differs)"
        diff host.out "$engine.out" >differs || fail "the output of $file differs on $engine:
$(<differs)"
    done
}

test_steps() {
    begin
    all 0 hello.yaml
    all 0 conditions.yaml
    all 0 outputs.yaml
    all 0 pre-post.yaml
    all 0 inputs.yaml --input version=1.4.2 --input replicas=10 --input notify=true
}

test_jobs() {
    begin
    all 0 dependencies.yaml
    all 0 matrix.yaml
    all 0 concurrency.yaml
    all 1 timeouts.yaml
}

run_tests "$@"

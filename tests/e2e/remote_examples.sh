#!/usr/bin/env bash
# The pipelines of examples/ that need nothing but a shell do in a container, on a host by ssh, and on
# the machine of an IDP agent, what they do here: every state, reason, exit code, attempt, message and
# output of the report is the same, and so is what the steps print.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034
needs_agent=yes
tests=$(cd "$(dirname "$0")/.." && pwd)
examples=$(realpath "$tests/../examples")
this_file=$(realpath "$0")
port=2222
secret=s3cret

# Which engines cannot run an example, and why. Kubernetes has kubernetes_examples.sh.
declare -A not_on=(
    [artifacts.yaml]="ssh: without a copy of the workdir nothing comes back
        idp: it gives no files back"
    [background.yaml]="docker: its image has no Python
        idp: only a line of the log can tell that a step is ready"
    [cache.yaml]="ssh: without a copy of the workdir nothing comes back
        idp: it gives no files back"
    [retry.yaml]="idp: each step has a directory of its own, and the second attempt looks for what the first left"
    [stages.yaml]="idp: each step has a directory of its own, and its jobs share files"
)
# And which run on one of them only, and why.
declare -A on_one=(
    [containers.yaml]="it is about containers"
    [deployment.yaml]="it brings up a Compose project"
    [docker.yaml]="it is about containers"
    [hosts.yaml]="its hosts say their engines; ssh.sh and hosts.sh have some by ssh"
    [kubernetes.yaml]="its engine is Kubernetes"
    [language.yaml]="it runs the images of languages"
    [manifests.yaml]="manifests go to a cluster"
    [plugin.yaml]="plugins are images"
    [plugins.yaml]="plugins are images"
    [private-registry.yaml]="it is about images"
    [privileged.yaml]="it is about containers"
    [release.yaml]="it needs git, rsync and make, and files that its steps share and the workdir gets"
    [s3.yaml]="what it keeps comes from the workdir, and it uses images"
    [scan.yaml]="it needs a program that only a test of the host has"
    [secrets.yaml]="one of its jobs runs in an image"
    [services.yaml]="services are containers"
    [site.yaml]="its steps run in an image, beside a service"
    [stack.yaml]="it goes to a swarm"
    [steps.yaml]="one of its steps runs in an image"
    [types.yaml]="it needs git and make, and gives artifacts back"
    [remote/idp.yaml]="its engine is an agent, with which idp.sh runs it"
)

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
        --workdir "$case_dir/agent/jobs" --metadata-dir "$case_dir/agent/meta" \
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
        [docker]=docker
        [ssh]="ssh://$(id -un)@127.0.0.1:$port?key=$case_dir/key&insecure=true&config=none"
        [idp]="idp://me:$secret@127.0.0.1:8838"
    )
}

# listens PORT
listens() { "${net[@]}" bash -c "exec 3<>/dev/tcp/127.0.0.1/$1"; }

on_failure() { tail -n 20 "$case_dir"/{agent,sshd}.log; }

# not_on FILE ENGINE: whether that is known not to run it, or a path.
not_on() { grep -q "^ *$2: " <<<"${not_on[$1]:-}"; }

# all CODE FILE OPTION…: runs the example, or the file of that path, on each engine that can.
all() {
    local code=$1 file=$2 engine
    shift 2
    for engine in host docker ssh idp; do
        ! not_on "$file" "$engine" || continue
        local -a options=(--engine "${urls[$engine]}" --cache-dir "$PWD/cache.$engine")
        [[ $engine != docker ]] || options+=(--image busybox:1.36)
        rm -rf work
        mkdir work
        (cd work && ${prepare:-true} && assert_exit "$code" "${net[@]}" "$RUNNER" exec --report json=../report.json \
            "${options[@]}" "$(cd "$examples" && realpath "$file")" "$@")
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

test_every_example_is_here() {
    local file name
    for file in "$examples"/*.yaml "$examples"/remote/*.yaml; do
        name=${file#"$examples"/}
        if [[ -n ${on_one[$name]:-} ]]; then
            ! grep -q "^ *all [0-9] $name" "$this_file" || fail "$name is run, and said not to be"
        else
            grep -q "^ *all [0-9] $name" "$this_file" || fail "$name is neither run nor in on_one"
        fi
    done
    for name in "${!on_one[@]}" "${!not_on[@]}"; do
        [[ -e $examples/$name ]] || fail "there is no $name"
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

# all_in_limit COMMAND…: as all: what $limit is too short for on one of the engines differs from that on
# another; `agreed` is 0 then, and what differs in the file `said`.
all_in_limit() {
    # In a condition nothing in it would end it.
    set +e
    (set -e && "$@") >said
    agreed=$((!$?))
    set -e
}
timeouts() {
    all 1 timeouts.yaml --set "stages[0].timeout=${limit}s"
}
retries() {
    all 0 retry.yaml --set "stages[0].jobs[0].steps[2].timeout=${limit}s"
}

case_timeout[test_jobs]=180
test_jobs() {
    local example agreed
    local -a limits=(2 6 18)
    begin
    all 0 dependencies.yaml
    all 0 matrix.yaml
    all 0 concurrency.yaml
    for example in timeouts retries; do
        in_time '((agreed))' all_in_limit "$example"
        ((agreed)) || fail "$(<said)"
    done
    local prepare=a_repository
    all 0 when.yaml -e PIPELINE_BRANCH=main -e PIPELINE_EVENT=push
}

test_files() {
    begin
    all 0 stages.yaml
    all 0 background.yaml
    all 0 artifacts.yaml
    all 0 cache.yaml
}

# Two commits, the second of which changes a source.
a_repository() {
    git init -q -b main .
    git config user.name tester
    git config user.email tester@example.org
    echo >main.c
    git add main.c
    git commit -q -m one
    echo changed >main.c
    git commit -q -a -m two
}

# The line ends of the file are those of YAML, and none of the script; what a script is said to have, it
# has, and what it prints arrives as it is.
test_line_ends_of_windows() {
    begin
    sed 's/$/\r/' >windows.yaml <<'Y'
name: windows
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - name: block
            command: |
              for word in one two; do
                  echo "$word."
              done | od -An -c
          - name: folded
            command: >
              echo
              folded | od -An -c
          - {name: said, command: "echo a\r\necho b\r\n"}
          - {name: output, command: 'printf "one\r\ntwo\rthree\r\n\r\nend\r"'}
Y
    all 0 "$PWD/windows.yaml"
    assert_eq '] o n e . \n t w o . \n' "$(sed -n 's/.*block\(\].*\)/\1/p' host.out | tr -s ' ')"
    assert_eq '] f o l d e d \n' "$(sed -n 's/.*folded\(\].*\)/\1/p' host.out | tr -s ' ')"
    assert_eq 8 "$(grep -c . host.out)" "lines"
}

run_tests "$@"

#!/usr/bin/env bash
# Pipelines whose jobs are pods: what runs there, what is said about it, and that nothing stays.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../env/env.sh
source "$(dirname "$0")/../env/env.sh"
# shellcheck source=../kube.sh
source "$(dirname "$0")/../kube.sh"

# shellcheck disable=SC2034 # for run_tests
needs_cluster=shared needs_daemon=no

# --- steps ---------------------------------------------------------------------------------------

test_steps() {
    namespace_take
    local -x TOKEN=t0p-s3cret
    mkdir -p sub/deep
    printf 'data\n' >sub/deep/file
    printf '#!/bin/sh\necho it runs\n' >program
    chmod 750 program
    chmod 640 sub/deep/file
    ln -s sub/deep/file link
    ln -s /nowhere dangling
    job <<'YAML'
environment: {GREETING: "hello  world", MULTI: "a\nb"}
steps:
- name: streams
  command: echo out; echo err >&2; echo "$GREETING"; echo "$MULTI"
- name: files
  command: |
    stat -c '%a %n' program sub/deep/file
    readlink link; readlink dangling
    ./program
    cat link
- name: tell
  id: tell
  command: |
    echo "number=1.4" >>"$PIPELINE_OUTPUT"
    printf 'notes<<END\none\ntwo\nEND\n' >>"$PIPELINE_OUTPUT"
    echo "LATER=from before" >>"$PIPELINE_ENV"
    echo hidden-w0rd >>"$PIPELINE_MASK"
- name: use
  environment: {N: "{{ steps.tell.outputs.number }}", T: "{{ steps.tell.outputs.notes }}"}
  command: echo "$N $LATER hidden-w0rd"; echo "$T"
- name: token
  command: echo "token $TOKEN of ${#TOKEN}"
- name: fails
  allow_failure: [7]
  command: exit 7
- name: killed
  allow_failure: true
  command: kill -9 $$
- name: user
  user: "1000"
  command: id -u; id -g
- name: elsewhere
  workdir: other/place
  command: pwd; echo $PIPELINE_STEP $PIPELINE_JOB $PIPELINE_STAGE $CI
- name: is last
  command: grep -c . /proc/self/cmdline >/dev/null && cat sub/deep/file; exit 3
YAML
    sed -i '2isecrets: {TOKEN: }' p.yaml
    exec_there 1
    assert_eq "out
hello  world
a
b" "$(lines streams)"
    assert_contains "$stderr" "streams] err"
    assert_not_contains "$stdout" "] err"
    assert_eq "750 program
640 sub/deep/file
sub/deep/file
/nowhere
it runs
data" "$(lines files)"
    assert_eq "1.4 from before ***
one
two" "$(lines use)"
    assert_eq "token *** of 10" "$(lines token)"
    assert_eq "1000" "$(lines user | head -n 1)"
    assert_eq "$PWD/other/place
elsewhere j s true" "$(lines elsewhere)"
    assert_eq data "$(lines "is last")"
    assert_eq 7 "$(jq '[.. | objects | select(.name == "fails")][0].exit_code' report.json)"
    assert_eq 137 "$(jq '[.. | objects | select(.name == "killed")][0].exit_code' report.json)"
    assert_eq failed/error "$(state_of "is last")"
    assert_eq 3 "$(jq '[.. | objects | select(.name == "is last")][0].exit_code' report.json)"
    assert_not_contains "$stdout$stderr$(<report.json)" "$TOKEN"
    assert_nothing_there
}

# A file that does not fit into one message, and what checkout: none leaves out.
test_workspace() {
    namespace_take
    head -c 20M /dev/urandom >big
    mkdir empty
    cat >p.yaml <<'YAML'
name: p
image: busybox:1.36
engine: kubernetes
stages:
- name: s
  jobs:
  - name: filled
    steps:
    - {name: sum, command: "sha256sum big; test -d empty && echo empty; echo more >made-there"}
    - {name: next, command: cat made-there}
  - name: none
    checkout: none
    steps:
    - {name: look, command: "ls -A | wc -l; pwd"}
YAML
    exec_there 0
    assert_eq "$(sha256sum big)
empty" "$(lines sum)"
    assert_eq more "$(lines next)"
    assert_eq "0
$PWD" "$(lines look)"
    [[ ! -e made-there ]] || fail "a file came back"
    assert_nothing_there
}

test_flow() {
    namespace_take
    cat >p.yaml <<'YAML'
name: p
image: busybox:1.36
engine: kubernetes
pre: echo pre of all
stages:
- name: s
  fail_fast: false
  jobs:
  - name: "of {{ matrix.os }}"
    matrix: {os: [alpine, debian]}
    environment: {OS: "{{ matrix.os }}"}
    pre: echo "pre $OS"
    steps:
    - {name: run, command: 'echo "on $OS"; echo "os=$OS" >>$PIPELINE_OUTPUT'}
    post: echo "post $OS"
  - name: flaky
    steps:
    - name: flaky
      retry: {attempts: 3, delay: 50ms}
      command: echo "attempt $PIPELINE_ATTEMPT"; echo x >>tries; test "$(wc -l <tries)" -ge 3
  - name: dag
    steps:
    - {name: one, depends_on: [], command: 'echo a >one; until test -e two; do sleep 0.1; done; echo one saw two'}
    - {name: two, depends_on: [], command: 'echo b >two; until test -e one; do sleep 0.1; done; echo two saw one'}
    - {name: both, depends_on: [one, two], command: cat one two}
  - name: whole
    retry: 1
    steps:
    - {name: whole, command: 'test "$PIPELINE_ATTEMPT" -ge 1 && echo again && false'}
- name: never
  jobs: [{name: never, steps: [{name: never, command: echo never}]}]
finally:
- name: at last
  jobs: [{name: at last, steps: [{name: at last, command: echo at last}]}]
post: {failure: echo it failed, success: echo it went well}
YAML
    exec_there 1
    assert_eq "on alpine
on debian" "$(lines run | sort)"
    assert_contains "$stdout" "pre alpine"
    assert_contains "$stdout" "post debian"
    assert_eq "attempt 1
attempt 2
attempt 3" "$(lines flaky)"
    assert_contains "$stdout" "one saw two"
    assert_contains "$stdout" "two saw one"
    assert_eq "a
b" "$(lines both)"
    assert_eq "again
again" "$(lines whole)"
    assert_eq skipped/dependency "$(state_of never)"
    assert_eq "at last" "$(lines "at last")"
    assert_contains "$stdout" "it failed"
    assert_not_contains "$stdout" "it went well"
    assert_nothing_there
}

late_step() {
    job <<YAML
steps:
- {name: soon, command: "true"}
- {name: late, timeout: ${limit}s, command: "trap 'echo terminated; exit 0' TERM; echo sleeping; sleep 1000 & wait"}
YAML
    exec_there 1
}

test_timeout() {
    namespace_take
    in_time '[[ $(lines late) == sleeping* ]]' late_step
    assert_eq "sleeping
terminated" "$(lines late)"
    assert_eq failed/timeout "$(state_of late)"
    assert_nothing_there
}

# --- pods ----------------------------------------------------------------------------------------

# One pod for all kinds of containers; what Kubernetes is told; and nothing of a secret in that.
test_pod_of_a_job() {
    namespace_take
    local -x TOKEN=t0p-s3cret
    kube create configmap settings --from-literal=flags=-O2 >/dev/null
    kube create secret generic key --from-literal=private=for-one-step >/dev/null
    kube create serviceaccount builder >/dev/null
    job <<'YAML'
secrets: {TOKEN: }
kubernetes:
  service_account: builder
  labels: {team: shop}
  annotations: {example.org/contact: me}
  node_selector: {kubernetes.io/os: linux}
  resources: {requests: {cpu: 10m}, limits: {memory: 128Mi}}
  volumes:
  - {mount: /etc/build, config_map: settings, read_only: true}
  - {mount: /scratch, empty_dir: {medium: Memory, size_limit: 16Mi}}
  pod_patch: {spec: {enableServiceLinks: false}}
steps:
- {name: serve, background: true, command: 'mkdir /www; echo served >/www/index.html; exec httpd -f -p 8088 -h /www', ready: {tcp: 8088}}
- {name: ask, command: wget -q -O - http://localhost:8088/}
- {name: read, command: 'cat /etc/build/flags; echo; df -P /scratch | grep -o ^tmpfs; hostname >/scratch/file'}
- name: key
  kubernetes: {volumes: [{mount: /keys, secret: key, items: [{key: private, path: file}]}]}
  command: cat /keys/file /scratch/file; test ! -e /www && echo another
- {name: no key, command: 'test ! -e /keys && echo none'}
- {name: debian, image: "debian:bookworm-slim", shell: bash, command: 'echo "$BASH_VERSION" | cut -c 1; cat here'}
- {name: limits, resources: {cpus: 0.5, memory: 64m}, command: 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max'}
- {name: noshell, image: "runner-test/noshell:1", entrypoint: /hello, command: "true"}
- {name: plugin, plugin: {image: "runner-test/plugin:1", settings: {title: a b}}}
- {name: beside, background: true, environment: {MARK: marked}, command: 'sleep 0.3; touch "$MARK"; sleep 1000', ready: {command: 'test -e "$MARK"', timeout: 20s}}
- {name: token, command: 'test "$TOKEN" = t0p-s3cret; touch seen; until test -e go; do sleep 0.1; done'}
YAML
    sed -i '/^    secrets:/d; 2isecrets: {TOKEN: }' p.yaml
    sed -i 's/command: .cat here.*/x/; s/; cat here//' p.yaml
    spawn "$RUNNER" exec "${cluster[@]}" --report json=report.json p.yaml
    wait_for 50 grep -q 'token\] start' "$case_dir/stderr"
    kube get pods -l dev.runner.run -o yaml >pod.yaml
    kube get pods -l dev.runner.run -o json | jq '.items' >pods.json
    kube get configmaps,secrets -l dev.runner.run -o yaml >others.yaml
    local name
    name=$(jq -r '.[0].metadata.name' pods.json)
    kube exec "$name" -c step-1 -- touch "$PWD/go"
    finish
    assert_eq 0 "$status" "exit status"
    assert_eq 1 "$(jq length pods.json)" "pods"
    assert_eq '"shop" "me" "builder" "linux" false' "$(jq -c '.[0] | .metadata.labels.team,
        .metadata.annotations["example.org/contact"], .spec.serviceAccountName, .spec.nodeSelector["kubernetes.io/os"],
        .spec.enableServiceLinks' pods.json | paste -sd ' ')"
    assert_not_contains "$(cat pod.yaml others.yaml)" "$TOKEN" "what is in the cluster"
    assert_eq served "$(lines ask)"
    assert_eq "-O2
tmpfs" "$(lines read)"
    assert_eq "for-one-step$name
another" "$(lines key)"
    assert_eq none "$(lines "no key")"
    assert_eq 5 "$(lines debian)"
    assert_eq 67108864 "$(lines limits)"
    assert_contains "$(lines noshell)" "hello from a static binary"
    assert_contains "$(lines plugin)" "PIPELINE_PLUGIN_SETTINGS_TITLE=a b"
    assert_eq '["128Mi","67108864"]' "$(jq -c '[.[0].spec.containers[].resources.limits.memory] | unique' pods.json)"
    assert_nothing_there
}

# --- services ------------------------------------------------------------------------------------

test_services() {
    namespace_take
    cat >p.yaml <<'YAML'
name: p
image: busybox:1.36
engine: kubernetes
services:
  files:
    image: busybox:1.36
    command: [sh, -c, "mkdir /www; echo shared >/www/index.html; exec httpd -f -p 8080 -h /www"]
    ready: {http: "http://files:8080/index.html"}
stages:
- name: s
  jobs:
  - name: j
    services:
      api:
        image: busybox:1.36
        environment: {GREETING: s3cret greeting}
        command: [sh, -c, "mkdir /www; echo $GREETING >/www/index.html; exec httpd -f -p 80 -h /www"]
        ready: {tcp: 80}
      worker:
        image: busybox:1.36
        command: [sh, -c, "trap 'echo told to go; exit 0' TERM; sleep 1; echo is up; touch /up; sleep 1000 & wait"]
        ready: {log: ^is up, command: test -e /up, interval: 200ms}
    steps:
    - name: ask
      command: |
        wget -q -O - http://api/
        wget -q -O - http://files:8080/
        echo $PIPELINE_SERVICE_API_HOST
        until test -e go; do sleep 0.1; done
YAML
    spawn "$RUNNER" exec "${cluster[@]}" p.yaml
    wait_for 50 output_has ' api$'
    kube get pods -l dev.runner.run -o json | jq .items >pods.json
    assert_eq 2 "$(jq length pods.json)" "pods"
    assert_not_contains "$(<pods.json)" "s3cret greeting" "pods"
    kube exec "$(jq -r '.[] | select(any(.spec.containers[]; .name | startswith("step"))).metadata.name' pods.json)" \
        -c "$(jq -r '.[].spec.containers[].name | select(startswith("step"))' pods.json)" -- touch "$PWD/go"
    finish
    assert_eq 0 "$status" "exit status"
    assert_eq "s3cret greeting
shared
api" "$(lines ask)"
    assert_contains "$stdout" "[service: worker] is up"
    assert_contains "$stdout" "[service: worker] told to go"
    assert_contains "$stderr" "[service: files] ready"
    assert_nothing_there
}

test_services_that_fail() {
    namespace_take
    cat >p.yaml <<'YAML'
name: p
image: busybox:1.36
engine: kubernetes
stages:
- name: s
  fail_fast: false
  jobs:
  - name: ends
    services: {bad: {image: "busybox:1.36", command: [sh, -c, "echo no config; exit 3"], ready: {tcp: 80}}}
    steps: [{name: a, command: echo not here}]
  - name: waits
    services: {slow: {image: "busybox:1.36", command: [sleep, "1000"], ready: {tcp: 81, timeout: 3s}}}
    steps: [{name: b, command: echo not here}]
  - name: missing
    services: {none: {image: "runner-test/not-there:1", pull: never, ready: {tcp: 82}}}
    steps: [{name: c, command: echo not here}]
  - name: ends later
    kubernetes: {labels: {job: later}}
    services: {later: {image: "busybox:1.36", command: [sh, -c, "echo up; nc -l -p 83; echo bye; exit 4"], ready: {log: up}}}
    steps: [{name: d, command: "until nc later 83 </dev/null; do sleep 0.1; done; until test -e told; do sleep 0.1; done; echo went on"}]
YAML
    spawn "$RUNNER" exec "${cluster[@]}" --engine kubernetes --report json=report.json p.yaml
    wait_for 50 grep -q 'service: later\] has ended by itself, before its job: exit code 4' "$case_dir/stderr"
    kube exec "$(kube get pods -l job=later -o name)" -c step-2 -- touch "$PWD/told"
    finish
    assert_eq 1 "$status" "exit status"
    assert_not_contains "$stdout" "not here"
    assert_contains "$stdout" "[service: bad] no config"
    assert_contains "$stderr" 'ends] failed: service "bad": it ended before it was ready: exit code 3'
    assert_match "$stderr" 'waits\] failed: service "slow": .*3 seconds'
    assert_match "$stderr" 'missing\] failed: service "none": .*not-there'
    assert_eq "went on" "$(lines d)"
    assert_contains "$stdout" "[service: later] bye"
    assert_eq succeeded "$(state_of "ends later")"
    assert_nothing_there
}

# --- nothing stays -------------------------------------------------------------------------------

test_cancel() {
    namespace_take
    job <<'YAML'
services: {api: {image: "busybox:1.36", environment: {A: b}, command: [sleep, "1000"], ready: {command: "true"}}}
steps:
- {name: a, command: "trap 'echo told; exit 0' TERM; echo begun; sleep 1000 & wait"}
YAML
    spawn "$RUNNER" exec "${cluster[@]}" p.yaml
    wait_for 40 output_has begun
    assert_eq "pod configmap secret" "$(objects | sed 's/\/.*//' | paste -sd ' ')" "kinds of objects"
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status" "exit status"
    assert_eq "begun
told" "$(lines a)"
    assert_nothing_there
}

sleeper() {
    job <<'YAML'
steps: [{name: a, command: echo begun; sleep 1000}]
YAML
    spawn "$RUNNER" exec "${cluster[@]}" p.yaml
    wait_for 40 output_has begun
}

test_runner_is_killed() {
    namespace_take
    sleeper
    kill -KILL "$spawned"
    finish
    assert_no_leftovers 20
    assert_eq yes "$(all_is_going && echo yes)" "all is told to go"
}

test_runner_is_killed_with_all_of_its_processes() {
    namespace_take
    sleeper
    local -a ids
    mapfile -t ids < <(case_processes)
    kill_at_once "${ids[@]}"
    finish
    local before
    before=$(objects)
    assert_contains "$before" configmap/
    assert_exit 0 "$RUNNER" reap "${cluster[@]}" --dry-run
    assert_contains "$stdout" "would remove pod runner-"
    assert_eq "$before" "$(objects)" "what a dry run leaves"
    assert_exit 0 "$RUNNER" reap "${cluster[@]}"
    assert_contains "$stdout" "removed pod runner-"
    wait_for 20 all_is_going
}

test_keep() {
    namespace_take
    job <<'YAML'
steps: [{name: a, command: echo done}]
YAML
    exec_there 0 --keep
    objects >kept
    assert_eq "pod configmap" "$(sed 's/\/.*//' kept | paste -sd ' ')" "what is kept"
    assert_exit 0 "$RUNNER" reap "${cluster[@]}"
    wait_for 20 all_is_going
}

if (($# == 0)) && ! kube_own; then
    echo "the cluster is given: images that are in no registry are not there"
    mapfile -t cases < <(all_cases | grep -vx test_pod_of_a_job)
    set -- "${cases[@]}"
fi
run_tests "$@"

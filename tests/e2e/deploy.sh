#!/usr/bin/env bash
# What deploy/kubernetes has for a cluster: that a server takes it, what it allows, and that the Job
# runs a pipeline.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../env/env.sh
source "$(dirname "$0")/../env/env.sh"

# shellcheck disable=SC2034 # for run_tests
needs_cluster=shared
# The packages of the image are installed on a machine's first run.
declare -A case_timeout=([test_job]=600 [test_server]=600 [test_user_with_the_role]=120)

root=$(cd "$(dirname "$0")/../.." && pwd)

kube() {
    command kubectl --kubeconfig="$RUNNER_TEST_KUBECONFIG" --cache-dir="$case_dir/witness" \
        --namespace="$namespace" "$@"
}

# deploy [OPTION…]: the kustomization, in a namespace of the test's own.
deploy() {
    namespace=e2e-${case_dir##*.}
    namespace=${namespace,,}
    cp -r "$root/deploy/kubernetes" base
    printf 'namespace: %s\nresources: [base]\n' "$namespace" >kustomization.yaml
    kube create namespace "$namespace" >/dev/null
    trap 'kube delete namespace "$namespace" "$namespace-kept" --ignore-not-found --wait=false >/dev/null 2>&1' EXIT
    kube apply -k . "$@"
}

test_server_takes_it() {
    local job
    deploy --dry-run=server >applied
    assert_eq "networkpolicy.networking.k8s.io/runner created (server dry run)
networkpolicy.networking.k8s.io/runner-jobs created (server dry run)
role.rbac.authorization.k8s.io/runner created (server dry run)
rolebinding.rbac.authorization.k8s.io/runner created (server dry run)
serviceaccount/runner created (server dry run)" "$(sort applied)"
    job=$(kube create --dry-run=server -o json -f "$root/deploy/kubernetes/job.yaml")
    assert_eq "runner:$("$RUNNER" version | cut -d ' ' -f 2)" \
        "$(jq -r '.spec.template.spec.containers[0].image' <<<"$job")" "image of the Job"
    assert_eq "runner:$("$RUNNER" version | cut -d ' ' -f 2)" \
        "$(kube create --dry-run=server -o json -f "$root/deploy/kubernetes/deployment.yaml" |
            jq -r '.spec.template.spec.containers[0].image')" "image of the Deployment"
    assert_eq "deployment.apps/runner-server created (server dry run)
networkpolicy.networking.k8s.io/runner-server created (server dry run)
persistentvolumeclaim/runner-server created (server dry run)
service/runner-server created (server dry run)" \
        "$(kube apply --dry-run=server -f "$root/deploy/kubernetes/server.yaml" | sort)"
    # In the namespace that the files say, too.
    assert_eq runner "$(kubectl kustomize "$root/deploy/kubernetes" |
        sed -n 's/^ *namespace: //p' | sort -u)" "namespaces"
}

# can VERB RESOURCE[/SUBRESOURCE] [NAMESPACE]: whether the account of the runner may.
can() {
    local sub=''
    [[ $2 != */* ]] || sub=${2#*/}
    kube auth can-i --quiet --as "system:serviceaccount:$namespace:runner" --subresource="$sub" \
        --namespace="${3:-$namespace}" "$1" "${2%/*}"
}

test_what_the_account_may() {
    local words
    deploy >/dev/null
    kube get role runner -o json | jq -r '.rules[] | .verbs[] + " " + .resources[]' >allowed
    grep -qx "get pods/exec" allowed || fail "the rules were not read"
    while read -r words; do
        # shellcheck disable=SC2086
        wait_for 20 can $words
    done <allowed
    for words in "get secrets" "update pods" "patch pods" "create deployments.apps" "get nodes" \
        "create pods/portforward" "create rolebindings.rbac.authorization.k8s.io" \
        "create pods default" "list secrets default"; do
        # shellcheck disable=SC2086
        ! can $words || fail "it may $words"
    done
}

# run_job FILE: the Job of job.yaml, with that pipeline; its output is $stdout then.
run_job() {
    kube delete configmap pipeline --ignore-not-found >/dev/null
    kube create configmap pipeline --from-file=pipeline.yaml="$1" >/dev/null
    job=$(kube create -o name -f job.yaml)
    job=${job#job.batch/}
    wait_for 60 job_has_ended "$job"
    run kubectl --kubeconfig="$RUNNER_TEST_KUBECONFIG" --namespace="$namespace" logs "job/$job"
    assert_eq 1 "$(kube get job "$job" -o 'jsonpath={.status.succeeded}')" "succeeded"
}

job_has_ended() { [[ $(kube get job "$1" -o 'jsonpath={.status.conditions[0].status}') == True ]]; }

# pod_pipeline: a step and a service in a pod, which need every permission that is not optional.
pod_pipeline() {
    write "$1" <<'Y'
name: p
engine: kubernetes
image: busybox:1.36
stages:
  - name: s
    jobs:
      - name: j
        services:
          web:
            image: busybox:1.36
            command: [sh, -c, 'echo serving; mkdir /www; echo "$WORD" >/www/index.html; trap exit TERM; httpd -f -p 8080 -h /www & wait']
            environment: {WORD: hello}
            ready: {tcp: 8080}
        steps:
          - {name: ask, command: "cat /proc/sys/kernel/hostname; wget -qO- http://web:8080/"}
Y
}

objects_of_runs() { kube get pods,configmaps,secrets,persistentvolumeclaims -l dev.runner.run -o name; }
no_objects_of_runs() { [[ -z $(objects_of_runs) ]]; }

job_pod_runs() {
    [[ -n $(kube get pods -l dev.runner.role=job --field-selector=status.phase=Running -o name) ]]
}

# assert_deletion_leaves_nothing [OPTION…]: of the Job, while a pod of its pipeline runs.
assert_deletion_leaves_nothing() {
    local doomed
    kube delete configmap pipeline >/dev/null
    write long.yaml <<'Y'
name: p
engine: kubernetes
image: busybox:1.36
stages: [{name: s, jobs: [{name: j, steps: [{name: long, command: sleep 600}]}]}]
Y
    kube create configmap pipeline --from-file=pipeline.yaml=long.yaml >/dev/null
    doomed=$(kube create -o name -f job.yaml)
    wait_for 60 job_pod_runs
    kube delete "$doomed" "$@" >/dev/null 2>&1
    wait_for 60 no_objects_of_runs
    wait_for 60 no_pod_of_job "${doomed#job.batch/}"
}

no_pod_of_job() { [[ -z $(kube get pods -l job-name="$1" -o name) ]]; }

# as_weak COMMAND…: as a user who has the Role, if it is bound to him.
as_weak() { run env KUBECONFIG="$case_dir/weak.conf" "$RUNNER" "$@"; }

works_as_weak() {
    as_weak doctor kubernetes --namespace "$namespace"
    [[ $status == 0 ]]
}

test_user_with_the_role() {
    deploy >/dev/null
    kube_user "weak-$namespace" "weak-$namespace" >"$case_dir/weak.conf"
    as_weak doctor kubernetes --namespace "$namespace"
    assert_eq 3 "$status"
    assert_contains "$stdout" "fail  kubernetes  15 of the permissions that jobs need are missing in the namespace $namespace of https://"
    assert_contains "$stdout" '
      - {apiGroups: [""], resources: [pods/exec], verbs: [create, get]}  # '
    # Beside others it is a failure as well: somebody has set it up.
    as_weak doctor --namespace "$namespace"
    assert_eq 3 "$status"
    # The rules that are said to be missing are those of the Role.
    {
        printf 'apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: said}\nrules:\n'
        grep '^      - {' <<<"$stdout"
    } >said.yaml
    kube apply -f said.yaml >/dev/null
    assert_eq "$(kube get role runner -o json | jq -c .rules)" "$(kube get role said -o json | jq -c .rules)"
    kube create rolebinding weak --role=runner --user="weak-$namespace" >/dev/null
    wait_for 20 works_as_weak
    assert_match "$stdout" "^ok    kubernetes  v1\.[0-9.]+ at https://[0-9.:]+, namespace $namespace$"
    pod_pipeline p.yaml
    as_weak exec --namespace "$namespace" p.yaml
    assert_eq 0 "$status"
    assert_contains "$stdout" "] hello"
    assert_contains "$stdout" "] serving"
    wait_for 20 no_objects_of_runs
    as_weak reap --all --namespace "$namespace"
    assert_eq 0 "$status"
    as_weak doctor kubernetes --namespace default
    assert_eq 3 "$status"
    as_weak doctor kubernetes --context none
    assert_eq 3 "$status"
    assert_contains "$stdout" 'there is no context "none"'
}

test_doctor_without_a_cluster() {
    assert_exit 0 "$RUNNER" doctor
    assert_contains "$stdout" "n/a   kubernetes  not available: no Kubernetes cluster is configured: "
    assert_exit 3 "$RUNNER" doctor kubernetes
    assert_contains "$stdout" "
      name a kubeconfig file with --kubeconfig or KUBECONFIG"
    assert_exit 3 "$RUNNER" doctor --kubeconfig none.conf
    assert_contains "$stdout" "fail  kubernetes  kubeconfig: $PWD/none.conf does not exist"
    sed 's|server: "[^"]*"|server: "https://127.0.0.1:1"|' "$RUNNER_TEST_KUBECONFIG" >away.conf
    assert_exit 3 "$RUNNER" doctor --kubeconfig away.conf
    assert_contains "$stdout" "fail  kubernetes  "
    assert_contains "$stdout" "
      see whether the server runs and is reached from here"
}

# Not as root, on a file system that is read-only.
# leave_objects NAMESPACE: what a runner outside of the cluster leaves there that was killed with all of
# its processes, and whose lease has ended.
leave_objects() {
    local namespace=$1
    local -a ids
    kube create namespace "$namespace" >/dev/null
    write left.yaml <<'Y'
name: p
engine: kubernetes
image: busybox:1.36
stages: [{name: s, jobs: [{name: j, steps: [{name: long, command: sleep 600}]}]}]
Y
    spawn "$RUNNER" exec --kubeconfig "$RUNNER_TEST_KUBECONFIG" --namespace "$namespace" left.yaml
    wait_for 60 job_pod_runs
    mapfile -t ids < <(case_processes)
    kill_at_once "${ids[@]}"
    finish
    kube annotate --overwrite configmap -l dev.runner.run dev.runner.lease=2020-01-01T00:00:00Z >/dev/null
}

# load_image NAME: the runner's, into the daemon of the cluster.
load_image() {
    runner_image "$1"
    docker save "$1" | docker -H "$(kube_daemon_host)" load -q >/dev/null
}

remove_image() { docker -H "$(kube_daemon_host)" rmi -f "$1" >/dev/null || true; }

deployment_said() { kube logs deployment/runner | grep -q "^$1"; }

# assert_deployment_keeps NAMESPACE: what is left there goes, and a pipeline runs there.
assert_deployment_keeps() {
    local namespace=$1
    assert_contains "$(objects_of_runs)" configmap/
    sed "s|namespace: .*|namespace: $namespace|" kustomization.yaml >kept.yaml
    mv kept.yaml kustomization.yaml
    kube apply -k . >/dev/null
    sed "s|image: runner:.*|image: $image|; s|--every, 5m|--every, 2s|" \
        "$root/deploy/kubernetes/deployment.yaml" | kube create -f - >/dev/null
    # Owners that cannot be seen may still be at it while what they have made is young.
    wait_for 150 no_objects_of_runs
    wait_for 20 deployment_said "removed configmap runner-"
    kube exec -i deployment/runner -- runner exec - <pods.yaml >there
    assert_contains "$(cat there)" "] hello"
    wait_for 20 no_objects_of_runs
    kube delete namespace "$namespace" --wait=false >/dev/null
}

test_job() {
    local job='' name image=runner-test/runner:deploy
    deploy >/dev/null
    leave_objects "$namespace-kept"
    load_image "$image"
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: who, command: id -u; pwd; echo made >made}
          - {name: look, command: "cat made; ls -d /pipeline/pipeline.yaml"}
          - {name: doctor, command: runner doctor state archives cache artifacts}
Y
    sed "s|image: runner:.*|image: $image|" "$root/deploy/kubernetes/job.yaml" >job.yaml
    run_job p.yaml
    assert_contains "$stdout" "[step(1/3): who] 65532"
    assert_contains "$stdout" "[step(1/3): who] /workspace"
    assert_contains "$stdout" "[step(2/3): look] made"
    assert_contains "$stdout" "[step(2/3): look] /pipeline/pipeline.yaml"
    for name in state archives cache artifacts; do
        assert_contains "$stdout" "[step(3/3): doctor] ok    $name "
    done
    pod_pipeline pods.yaml
    run_job pods.yaml
    assert_contains "$stdout" "] hello"
    wait_for 20 no_objects_of_runs
    assert_deletion_leaves_nothing --wait=false
    # The runner has no time left for anything then: the cluster collects what its pod has owned.
    assert_deletion_leaves_nothing --wait=false --force --grace-period=0 --cascade=foreground
    assert_deployment_keeps "$namespace-kept"
    remove_image "$image"
    # shellcheck disable=SC2016
    assert_eq "RUNNER_POD_NAME=metadata.name RUNNER_POD_UID=metadata.uid RUNNER_POD_NAMESPACE=metadata.namespace" \
        "$(kube get pods -l job-name="$job" -o json | jq -r '[.items[0].spec.containers[0].env[]
            | select(.valueFrom) | .name + "=" + .valueFrom.fieldRef.fieldPath] | join(" ")')"
}

# --- the server ---

# deploy_server IMAGE: server.yaml, on a directory of the host; $url is where.
deploy_server() {
    mkdir -m 777 state
    kube create -f - >/dev/null <<Y
apiVersion: v1
kind: PersistentVolume
metadata: {name: "$namespace"}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  claimRef: {namespace: "$namespace", name: runner-server}
  hostPath: {path: "$PWD/state"}
Y
    trap 'kube delete namespace "$namespace" --wait=false; kube delete persistentvolume "$namespace" --wait=false' EXIT
    kube create secret generic runner-server --from-literal=USERNAME=ci --from-literal=PASSWORD=secret >/dev/null
    sed "s|image: runner:.*|image: $1|; s|--drain, 60s|--drain, 1s|" \
        "$root/deploy/kubernetes/server.yaml" | kube apply -f - >/dev/null
    wait_for 90 server_answers
}

server_answers() {
    url=http://ci:secret@$(kube get pods -l app.kubernetes.io/component=server -o 'jsonpath={.items[0].status.podIP}'):8080
    curl -sf -o /dev/null "$url/readyz"
}

# main_process CONTAINER: of the server's pod, on this machine.
main_process() {
    docker -H "$(kube_daemon_host)" inspect -f '{{.State.Pid}}' "$(kube get pods -l app.kubernetes.io/component=server \
        -o json | jq -r --arg name "$1" '.items[0].status.containerStatuses[] | select(.name == $name)
            | .containerID | ltrimstr("docker://")')"
}

# restarts: of the server, of the launcher
restarts() {
    kube get pods -l app.kubernetes.io/component=server -o json |
        jq -r '[.items[0].status.containerStatuses | sort_by(.name) | reverse | .[].restartCount] | join(" ")'
}
restarted() { [[ $(restarts) == "$1" ]] && server_answers; }

# A job in a pod and one of the host, which is the container of the launcher; each counts until it may end.
counting_jobs() {
    local count='i=0; until [ -e go ]; do i=$((i + 1)); echo "line $i."; sleep 0.02; done'
    cat <<P
name: counting
stages:
  - name: s
    jobs:
      - name: pod
        engine: kubernetes
        image: busybox:1.36
        steps: [{name: a, command: '$count'}, {name: b, command: echo and on}]
      - name: host
        steps: [{name: a, command: '$count'}, {name: b, command: 'echo "and on ${PASSWORD-unseen}"'}]
P
}

# submit_run: $id is the run of p.yaml.
submit_run() {
    run "$RUNNER" client --detach -s "$url" p.yaml
    assert_eq 0 "$status" "$stderr"
    id=$stdout
}

log_of() { "${case_env[@]}" "$RUNNER" logs -s "$url" "$1"; }
lines_of() { log_of "$1" | sed -n "s/.*: $2\\]\\[step.*: a\\] line \\([0-9]*\\)\\.$/\\1/p"; }
counts() { (($(lines_of "$1" pod | tail -n 1) > $2 && $(lines_of "$1" host | tail -n 1) > $2)); }
is() { [[ $("${case_env[@]}" "$RUNNER" show -s "$url" --format json "$2" | jq -r '.status + (.reason // "")') == "$1" ]]; }

# Its container is killed: runs go on in that of the launcher, and in pods. The launcher's is killed: they are
# lost. The pod is deleted: they are cancelled.
test_server() {
    local first job seen image=runner-test/runner:deploy
    deploy >/dev/null
    load_image "$image"
    deploy_server "$image"
    counting_jobs >p.yaml
    submit_run
    first=$id
    submit_run
    wait_for 60 counts "$first" 5
    wait_for 60 counts "$id" 5
    kill -KILL "$(main_process server)"
    wait_for 60 restarted "1 0"
    is running "$first" || fail "it does not run any more"
    seen=$(lines_of "$first" pod | tail -n 1)
    wait_for 60 counts "$first" "$((seen + 50))"
    # What the next server did not begin.
    run "$RUNNER" cancel -s "$url" "$id"
    assert_eq "run $id cancelled" "$stdout"
    touch "state/work/$first/go"
    kube exec "$(kube get pods -l "dev.runner.run=$first" -o name | head -n 1)" -c step-1 -- touch \
        "/var/lib/runner/work/$first/go"
    wait_for 60 is succeeded "$first"
    for job in pod host; do
        assert_eq "$(seq "$(lines_of "$first" "$job" | wc -l)")" "$(lines_of "$first" "$job")" "lines of $job"
    done
    assert_contains "$(log_of "$first")" "host][step(2/2): b] and on unseen"
    wait_for 30 no_objects_of_runs

    submit_run
    wait_for 60 counts "$id" 1
    kill -KILL "$(main_process launcher)"
    wait_for 90 restarted "2 1"
    wait_for 30 is failedlost "$id"
    wait_for 60 no_objects_of_runs

    submit_run
    wait_for 60 counts "$id" 1
    kube delete deployment runner-server >/dev/null
    wait_for 60 eval '[[ -z $(kube get pods -o name) ]]'
    chown -R "$(id -u)" state
    run "$RUNNER" show --history state/history --format json "$id"
    assert_eq "cancelled by server: the server ends" "$(jq -r .error <<<"$stdout")"
    wait_for 60 no_objects_of_runs
    remove_image "$image"
}

run_tests "$@"

#!/usr/bin/env bash
# The Kubernetes cluster of the test environment: that it is a real one, and that its parts can be
# taken away and given back.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../kube.sh
source "$(dirname "$0")/../kube.sh"
# shellcheck source=../env/env.sh
source "$(dirname "$0")/../env/env.sh"

# shellcheck disable=SC2034 # for run_tests
needs_cluster=alone
declare -A case_timeout=([test_node_is_lost_and_returns]=180 [test_apiserver_dies_and_returns]=120)

assert_kube() {
    local expected=$1
    shift
    assert_exit "$expected" kubectl --kubeconfig="$RUNNER_TEST_KUBECONFIG" \
        --cache-dir="$case_dir/witness" --namespace="$namespace" "$@"
}

kube_field() { kube get "$1" -o "jsonpath={$2}"; }
# field_is OBJECT PATH VALUE
field_is() { [[ $(kube_field "$1" "$2") == "$3" ]]; }

kube_field_exists() { [[ -n $(kube_field "$1" "$2") ]]; }

# pod NAME IMAGE COMMAND…: a pod that is not restarted
pod() {
    local name=$1 image=$2
    shift 2
    kube run "$name" --image="$image" --restart=Never --command -- "$@" >/dev/null
}

test_job_completes() {
    namespace_take
    kube create job once --image=busybox:1.36 -- sh -c 'echo hello; echo error >&2' >/dev/null
    assert_kube 0 wait --for=condition=Complete job/once --timeout="$(patience 30)s"
    assert_kube 0 logs job/once
    assert_eq "hello
error" "$(sort -r <<<"$stdout")" "log"
}

test_exec() {
    namespace_take
    pod sleeper busybox:1.36 sleep 1000
    assert_kube 0 wait --for=condition=Ready pod/sleeper --timeout="$(patience 30)s"
    assert_kube 7 exec sleeper -- sh -c 'echo out; echo err >&2; exit 7'
    assert_eq out "$stdout"
    assert_contains "$stderr" err
    assert_eq input "$(kube exec -i sleeper -- cat <<<input)"
}

# A pod finds the apiserver by what it is told, trusts it, and may do what its account may.
test_pod_uses_the_api() {
    namespace_take
    local account=/var/run/secrets/kubernetes.io/serviceaccount token address
    pod client busybox:1.36 sleep 1000
    assert_kube 0 wait --for=condition=Ready pod/client --timeout="$(patience 30)s"
    # shellcheck disable=SC2016
    assert_kube 0 exec client -- sh -c 'echo "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT"'
    address=$stdout
    token=$(kube exec client -- cat "$account/token")
    local -a get=(exec client -- wget -qO- --no-check-certificate --header "Authorization: Bearer $token")
    assert_kube 0 "${get[@]}" "$address/version"
    assert_contains "$stdout" '"gitVersion": "v1.'
    assert_kube 1 "${get[@]}" "$address/api/v1/namespaces/$namespace/pods"
    assert_contains "$stderr" "403 Forbidden"
    kube create rolebinding look --clusterrole=view --serviceaccount="$namespace:default" >/dev/null
    assert_kube 0 "${get[@]}" "$address/api/v1/namespaces/$namespace/pods"
    assert_contains "$stdout" '"name": "client"'
}

test_user_may_only_what_he_may() {
    namespace_take
    local user=$case_dir/user.conf
    kube_user "$namespace" "user-$namespace" >"$user"
    local -a list=(kubectl --kubeconfig="$user" --cache-dir="$case_dir/witness"
        --namespace="$namespace" get pods)
    assert_exit 1 "${list[@]}"
    assert_contains "$stderr" "User \"user-$namespace\" cannot list resource \"pods\""
    kube create rolebinding look --clusterrole=view --user="user-$namespace" >/dev/null
    assert_exit 0 "${list[@]}"
}

# The second reason takes the place of the first after a while.
pull_is_denied() {
    [[ $(kube_field pod/denied '.status.containerStatuses[0].state.waiting.reason') == @(ErrImagePull|ImagePullBackOff) ]]
}

test_images_are_pulled() {
    namespace_take
    local image=$RUNNER_TEST_AUTH_REGISTRY/private/pulled:1 tag
    for tag in "$image" "$RUNNER_TEST_REGISTRY/runner-test/pulled:1"; do
        docker -H "$(kube_daemon_host)" rmi -f "$tag" >/dev/null 2>&1 || true
    done
    pod open "$RUNNER_TEST_REGISTRY/runner-test/pulled:1" true
    wait_for 30 field_is pod/open .status.phase Succeeded
    pod denied "$image" true
    wait_for 30 pull_is_denied
    kube create secret docker-registry login --docker-server="$RUNNER_TEST_AUTH_REGISTRY" \
        --docker-username="$RUNNER_TEST_AUTH_USER" \
        --docker-password="$RUNNER_TEST_AUTH_PASSWORD" >/dev/null
    kube patch serviceaccount default -p '{"imagePullSecrets": [{"name": "login"}]}' >/dev/null
    pod allowed "$image" true
    wait_for 30 field_is pod/allowed .status.phase Succeeded
    for tag in "$image" "$RUNNER_TEST_REGISTRY/runner-test/pulled:1"; do
        wait_for 30 docker -H "$(kube_daemon_host)" rmi -f "$tag"
    done
}

api_answers() { kube get --raw /readyz; }

test_apiserver_dies_and_returns() {
    namespace_take
    pod sleeper busybox:1.36 sleep 1000
    assert_kube 0 wait --for=condition=Ready pod/sleeper --timeout="$(patience 30)s"
    trap 'kube_part_start apiserver' EXIT
    kube_part_stop apiserver
    assert_kube 1 get pods
    assert_contains "$stderr" "refused"
    kube_part_start apiserver
    wait_for 60 api_answers
    kube create job after --image=busybox:1.36 -- true >/dev/null
    assert_kube 0 wait --for=condition=Complete job/after --timeout="$(patience 60)s"
    assert_kube 0 exec sleeper -- echo "still here"
    assert_eq "still here" "$stdout"
}

node_is() { field_is node/node1 '.status.conditions[?(@.type=="Ready")].status' "$1"; }

test_node_is_lost_and_returns() {
    namespace_take
    # Without the trap the first process of a container does not hear the signal.
    pod sleeper busybox:1.36 sh -c 'trap exit TERM; sleep 1000 & wait'
    assert_kube 0 wait --for=condition=Ready pod/sleeper --timeout="$(patience 30)s"
    trap 'kube_part_start kubelet' EXIT
    kube_part_stop kubelet
    wait_for 30 node_is Unknown
    # The pod is to go, but nobody is there who could end it.
    wait_for 60 kube_field_exists pod/sleeper .metadata.deletionTimestamp
    kube_part_start kubelet
    wait_for 60 kube_node_ready
    assert_kube 0 wait --for=delete pod/sleeper --timeout="$(patience 90)s"
}

if (($# == 0)) && ! kube_own; then
    echo "the cluster is given: nothing of it is stopped here, and it may not reach the registries"
    set -- test_job_completes test_exec test_pod_uses_the_api
elif (($# == 0)) && [[ ${RUNNER_TEST_PRESET:-asan} != asan ]]; then
    # Nothing of the runner is in these tests: to have seen them under one build is enough.
    set -- test_job_completes
fi
run_tests "$@"

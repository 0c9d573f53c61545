#!/usr/bin/env bash
# What a cluster refuses: images, permissions, quotas, nodes, namespaces. Nothing of it hangs, is
# green or is hard to understand.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../env/env.sh
source "$(dirname "$0")/../env/env.sh"
# shellcheck source=../kube.sh
source "$(dirname "$0")/../kube.sh"

# shellcheck disable=SC2034 # for run_tests
needs_cluster=shared needs_daemon=no
declare -A case_timeout=([test_images]=180)

# --- images ---------------------------------------------------------------------------------------

# An image of this machine's platform whose shell is of none.
foreign_image() {
    mkdir -p foreign/bin
    python3 -c 'import struct, sys
sys.stdout.buffer.write(struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 0x9999, 1,
                                    0, 64, 0, 0, 64, 56, 0, 64, 0, 0))' >foreign/bin/sh
    chmod 755 foreign/bin/sh
    tar -C foreign -c bin | docker -H "$(kube_daemon_host)" import - runner-test/foreign:1 >/dev/null
}

login() {
    kube create secret docker-registry login --docker-server="$RUNNER_TEST_AUTH_REGISTRY" \
        --docker-username="$RUNNER_TEST_AUTH_USER" --docker-password="$RUNNER_TEST_AUTH_PASSWORD" >/dev/null
}

# A kubelet pulls without a secret that it has not been told of yet, as that of the job "late". But
# whose secret does not come is not left to wait. What is private is there when one of them has it.
test_images() {
    namespace_take
    local -x PASSWORD=$RUNNER_TEST_AUTH_PASSWORD
    foreign_image
    docker -H "$(kube_daemon_host)" rmi -f "$RUNNER_TEST_AUTH_REGISTRY"/private/{pulled:1,plugin:1} >/dev/null 2>&1 || true
    cat >p.yaml <<YAML
name: p
engine: kubernetes
secrets: {PASSWORD: }
stages:
- name: s
  fail_fast: false
  jobs:
  - {name: 1, steps: [{name: missing, image: "$RUNNER_TEST_REGISTRY/none/such:1", command: echo never}]}
  - {name: 2, steps: [{name: private, image: "$RUNNER_TEST_AUTH_REGISTRY/private/pulled:1", pull: always, command: echo never}]}
  - name: 3
    steps:
    - name: wrong
      image: "$RUNNER_TEST_AUTH_REGISTRY/private/pulled:1"
      pull: always
      image_registry: "$RUNNER_TEST_AUTH_REGISTRY"
      image_registry_username: $RUNNER_TEST_AUTH_USER
      image_registry_password: not-the-one
      command: echo never
  - name: 4
    steps:
    - name: allowed
      image: "$RUNNER_TEST_AUTH_REGISTRY/private/plugin:1"
      image_registry: "$RUNNER_TEST_AUTH_REGISTRY"
      image_registry_username: $RUNNER_TEST_AUTH_USER
      image_registry_password: \${PASSWORD}
      command: echo pulled
  - {name: 5, steps: [{name: invalid, image: "UPPER//case", command: echo never}]}
  - {name: 6, steps: [{name: foreign, image: "runner-test/foreign:1", command: echo never}]}
  - {name: 7, steps: [{name: platform, image: "busybox:1.36", platform: linux/arm64, schedule_timeout: 20s, command: echo never}]}
  - {name: 8, steps: [{name: no shell, image: "runner-test/noshell:1", command: echo never}]}
  - {name: 9, steps: [{name: directly, image: "runner-test/noshell:1", entrypoint: [/hello, "0"]}]}
  - {name: 10, steps: [{name: not there, image: "runner-test/noshell:1", entrypoint: [/nothing]}]}
  - name: 11
    kubernetes: {image_pull_secrets: [login]}
    steps: [{name: late, image: "$RUNNER_TEST_AUTH_REGISTRY/private/pulled:1", entrypoint: [/none]}]
  - name: 12
    kubernetes: {image_pull_secrets: [nowhere]}
    steps: [{name: no secret, image: "$RUNNER_TEST_AUTH_REGISTRY/private/plugin:1", pull: always, command: echo never}]
YAML
    spawn "$RUNNER" exec "${cluster[@]}" --report json=report.json p.yaml
    wait_for 60 grep -q 'late\] waiting for the pod: .*no basic auth credentials' "$case_dir/stderr"
    login
    finish
    assert_eq 1 "$status" "exit status"
    assert_eq "pulled" "$(lines allowed)"
    assert_eq "hello from a static binary" "$(lines directly)"
    assert_not_contains "$stdout" never
    assert_eq "failed/image_pull failed/image_pull failed/image_pull succeeded failed/image_pull" \
        "$(state_of missing) $(state_of private) $(state_of wrong) $(state_of allowed) $(state_of invalid)"
    assert_match "$stderr" "missing\\] failed: image $RUNNER_TEST_REGISTRY/none/such:1: .*manifest unknown"
    assert_match "$stderr" "private\\] failed: image $RUNNER_TEST_AUTH_REGISTRY/private/pulled:1: .*no basic auth credentials"
    assert_match "$stderr" "wrong\\] failed: image $RUNNER_TEST_AUTH_REGISTRY/private/pulled:1: .*unauthorized"
    assert_match "$stderr" "invalid\\] failed: image UPPER//case: .*invalid reference format"
    assert_match "$stderr" "foreign\\] failed: exit code 126: .*cannot run sh: not an executable for this machine"
    assert_eq "failed/unschedulable" "$(state_of platform)"
    assert_match "$stderr" "platform\\] failed: .*didn't match Pod's node affinity"
    assert_match "$stderr" "no shell\\] failed: exit code 127: the image has no sh: name a shell that it has in .shell., or a program of it in .entrypoint."
    assert_match "$stderr" "not there\\] failed: exit code 127: runner: cannot run /nothing: not found"
    assert_contains "$stderr" "late] failed: exit code 127: runner: cannot run /none: not found"
    assert_eq failed/image_pull "$(state_of "no secret")"
    assert_match "$stderr" 'no secret\] failed: image .*no basic auth credentials'
    assert_nothing_there
}

# A registry that takes connections and says nothing; prints its port.
silent_registry() {
    python3 - <<'PY'
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
held = []
while True:
    held.append(listener.accept())
PY
}

# Each of the two limits is about a wait of its own.
test_waits_for_a_pull_and_for_a_node() {
    namespace_take
    silent_registry >port &
    # shellcheck disable=SC2064
    trap "kill $!; namespace_release" EXIT
    wait_for 20 test -s port
    in_time '[[ $(state_of pull) == failed/image_pull ]]' both_wait
    assert_not_contains "$stdout" never
    assert_eq "failed/image_pull failed/unschedulable skipped/dependency" \
        "$(state_of pull) $(state_of node) $(state_of next)"
    assert_match "$stderr" "pull\\] failed: image 127.0.0.1:$(<port)/none/such:1 was not there after $((limit * 3)) seconds \\(.pull_timeout.\\)"
    assert_match "$stderr" "node\\] failed: its pod had no node after $((limit * 3)) seconds \\(.schedule_timeout.\\): .*didn't match"
    assert_nothing_there
}

both_wait() {
    cat >p.yaml <<YAML
name: p
engine: kubernetes
stages:
- name: s
  fail_fast: false
  jobs:
  - {name: 1, steps: [{name: pull, image: "127.0.0.1:$(<port)/none/such:1", pull_timeout: $((limit * 3))s, schedule_timeout: ${limit}s, command: echo never}, {name: next, image: "busybox:1.36", command: echo never}]}
  - {name: 2, kubernetes: {node_selector: {nobody: has}}, steps: [{name: node, image: "busybox:1.36", pull_timeout: ${limit}s, schedule_timeout: $((limit * 3))s, command: echo never}]}
YAML
    exec_there 1
}

# --- nodes ----------------------------------------------------------------------------------------

no_node_takes_it() {
    cat >p.yaml <<YAML
name: p
image: busybox:1.36
engine: kubernetes
schedule_timeout: ${limit}s
stages:
- name: s
  fail_fast: false
  jobs:
  - {name: 1, kubernetes: {node_selector: {nobody: has}}, steps: [{name: picky, command: echo never}, {name: next, command: echo never}]}
  - {name: 2, kubernetes: {resources: {requests: {cpu: 9999}}}, steps: [{name: large, command: echo never}]}
YAML
    exec_there 1
    sed '/failed/,$d' <<<"$stderr" >waiting
}

# The scheduler's words come before the wait is over, unless that was too short for it.
test_no_node_takes_it() {
    local limits=(6 18 54)
    namespace_take
    in_time 'grep "large\] waiting" waiting && grep "picky\] waiting" waiting' no_node_takes_it
    assert_match "$(<waiting)" 'large\] waiting for the pod: .*Insufficient cpu'
    assert_match "$(<waiting)" "picky\\] waiting for the pod: .*didn't match"
    assert_eq "failed/unschedulable failed/unschedulable skipped/dependency" \
        "$(state_of picky) $(state_of large) $(state_of next)"
    assert_match "$stderr" "picky\\] failed: its pod had no node after $limit seconds \\(.schedule_timeout.\\): .*didn't match"
    assert_nothing_there
}

# --- namespaces -----------------------------------------------------------------------------------

quota_is_counted() { [[ $(kube get resourcequota none -o 'jsonpath={.status.hard.pods}') == 0 ]]; }

test_quota() {
    namespace_take
    kube create quota none --hard=pods=0 >/dev/null
    wait_for 20 quota_is_counted
    job <<'YAML'
schedule_timeout: 2s
steps: [{name: a, command: echo never}]
YAML
    exec_there 1
    assert_eq failed/unschedulable "$(state_of a)"
    assert_match "$stderr" 'a\] waiting for the pod: .*exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0'
    assert_match "$stderr" 'a\] failed: no room after 2 seconds \(.schedule_timeout.\): .*exceeded quota: none'
    assert_nothing_there
}

test_admission() {
    namespace_take
    kube create -f - >/dev/null <<'YAML'
apiVersion: v1
kind: LimitRange
metadata: {name: small}
spec: {limits: [{type: Container, max: {memory: 64Mi}}]}
YAML
    job <<'YAML'
steps: [{name: a, resources: {memory: 128m}, command: echo never}]
YAML
    exec_there 1
    assert_eq failed/error "$(state_of a)"
    assert_match "$stderr" 'a\] failed: cannot make the pod of the job: .*maximum memory usage per Container is 64Mi, but limit is (128Mi|134217728)'
    assert_nothing_there
}

# deny: a web hook that admits no pod, and says why; prints its port.
deny() {
    exec python3 - <<'PY'
import http.server, json, ssl

class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        response = {"uid": request["uid"], "allowed": False, "status": {
            "code": 403, "message": "images come from registry.example.org only,\nask the platform team"}}
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                           "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
print(server.server_address[1], flush=True)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("pki/server-cert.pem", "pki/server-key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
PY
}

pods_are_denied() {
    ! kube run probe --image=none --dry-run=server >denied 2>&1 && grep -q 'denied the request' denied
}

test_webhook_denies() {
    local hook
    namespace_take
    "$RUNNER_TEST_ENV/certs.sh" pki
    deny >port 2>>hook.log &
    hook=$!
    # shellcheck disable=SC2064
    trap "kill $hook
        kube delete validatingwebhookconfiguration '$namespace' --ignore-not-found >/dev/null 2>&1
        namespace_release" EXIT
    wait_for 20 test -s port
    kube label namespace "$namespace" "hooked=$namespace" >/dev/null
    # With the namespace for its owner it goes with that, too, whatever ends this test.
    kube create -f - >/dev/null <<YAML
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata:
  name: $namespace
  ownerReferences:
  - {apiVersion: v1, kind: Namespace, name: $namespace, uid: "$(kube get namespace "$namespace" -o 'jsonpath={.metadata.uid}')"}
webhooks:
- name: images.example.org
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  namespaceSelector: {matchLabels: {hooked: $namespace}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  clientConfig: {url: "https://127.0.0.1:$(<port)/", caBundle: $(base64 -w 0 pki/ca.pem)}
YAML
    # An API server hears of its web hooks a little later.
    wait_for 30 pods_are_denied
    job <<'YAML'
steps: [{name: a, command: echo never}, {name: next, command: echo never}]
YAML
    : >hook.log
    exec_there 1
    assert_eq "failed/error skipped/dependency" "$(state_of a) $(state_of next)"
    assert_contains "$stderr" 'a] failed: cannot make the pod of the job: admission webhook "images.example.org" denied the request: images come from registry.example.org only, ask the platform team'
    assert_eq 1 "$(grep -c POST hook.log)" "how often it was asked"
    assert_nothing_there
}

is_terminating() { [[ $(kube get namespace "$namespace" -o 'jsonpath={.status.phase}') == Terminating ]]; }

test_namespace_goes() {
    namespace_take
    kube create configmap held >/dev/null
    kube patch configmap held -p '{"metadata": {"finalizers": ["example.org/held"]}}' >/dev/null
    kube delete namespace "$namespace" --wait=false >/dev/null
    wait_for 20 is_terminating
    job <<'YAML'
steps: [{name: a, command: echo never}]
YAML
    run "$RUNNER" exec "${cluster[@]}" p.yaml
    kube patch configmap held -p '{"metadata": {"finalizers": null}}' >/dev/null
    assert_eq 1 "$status" "exit status"
    assert_match "$stderr" "a\\] failed: namespace $namespace: .*because it is being terminated"
}

test_namespace_is_not_there() {
    namespace_take
    job <<'YAML'
kubernetes: {namespace: nowhere}
steps: [{name: a, command: echo never}]
YAML
    exec_there 1
    assert_eq failed/error "$(state_of a)"
    assert_match "$stderr" 'a\] failed: namespace nowhere: namespaces "nowhere" not found'
    assert_nothing_there
}

# --- who asks -------------------------------------------------------------------------------------

# user NAME [VERBS RESOURCES]…: may do that, as the context NAME of NAME.conf.
user() {
    local name=$1
    shift
    while (($#)); do
        kube create role "$name-$#" --verb="$1" --resource="$2" >/dev/null
        kube create rolebinding "$name-$#" --role="$name-$#" --user="$name" >/dev/null
        shift 2
    done
    kube_as "$name" >"$name.conf"
}

test_permissions() {
    namespace_take
    local all=create,delete,get,list,patch,watch user
    user nothing
    user no-pods "$all" configmaps
    user no-exec "$all" configmaps,pods
    user no-secrets "$all" configmaps,pods create,get pods/exec
    cat >p.yaml <<YAML
name: p
image: busybox:1.36
stages:
- name: s
  fail_fast: false
  jobs:
  - {name: 1, engine: k8s://nothing/$namespace, steps: [{name: nothing, command: echo never}]}
  - {name: 2, engine: k8s://no-pods/$namespace, steps: [{name: no pods, command: echo never}]}
  - {name: 3, engine: k8s://no-exec/$namespace, steps: [{name: no exec, command: echo never}]}
  - name: 4
    engine: k8s://no-secrets/$namespace
    steps:
    - {name: no secrets, image_registry: example.org, image_registry_username: u, image_registry_password: p, command: echo never}
YAML
    local -x KUBECONFIG=nothing.conf:no-pods.conf:no-exec.conf:no-secrets.conf
    assert_exit 1 "$RUNNER" exec --report json=report.json p.yaml
    assert_not_contains "$stdout" never
    assert_match "$stderr" 'nothing\] failed: .*User "nothing" cannot create resource "configmaps"'
    assert_match "$stderr" 'no pods\] failed: .*User "no-pods" cannot create resource "pods"'
    assert_match "$stderr" 'no exec\] failed: .*User "no-exec" cannot get resource "pods/exec"'
    assert_match "$stderr" 'no secrets\] failed: .*User "no-secrets" cannot create resource "secrets"'
    assert_nothing_there
}

encode() { base64 -w 0 | tr '+/' '-_' | tr -d =; }

# token SECONDS: of the account default, that ends so many seconds from now; signed as the cluster does.
token() {
    local now uid text
    now=$(date +%s)
    uid=$(kube get serviceaccount default -o 'jsonpath={.metadata.uid}')
    text=$(encode <<<'{"alg":"RS256"}').$(jq -nc --arg ns "$namespace" --arg uid "$uid" \
        --argjson from $((now - 7200)) --argjson until $((now + $1)) '{
            iss: "https://kubernetes.default.svc", aud: ["https://kubernetes.default.svc"],
            iat: $from, nbf: $from, exp: $until, sub: "system:serviceaccount:\($ns):default",
            "kubernetes.io": {namespace: $ns, serviceaccount: {name: "default", uid: $uid}}}' | encode)
    printf '%s.%s' "$text" "$(printf %s "$text" |
        openssl dgst -sha256 -sign "$(kube_dir)/pki/service-account-key.pem" | encode)"
}

# with_token FILE SECONDS
with_token() {
    cat >"$1" <<YAML
apiVersion: v1
kind: Config
current-context: t
clusters: [{name: t, cluster: {server: "$(kube_url)", certificate-authority: $(kube_dir)/pki/ca.pem}}]
contexts: [{name: t, context: {cluster: t, user: t, namespace: $namespace}}]
users: [{name: t, user: {token: $(token "$2")}}]
YAML
}

test_expired_token() {
    namespace_take
    job <<'YAML'
steps: [{name: a, command: echo never}]
YAML
    with_token valid 600
    assert_exit 1 "$RUNNER" exec --kubeconfig valid p.yaml
    assert_match "$stderr" "User \"system:serviceaccount:$namespace:default\" cannot create resource \"configmaps\""
    with_token expired -60
    assert_exit 3 "$RUNNER" exec --kubeconfig expired p.yaml
    assert_contains "$stderr" "a] failed: the Kubernetes API at $(kube_url) does not accept the credentials of user \"t\" of $PWD/expired: Unauthorized; renew them"
    assert_nothing_there
}

if (($# == 0)) && [[ ${RUNNER_TEST_PRESET:-asan} != asan ]]; then
    # One build is enough to have seen all of the words.
    set -- test_no_node_takes_it test_permissions
elif (($# == 0)) && ! kube_own; then
    echo "the cluster is given: it may not reach the registries, and its keys are not here"
    set -- test_no_node_takes_it test_quota test_admission test_namespace_goes \
        test_namespace_is_not_there test_permissions
fi
run_tests "$@"

#!/usr/bin/env bash
# Kubernetes manifests: `runner apply`, `delete` and `diff`, with kubectl as the witness.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../kube.sh
source "$(dirname "$0")/../kube.sh"

# shellcheck disable=SC2034 # for run_tests
needs_cluster=shared needs_daemon=no
data=$(cd "$(dirname "$0")/../data/manifests" && pwd)

# Manifests in a namespace of its own; test data have NS for its name, and GROUP for an API group.
here() { sed "s/NS/$namespace/g; s/GROUP/$namespace.example.org/g"; }

apply() { run "$RUNNER" apply "${cluster[@]}" "$@"; }
delete() { run "$RUNNER" delete "${cluster[@]}" "$@"; }
diff_there() { run "$RUNNER" diff "${cluster[@]}" "$@"; }

assert_status() { [[ $status == "$1" ]] || fail "exit status $status instead of $1"; }

# deployment NAME IMAGE COMMAND: m.yaml
deployment() {
    cat <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1}
spec:
  replicas: 1
  progressDeadlineSeconds: ${deadline:-600}
  selector: {matchLabels: {app: $1}}
  template:
    metadata: {labels: {app: $1}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "$2", command: $3}]
YAML
}

configmap() { printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {k: "%s"}\n' "$1" "$2"; }

# --- the same as kubectl -------------------------------------------------------------------------

# With -f files kubectl takes no namespace but that of a context.
files_of_namespace() {
    cp "$RUNNER_TEST_KUBECONFIG" "$case_dir/witness.conf"
    command kubectl --kubeconfig="$case_dir/witness.conf" config set-context --current \
        --namespace="$namespace" >/dev/null
}
kubef() { command kubectl --kubeconfig="$case_dir/witness.conf" --cache-dir="$case_dir/witness" "$@"; }

# What is in files, as the cluster has it: what differs by time, by chance and by name is left out.
# With the fields that a manager owns because it applied them.
snapshot() {
    kubef get --ignore-not-found --show-managed-fields -f "$1" -o json >"$1.json"
    sed "s/$namespace/NS/g" "$1.json" | jq -S --arg manager "$2" '
        [(.items? // [.])[]
            | if .metadata.name == "ports" or .metadata.name == "numbers" then . else
                  .owned = [.metadata.managedFields[]?
                      | select(.manager == $manager and .operation == "Apply") | .fieldsV1]
              end
            | del(.status, .secrets, .metadata.uid, .metadata.resourceVersion,
                  .metadata.creationTimestamp, .metadata.managedFields, .metadata.generation,
                  .metadata.selfLink, .metadata.finalizers, .spec.finalizers, .spec.clusterIP,
                  .spec.clusterIPs, .spec.healthCheckNodePort, .spec.claimRef, .spec.nodeName,
                  .metadata.labels["controller-uid"], .spec.selector.matchLabels["controller-uid"],
                  .spec.template.metadata.labels["controller-uid"])
            | del(.metadata.annotations[
                  "deployment.kubernetes.io/revision",
                  "kubectl.kubernetes.io/last-applied-configuration",
                  "deprecated.daemonset.template.generation",
                  "endpoints.kubernetes.io/last-change-trigger-time",
                  "autoscaling.alpha.kubernetes.io/conditions",
                  "pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"]?)
            | del(.spec.ports[]?.nodePort)
            | if .kind == "Pod" then del(.spec.volumes, .spec.containers[]?.volumeMounts) else . end
            | if .metadata.annotations == {} then del(.metadata.annotations) else . end
            | if .metadata.labels == {} then del(.metadata.labels) else . end]
        | sort_by(.kind, .metadata.namespace, .metadata.name)[]'
}

# Every file of the test data. What this version of the server refuses to apply for kubectl, kubectl
# applies by itself.
by_client=(ports-default.yaml numbers.yaml)

test_same_as_kubectl() {
    local file what
    namespace_take
    files_of_namespace
    mkdir ours theirs client
    for file in "$data"/*; do
        here <"$file" >"ours/$(basename "$file")"
    done
    apply -f ours --timeout "$(patience 100)s"
    assert_status 0
    snapshot ours runner >objects.ours
    # As it is now: the witness does not wait.
    for what in deployment/web deployment/rich statefulset/db daemonset/agent; do
        assert_match "$(kube rollout status --watch=false "$what")" 'success|complete' "$what"
    done
    kube wait --for=condition=Ready --timeout=0 pod/alone pod/behind >/dev/null
    kube wait --for=condition=Complete --timeout=0 job/once >/dev/null
    assert_eq Bound "$(kube get pvc claim -o 'jsonpath={.status.phase}')"
    assert_eq Pending "$(kube get pvc later -o 'jsonpath={.status.phase}')"
    assert_eq Succeeded "$(kube get pod brief -o 'jsonpath={.status.phase}')"
    diff_there -f ours
    assert_status 0
    assert_eq "" "$stdout"
    delete -f ours
    assert_status 0
    assert_eq "" "$(kubef get --ignore-not-found -f ours -o name 2>/dev/null)" "what is left"

    trap 'kubef delete -f theirs --wait=false --ignore-not-found >/dev/null 2>&1
        kube delete namespace "$namespace" "$of_ours" --wait=false >/dev/null 2>&1' EXIT
    of_ours=$namespace namespace=$namespace-k
    kube create namespace "$namespace" >/dev/null
    files_of_namespace
    wait_for 20 account_is_ready
    for file in "$data"/*; do
        here <"$file" >"theirs/$(basename "$file")"
    done
    mv "${by_client[@]/#/theirs/}" client
    # These twice, because it takes the documents as they come.
    kubef apply --server-side -f theirs/crd.yaml -f theirs/namespace.yaml >/dev/null 2>&1 || true
    wait_for 20 kube wait --for=condition=Established "crd/widgets.$namespace.example.org"
    kubef apply --server-side -f theirs >/dev/null 2>kubectl.err || fail "kubectl: $(<kubectl.err)"
    kubef apply -f client >/dev/null
    mv client/* theirs
    kube wait --for='jsonpath={.status.phase}=Bound' --timeout="$(patience 30)s" pvc/claim >/dev/null
    snapshot theirs kubectl >objects.theirs
    diff objects.theirs objects.ours >differences || fail "not the same: $(<differences)"
    [[ $(ls theirs | wc -l) -ge 40 && $(jq -s length objects.ours) -ge 60 ]]
}
# shellcheck disable=SC2034 # for run_tests
case_timeout[test_same_as_kubectl]=150


# --- applying ------------------------------------------------------------------------------------

test_states() {
    namespace_take
    { configmap a 1 && configmap b 1; } >m.yaml
    apply -f m.yaml
    assert_status 0
    assert_eq "configmap/a created
configmap/b created" "$(sort <<<"$stdout")"
    { configmap a 1 && configmap b 2 && configmap c 1; } >m.yaml
    apply --dry-run -f - <m.yaml
    assert_status 2 # nothing on standard input
    run bash -c 'cat m.yaml | "$@"' - "$RUNNER" apply "${cluster[@]}" --dry-run -f -
    assert_status 0
    assert_eq "configmap/a unchanged
configmap/b would be configured
configmap/c would be created" "$(sort <<<"$stdout")"
    assert_eq 1 "$(kube get configmap b -o 'jsonpath={.data.k}')"
    apply -f m.yaml
    assert_eq "configmap/a unchanged
configmap/b configured
configmap/c created" "$(sort <<<"$stdout")"
    assert_eq 2 "$(kube get configmap b -o 'jsonpath={.data.k}')"
    # What is no longer written is no longer there.
    configmap b 2 | sed '/^data/d' >m.yaml
    apply -f m.yaml
    assert_eq "" "$(kube get configmap b -o 'jsonpath={.data}')"
}

test_files_and_clusters() {
    namespace_take
    assert_exit 2 "$RUNNER" apply "${cluster[@]}"
    assert_contains "$stderr" "-f FILE says which manifests"
    assert_exit 2 "$RUNNER" apply "${cluster[@]}" -f none.yaml
    assert_contains "$stderr" "none.yaml"
    configmap a 1 >m.yaml
    assert_exit 2 "$RUNNER" apply "${cluster[@]}" -f m.yaml -f none.yaml
    assert_exit 2 "$RUNNER" apply --kubeconfig none.conf -f m.yaml
    assert_exit 3 env KUBECONFIG= "$RUNNER" apply -f m.yaml
    assert_contains "$stderr" "runner apply: "
    run bash -c '"$@" </dev/null' - "$RUNNER" apply "${cluster[@]}" -f -
    assert_status 2
    assert_contains "$stderr" "- has no objects in it"
    configmap a 1 | sed 's/name: a/generateName: a-/' >m.yaml
    apply -f m.yaml
    assert_status 2
    assert_contains "$stderr" "runner apply: m.yaml:2: ConfigMap has a generateName: each time it would be another object"
    apply --prune -f m.yaml
    assert_status 2
    assert_contains "$stderr" "--prune needs --set NAME"
    configmap a 1 >m.yaml
    sed 's/server: [^,}]*/server: https:\/\/127.0.0.1:1/' "$RUNNER_TEST_KUBECONFIG" >nobody.conf
    assert_exit 3 "$RUNNER" apply --kubeconfig nobody.conf -f m.yaml
    assert_contains "$stderr" "127.0.0.1:1"
    { configmap a 1 && printf -- '---\napiVersion: apps/v1\nkind: Deploymet\nmetadata: {name: a}\n'; } >m.yaml
    apply -f m.yaml
    assert_status 1
    assert_match "$stderr" 'm.yaml:7: deploymet.apps/a: .* has no kind Deploymet in apps/v1; did you mean Deployment\?'
    assert_eq "" "$(kube get configmap a -o name --ignore-not-found)" "what came before the error"
    printf 'apiVersion: example.net/v1\nkind: Thing\nmetadata: {name: a}\n' >m.yaml
    apply -f m.yaml
    assert_status 1
    assert_match "$stderr" 'm.yaml:1: thing.example.net/a: .* has no API version example.net/v1; is what defines it installed\?'
    configmap a 1 | sed "s/name: a/name: a, namespace: $namespace-none/" >m.yaml
    apply -f m.yaml
    assert_status 1
    assert_contains "$stderr" "namespaces \"$namespace-none\" not found
create the namespace first, or put it into the manifests"
}

# What a cluster has given is taken by another namespace.
test_exported() {
    namespace_take
    trap 'kube delete namespace "$namespace" "$namespace-2" --wait=false >/dev/null 2>&1' EXIT
    { configmap a 1 && echo --- && deployment web busybox:1.36 '[sleep, "3600"]'; } >m.yaml
    apply -f m.yaml
    assert_status 0
    kube get configmap/a deployment/web -o json --show-managed-fields |
        sed "s/\"namespace\": \"$namespace\"/\"namespace\": \"$namespace-2\"/" >exported.json
    printf '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "%s-2"}}' "$namespace" >>exported.json
    apply -f exported.json
    assert_status 0
    assert_contains "$stdout" "deployment.apps/web ready"
    apply -f exported.json
    assert_status 0
    assert_contains "$stdout" "configmap/a unchanged"
}

test_conflicts() {
    namespace_take
    configmap shared mine >m.yaml
    apply -f m.yaml
    kube patch configmap shared --field-manager=somebody -p '{"data": {"k": "theirs"}}' >/dev/null
    apply -f m.yaml
    assert_status 1
    assert_eq "runner apply: m.yaml:2: configmap/shared: others manage fields that this would change:
  .data.k: owned by somebody
leave these fields out of the manifest, or take them over with --force-conflicts
runner apply: 1 of 1 objects could not be applied" "$stderr"
    diff_there -f m.yaml
    assert_status 2
    assert_contains "$stderr" ".data.k: owned by somebody"
    diff_there --force-conflicts -f m.yaml
    assert_status 1
    assert_contains "$stdout" "-  k: theirs
+  k: mine"
    apply --force-conflicts -f m.yaml
    assert_status 0
    assert_eq mine "$(kube get configmap shared -o 'jsonpath={.data.k}')"
}

test_immutable() {
    namespace_take
    deployment web busybox:1.36 '[sleep, "3600"]' >m.yaml
    apply -f m.yaml
    assert_status 0
    local uid
    uid=$(kube get deployment web -o 'jsonpath={.metadata.uid}')
    sed -i 's/{app: web}/{app: other}/' m.yaml
    apply -f m.yaml
    assert_status 1
    assert_contains "$stderr" "m.yaml:1: deployment.apps/web: Deployment.apps \"web\" is invalid: spec.selector: Invalid value"
    assert_contains "$stderr" "field is immutable
this cannot be changed in place: delete the object first, or let --replace delete it and create it anew"
    apply --replace -f m.yaml
    assert_status 0
    assert_contains "$stdout" "deployment.apps/web replaced"
    [[ $uid != "$(kube get deployment web -o 'jsonpath={.metadata.uid}')" ]] || fail "it is the same"
    here <"$data/configmap-immutable.yaml" >m.yaml
    apply -f m.yaml
    sed -i 's/{k: v}/{k: w}/' m.yaml
    apply -f m.yaml
    assert_status 1
    assert_contains "$stderr" "let --replace"
    apply --replace -f m.yaml
    assert_status 0
    assert_eq w "$(kube get configmap fixed -o 'jsonpath={.data.k}')"
    # What does not go in time is told to be missing.
    kube patch configmap fixed --type merge -p '{"metadata": {"finalizers": ["example.com/held"]}}' >/dev/null
    sed -i 's/{k: w}/{k: x}/' m.yaml
    apply --replace --timeout 1s -f m.yaml
    kube patch configmap fixed --type merge -p '{"metadata": {"finalizers": null}}' >/dev/null
    assert_status 1
    assert_contains "$stderr" "configmap/fixed: has been deleted and not been created anew, which the next apply does"
    # What holds data is not deleted.
    here <"$data/pvc-waits.yaml" >m.yaml
    apply -f m.yaml
    sed -i "s/storageClassName: .*/storageClassName: other/" m.yaml
    uid=$(kube get pvc later -o 'jsonpath={.metadata.uid}')
    apply --replace -f m.yaml
    assert_status 1
    assert_contains "$stderr" "--replace does not delete what holds data"
    assert_eq "$uid" "$(kube get pvc later -o 'jsonpath={.metadata.uid}')"
    kube delete storageclass "$namespace-later" >/dev/null
}

test_admission() {
    namespace_take
    cat >limits.yaml <<'YAML'
apiVersion: v1
kind: LimitRange
metadata: {name: small}
spec: {limits: [{type: Pod, max: {memory: 16Mi}}]}
YAML
    apply -f limits.yaml
    here <"$data/pod.yaml" | sed 's/command:/resources: {limits: {memory: 1Gi}}, command:/' >m.yaml
    { echo --- && configmap beside 1; } >>m.yaml
    apply -f m.yaml
    assert_status 1
    assert_contains "$stderr" "m.yaml:1: pod/alone: pods \"alone\" is forbidden: maximum memory usage per Pod is 16Mi, but limit is 1073741824"
    # The pods of a Deployment are refused to its ReplicaSet, which is found.
    deployment web busybox:1.36 '[sleep, "3600"]' | sed 's/command:/resources: {limits: {memory: 1Gi}}, command:/' >m.yaml
    apply --no-wait -f m.yaml
    wait_for 60 kube wait --for=condition=ReplicaFailure --timeout=0 deployment/web
    apply --timeout 1s -f m.yaml
    assert_status 1
    assert_contains "$stderr" "maximum memory usage per Pod is 16Mi"
}

# hook: answers reviews, and refuses what has the label deny. Its port is in ./port, and refuses connections
# until there is ./listen.
hook() {
    python3 - >port 2>hook.log <<'PYTHON' &
import http.server, json, os, ssl, time

class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        denied = "deny" in request["object"]["metadata"].get("labels", {})
        response = {"uid": request["uid"], "allowed": not denied}
        if denied:
            response["status"] = {"code": 403, "message": "first line\nsecond line\n" + "x" * 2000 + " last"}
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.HTTPServer(("127.0.0.1", 0), Hook, bind_and_activate=False)
server.server_bind()
print(server.server_address[1], flush=True)
while not os.path.exists("listen"):
    time.sleep(0.05)
server.server_activate()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem", "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
PYTHON
    hook=$!
}

# A web hook of admission that comes late, and one that refuses.
# What refers to something that is not there for the moment.
test_refusals_that_pass() {
    namespace_take
    cat >m.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  serviceAccountName: late
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "busybox:1.36", command: [sleep, "600"]}]
Y
    spawn "$RUNNER" apply "${cluster[@]}" -f m.yaml
    wait_for 60 grep -q 'pod/p: .*error looking up service account' "$case_dir/stderr"
    kube create serviceaccount late >/dev/null
    finish
    assert_status 0
    assert_contains "$stdout" "pod/p ready"
    assert_eq 1 "$(grep -c 'error looking up' <<<"$stderr")" "times that it was told"
}

test_webhook() {
    namespace_take
    trap 'kill "${hook:-}" 2>/dev/null || true
        kube delete validatingwebhookconfiguration "$namespace" --ignore-not-found >/dev/null 2>&1
        kube delete namespace "$namespace" --wait=false >/dev/null 2>&1' EXIT
    hook
    wait_for 20 test -s port
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem \
        -out cert.pem -days 2 -subj /CN=hook -addext subjectAltName=IP:127.0.0.1 2>/dev/null
    kube label namespace "$namespace" "hooked=$namespace" >/dev/null
    cat >hook.yaml <<YAML
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: $namespace}
webhooks:
- name: hook.example.org
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  namespaceSelector: {matchLabels: {hooked: $namespace}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  clientConfig: {url: "https://127.0.0.1:$(<port)/", caBundle: $(base64 -w 0 cert.pem)}
YAML
    apply -f hook.yaml
    assert_status 0
    configmap late 1 >m.yaml
    # An API server hears of its web hooks a little later.
    wait_for 20 hook_is_asked
    spawn "$RUNNER" apply "${cluster[@]}" -f m.yaml
    wait_for 20 grep -q 'runner apply: configmap/late: .*failed calling webhook' "$case_dir/stderr"
    touch listen
    finish
    assert_status 0
    assert_contains "$stdout" "configmap/late created"
    configmap denied 1 | sed 's/name: denied/name: denied, labels: {deny: "yes"}/' >m.yaml
    apply -f m.yaml
    assert_status 1
    assert_contains "$stderr" "m.yaml:2: configmap/denied: admission webhook \"hook.example.org\" denied the request: first line
second line
xxxx"
    assert_contains "$stderr" "xxxx last"
}
hook_is_asked() { ! kube create configmap probe --dry-run=server >/dev/null 2>&1; }

test_definitions() {
    namespace_take
    trap 'kube delete crd "widgets.$namespace.example.org" --wait=false --ignore-not-found >/dev/null 2>&1
        kube delete namespace "$namespace" --wait=false >/dev/null 2>&1' EXIT
    here <"$data/crd.yaml" >m.yaml
    apply --dry-run -f m.yaml
    assert_status 0
    assert_contains "$stdout" "first would be created"
    apply --no-wait -f m.yaml
    assert_status 0
    assert_eq "widget.$namespace.example.org/first
widget.$namespace.example.org/second" "$(kube get "widgets.$namespace.example.org" -o name | sort)"
    # A definition that changes, and an object that needs it changed.
    sed -i 's/colours: {type: array.*/&\n              weight: {type: integer}/; s/spec: {size: 3,/spec: {size: 3, weight: 2,/' m.yaml
    apply --no-wait -f m.yaml
    assert_status 0
    assert_eq 2 "$(kube get "widgets.$namespace.example.org" first -o 'jsonpath={.spec.weight}')"
    # Generators write a status, which is the server's.
    sed -i '/^kind: CustomResourceDefinition/a status: {acceptedNames: {kind: "", plural: ""}, conditions: [], storedVersions: []}' m.yaml
    apply -f m.yaml
    assert_status 0
    assert_contains "$stdout" "widgets.$namespace.example.org unchanged"
    # A status that says it is not ready is waited for.
    # Not by the function kube: its shell would be what is ended.
    kubectl --kubeconfig="$RUNNER_TEST_KUBECONFIG" --cache-dir="$case_dir/witness" proxy --port=0 >proxy.log &
    local proxy=$!
    wait_for 20 grep -q Starting proxy.log
    local port
    port=$(sed 's/.*://' proxy.log)
    curl -sf -X PATCH -H 'Content-Type: application/merge-patch+json' \
        -d '{"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Broken", "message": "by a test"}]}}' \
        "http://127.0.0.1:$port/apis/$namespace.example.org/v1/namespaces/$namespace/widgets/first/status" >/dev/null
    kill "$proxy"
    apply --timeout 1s -f m.yaml
    assert_status 1
    assert_contains "$stderr" "widget.$namespace.example.org/first: is not ready in time: is not ready: Broken: by a test"
    # An object of it that does not go away: the definition waits for its objects.
    kube patch "widgets.$namespace.example.org" second --type=merge -p '{"metadata": {"finalizers": ["example.org/held"]}}' >/dev/null
    delete --timeout 2s -f m.yaml
    assert_status 1
    assert_contains "$stderr" "second: is not gone in time
  waits for the finalizer example.org/held"
    kube patch "widgets.$namespace.example.org" second --type=merge -p '{"metadata": {"finalizers": []}}' >/dev/null
    delete --ignore-not-found -f m.yaml
    assert_status 0
    delete --ignore-not-found -f m.yaml
    assert_status 0
    delete -f m.yaml
    assert_status 1
    assert_contains "$stderr" "first: is not there; --ignore-not-found makes that no error"
}

# --- waiting -------------------------------------------------------------------------------------

# all_have_failed: what is asked about has come to the state that it will be found in.
all_have_failed() {
    kube get pods -o json >pods.json
    [[ $(jq '[.items[] | select(.metadata.name | startswith("crash")).status.containerStatuses[]?
            | select(.restartCount > 0 and .state.waiting.reason == "CrashLoopBackOff")] | length' pods.json) == 1 &&
        $(jq '[.items[] | select(.metadata.name | startswith("missing")).status.containerStatuses[]?
            | select(.state.waiting.reason | test("^ErrImagePull|^ImagePullBackOff"))] | length' pods.json) == 1 &&
        $(jq '[.items[] | select(.metadata.name == "nowhere").status.conditions[]?
            | select(.reason == "Unschedulable")] | length' pods.json) == 1 &&
        $(kube get events) == *ProvisioningFailed* ]]
}

test_not_ready() {
    namespace_take
    { deployment crash busybox:1.36 '[sh, -c, "echo reason is here; exit 3"]' && echo --- &&
        deployment missing none.example.org/none:1 '[sleep, "1"]' && echo --- &&
        sed 's/storageClassName: .*/storageClassName: none/' "$data/pvc-waits.yaml" | sed '/^---/,$d' && echo --- &&
        cat <<'YAML'; } >m.yaml
apiVersion: v1
kind: Service
metadata: {name: lonely}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: crash}
spec: {selector: {app: crash}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: nowhere}
spec:
  nodeSelector: {none: such}
  containers: [{name: c, image: "busybox:1.36"}]
YAML
    apply --no-wait -f m.yaml
    wait_for 60 all_have_failed
    apply --timeout 1s -f m.yaml
    assert_status 1
    assert_contains "$stderr" "m.yaml:1: deployment.apps/crash: is not ready in time: 0 of 1 replicas are available"
    assert_match "$stderr" 'pod crash-[^:]*: is Running and not ready, container main: CrashLoopBackOff|container main: Error, exit code 3'
    assert_match "$stderr" 'container main has ended: Error, exit code 3, [0-9]+ restarts'
    assert_contains "$stderr" "      | reason is here"
    assert_match "$stderr" 'deployment.apps/missing: is not ready in time: 0 of 1 replicas are available'
    assert_match "$stderr" 'container main: (ErrImagePull|ImagePullBackOff)'
    assert_contains "$stderr" "persistentvolumeclaim/later: is not ready in time: has no volume yet (Pending)
  event: ProvisioningFailed: storageclass.storage.k8s.io \"none\" not found"
    assert_contains "$stderr" "service/lonely: is not ready in time: has no endpoints: it selects no pod that runs
  no pod has the labels app=nobody"
    assert_match "$stderr" "service/crash: is not ready in time: has no endpoints: of 1 pods"
    assert_contains "$stderr" "pod/nowhere: is not ready in time: Unschedulable: 0/"
    assert_contains "$stderr" "runner apply: 6 of 6 objects are not ready in time"
}

slow_pull_fails() { kube get pods -l app=slow -o json | grep -q '"ErrImagePull"\|"ImagePullBackOff"'; }

test_failures() {
    namespace_take
    cat >m.yaml <<'YAML'
apiVersion: batch/v1
kind: Job
metadata: {name: bad}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: work, image: "busybox:1.36", command: [sh, -c, "echo no such table; exit 7"]}]
YAML
    apply -f m.yaml
    assert_status 1
    assert_contains "$stderr" "m.yaml:1: job.batch/bad: BackoffLimitExceeded: Job has reached the specified backoff limit"
    assert_contains "$stderr" "container work: Error, exit code 7"
    assert_contains "$stderr" "      | no such table"
    deadline=600 deployment slow none.example.org/none:1 '[sleep, "1"]' >m.yaml
    apply --no-wait -f m.yaml
    wait_for 60 slow_pull_fails
    sed -i 's/600/1/' m.yaml
    apply -f m.yaml
    assert_status 1
    assert_match "$stderr" 'deployment.apps/slow: ProgressDeadlineExceeded: ReplicaSet "slow-[^"]*" has timed out progressing'
    assert_match "$stderr" 'container main: (ErrImagePull|ImagePullBackOff)'
    here <"$data/pod-succeeds.yaml" | sed 's/"true"/sh, -c, "exit 4"/' >m.yaml
    apply -f m.yaml
    assert_status 1
    assert_contains "$stderr" "pod/brief: has failed, container c: Error, exit code 4"
    # Whoever does not want to wait does not hear of it.
    apply --no-wait -f m.yaml
    assert_status 0
}

test_cancel() {
    namespace_take
    deployment missing none.example.org/none:1 '[sleep, "1"]' >m.yaml
    spawn "$RUNNER" apply "${cluster[@]}" -f m.yaml
    wait_for 20 grep -q created "$case_dir/stdout"
    kill -INT "$spawned"
    finish
    assert_status 130
    assert_contains "$stdout" "deployment.apps/missing created"
    assert_contains "$stderr" 'what was applied stays: the next "runner apply" goes on from there, and "runner delete --ignore-not-found" with the same files removes it'
}

# --- pruning -------------------------------------------------------------------------------------

test_prune() {
    namespace_take
    trap 'kube delete namespace "$namespace" "$namespace-2" --wait=false >/dev/null 2>&1
        kube delete clusterrole "$namespace-viewer" --ignore-not-found >/dev/null 2>&1' EXIT
    {
        configmap a 1 && configmap b 1 && echo --- && here <"$data/secret-immutable.yaml" && echo --- &&
            here <"$data/clusterrole.yaml" | sed '/^---/,$d' && echo ---
        printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: %s-2}\n' "$namespace"
        configmap far 1 | sed "s/name: far/name: far, namespace: $namespace-2/"
    } >m.yaml
    apply --set shop --prune -f m.yaml
    assert_status 0
    local id
    id=$(kube get configmap shop -o 'jsonpath={.metadata.labels.applyset\.kubernetes\.io/id}')
    assert_match "$id" '^applyset-[A-Za-z0-9_-]{43}-v1$'
    assert_eq "ClusterRole.rbac.authorization.k8s.io,ConfigMap,Namespace,Secret" \
        "$(kube get configmap shop -o 'jsonpath={.metadata.annotations.applyset\.kubernetes\.io/contains-group-kinds}')"
    assert_eq "$namespace-2" \
        "$(kube get configmap shop -o 'jsonpath={.metadata.annotations.applyset\.kubernetes\.io/additional-namespaces}')"
    assert_eq "configmap/a
configmap/b" "$(kube get configmap -l "applyset.kubernetes.io/part-of=$id" -o name)"
    # What others have made, even with the label, stays; so does what somebody owns.
    kube create configmap foreign >/dev/null
    kube label configmap foreign "applyset.kubernetes.io/part-of=$id" >/dev/null
    { configmap a 1 && printf -- '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: %s-2}\n' "$namespace"; } >m.yaml
    apply --set shop --prune --dry-run -f m.yaml
    assert_status 0
    assert_contains "$stdout" "configmap/b would be pruned"
    assert_eq configmap/b "$(kube get configmap b -o name)"
    apply --set shop --prune -f m.yaml
    assert_status 0
    assert_eq "clusterrole.rbac.authorization.k8s.io/$namespace-viewer
configmap/b
configmap/far
secret/fixed-secret" "$(sed -n 's/ pruned$//p' <<<"$stdout" | sort)"
    assert_eq "configmap/a configmap/foreign configmap/shop" \
        "$(kube get configmap -o name | grep -v kube-root-ca | xargs)"
    assert_eq "" "$(kube get secret fixed-secret -o name --ignore-not-found)"
    assert_eq "ConfigMap,Namespace" \
        "$(kube get configmap shop -o 'jsonpath={.metadata.annotations.applyset\.kubernetes\.io/contains-group-kinds}')"
    # A name that is taken.
    apply --set foreign -f m.yaml
    assert_status 1
    assert_contains "$stderr" "the ConfigMap \"foreign\" in the namespace $namespace is not an apply set"
}

# The server has an Ingress in two groups: it is one object.
test_prune_knows_objects_by_any_group() {
    namespace_take
    cat >old.yaml <<'E'
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: web}
spec: {backend: {serviceName: x, servicePort: 80}}
E
    cat >new.yaml <<'E'
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {defaultBackend: {service: {name: x, port: {number: 80}}}}
E
    # Newer servers have it in one only.
    kube get --raw /apis/extensions/v1beta1 2>/dev/null | grep -q '"ingresses"' || cp new.yaml old.yaml
    apply --set shop --prune -f old.yaml
    assert_status 0
    apply --set shop --prune -f new.yaml
    assert_status 0
    assert_not_contains "$stdout" "pruned"
    assert_eq ingress.networking.k8s.io/web "$(kube get ingresses.networking.k8s.io -o name)"
    configmap other 1 >other.yaml
    apply --set shop --prune -f other.yaml
    assert_status 0
    assert_contains "$stdout" "ingress.networking.k8s.io/web pruned"
}

# Kubernetes deletes a secret for an account that is not there.
test_secrets_of_accounts() {
    namespace_take
    cat >m.yaml <<'E'
apiVersion: v1
kind: Secret
metadata: {name: token, annotations: {kubernetes.io/service-account.name: robot}}
type: kubernetes.io/service-account-token
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot}
E
    apply -f m.yaml
    assert_status 0
    wait_for 30 filled
}
filled() { [[ -n $(kube get secret token --ignore-not-found -o 'jsonpath={.data.token}') ]]; }

# --- comparing -----------------------------------------------------------------------------------

test_diff() {
    namespace_take
    { configmap a 1 && echo --- && here <"$data/secret.yaml"; } >m.yaml
    diff_there -f m.yaml
    assert_status 1
    assert_contains "$stdout" "--- live/$namespace/configmap/a
+++ merged/$namespace/configmap/a
@@ -0,0 +1,7 @@
+apiVersion: v1
+data:
+  k: \"1\"
+kind: ConfigMap"
    assert_contains "$stdout" '+  password: "***"'
    assert_eq "" "$(kube get configmap a -o name --ignore-not-found)" "what diff has made"
    apply -f m.yaml
    diff_there -f m.yaml
    assert_status 0
    assert_eq "" "$stdout"
    sed -i 's/czNjcmV0/bmV3LXMzY3JldA==/; s/k: "1"/k: "2"/' m.yaml
    diff_there -f m.yaml
    assert_status 1
    assert_contains "$stdout" '-  password: "*** (before)"
+  password: "*** (after)"'
    assert_contains "$stdout" '-  k: "1"
+  k: "2"'
    assert_not_contains "$stdout$stderr" czNjcmV0
    assert_not_contains "$stdout$stderr" bmV3LXMz
    # Into a namespace, and of a kind, that come with it.
    here <"$data/crd.yaml" | sed "s/name: first/name: first, namespace: $namespace-new/" >m.yaml
    printf -- '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: %s-new}\n' "$namespace" >>m.yaml
    diff_there -f m.yaml
    assert_status 1
    assert_contains "$stdout" "+++ merged/$namespace-new/widget.$namespace.example.org/first"
    sed 's/server: [^,}]*/server: https:\/\/127.0.0.1:1/' "$RUNNER_TEST_KUBECONFIG" >nobody.conf
    assert_exit 3 "$RUNNER" diff --kubeconfig nobody.conf -f m.yaml
}

# --- deleting ------------------------------------------------------------------------------------

test_delete() {
    namespace_take
    { configmap a 1 && echo --- && deployment web busybox:1.36 '[sleep, "3600"]'; } >m.yaml
    apply -f m.yaml
    delete --dry-run -f m.yaml
    assert_status 0
    assert_eq "deployment.apps/web would be deleted
configmap/a would be deleted" "$stdout"
    delete -f m.yaml
    assert_status 0
    assert_eq "deployment.apps/web deleted
configmap/a deleted" "$stdout"
    # What it made is gone before it is.
    assert_eq "" "$(kube get pods,replicasets -o name)"
    delete -f m.yaml
    assert_status 1
    assert_contains "$stderr" "m.yaml:2: configmap/a: is not there"
    assert_contains "$stderr" "runner delete: 2 of 2 objects could not be deleted"
    delete --ignore-not-found -f m.yaml
    assert_status 0
    assert_eq "" "$stdout$stderr"
    # One goes with the other, before it is asked to go.
    local round
    for round in 1 2 3; do
        apply -f "$data/service-manual.yaml"
        delete -f "$data/service-manual.yaml"
        [[ $status == 0 ]] || fail "exit status $status in round $round"
    done
    configmap a 1 >m.yaml
    apply -f m.yaml
    delete --no-wait -f m.yaml
    assert_status 0
    assert_eq "configmap/a is being deleted" "$stdout"
}

is_stuck() { kube get namespace "$namespace-stuck" -o json | grep -q NamespaceFinalizersRemaining; }

test_stuck_namespace() {
    namespace_take
    trap 'kube -n "$namespace-stuck" patch configmap held --type=merge -p "{\"metadata\": {\"finalizers\": null}}" >/dev/null 2>&1
        kube delete namespace "$namespace" "$namespace-stuck" --wait=false --ignore-not-found >/dev/null 2>&1' EXIT
    {
        printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: %s-stuck}\n' "$namespace"
        configmap held 1 | sed "s/name: held/name: held, namespace: $namespace-stuck, finalizers: [example.org\/held]/"
    } >m.yaml
    apply -f m.yaml
    assert_status 0
    sed -n '1,/^---/{/^---/!p}' m.yaml >ns.yaml
    kube delete namespace "$namespace-stuck" --wait=false >/dev/null
    wait_for 60 is_stuck
    delete --timeout 1s -f ns.yaml
    assert_status 1
    assert_contains "$stderr" "ns.yaml:1: namespace/$namespace-stuck: is not gone in time"
    assert_contains "$stderr" "NamespaceFinalizersRemaining: Some content in the namespace has finalizers remaining: example.org/held in 1 resource instances"
    apply --timeout 5s -f m.yaml
    assert_status 1
    configmap other 1 | sed "s/name: other/name: other, namespace: $namespace-stuck/" >m.yaml
    apply -f m.yaml
    assert_status 1
    assert_contains "$stderr" "because it is being terminated"
}

if (($# == 0)) && [[ ${RUNNER_TEST_PRESET:-asan} != asan ]]; then
    # What objects look like is not a matter of the build.
    mapfile -t cases < <(all_cases | grep -vx test_same_as_kubectl)
    set -- "${cases[@]}"
fi
run_tests "$@"

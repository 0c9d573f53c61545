# shellcheck shell=bash
# For end-to-end scripts whose jobs are pods; sourced behind lib.sh.
#
#   namespace_take    a namespace of the test's own, $namespace; sets ${cluster[@]}, the options for it
#   kube ARGUMENT…    what is there, by kubectl
#   job               standard input, a job without its name, becomes p.yaml: one job j in busybox
#   exec_there CODE OPTION…
#                     p.yaml, with the cluster for its default engine; report.json is its report
#   objects [OPTION…] what runners have made there
#   all_is_going      all of that has been told to go; kubelets take their time
#   lines STEP        what a step printed to standard output
#   output_has REGEX  also while the command runs
#   proxy             a way to the API server whose connections break while ./cut exists, where new ones
#                     do while ./shut does, and which is slow while ./slow does; for ${cluster[@]}
#   kube_as NAME      prints a kubeconfig whose user and context are NAME, who may do nothing yet
#   printed FILE STEP STREAM
#                     the exact bytes that it wrote, from the events of --progress json

fakes=$(realpath "$(dirname "${BASH_SOURCE[0]}")/fake")

# In a namespace of the test's own, which goes with it; kubectl is the witness.
# shellcheck disable=SC2154 # of lib.sh
kube() { command kubectl --kubeconfig="$RUNNER_TEST_KUBECONFIG" --cache-dir="$case_dir/witness" --namespace="$namespace" "$@"; }

account_is_ready() { [[ -n $(kube get serviceaccount default -o 'jsonpath={.secrets[0].name}') ]]; }

namespace_release() { kube delete namespace "$namespace" --wait=false >/dev/null 2>&1; }

namespace_take() {
    namespace=e2e-${case_dir##*.}
    namespace=${namespace,,}
    kube create namespace "$namespace" >/dev/null
    trap namespace_release EXIT
    wait_for 20 account_is_ready
    # shellcheck disable=SC2034 # for the script
    cluster=(--kubeconfig "$RUNNER_TEST_KUBECONFIG" --namespace "$namespace")
}

# What a pod waits for is not in what a test looks at.
on_failure() {
    [[ -n ${namespace:-} ]] || return 0
    printf -- '--- pods and events of the namespace:\n'
    kube --request-timeout=10s get pods -o json | jq -c '.items[] | [.metadata.name, .metadata.deletionTimestamp, .status]' |
        cut -c 1-1500 || true
    kube --request-timeout=10s get events --sort-by=.lastTimestamp | tail -n 30 | cut -c 1-300 || true
}

job() {
    {
        printf 'name: p\nimage: busybox:1.36\nengine: kubernetes\n'
        printf 'stages:\n- name: s\n  jobs:\n  - name: j\n' && sed 's/^/    /'
    } >p.yaml
}

exec_there() {
    local expected=$1
    shift
    assert_exit "$expected" "$RUNNER" exec "${cluster[@]}" --engine kubernetes \
        --report json=report.json "$@" p.yaml
}

objects() { kube get pods,configmaps,secrets,persistentvolumeclaims -l dev.runner.run -o name "$@"; }

# What a runner has made in the cluster is gone when it has ended.
assert_nothing_there() { assert_eq "" "$(objects)" "what is left in the cluster"; }

all_is_going() {
    [[ $(kube get pods,configmaps,secrets -l dev.runner.run -o json |
        jq '[.items[] | select(.metadata.deletionTimestamp | not)] | length') == 0 ]]
}

lines() { sed -n "s/.*\[step([0-9/]*): $1\] //p" <<<"$stdout"; }

output_has() { grep -q "$1" "$case_dir/stdout"; }

proxy() {
    local server
    server=$(kube config view --minify --raw -o 'jsonpath={.clusters[0].cluster.server}')
    server=${server#https://}
    mkfifo hold
    python3 "$fakes/cutting_proxy.py" "${server%:*}" "${server##*:}" <hold >port &
    exec 9>hold
    wait_for 20 test -s port
    kube config view --minify --raw --flatten |
        sed "s|\( *\)server: .*|\1server: https://127.0.0.1:$(<port)|" >through
    cluster[1]=$PWD/through
}

kube_as() {
    kube config view --minify --raw --flatten |
        sed "s/^  user:/&\n    as: $1/; s/^\\( *user\\|- name\\|  name\\): [^ ]*/\\1: $1/
            s/^current-context: .*/current-context: $1/; s/^    cluster: .*/    cluster: $1/"
}

printed() {
    python3 - "$@" <<'PY'
import json
import sys

ids = set()
for line in open(sys.argv[1]):
    event = json.loads(line)
    if event["event"] == "StepStarted" and event["name"] == sys.argv[2]:
        ids.add(event["id"])
    elif event["event"] == "StepLog" and event["id"] in ids and event["stream"] == sys.argv[3]:
        sys.stdout.write(event["text"])
PY
}

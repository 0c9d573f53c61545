#!/usr/bin/env bash
# The pipelines of examples/ do in a cluster what they do on their own engine: every state, reason,
# exit code, attempt, message and output of the report is the same, and so is what the steps print.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../env/env.sh
source "$(dirname "$0")/../env/env.sh"
# shellcheck source=../kube.sh
source "$(dirname "$0")/../kube.sh"
unset XDG_STATE_HOME

# shellcheck disable=SC2034 # for run_tests
needs_cluster=shared
declare -A case_timeout=([test_shell]=300 [test_programs_of_images]=180 [test_languages]=300
    [test_cache]=120 [test_private_registry]=120 [test_s3]=120 [test_kubernetes]=120)
root=$(realpath "$(dirname "$0")/../..")
examples=$root/examples
this_file=$(realpath "$0")

# Why the others cannot be the same there.
declare -A not_there=(
    [containers.yaml]="it mounts directories of the machine, and takes the network away"
    [manifests.yaml]="its engine is no matter: manifests go to the cluster in any case"
    [stack.yaml]="it goes to a swarm"
    [deployment.yaml]="it asks a Compose project at a port of the machine of the runner"
    [docker.yaml]="it has a sandbox, which takes the network away"
    [hosts.yaml]="its jobs run on hosts, which have engines of their own"
    [kubernetes.yaml]="its own engine is Kubernetes; test_kubernetes runs it"
    [plugins.yaml]="defaults of settings are in the labels of an image, which only its daemon shows"
    [privileged.yaml]="it needs a daemon that may do everything; the one of the cluster may not"
    [release.yaml]="it talks to servers on the loopback of the runner's machine"
    [retry.yaml]="the second attempt of its job looks for what the first left in the workspace"
    [scan.yaml]="it needs a program, for which a test puts another into the PATH of the host"
    [services.yaml]="one of its jobs reaches a port of a service from the host"
    [site.yaml]="its service mounts a directory of the machine"
    [stages.yaml]="its jobs share files in the workdir"
    [docs/hosts.md]="it is about hosts that are not there"
    [docs/pipeline-file.md]="it is about sources that are not there"
    [docs/services.md]="it is about sources and images that are not there"
    [README.md]="it is about sources that are not there"
)

# What of a report does not depend on when and where.
comparable() {
    jq 'walk(if type == "object" then del(.id, .duration_ms)
        | with_entries(select(.key | endswith("_at") | not))
        else . end)' "$1"
}

# both CODE FILE OPTION…: runs the example of that name on its own engine, then in the cluster; steps
# that name no image have $image there. ENGINE in options becomes "here" or "there". Their output is
# in here.out and there.out.
both() {
    local code=$1 file=$2 engine
    shift 2
    for engine in here there; do
        local -a options=()
        [[ $engine == here ]] || options=("${cluster[@]}" --engine kubernetes ${image:+--image "$image"})
        rm -rf "work.$engine"
        mkdir "work.$engine"
        (cd "work.$engine" && ${prepare:-true} && assert_exit "$code" "$RUNNER" exec \
            --cache-dir "$PWD/../cache.$engine" --report json=../"$engine.json" \
            "${options[@]}" "$examples/$file" "${@//ENGINE/$engine}")
        # What the plugins for tests show of their environment has the run and the cluster in it.
        sed "s|$PWD/work.$engine|WORKDIR|g; s|$(jq -r .id "$engine.json")|RUN|g
            /\] \(other: \)\?\(KUBERNETES_\|HOSTNAME\)/d" "$case_dir/stdout" | sort >"$engine.out"
        comparable "$engine.json" | sed "s|$PWD/work.$engine|WORKDIR|g" >"$engine.report"
        [[ $(jq '[.. | objects | select(.level == "step")] | length' "$engine.report") -gt 0 ]] ||
            fail "no step is in the report"
    done
    diff here.report there.report >differs || fail "the reports of $file differ:
$(<differs)"
    diff here.out there.out >differs || fail "the output of $file differs:
$(<differs)"
    assert_nothing_there
}

test_every_example_is_here() {
    local file name
    for file in "$examples"/*.yaml "$root"/README.md "$root"/docs/*.md; do
        name=${file#"$root"/}
        name=${name#examples/}
        [[ $name == *.yaml ]] || has_pipeline "$file" || continue
        if [[ -n ${not_there[$name]:-} ]]; then
            ! grep -q "^ *both [0-9] $name" "$this_file" || fail "$name is run, and said not to be"
        else
            grep -q "^ *both [0-9] $name" "$this_file" || fail "$name is neither run nor in not_there"
        fi
    done
    for name in "${!not_there[@]}"; do
        [[ -e $examples/$name || -e $root/$name ]] || fail "there is no $name"
    done
}

# has_pipeline FILE: whether a block of a page is a whole pipeline.
has_pipeline() {
    awk '/^```yaml$/ { inside = 1; next } /^```/ { inside = 0 }
        inside && /^stages:/ { found = 1 } END { exit !found }' "$1"
}

test_shell() {
    namespace_take
    local image=busybox:1.36
    both 0 hello.yaml
    both 0 artifacts.yaml
    both 0 conditions.yaml
    both 0 dependencies.yaml
    both 0 matrix.yaml
    both 0 outputs.yaml
    both 0 pre-post.yaml
    both 0 concurrency.yaml
}

test_inputs() {
    namespace_take
    local image=busybox:1.36
    both 0 inputs.yaml --input version=1.4.2 --input replicas=10 --input notify=true
}

test_secrets() {
    namespace_take
    local image=busybox:1.36
    local -x API_TOKEN='a b"c/d+e'
    both 0 secrets.yaml
    assert_not_contains "$(cat there.out there.json)" "$API_TOKEN"
}

test_timeouts() {
    namespace_take
    local image=busybox:1.36
    # A pod that starts on a busy machine takes longer than the example gives it.
    both 1 timeouts.yaml --set 'stages[0].timeout=10s'
}

repository() {
    git init -q -b main .
    echo >main.c
    git add main.c
    git -c user.name=n -c user.email=e@x commit -q -m one
    echo changed >main.c
    git -c user.name=n -c user.email=e@x commit -q -a -m two
}

test_when() {
    namespace_take
    local image=busybox:1.36 prepare=repository
    both 0 when.yaml -e PIPELINE_BRANCH=main -e PIPELINE_EVENT=push
}

# What the first run has kept is there for the second one.
test_cache() {
    namespace_take
    local image=busybox:1.36
    both 0 cache.yaml
    both 0 cache.yaml
    assert_contains "$(<there.out)" "util.o is up to date"
}

test_programs_of_images() {
    namespace_take
    kube_image python:3.12 runner-test/tools:1
    local image=python:3.12
    both 0 background.yaml
    both 0 steps.yaml
    image=runner-test/tools:1
    # Of these the names of commits are made.
    both 0 types.yaml -e GIT_AUTHOR_DATE=2001-02-03T04:05:06Z -e GIT_COMMITTER_DATE=2001-02-03T04:05:06Z
}

test_languages() {
    namespace_take
    kube_image node:16 python:3.12 golang:1.22
    both 0 language.yaml
}

test_plugin() {
    namespace_take
    both 0 plugin.yaml
}

test_private_registry() {
    namespace_take
    both 0 private-registry.yaml -e REGISTRY="$RUNNER_TEST_AUTH_REGISTRY" \
        -e REGISTRY_USERNAME="$RUNNER_TEST_AUTH_USER" -e REGISTRY_PASSWORD="$RUNNER_TEST_AUTH_PASSWORD"
}

test_s3() {
    # shellcheck source=../s3.sh
    source "$root/tests/s3.sh"
    namespace_take
    local image=busybox:1.36
    s3_credentials
    both 0 s3.yaml -e STORE="${store/ci/ENGINE}"
}

# --- the one that is about Kubernetes -------------------------------------------------------------

# volume CLAIM CLASS: a directory here, ./CLAIM, for the claim of that name, or for whoever wants CLASS.
volume() {
    mkdir "$1"
    kube create -f - >/dev/null <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: {name: "$namespace-$1", labels: {volumes-of: "$namespace"}}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: "$2"
  hostPath: {path: "$PWD/$1"}
$([[ -n $2 ]] || echo "  claimRef: {namespace: $namespace, name: $1}")
YAML
}

# What is not of the namespace, and its name.
classes_release() {
    kube delete priorityclass,runtimeclass ci --ignore-not-found >/dev/null 2>&1
    kube delete persistentvolumes -l "volumes-of=$namespace" --wait=false >/dev/null 2>&1
    namespace_release
}

# The objects of kubernetes/objects.yaml, in this namespace; dockershim knows one handler only.
objects_of_example() {
    sed "s/namespace: ci/namespace: $namespace/
        s/^handler: runc/handler: docker/; /^kind: Namespace/{n;s/ci/$namespace/}" \
        "$examples/kubernetes/objects.yaml" >objects.yaml
    kube apply -f objects.yaml >/dev/null 2>apply.log || fail "objects.yaml: $(<apply.log)"
}

test_kubernetes() {
    namespace_take
    trap classes_release EXIT
    objects_of_example
    volume module-cache ""
    volume releases ""
    volume workspace "$namespace-fast"
    mkdir module-cache/shop w
    echo ours >w/source
    # What is kept can be looked at.
    exec_example --keep
    assert_eq "-O2" "$(lines compile)"
    assert_eq "1000
2" "$(lines sign)"
    assert_eq hello "$(lines ask)"
    assert_eq "smtp.example.org
ndots:2
tmpfs" "$(lines look)"
    [[ -e module-cache/shop/modules ]] || fail "nothing is in the cache of modules"
    [[ -s releases/released && -e releases/source ]] || fail "the release is not on its volume"
    assert_eq compiled "$(cat workspace/app)" "what is on the volume of the job"
    kube get pods -l dev.runner.role=job -o json >pods.json
    assert_pods_of_example
    assert_exit 0 "$RUNNER" reap "${cluster[@]}"
    wait_for 30 all_is_going
}

exec_example() {
    assert_exit 0 "$RUNNER" exec "${cluster[@]}" "$examples/kubernetes.yaml" -w w \
        -e NAMESPACE="$namespace" --input "storage_class=$namespace-fast" "$@"
}

# pod FILTER: of the pod p.json.
pod() { jq -cS "$1" p.json; }

assert_pods_of_example() {
    assert_eq 3 "$(jq '.items | length' pods.json)" "pods"
    local name
    for name in compile test release; do
        case $name in
        compile) jq '.items[] | select(.metadata.labels.job == "compile")' pods.json ;;
        test) jq '.items[] | select(.spec.runtimeClassName)' pods.json ;;
        release) jq '.items[] | select(any(.spec.volumes[]; .persistentVolumeClaim.claimName == "releases"))' pods.json ;;
        esac >p.json
        assert_eq '["builder",["registry-login"],"shop","kubernetes","shop@example.org","linux","ci",100]' \
            "$(pod '[.spec.serviceAccountName, [.spec.imagePullSecrets[].name], .metadata.labels.team,
                .metadata.labels.pipeline, .metadata.annotations["example.org/contact"],
                .spec.nodeSelector["kubernetes.io/os"], .spec.priorityClassName, .spec.priority]')" "$name"
        assert_eq '{"effect":"NoSchedule","key":"ci","operator":"Exists"}' \
            "$(pod '.spec.tolerations[] | select(.key == "ci")')" "tolerations of $name"
        assert_eq '[1000,"RuntimeDefault"]' \
            "$(pod '.spec.securityContext | [.fsGroup, .seccompProfile.type]')" "security of $name"
    done
    jq '.items[] | select(.metadata.labels.job == "compile")' pods.json >p.json
    assert_eq '{"preference":{"matchExpressions":[{"key":"example.org/builds","operator":"Exists"}]},"weight":1}' \
        "$(pod '.spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[]')" "affinity"
    assert_eq "[\"module-cache\",\"$(pod .metadata.name | tr -d '"')-workspace\"]" \
        "$(pod '[.spec.volumes[].persistentVolumeClaim.claimName // empty] | sort')" "claims"
    assert_eq '["shop"]' \
        "$(pod '[.spec.containers[].volumeMounts[] | select(.mountPath == "/cache").subPath] | unique')" "sub_path"
    assert_eq '[{"memory":"128Mi"},{"cpu":"500m","memory":"64Mi"}]' \
        "$(pod '[.spec.containers[].resources.limits]')" "limits"
    assert_eq '[false,true]' \
        "$(pod '[.spec.containers[] | any(.volumeMounts[]; .mountPath == "/keys")]')" "who sees the key"
    assert_eq '[[null,null],[1000,false]]' "$(pod '[.spec.containers[].securityContext
        | [.runAsUser, .allowPrivilegeEscalation]]')" "security of containers"
    jq '.items[] | select(.spec.runtimeClassName)' pods.json >p.json
    assert_eq '["ci",false]' "$(pod '[.spec.runtimeClassName, .spec.enableServiceLinks]')"
    assert_eq '{"hostnames":["mail.example.org","smtp.example.org"],"ip":"10.20.30.40"}' \
        "$(pod '.spec.hostAliases[] | select(.ip == "10.20.30.40")')" "host_aliases"
    assert_eq '["ClusterFirst",["10.20.30.53"],["shop.example.org"],[{"name":"ndots","value":"2"}]]' \
        "$(pod '[.spec.dnsPolicy, (.spec.dnsConfig | .nameservers, .searches, .options)]')" "dns"
    assert_eq '[{"medium":"Memory","sizeLimit":"16Mi"}]' \
        "$(pod '[.spec.volumes[].emptyDir | select(.medium)]')" "scratch"
    assert_eq '["128Mi","64Mi"]' \
        "$(pod '[.spec.containers[].resources.limits.memory] | sort')" "limits of step and service"
}

if (($# == 0)) && [[ ${RUNNER_TEST_PRESET:-asan} != asan ]]; then
    # Other builds have run these pipelines and this engine in other scripts.
    set -- test_every_example_is_here test_shell
elif (($# == 0)) && ! kube_own; then
    echo "the cluster is given: images that are in no registry are not there"
    set -- test_every_example_is_here test_shell test_inputs test_secrets test_timeouts test_when test_cache
fi
run_tests "$@"

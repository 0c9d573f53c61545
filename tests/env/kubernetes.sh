# shellcheck shell=bash
# A complete Kubernetes cluster: etcd, apiserver, controller-manager, scheduler, and a kubelet over a
# Docker daemon of its own, which is node1; node2 takes no pods, and is always there. A cluster given
# by RUNNER_TEST_KUBECONFIG is used instead; of this file only kube_wait and kube_own then apply.
#
#   kube_begin             starts it behind: builds the programs if need be, and so on; its messages
#                          go to $RUNNER_TEST_STATE/kube.log
#   kube_wait              until the node is ready
#   kube_stop
#   kube_env               exports RUNNER_TEST_KUBECONFIG (cluster-admin)
#   kube_own               the cluster is of this environment
#   kube_image TAG…        test images for its pods; runner-test/… are in no registry
#   kube_part_stop PART    SIGKILL to etcd, apiserver, controller-manager, scheduler or kubelet
#   kube_part_start PART   starts it again, if it does not run
#   kube_user NAME CN [O]  prints a kubeconfig with a client certificate of that user and group
#   kube_daemon_host       DOCKER_HOST of the daemon below the kubelet
#
# The apiserver and the kubelet listen on the address of the daemon's bridge, which containers reach
# and other machines do not, the others on loopback. There is no kube-proxy: only the service
# "kubernetes" has an address that leads somewhere. The DNS of the cluster is that of the machine, and
# so knows no services. A node that is silent is lost after 12 s, and its pods go 10 s later.

kube_daemon=kube

kube_dir() { echo "$RUNNER_TEST_STATE/kube"; }
kube_port() { echo $((5700 + RUNNER_TEST_SLOT * 20 + $1)); }
kube_address() { echo "$(dockerd_net "$kube_daemon" 0).1"; }
kube_service_net() { dockerd_net "$kube_daemon" 4; }
kube_url() { echo "https://$(kube_address):$(kube_port 0)"; }
kube_etcd_url() { echo "http://127.0.0.1:$(kube_port 1)"; }
kube_daemon_host() { dockerd_host "$kube_daemon"; }

# What an environment exported before, this one or another slot's, does not count as given.
kube_own() { [[ -z ${RUNNER_TEST_KUBECONFIG:-} || $RUNNER_TEST_KUBECONFIG == "$RUNNER_TEST_CACHE"/slot* ]]; }

kube_env() {
    if kube_own; then
        export RUNNER_TEST_KUBECONFIG
        RUNNER_TEST_KUBECONFIG=$(kube_dir)/admin.conf
    else
        # Tests run in directories of their own.
        RUNNER_TEST_KUBECONFIG=$(realpath "$RUNNER_TEST_KUBECONFIG")
    fi
}

# --- keys and certificates ---

# kube_cert NAME CN O [EXTENSION]: NAME.pem, NAME-key.pem, for clients and servers alike.
kube_cert() {
    local pki
    pki=$(kube_dir)/pki
    openssl ecparam -name prime256v1 -genkey -noout -out "$pki/$1-key.pem"
    openssl req -new -key "$pki/$1-key.pem" -subj "${3:+/O=$3}/CN=$2" -out "$pki/$1.csr" 2>/dev/null
    openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.pem" -CAkey "$pki/ca-key.pem" -days 3650 \
        -set_serial "0x$(openssl rand -hex 8)" -out "$pki/$1.pem" 2>/dev/null -extfile <(
            printf 'extendedKeyUsage=clientAuth,serverAuth\n%s\n' "${4:-}")
}

kube_pki() {
    local pki address
    pki=$(kube_dir)/pki
    address=$(kube_address)
    mkdir -p "$pki"
    openssl ecparam -name prime256v1 -genkey -noout -out "$pki/ca-key.pem"
    openssl req -x509 -new -key "$pki/ca-key.pem" -subj "/CN=runner test cluster" -days 3650 \
        -out "$pki/ca.pem" 2>/dev/null
    openssl genrsa -out "$pki/service-account-key.pem" 2048 2>/dev/null
    kube_cert apiserver kube-apiserver "" "subjectAltName=IP:$address,IP:127.0.0.1,$(
    )IP:$(kube_service_net).1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default.svc"
    kube_cert kubelet-client kube-apiserver-kubelet-client system:masters
    kube_cert admin admin system:masters
    kube_cert controller-manager system:kube-controller-manager ""
    kube_cert scheduler system:kube-scheduler ""
    kube_cert node system:node:node1 system:nodes "subjectAltName=IP:$address,DNS:node1"
}

# kube_config CERT: a kubeconfig for one of the certificates.
kube_config() {
    local pki
    pki=$(kube_dir)/pki
    cat <<YAML
apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "$(kube_url)", certificate-authority: $pki/ca.pem}}]
contexts: [{name: test, context: {cluster: test, user: $1}}]
users: [{name: $1, user: {client-certificate: $pki/$1.pem, client-key: $pki/$1-key.pem}}]
YAML
}

kube_user() {
    kube_cert "$1" "$2" "${3:-}"
    kube_config "$1"
}

# --- the parts ---

kube_launch() {
    local dir part=$1
    dir=$(kube_dir)
    shift
    launch "$dir/$part.pid" "$dir/$part.log" "$@"
}

kube_etcd() {
    local peers
    peers=http://127.0.0.1:$(kube_port 2)
    kube_launch etcd etcd --data-dir "$(kube_dir)/etcd" --listen-client-urls "$(kube_etcd_url)" \
        --advertise-client-urls "$(kube_etcd_url)" --listen-peer-urls "$peers" \
        --initial-advertise-peer-urls "$peers" --initial-cluster "default=$peers" --unsafe-no-fsync
}

kube_apiserver() {
    local pki
    pki=$(kube_dir)/pki
    kube_launch apiserver "$(kube_bin)/kube-apiserver" --etcd-servers "$(kube_etcd_url)" \
        --bind-address "$(kube_address)" --advertise-address "$(kube_address)" \
        --secure-port "$(kube_port 0)" --insecure-port 0 --cert-dir "$(kube_dir)/apiserver" \
        --tls-cert-file "$pki/apiserver.pem" --tls-private-key-file "$pki/apiserver-key.pem" \
        --client-ca-file "$pki/ca.pem" --authorization-mode Node,RBAC \
        --kubelet-client-certificate "$pki/kubelet-client.pem" \
        --kubelet-client-key "$pki/kubelet-client-key.pem" \
        --kubelet-certificate-authority "$pki/ca.pem" \
        --kubelet-preferred-address-types InternalIP \
        --service-account-issuer https://kubernetes.default.svc \
        --service-account-signing-key-file "$pki/service-account-key.pem" \
        --service-account-key-file "$pki/service-account-key.pem" \
        --service-cluster-ip-range "$(kube_service_net).0/24" --allow-privileged \
        --default-not-ready-toleration-seconds 10 --default-unreachable-toleration-seconds 10
}

kube_controller_manager() {
    local pki
    pki=$(kube_dir)/pki
    kube_launch controller-manager "$(kube_bin)/kube-controller-manager" \
        --kubeconfig "$(kube_dir)/controller-manager.conf" --bind-address 127.0.0.1 \
        --secure-port "$(kube_port 3)" --port 0 --cert-dir "$(kube_dir)/controller-manager" \
        --service-account-private-key-file "$pki/service-account-key.pem" \
        --root-ca-file "$pki/ca.pem" --flex-volume-plugin-dir "$(kube_dir)/plugins" \
        --use-service-account-credentials --leader-elect=false --node-monitor-period 2s \
        --node-monitor-grace-period 12s
}

kube_scheduler() {
    kube_launch scheduler "$(kube_bin)/kube-scheduler" --kubeconfig "$(kube_dir)/scheduler.conf" \
        --bind-address 127.0.0.1 --secure-port "$(kube_port 4)" --port 0 --leader-elect=false \
        --cert-dir "$(kube_dir)/scheduler"
}

# Without cgroups for pods, which kubelets would remove under one another: limits are containers'.
kube_kubelet_config() {
    local pki
    pki=$(kube_dir)/pki
    cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $(kube_address)
port: $(kube_port 5)
healthzPort: 0
tlsCertFile: $pki/node.pem
tlsPrivateKeyFile: $pki/node-key.pem
authentication: {x509: {clientCAFile: $pki/ca.pem}, webhook: {enabled: true}, anonymous: {enabled: false}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
clusterDNS: [$(kube_nameservers | paste -sd ,)]
clusterDomain: cluster.local
cgroupsPerQOS: false
enforceNodeAllocatable: []
featureGates: {DevicePlugins: false}
failSwapOn: false
evictionHard: {}
imageGCHighThresholdPercent: 100
makeIPTablesUtilChains: false
resolvConf: $(kube_dir)/resolv.conf
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
volumeStatsAggPeriod: 5s
nodeStatusUpdateFrequency: 3s
nodeLeaseDurationSeconds: 8
YAML
}

kube_kubelet() {
    local dir host
    dir=$(kube_dir)
    host=$(kube_daemon_host)
    kube_kubelet_config >"$dir/kubelet.yaml"
    # Its own way to the daemon, and no other: the machine may have a docker, too.
    kube_launch kubelet env -u DOCKER_HOST unshare --mount --propagation unchanged \
        "$RUNNER_TEST_ENV/kubelet.sh" "$dir" "$(kube_bin)/kubelet" \
        --config "$dir/kubelet.yaml" --kubeconfig "$dir/node.conf" --hostname-override node1 \
        --node-ip "$(kube_address)" --root-dir "$dir/kubelet" --cert-dir "$dir/kubelet-certs" \
        --volume-plugin-dir "$dir/plugins" --container-runtime docker --docker-endpoint "$host" \
        --experimental-dockershim-root-directory "$dir/dockershim" \
        --container-runtime-endpoint "unix://$dir/dockershim.sock" \
        --docker "$host" --containerd "$(dockerd_dir "$kube_daemon")/containerd/containerd.sock" \
        --pod-infra-container-image runner-test/pause:1 --image-pull-progress-deadline 2m
}

kube_second_node() {
    kube_launch second-node "$RUNNER_TEST_ENV/node.sh" "$(kube_url)" "$(kube_dir)/pki" node2
}

kube_part_start() { ! pidfile_gone "$(kube_dir)/$1.pid" || "kube_${1//-/_}"; }

kube_part_stop() {
    local file pid
    file=$(kube_dir)/$1.pid
    pid=$(pidfile_pid "$file") || die "$1 is not running"
    as_root kill -KILL "$pid"
    wait_until 10 pidfile_gone "$file"
}

# --- the whole ---

kube_get() {
    local pki
    pki=$(kube_dir)/pki
    curl -fsS -m 5 --cacert "$pki/ca.pem" --cert "$pki/admin.pem" --key "$pki/admin-key.pem" \
        "$(kube_url)$1" 2>/dev/null
}

kube_answers() { [[ $(kube_get /readyz) == ok ]]; }

# Ready, and so for the scheduler; the first pods need the account "default" and its token.
kube_node_ready() {
    kube_get /api/v1/nodes/node1 | jq -e '(.spec.taints | not) and
        any(.status.conditions[]?; .type == "Ready" and .status == "True")' >/dev/null &&
        kube_get /api/v1/namespaces/default/serviceaccounts/default | jq -e .secrets >/dev/null
}

# The way to the address of the service "kubernetes": kube_rule -I|-C|-D CHAIN.
kube_rule() {
    as_root iptables -w 30 -t nat "$1" "$2" -d "$(kube_service_net).1" -p tcp --dport 443 \
        -j DNAT --to-destination "$(kube_address):$(kube_port 0)"
}

kube_rules_up() {
    local chain
    for chain in PREROUTING OUTPUT; do
        kube_rule -C "$chain" 2>/dev/null || kube_rule -I "$chain"
    done
}

kube_rules_down() {
    local chain
    for chain in PREROUTING OUTPUT; do
        while kube_rule -D "$chain" 2>/dev/null; do :; done
    done
}

# The logs stay when the environment is stopped.
kube_failed() {
    local part logs=$RUNNER_TEST_CACHE/kubernetes/failed
    rm -rf "$logs"
    mkdir -p "$logs"
    for part in etcd apiserver controller-manager scheduler kubelet; do
        [[ -e $(kube_dir)/$part.log ]] || continue
        cp "$(kube_dir)/$part.log" "$logs"
        ! pidfile_gone "$(kube_dir)/$part.pid" || say "$part has ended"
        grep -m 3 '^F[0-9]\|^panic:\|^fatal error:\|^SIG' "$logs/$part.log" >&2 ||
            tail -n 3 "$logs/$part.log" >&2
    done
    die "$1; the whole logs are in $logs"
}

kube_image() { images_ensure "$(kube_daemon_host)" "$@"; }

# Nameservers that a pod reaches, too: not those on this machine's loopback.
kube_nameservers() {
    local file
    for file in /etc/resolv.conf /run/systemd/resolve/resolv.conf; do
        if awk '$1 == "nameserver" && $2 !~ /^127\.|^::1$/ { print $2; n++ } END { exit !n }' \
            "$file" 2>/dev/null; then
            return
        fi
    done
}

# Volumes of pods are mounted below; these mounts must reach the daemon from the kubelet's namespace.
kube_shared_mount() {
    mkdir -p "$1"
    as_root mount --bind "$1" "$1"
    as_root mount --make-private "$1"
    as_root mount --make-shared "$1"
}

kube_configure() {
    local dir name
    dir=$(kube_dir)
    kube_pki
    for name in controller-manager scheduler node admin; do
        kube_config "$name" >"$dir/$name.conf"
    done
    kube_nameservers | sed 's/^/nameserver /' >"$dir/resolv.conf"
}

kube_start() {
    local dir
    dir=$(kube_dir)
    "$RUNNER_TEST_ENV/packages.sh" kubernetes
    kube_build
    mkdir -p "$dir"
    dockerd_network_up "$kube_daemon"
    kube_configure
    kube_etcd
    kube_apiserver
    dockerd_start "$kube_daemon" kubelet
    touch "$(dockerd_dir "$kube_daemon")/keep"
    dockerd_clean "$kube_daemon"
    # shellcheck disable=SC2154 # of images.sh
    kube_image runner-test/pause:1 "${images_small[@]}" debian:bookworm-slim
    wait_until 120 kube_answers || kube_failed "the apiserver does not answer"
    kube_rules_up
    kube_shared_mount "$dir/kubelet"
    kube_controller_manager
    kube_scheduler
    kube_kubelet
    kube_second_node
    wait_until 120 kube_node_ready || kube_failed "the node does not get ready"
    touch "$dir/ready"
}

kube_job() { echo "$RUNNER_TEST_STATE/kube.job"; }

# In a session of its own, so that what ends the caller does not end it half-way.
kube_begin() {
    if ! kube_own; then
        [[ -r $RUNNER_TEST_KUBECONFIG ]] || die "RUNNER_TEST_KUBECONFIG: cannot read $RUNNER_TEST_KUBECONFIG"
        return
    fi
    local pid
    # shellcheck disable=SC2016
    setsid bash -c 'set -euo pipefail; source "$RUNNER_TEST_ENV/env.sh"; kube_start' \
        >"$RUNNER_TEST_STATE/kube.log" 2>&1 </dev/null &
    pid=$!
    disown
    echo "$pid $(process_start "$pid")" >"$(kube_job)"
}

kube_settled() { [[ -e $(kube_dir)/ready ]] || pidfile_gone "$(kube_job)"; }

# Its limits of time are kube_start's own; a build of the programs has none.
kube_wait() {
    kube_own || return 0
    until kube_settled; do
        sleep 0.1
    done
    if [[ ! -e $(kube_dir)/ready ]]; then
        tail -n 60 "$RUNNER_TEST_STATE/kube.log" >&2 || true
        die "the Kubernetes cluster did not start"
    fi
}

kube_stop() {
    local dir part pid
    dir=$(kube_dir)
    if pid=$(pidfile_pid "$(kube_job)"); then
        kill_tree "$pid"
        wait_until 20 pidfile_gone "$(kube_job)" || say "process $pid (the start of the cluster) does not die"
    fi
    rm -f "$(kube_job)" "$RUNNER_TEST_STATE/kube.log"
    [[ -d $dir ]] || return 0
    # Nothing of it is wanted any more: what would save its state may as well be killed.
    for part in second-node kubelet scheduler controller-manager apiserver etcd; do
        stop_pidfile "$dir/$part.pid" 1
    done
    kube_rules_down
    dockerd_stop "$kube_daemon"
    dockerd_unmount "$dir"
    as_root rm -rf "$dir"
}

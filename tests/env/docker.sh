# shellcheck shell=bash
# Private Docker daemons, as many as a test wants, beside whatever docker the machine has:
# own socket, containerd, data, bridge and subnet, all below $RUNNER_TEST_STATE/docker/NAME.
#
#   dockerd_start NAME [tls|kubelet]
#                              start it, or start it again after dockerd_kill; waits for its answer;
#                              with tls it listens on TCP, too, with kubelet it can serve one
#   dockerd_kill NAME          SIGKILL to dockerd alone, as a crash would; containers stay
#   dockerd_stop NAME          stop it, remove containers, networks, volumes, mounts, bridges
#   dockerd_host NAME          its DOCKER_HOST, unix://…
#   dockerd_tcp NAME           the tcp://… address of one started with tls
#   dockerd_certs NAME         its DOCKER_CERT_PATH
#   dockerd_pid NAME           its pid
#
# dockerd's own firewall rules are global names that a second daemon would flush under the first,
# so it runs with iptables off and gets two FORWARD rules and one MASQUERADE for its subnet here.
# Published ports work through docker-proxy.

dockerd_dir() { echo "$RUNNER_TEST_STATE/docker/$1"; }
dockerd_host() { echo "unix://$(dockerd_dir "$1")/docker.sock"; }
dockerd_certs() { echo "$(dockerd_dir "$1")/certs"; }
dockerd_pid() { pidfile_pid "$(dockerd_dir "$1")/dockerd.pid"; }
dockerd_tcp() { echo "tcp://127.0.0.1:$((23750 + RUNNER_TEST_SLOT * 16 + $(dockerd_index "$1")))"; }
dockerd_bridge() { echo "rtest${RUNNER_TEST_SLOT}d$(dockerd_index "$1")"; }

# Every daemon of a slot has a number, from which its subnet and ports follow.
dockerd_index() {
    local dir
    dir=$(dockerd_dir "$1")
    if [[ ! -s $dir/index ]]; then
        mkdir -p "$dir"
        (
            flock 9
            local used
            used=$(cat "$RUNNER_TEST_STATE"/docker/*/index 2>/dev/null || true)
            for index in {0..15}; do
                grep -qx "$index" <<<"$used" || break
            done
            echo "$index" >"$dir/index"
        ) 9>"$RUNNER_TEST_STATE/docker.lock"
    fi
    cat "$dir/index"
}

# dockerd_net NAME OFFSET: the /20 of the daemon, plus OFFSET in its third byte.
dockerd_net() {
    local base=${RUNNER_TEST_NET_BASE:-216}
    echo "10.$((base + RUNNER_TEST_SLOT)).$(($(dockerd_index "$1") * 16 + $2))"
}

dockerd_rules() {
    local net action=$2
    net=$(dockerd_net "$1" 0).0/20
    as_root iptables -w 30 "$action" FORWARD -s "$net" -j ACCEPT
    as_root iptables -w 30 "$action" FORWARD -d "$net" -j ACCEPT
    as_root iptables -w 30 -t nat "$action" POSTROUTING -s "$net" ! -d "$net" -j MASQUERADE
}

dockerd_network_up() {
    local bridge
    bridge=$(dockerd_bridge "$1")
    if ! ip link show "$bridge" >/dev/null 2>&1; then
        as_root ip link add "$bridge" type bridge
        as_root ip addr add "$(dockerd_net "$1" 0).1/24" dev "$bridge"
    fi
    as_root ip link set "$bridge" up
    dockerd_rules "$1" -C 2>/dev/null || dockerd_rules "$1" -I
}

# The daemon's bridge, and those of networks that it made inside its subnet.
dockerd_network_down() {
    local prefix device address
    prefix=$(dockerd_net "$1" 0)
    while dockerd_rules "$1" -D 2>/dev/null; do :; done
    while read -r _ device _ address _; do
        if dockerd_owns_address "$prefix" "${address%/*}"; then
            as_root ip link del "$device" 2>/dev/null || true
        fi
    done < <(ip -o -4 addr show)
}

# dockerd_owns_address FIRST_THREE_BYTES ADDRESS: is it in the /20 that begins there?
dockerd_owns_address() {
    local -a low address
    IFS=. read -r -a low <<<"$1"
    IFS=. read -r -a address <<<"$2"
    [[ ${address[0]}.${address[1]} == "${low[0]}.${low[1]}" ]] &&
        ((address[2] >= low[2] && address[2] < low[2] + 16))
}

# A kubelet asks for oom_score_adj -998 for what holds a pod, which takes a capability that not every
# root has: runc would end without starting anything.
dockerd_runtime() {
    cat <<'SH'
#!/bin/sh
# runc, without what lowers oom_score_adj.
bundle=.
previous=
for argument; do
    [ "$previous" != --bundle ] || bundle=$argument
    previous=$argument
done
if [ -f "$bundle/config.json" ]; then
    sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$bundle/config.json"
fi
exec runc "$@"
SH
}

dockerd_config() {
    local dir=$1 name=$2 kind=$3
    local hosts="\"unix://$dir/docker.sock\"" more=
    if [[ $kind == tls ]]; then
        "$RUNNER_TEST_ENV/certs.sh" "$dir/certs"
        hosts+=", \"$(dockerd_tcp "$name")\""
        more="\"tlsverify\": true, \"tlscacert\": \"$dir/certs/ca.pem\",
    \"tlscert\": \"$dir/certs/server-cert.pem\", \"tlskey\": \"$dir/certs/server-key.pem\","
    elif [[ $kind == kubelet ]]; then
        dockerd_runtime >"$dir/runtime"
        chmod +x "$dir/runtime"
        more="\"runtimes\": {\"kubelet\": {\"path\": \"$dir/runtime\"}}, \"default-runtime\": \"kubelet\","
    fi
    cat <<JSON
{
    "hosts": [$hosts], $more
    "group": "$(id -gn)",
    "data-root": "$dir/data",
    "exec-root": "$dir/exec",
    "pidfile": "$dir/docker.pid",
    "containerd": "$dir/containerd/containerd.sock",
    "bridge": "$(dockerd_bridge "$name")",
    "default-address-pools": [{"base": "$(dockerd_net "$name" 8).0/21", "size": 26}],
    "iptables": false,
    "ip6tables": false,
    "shutdown-timeout": 5,
    "oom-score-adjust": 0
}
JSON
}

containerd_config() {
    cat <<TOML
version = 2
root = "$1/containerd/data"
state = "$1/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$1/containerd/containerd.sock"
TOML
}

dockerd_answers() {
    [[ $(curl -fsS -m 2 --unix-socket "$1/docker.sock" http://docker/_ping 2>/dev/null) == OK ]]
}

# Answered, or dead: in both cases there is nothing more to wait for.
dockerd_settled() { dockerd_answers "$1" || pidfile_gone "$1/dockerd.pid"; }

dockerd_start() {
    local name=$1 dir
    dir=$(dockerd_dir "$name")
    pidfile_gone "$dir/dockerd.pid" || return 0
    [[ $(as_root iptables -w 30 -S FORWARD) ]] || die "iptables does not work here"
    mkdir -p "$dir/containerd"
    dockerd_network_up "$name"
    if ! pidfile_pid "$dir/containerd.pid" >/dev/null; then
        containerd_config "$dir" >"$dir/containerd.toml"
        launch "$dir/containerd.pid" "$dir/containerd.log" containerd -c "$dir/containerd.toml"
        wait_until 20 test -S "$dir/containerd/containerd.sock" || dockerd_failed "$dir" containerd
    fi
    dockerd_config "$dir" "$name" "${2:-}" >"$dir/daemon.json"
    # A killed dockerd leaves these; its pid may by now belong to somebody else.
    as_root rm -f "$dir/docker.pid" "$dir/docker.sock"
    launch "$dir/dockerd.pid" "$dir/dockerd.log" dockerd --config-file "$dir/daemon.json"
    wait_until 60 dockerd_settled "$dir" || true
    dockerd_answers "$dir" || dockerd_failed "$dir" dockerd
}

dockerd_failed() {
    say "$2 does not answer; the end of $1/$2.log:"
    tail -n 25 "$1/$2.log" >&2
    die "$2 did not start"
}

dockerd_kill() {
    local pid
    pid=$(dockerd_pid "$1") || die "dockerd $1 is not running"
    as_root kill -KILL "$pid"
    wait_until 10 pidfile_gone "$(dockerd_dir "$1")/dockerd.pid"
}

# Containers, networks and volumes go. The test images stay for the next run, and no others: what a
# test that was killed has pulled or built would be there when another expects that it is not. The
# layers from which images are built stay, too.
dockerd_clean() {
    local -x DOCKER_HOST
    DOCKER_HOST=$(dockerd_host "$1")
    unset DOCKER_CONTEXT DOCKER_TLS_VERIFY
    local -a ids
    mapfile -t ids < <(docker ps -aq)
    ((${#ids[@]} == 0)) || docker rm -fv "${ids[@]}" >/dev/null
    docker network prune -f >/dev/null
    mapfile -t ids < <(docker volume ls -q)
    ((${#ids[@]} == 0)) || docker volume rm -f "${ids[@]}" >/dev/null
    mapfile -t ids < <(docker image ls --format '{{.Repository}}:{{.Tag}}' | images_other)
    ((${#ids[@]} == 0)) || docker image rm -f --no-prune "${ids[@]}" >/dev/null
}

dockerd_unmount() {
    local mount
    while read -r mount; do
        as_root umount -l "$mount" 2>/dev/null || true
    done < <(awk -v dir="$1/" 'index($2, dir) == 1 { print $2 }' /proc/self/mounts | sort -r)
}

dockerd_stop() {
    local dir
    dir=$(dockerd_dir "$1")
    [[ -d $dir ]] || return 0
    if dockerd_pid "$1" >/dev/null; then
        # A stopped process (SIGSTOP is one of the tests' faults) would not hear anything.
        as_root kill -CONT "$(dockerd_pid "$1")"
        if dockerd_answers "$dir"; then
            dockerd_clean "$1" || say "dockerd $1 would not remove everything"
        fi
    fi
    stop_pidfile "$dir/dockerd.pid" 15
    stop_pidfile "$dir/containerd.pid" 10
    kill_helpers containerd-shim "-address $dir/containerd/containerd.sock"
    dockerd_unmount "$dir"
    dockerd_network_down "$1"
    as_root rm -rf "$dir/exec" "$dir/containerd/state" "$dir"/*.sock "$dir"/*.log
    # Without an image store worth keeping nothing is kept.
    [[ -e $dir/keep ]] || as_root rm -rf "$dir"
}

dockerd_stop_all() {
    local dir
    for dir in "$RUNNER_TEST_STATE"/docker/*/; do
        [[ ! -d $dir ]] || dockerd_stop "$(basename "$dir")"
    done
}

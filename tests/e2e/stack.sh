#!/usr/bin/env bash
# Stacks of a swarm, with `docker stack` as the witness: what either makes of the files in
# tests/data/stacks must be the same, field by field.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# The daemon without a swarm; tests read this script once more.
export RUNNER_TEST_NO_SWARM=${RUNNER_TEST_NO_SWARM:-${DOCKER_HOST:-}}
export DOCKER_HOST=${RUNNER_TEST_SWARM:-unset}
data=$(cd "$(dirname "$0")/../data/stacks" && pwd)
declare -A case_timeout=([test_interrupted]=120 [test_same_as_docker_stack]=180 [test_deploy]=120 [test_failures]=120
    [test_update_fails]=120)

# What tests make, whatever their result: stacks called t-…, and what is called runner-test-….
sweep() {
    local stack
    for stack in $(docker stack ls --format '{{.Name}}' | grep '^t-' || true); do
        docker stack rm "$stack" >/dev/null 2>&1 || true
    done
    wait_for 60 nothing_left
    # Docker 20.10 leaves the containers of jobs.
    docker container prune -f --filter label=com.docker.stack.namespace >/dev/null
}
# Nothing of any stack. A network that jobs had stays listed by Docker 20.10, although it is gone.
nothing_left() {
    local id
    [[ -z $(docker service ls -q) ]] || return 1
    for id in $(docker network ls -q --filter label=com.docker.stack.namespace); do
        [[ $(docker network rm "$id" 2>&1) == *"not found"* ]] || return 1
    done
    [[ -z $(docker ps -q --filter label=com.docker.stack.namespace) ]]
}

stack() { run "$RUNNER" stack "$@"; }
assert_stack() {
    local code=$1
    shift
    assert_exit "$code" "$RUNNER" stack "$@"
}
services() { docker service ls --format '{{.Name}}' | sort | tr '\n' ' '; }
version_of() { docker service inspect -f '{{.Version.Index}}' "$1"; }
names_of() { docker "$1" ls --filter "label=com.docker.stack.namespace=$2" --format '{{.Name}}' | sort | tr '\n' ' '; }

# --- the witness -------------------------------------------------------------------------------------

# Arguments for the files of a case.
files_of() {
    echo -c "$data/$1/stack.yml"
    [[ ! -e $data/$1/over.yml ]] || echo -c "$data/$1/over.yml"
}

# looks STACK: all that is of a stack, without ids, times and the stack's own name. Files of one secret
# in several places have no order in the witness, nor hosts here.
looks() {
    local filter=label=com.docker.stack.namespace=$1 networks kind
    local -a ids
    networks=$(docker network ls --no-trunc --format '{{.ID}} {{.Name}}' |
        jq -R 'split(" ") | {(.[0]): .[1]}' | jq -s add)
    for kind in service network secret config; do
        mapfile -t ids < <(docker "$kind" ls -q --filter "$filter")
        ((${#ids[@]})) || continue
        docker "$kind" inspect "${ids[@]}" | jq --arg stack "$1" --arg kind "$kind" \
            --argjson networks "$networks" '
            map(if $kind == "network" then
                    del(.Id, .Created, .Containers, .Peers,
                        .Options["com.docker.network.driver.overlay.vxlanid_list"])
                    | if .Labels["com.example.subnet"] then . else del(.IPAM.Config) end
                else .Spec end
                | del(.. | .SecretID?, .ConfigID?)
                | del(.TaskTemplate.ContainerSpec.Privileges.CredentialSpec.Config?)
                | (.TaskTemplate.ContainerSpec.Secrets? // empty) |= sort_by(.SecretName, .File.Name)
                | (.TaskTemplate.ContainerSpec.Hosts? // empty) |= sort
                | if .TaskTemplate.Networks? then
                      .TaskTemplate.Networks |= (map(.Target |= $networks[.]) | sort_by(.Target))
                  else . end
                | walk(if type == "string" then gsub("\\b\($stack)(?=_|$)"; "STACK") else . end))
            | sort_by(.Name) | {($kind): .}'
    done
}

# deploy_all PREFIX COMMAND…: the stack of each case, under PREFIX-CASE; all at once.
deploy_all() {
    local prefix=$1 name
    local -a jobs=()
    shift
    for name in "${cases[@]}"; do
        # shellcheck disable=SC2046
        "$@" $(files_of "$name") "$prefix-$name" >"$prefix-$name.log" 2>&1 ||
            { cat "$prefix-$name.log"; exit 1; } &
        jobs+=("$!")
    done
    for name in "${jobs[@]}"; do
        wait "$name" || fail "$prefix: a stack was not deployed"
    done
    for name in "${cases[@]}"; do
        looks "$prefix-$name" >"$prefix-$name.json"
    done
}

test_same_as_docker_stack() {
    local -a cases
    local name different=
    mapfile -t cases < <(cd "$data" && ls)
    ((${#cases[@]} >= 15)) || fail "there are too few cases"
    # What is made is looked at, not what runs: without a node for tasks both are quick, and the daemon
    # (20.10) has not to remove services whose tasks fail, which can end it.
    trap 'docker node update --availability active "$(docker node ls -q)" >/dev/null' EXIT
    docker node update --availability drain "$(docker node ls -q)" >/dev/null
    docker network create -d overlay runner-test-external >/dev/null
    echo s | docker secret create runner-test-secret - >/dev/null
    echo c | docker config create runner-test-config - >/dev/null
    docker login -u "$RUNNER_TEST_AUTH_USER" --password-stdin "$RUNNER_TEST_AUTH_REGISTRY" \
        <<<"$RUNNER_TEST_AUTH_PASSWORD" >/dev/null 2>&1
    # Names that no earlier test had: see nothing_left.
    local theirs=t-theirs$$ ours=t-ours$$
    # The command of Docker 20.10 knows no jobs in stacks; test_jobs_complete has them anyway.
    # shellcheck disable=SC2046
    if [[ $(docker stack deploy $(files_of jobs) "$theirs-jobs" 2>&1) == *"nknown mode"* ]]; then
        mapfile -t cases < <(printf '%s\n' "${cases[@]}" | grep -vx jobs)
    fi
    deploy_all "$theirs" docker stack deploy --with-registry-auth
    mkdir "$case_dir/home/.docker"
    cp "$case_dir/witness/config.json" "$case_dir/home/.docker/"
    for name in minimal volumes secrets networks; do
        # shellcheck disable=SC2046
        assert_stack 0 deploy --no-wait --with-registry-auth $(files_of "$name") "$theirs-$name"
        assert_contains "$stderr" "0 created, 0 updated," "$name: deployed over theirs"
    done
    sweep
    deploy_all "$ours" "${case_env[@]}" "$RUNNER" stack deploy --no-wait --with-registry-auth
    for name in "${cases[@]}"; do
        [[ -s $theirs-$name.json ]] || fail "$name: the witness has made nothing"
        diff -u "$theirs-$name.json" "$ours-$name.json" || different+=" $name"
    done
    for name in minimal layers secrets; do
        # shellcheck disable=SC2046
        assert_stack 0 deploy --no-wait --with-registry-auth $(files_of "$name") "$ours-$name"
        assert_contains "$stderr" " 0 updated," "$name: deployed again"
    done
    sweep
    docker network rm runner-test-external >/dev/null
    docker secret rm runner-test-secret >/dev/null
    docker config rm runner-test-config >/dev/null
    [[ -z $different ]] || fail "not as docker stack makes it:$different"
}


# --- what is deployed ----------------------------------------------------------------------------------

# service NAME SCRIPT [YAML…]: a service of busybox that is soon taken to be up; YAML goes into `deploy`.
service() {
    local name=$1 script=$2 line
    shift 2
    cat <<YAML
  $name:
    image: busybox:1.36
    command: ["sh", "-c", "$script"]
    stop_grace_period: 0s
    deploy:
YAML
    # Jobs have no updates.
    [[ $* == *-job* ]] || echo "      update_config: {monitor: 1s}"
    for line; do
        echo "      $line"
    done
}

container_of() { docker ps -q --filter "label=com.docker.swarm.service.name=$1" | head -n 1; }

test_deploy() {
    {
        echo "services:"
        service web "sleep 600" "replicas: 2"
        service db "sleep 600"
        printf '%s\n' "    secrets: [key]" "    configs: [settings]" \
            "secrets:" "  key: {environment: STACK_SECRET}" \
            "configs:" "  settings: {content: 'a=1'}"
    } >stack.yml
    export STACK_SECRET='from $outside'
    assert_stack 0 deploy --resolve-image never -c stack.yml t-shop
    assert_contains "$stderr" "creating secret t-shop_key
creating config t-shop_settings
creating network t-shop_default"
    assert_contains "$stderr" "t-shop_web: 2 of 2 tasks run"
    assert_contains "$stderr" "2 created, 0 updated, 0 unchanged, 0 removed"
    assert_eq "t-shop 2" "$(docker stack ls --format '{{.Name}} {{.Services}}')" "docker stack ls"
    assert_eq 'from $outside' "$(docker exec "$(container_of t-shop_db)" cat /run/secrets/key)"
    assert_eq "a=1" "$(docker exec "$(container_of t-shop_db)" cat /settings)"

    local web db
    web=$(version_of t-shop_web) db=$(version_of t-shop_db)
    assert_stack 0 deploy --resolve-image never -c stack.yml t-shop
    assert_contains "$stderr" "0 created, 0 updated, 2 unchanged, 0 removed"
    assert_eq "$web $db" "$(version_of t-shop_web) $(version_of t-shop_db)" "versions"

    sed -i 's/replicas: 2/replicas: 1/' stack.yml
    assert_stack 0 deploy --resolve-image never -c stack.yml t-shop
    assert_contains "$stderr" "updating service t-shop_web"
    assert_contains "$stderr" "0 created, 1 updated, 1 unchanged, 0 removed"
    assert_eq "$db" "$(version_of t-shop_db)" "version of what has not changed"

    assert_stack 0 ps t-shop
    assert_match "$stdout" "t-shop_web\.1 +busybox:1\.36 +[^ ]+ +running +running"
    assert_stack 0 ps t-shop --format json
    assert_eq "t-shop_db.1 running 0 t-shop_web.1 running 0" "$(jq -r \
        '[.[] | select(.desired_state == "running") | .name, .state, .exit_code] | join(" ")' \
        <<<"$stdout")"

    { echo "services:" && service db "sleep 601"; } >less.yml
    assert_stack 0 deploy --resolve-image never -c less.yml t-shop
    assert_eq "t-shop_db t-shop_web " "$(services)" "without --prune"
    assert_stack 0 deploy --resolve-image never --prune -c less.yml t-shop
    assert_contains "$stderr" "removing service t-shop_web"
    assert_contains "$stderr" "0 created, 0 updated, 1 unchanged, 1 removed"
    assert_eq "t-shop_db " "$(services)"

    assert_stack 0 rm t-shop
    # Nodes remove the containers of tasks that are gone.
    wait_for 20 nothing_left
    assert_eq "" "$(names_of secret t-shop)$(names_of config t-shop)"
    assert_stack 1 rm t-shop
    assert_eq 'runner stack rm: there is nothing of a stack "t-shop"' "$stderr"
    assert_stack 1 ps t-shop
}

test_rotation() {
    local first second
    {
        echo "services:"
        service app "sleep 600"
        printf '%s\n' "    secrets: [key]" "    configs: [conf]" \
            "secrets:" "  key: {file: key.txt}" "configs:" "  conf: {file: conf.txt}"
    } >stack.yml
    echo one >key.txt
    echo same >conf.txt
    assert_stack 0 deploy --resolve-image never -c stack.yml t-rot
    assert_eq "t-rot_key " "$(names_of secret t-rot)"

    echo two >key.txt
    assert_stack 0 deploy --resolve-image never -c stack.yml t-rot
    assert_match "$stderr" "creating secret t-rot_key_[0-9a-f]{12}"
    assert_contains "$stderr" "1 updated"
    assert_match "$(names_of secret t-rot)" "^t-rot_key t-rot_key_[0-9a-f]{12} $" "kept for a rollback"
    assert_eq two "$(docker exec "$(container_of t-rot_app)" cat /run/secrets/key)"
    first=$(names_of secret t-rot)
    assert_stack 0 deploy --resolve-image never -c stack.yml t-rot
    assert_contains "$stderr" "0 updated, 1 unchanged"
    assert_eq "$first" "$(names_of secret t-rot)" "deployed again"

    # What stood before the one before is not needed any more.
    echo three >key.txt
    echo other >conf.txt
    assert_stack 0 deploy --resolve-image never -c stack.yml t-rot
    assert_contains "$stderr" "removing secret t-rot_key, which is not used any more"
    assert_eq three "$(docker exec "$(container_of t-rot_app)" cat /run/secrets/key)"
    assert_eq other "$(docker exec "$(container_of t-rot_app)" cat /conf)"
    second=$(names_of secret t-rot)
    assert_match "$second" "^t-rot_key_[0-9a-f]{12} t-rot_key_[0-9a-f]{12} $"
    assert_match "$(names_of config t-rot)" "^t-rot_conf t-rot_conf_[0-9a-f]{12} $"
    assert_stack 0 rm t-rot
    assert_eq "" "$(names_of secret t-rot)$(names_of config t-rot)"
}

# What docker stack leaves out of the same file.
test_more_than_docker_stack() {
    {
        echo "services:"
        service app "sleep 600"
        printf '%s\n' '    tmpfs: ["/t:size=1m,mode=1770", /u]' '    group_add: ["1000"]' \
            '    dns_opt: ["ndots:2"]' '    networks: [n]' 'networks:' \
            '  n: {ipam: {config: [{subnet: 10.212.5.0/24, gateway: 10.212.5.9, ip_range: 10.212.5.128/25}]}}'
    } >stack.yml
    assert_stack 0 deploy --resolve-image never -c stack.yml t-more
    assert_eq '[[{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":1048576,"Mode":1016}},{"Type":"tmpfs","Target":"/u"}],["1000"],["ndots:2"]]' \
        "$(docker service inspect t-more_app | jq -c \
            '.[0].Spec.TaskTemplate.ContainerSpec | [.Mounts, .Groups, .DNSConfig.Options]')"
    assert_eq '[{"Subnet":"10.212.5.0/24","IPRange":"10.212.5.128/25","Gateway":"10.212.5.9"}]' \
        "$(docker network inspect t-more_n | jq -c '.[0].IPAM.Config')"
    assert_contains "$(docker exec "$(container_of t-more_app)" mount)" \
        "tmpfs on /t type tmpfs (rw,nosuid,nodev,noexec,relatime,size=1024k,mode=1770)"
    assert_stack 0 deploy --resolve-image never -c stack.yml t-more
    assert_contains "$stderr" "0 updated, 1 unchanged"
    assert_stack 0 rm t-more
}

# --- bad days ------------------------------------------------------------------------------------------

# in_background NAME COMMAND…: its output is NAME.out, its status NAME.status.
in_background() {
    local name=$1
    shift
    (
        code=0
        "${case_env[@]}" "$@" >"$name.out" 2>&1 || code=$?
        echo "$code" >"$name.status"
    ) &
}
# assert_failed NAME STATUS TEXT…: of a command in the background.
assert_failed() {
    local name=$1 expected=$2 text
    shift 2
    assert_eq "$expected" "$(cat "$name.status")" "status of $name: $(cat "$name.out")"
    for text; do
        assert_contains "$(cat "$name.out")" "$text" "$name"
    done
}

# Each with a stack of its own, side by side.
test_failures() {
    local name
    # Of a busy swarm nobody hears within a second that a task has ended.
    { echo "services:" && service app "echo last words; exit 3" "restart_policy: {condition: none}"; } |
        sed "s/monitor: 1s/monitor: 20s/" >code.yml
    {
        echo "services:"
        service app "echo once more; exit 4" "restart_policy: {delay: 500ms}"
    } | sed "s/monitor: 1s/monitor: 20s/" >again.yml
    { echo "services:" && service app "sleep 600" "restart_policy: {delay: 500ms}"; } |
        sed "s|busybox:1.36|$RUNNER_TEST_REGISTRY/no/such:1|" >image.yml
    { echo "services:" && service app "sleep 600" "placement: {constraints: [node.labels.no==1]}"; } >node.yml
    {
        echo "services:"
        service app "sleep 600" "restart_policy: {condition: none}"
        echo "    healthcheck: {test: 'echo not well; exit 1', interval: 500ms, retries: 1}"
    } >health.yml
    { echo "services:" && service app "exit 5" "mode: replicated-job" "restart_policy: {condition: none}"; } >job.yml
    for name in code again image health; do
        in_background "$name" "$RUNNER" stack deploy --resolve-image never -c "$name.yml" "t-$name"
    done
    in_background job "$RUNNER" stack deploy --resolve-image never -c job.yml "t-job$$"
    in_background node "$RUNNER" stack deploy --resolve-image never -c node.yml t-node
    in_background time "$RUNNER" stack deploy --resolve-image never --timeout 15s -c node.yml t-time
    wait
    assert_failed code 1 "error: t-code_app: a task has failed, and is not started again" \
        "task: non-zero exit (3)" "  | t-code_app: last words" \
        "runner stack deploy: t-code_app: a task has failed"
    assert_failed again 1 "t-again_app: a task has failed 3 times; task t-again_app.1 on " \
        "task: non-zero exit (4)" "  | t-again_app: once more"
    assert_failed image 1 "t-image_app: a task has failed 3 times; task t-image_app.1 on " \
        "No such image: $RUNNER_TEST_REGISTRY/no/such:1"
    assert_failed health 1 "task: non-zero exit" "unhealthy container"
    assert_failed job 1 "t-job$$_app: a task has failed, and is not started again" "(5)"
    assert_failed node 1 "t-node_app: a task has found no node for 20 seconds: no suitable node (scheduling constraints not satisfied on 1 node)"
    assert_failed time 1 "stack deploy timeout after 15 seconds; t-time_app: 0 of 1 tasks run; waiting: no suitable node"
    sweep
}

test_update_fails() {
    local kind
    for kind in rollback pause; do
        { echo "services:" && service app "sleep 600"; } |
            sed "s/monitor: 1s/monitor: 2s, failure_action: $kind/" >"$kind.yml"
        in_background "$kind" "$RUNNER" stack deploy --resolve-image never -c "$kind.yml" "t-$kind"
    done
    wait
    for kind in rollback pause; do
        assert_failed "$kind" 0 "1 created"
        # Of a busy swarm nobody hears soon that a task has ended.
        sed -i 's/sleep 600/exit 6/; s/monitor: 2s/monitor: 20s/' "$kind.yml"
        in_background "$kind" "$RUNNER" stack deploy --resolve-image never -c "$kind.yml" "t-$kind"
    done
    wait
    assert_failed rollback 1 "t-rollback_app: was rolled back to what it was before (rollback completed)" \
        "task: non-zero exit (6)"
    assert_failed pause 1 "t-pause_app: the update is paused (update paused due to failure or early termination of task"
    # The same again goes on with the update, and fails again; the old text is what was there before.
    sed -i 's/exit 6/sleep 600/; s/monitor: 20s/monitor: 2s/' "$kind.yml"
    assert_stack 0 deploy --resolve-image never -c "$kind.yml" "t-$kind"
    assert_stack 0 deploy --resolve-image never -c "$kind.yml" "t-$kind"
    assert_contains "$stderr" "0 updated, 1 unchanged"
    sweep
}

test_jobs_complete() {
    {
        echo "services:"
        service many "exit 0" "mode: replicated-job" "replicas: 3"
        service each "exit 0" "mode: global-job"
        service once "exit 0" "restart_policy: {condition: on-failure}"
    } >jobs.yml
    local name=t-jobs$$
    assert_stack 0 deploy --resolve-image never -c jobs.yml "$name"
    assert_contains "$stderr" "${name}_many: 3 of 3 tasks are complete"
    assert_contains "$stderr" "${name}_each: 1 of 1 tasks are complete"
    assert_stack 0 deploy --resolve-image never -c jobs.yml "$name"
    assert_contains "$stderr" "3 unchanged"
    assert_stack 0 rm "$name"
    sweep
}

test_port_is_taken() {
    local name
    for name in first second; do
        { echo "services:" && service app "sleep 600" && echo '    ports: ["18200:80"]'; } >"$name.yml"
    done
    assert_stack 0 deploy --resolve-image never --no-wait -c first.yml t-first
    assert_stack 1 deploy --resolve-image never -c second.yml t-second
    assert_contains "$stderr" "service t-second_app: "
    assert_contains "$stderr" "port '18200' is already in use by service 't-first_app'"
    sweep
}

test_others_are_not_touched() {
    { echo "services:" && service app "sleep 600" && echo "    secrets: [key]" &&
        printf '%s\n' "secrets:" "  key: {file: stack.yml}"; } >stack.yml
    docker network create -d overlay t-other_default >/dev/null
    assert_stack 1 deploy --resolve-image never -c stack.yml t-other
    assert_contains "$stderr" 'a network "t-other_default" exists that is not of the stack t-other; remove it, or give'
    docker network rm t-other_default >/dev/null
    assert_stack 0 rm t-other
    echo theirs | docker secret create t-other_key - >/dev/null
    assert_stack 1 deploy --resolve-image never -c stack.yml t-other
    assert_contains "$stderr" 'a secret "t-other_key" exists that is not of the stack t-other'
    docker secret rm t-other_key >/dev/null
    docker service create -d --name t-other_app --replicas 0 busybox:1.36 true >/dev/null 2>&1
    assert_stack 1 deploy --resolve-image never -c stack.yml t-other
    assert_contains "$stderr" 'a service "t-other_app" exists that is not of the stack t-other'
    docker service rm t-other_app >/dev/null
    assert_stack 0 rm t-other
}

test_no_manager() {
    { echo "services:" && service app "sleep 600"; } >stack.yml
    assert_stack 3 deploy --docker-host "$RUNNER_TEST_NO_SWARM" -c stack.yml t-none
    assert_contains "$stderr" 'is not part of a swarm; make one with "docker swarm init", or set DOCKER_HOST to a manager of one'
    assert_stack 3 ps --docker-host "$RUNNER_TEST_NO_SWARM" t-none
    assert_stack 3 rm --docker-host unix:///nowhere.sock t-none
    assert_contains "$stderr" "/nowhere.sock"
}

test_invalid() {
    echo 'volumes: {v: {}}' >none.yml
    assert_stack 2 deploy --prune -c none.yml t-none
    assert_contains "$stderr" "there is no service in the files of the stack t-none"
    local text
    { echo "services:" && service app "sleep 600"; } >good.yml
    assert_stack 2 deploy -c good.yml "a b"
    assert_contains "$stderr" '"a b" cannot be the name of a stack'
    assert_stack 2 deploy -c good.yml
    assert_contains "$stderr" "takes the name of one stack: runner stack deploy -c FILE NAME"
    assert_stack 2 what
    assert_eq 'runner stack: there is no "what"; it is deploy, rm or ps' "$stderr"
    # invalid TEXT: what is said of the file on standard input.
    invalid() {
        cat >bad.yml
        assert_stack 2 deploy -c bad.yml t-bad
        assert_contains "$stderr" "$1"
    }
    invalid "service app has no image, and a swarm does not build" <<<'services: {app: {build: .}}'
    invalid "bad.yml:1:" <<<'services: {app: {image: "UPPER:1"}}'
    invalid 'deploy.replicas means nothing for the mode global' \
        <<<'services: {app: {image: x, deploy: {mode: global, replicas: 2}}}'
    invalid 'secret key: the variable NO_SUCH is not set' \
        <<<'{services: {app: {image: x, secrets: [key]}}, secrets: {key: {environment: NO_SUCH}}}'
    invalid 'config big has more than 1024000 bytes' < <(head -c 1024001 /dev/zero | tr '\0' a >big.txt
        echo '{services: {app: {image: x, configs: [big]}}, configs: {big: {file: big.txt}}}')
    invalid 'a swarm takes no range for one target' \
        <<<'services: {app: {image: x, ports: [{target: 80, published: "8000-8010"}]}}'
    invalid '"mem_limit" is not supported: a stack takes limits from deploy.resources' \
        <<<'services: {app: {image: x, mem_limit: 1g}}'
    cat >external.yml <<<'{services: {app: {image: x, secrets: [key]}}, secrets: {key: {external: true}}}'
    assert_stack 1 deploy -c external.yml t-bad
    assert_contains "$stderr" 'there is no secret "key", but "key" is external; make it with "docker secret create"'
    assert_eq "" "$(names_of network t-bad)" "what an invalid file has made"
}

test_registry_credentials() {
    { echo "services:" && service app "sleep 600" "restart_policy: {condition: none}"; } |
        sed "s|busybox:1.36|$RUNNER_TEST_AUTH_REGISTRY/private/busybox:1.36|" >stack.yml
    docker rmi "$RUNNER_TEST_AUTH_REGISTRY/private/busybox:1.36" >/dev/null 2>&1 || true
    docker login -u "$RUNNER_TEST_AUTH_USER" --password-stdin "$RUNNER_TEST_AUTH_REGISTRY" \
        <<<"$RUNNER_TEST_AUTH_PASSWORD" >/dev/null 2>&1
    mkdir "$case_dir/home/.docker"
    cp "$case_dir/witness/config.json" "$case_dir/home/.docker/"
    assert_stack 1 deploy -c stack.yml t-auth
    assert_contains "$stderr" "warning: t-auth_app: no registry told the digest of $RUNNER_TEST_AUTH_REGISTRY/private/busybox:1.36"
    assert_contains "$stderr" "no basic auth credentials"
    assert_contains "$stderr" "No such image"
    assert_stack 0 deploy --with-registry-auth -c stack.yml t-auth
    assert_contains "$stderr" "t-auth_app: 1 of 1 tasks run"
    assert_match "$(docker service inspect -f '{{.Spec.TaskTemplate.ContainerSpec.Image}}' t-auth_app)" \
        "/private/busybox:1.36@sha256:[0-9a-f]{64}$"
    # The digest that is known stays when it is not asked for.
    assert_stack 0 deploy --with-registry-auth --resolve-image changed -c stack.yml t-auth
    assert_contains "$stderr" "0 updated, 1 unchanged"
    assert_stack 0 rm t-auth
}

# While its task stops, which does so only when it is killed here.
interrupted_removal() {
    local task
    task=$(container_of t-int_app)
    spawn "$RUNNER" stack rm t-int
    wait_for 20 grep -q "removing service" "$case_dir/stderr"
    kill -INT "$spawned"
    finish
    docker kill "$task" >/dev/null
}

test_interrupted() {
    { echo "services:" && service app "sleep 600" "placement: {constraints: [node.labels.no==1]}"; } >stack.yml
    spawn "$RUNNER" stack deploy --resolve-image never -c stack.yml t-int
    wait_for 20 grep -q "no suitable node" "$case_dir/stderr"
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status"
    assert_eq "t-int_app " "$(services)" "what was deployed stays"
    assert_contains "$stderr" 'what was done stays: created network t-int_default, created service t-int_app; the next deploy goes on from there, and "runner stack rm t-int" removes the whole stack'
    assert_stack 0 rm t-int
    { echo "services:" && service app "trap : TERM; while :; do sleep 1; done" | sed 's/grace_period: 0s/grace_period: 60s/'; } >stack.yml
    assert_stack 0 deploy --resolve-image never -c stack.yml t-int
    interrupted_removal
    # The node holds the network as long as a task is in it.
    wait_for 20 docker network rm t-int_default
    assert_stack 0 deploy --resolve-image never -c stack.yml t-int
    interrupted_removal
    assert_stack 0 rm t-int
    assert_not_contains "$(docker network ls --format '{{.Name}}')" t-int_default
}

needs_swarm=yes
run_tests "$@"

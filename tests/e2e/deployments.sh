#!/usr/bin/env bash
# Steps with a `service`: what they bring up, how long it stays, and what is left when they fail.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../kube.sh
source "$(dirname "$0")/../kube.sh"
# shellcheck source=../env/env.sh
source "$(dirname "$0")/../env/env.sh"

# shellcheck disable=SC2034 # for run_tests
declare -A case_timeout=([test_lifetimes]=120 [test_manifests_for_a_job]=120 [test_manifests_fail]=120
    [test_stack_that_lasts_and_fails]=120 [test_examples]=180 [test_manifests_of_a_killed_runner]=180 [test_runner_is_killed]=120
    [test_the_daemon_dies_in_mid_deploy]=180 [test_runner_is_killed_while_it_stops_something]=120
    [test_runner_is_killed_while_it_replaces]=120)
# shellcheck disable=SC2034
needs_cluster=shared needs_swarm=yes

fakes=$(cd "$(dirname "$0")/../fake" && pwd)
examples=$(realpath "$(dirname "$0")/../../examples")
# The project, stack or set of this test.
project=p$$

# --- what is there -------------------------------------------------------------------------------

of_project() { docker "$1" ls -q --filter "label=com.docker.compose.project=$project" "${@:2}"; }
nothing_of_project() {
    [[ -z $(of_project container -a)$(of_project network)$(of_project volume) ]]
}
remove_project() {
    of_project container -a | xargs -r docker rm -fv >/dev/null
    of_project network | xargs -r docker network rm >/dev/null
    of_project volume | xargs -r docker volume rm >/dev/null
}

# The keeper of a killed runner has done its work.
no_processes() { [[ -z $(case_processes) ]]; }

# web HEALTH: a Compose file with a server whose health check is that command.
web() {
    cat <<Y
services:
  web:
    image: busybox:1.36
    command: [sh, -c, 'mkdir /www; echo "\$\$WORD" >/www/index.html; exec httpd -f -p 8080 -h /www']
    environment: {WORD: "\${WORD:-nothing}"}
    ports: ["127.0.0.1::8080"]
    volumes: ["data:/data"]
    healthcheck: {test: $1, interval: 200ms, retries: 5000}
volumes: {data: {}}
Y
}

# deploy LIFETIME [KEY]: step lines for p.yaml that deploy compose.yaml.
deploy() {
    printf -- '- name: up\n  id: up\n  service: {type: docker-compose, name: %s, version: v2, config: compose.yaml, lifetime: %s%s}\n' \
        "$project" "$1" "${2:+, $2}"
}

# job: p.yaml of one job of these step lines.
job() { { printf 'name: p\nenvironment: {WORD: hello}\nstages:\n- name: s\n  jobs:\n  - name: j\n    steps:\n' && sed 's/^/    /'; } >p.yaml; }

# --- Compose -------------------------------------------------------------------------------------

test_compose_for_a_job() {
    web '[CMD, wget, -qO-, "http://127.0.0.1:8080/"]' >compose.yaml
    {
        deploy job
        cat <<'Y'
- name: ask
  environment: {ADDRESS: "{{ steps.up.outputs.web_8080 }}"}
  command: |
    wget -qO- "http://$ADDRESS/" || curl -fsS "http://$ADDRESS/"
    echo "$PIPELINE_SERVICE_TYPE $PIPELINE_SERVICE_NAME $PIPELINE_SERVICE_VERSION"
Y
    } | job
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[step(2/2): ask] hello"
    assert_contains "$stdout" "[step(2/2): ask] docker-compose $project v2"
    assert_eq "" "$(of_project container -a)$(of_project network)$(of_project volume)"
}

# Containers of the job reach it by the names of its services.
test_network_of_a_project() {
    web '[CMD, wget, -qO-, "http://127.0.0.1:8080/"]' >compose.yaml
    {
        deploy job
        cat <<Y
- name: ask
  image: busybox:1.36
  network: ${project}_default
  command: wget -qO- http://web:8080/
- name: ask again
  image: busybox:1.36
  network: ${project}_default
  command: wget -qO- http://web:8080/
Y
    } | job
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[step(2/3): ask] hello"
    assert_contains "$stdout" "[step(3/3): ask again] hello"
    nothing_of_project || fail "something is left"
}

test_compose_that_lasts() {
    local before
    trap remove_project EXIT
    web '[CMD, "true"]' >compose.yaml
    deploy persistent | job
    assert_exit 0 "$RUNNER" exec p.yaml
    before=$(of_project container)
    [[ -n $before ]] || fail "it does not last"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "$before" "$(of_project container)" "containers of the second run"
    assert_exit 0 "$RUNNER" reap --all
    assert_eq "$before" "$(of_project container)" "containers after reap"
    assert_eq '{}' "$(docker inspect "$before" | jq -c '.[0].Config.Labels
        | with_entries(select(.key | startswith("dev.runner.run") or startswith("dev.runner.owner")))')"
    remove_project
}

test_lifetimes() {
    web '[CMD, "true"]' >compose.yaml
    cat >p.yaml <<Y
name: p
stages:
- name: first
  jobs:
  - name: up
    steps:
$(deploy stage | sed 's/^/    /')
    - name: pipeline
      service: {type: docker-compose, name: ${project}q, version: v1, config: compose.yaml, lifetime: pipeline}
  - name: look
    depends_on: [up]
    steps: [{name: look, command: "docker ps --format '{{.Names}}'"}]
- name: second
  jobs:
  - name: look
    steps: [{name: look, command: "docker ps --format '{{.Names}}'"}]
Y
    assert_exit 0 "$RUNNER" exec --allow-env DOCKER_HOST p.yaml
    assert_match "$stdout" "stage\(1/2\): first\].*look\] $project-web-1"
    assert_match "$stdout" "stage\(1/2\): first\].*look\] ${project}q-web-1"
    ! grep -q "second.*$project-web-1" <<<"$stdout" || fail "it outlives its stage"
    assert_match "$stdout" "stage\(2/2\): second\].*look\] ${project}q-web-1"
    assert_eq "" "$(docker ps -aq --filter "name=$project")"
}

test_compose_fails() {
    web '[CMD-SHELL, "echo not yet; exit 1"]' | sed 's/retries: 5000/retries: 2/' >compose.yaml
    deploy persistent | job
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr$stdout" "web"
    assert_contains "$stderr$stdout" "unhealthy"
    assert_contains "$stderr$stdout" "not yet"
    nothing_of_project || fail "something is left"
    # What it said is kept, without secrets.
    sed -i 's/exec httpd/echo "it says \$\$WORD"; exec httpd/' compose.yaml
    { printf 'secrets: {WORD: {from: env}}\n' && sed '/^environment/d' p.yaml; } >secret.yaml
    WORD=s3cret-word assert_exit 1 "$RUNNER" exec secret.yaml
    assert_exit 0 "$RUNNER" artifacts get "$(sed -n 's/^run \([a-z0-9]*\) failed.*/\1/p' <<<"$stderr")" --output kept
    assert_eq "it says ***" "$(find kept -name 'web-1.log' -exec cat {} +)"
    # Its time is its own.
    web '[CMD, "false"]' >compose.yaml
    deploy persistent "timeout: 2s" | job
    assert_exit 1 "$RUNNER" exec p.yaml
    nothing_of_project || fail "something is left"
}

# What a person has started is as it was after a deployment over it that fails.
test_compose_puts_back() {
    local before
    trap remove_project EXIT
    web '[CMD, "true"]' >compose.yaml
    deploy persistent | job
    assert_exit 0 "$RUNNER" exec p.yaml
    before=$(of_project container)
    web '[CMD, "false"]' | sed 's/retries: 5000/retries: 2/' >compose.yaml
    printf '  other: {image: "busybox:1.36", command: [sleep, "600"]}\n' >>compose.yaml
    sed -i '/^volumes:/d' compose.yaml
    printf 'volumes: {data: {}}\n' >>compose.yaml
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_eq "$before" "$(of_project container)" "containers"
    assert_eq "$project-web-1 running" "$(docker inspect -f '{{.Name}} {{.State.Status}}' "$before" | sed 's|^/||')"
    remove_project
}

is_starting() { docker ps --filter "label=com.docker.compose.project=$project" | grep -q 'health: starting'; }

test_compose_is_cancelled() {
    web '[CMD, "false"]' >compose.yaml
    deploy persistent | job
    spawn "$RUNNER" exec p.yaml
    wait_for 30 is_starting
    kill -TERM "$spawned"
    finish
    assert_eq 143 "$status"
    assert_contains "$stdout" "Container $project-web-1: Removed"
    nothing_of_project || fail "something is left"
}

# waits FILE: the second deployment of FILE's project says that it does.
waits() {
    grep -q "waits for the deployment \"$project on docker-compose://.*\", which step \"up\" holds (run [0-9a-z]*, process $1)" "$2"
}

test_one_at_a_time() {
    local second status=0
    trap remove_project EXIT
    web '[CMD, "false"]' >compose.yaml
    deploy persistent | job
    spawn "$RUNNER" exec p.yaml
    wait_for 30 is_starting
    # One that goes before it is its turn.
    "${case_env[@]}" "$RUNNER" exec p.yaml >third.out 2>&1 </dev/null &
    second=$!
    wait_for 30 waits "$spawned" third.out
    kill -TERM "$second"
    wait "$second" || status=$?
    assert_eq 143 "$status" "status of the one that was cancelled"
    is_starting || fail "the one that waited has taken it away"
    mkdir other
    web '[CMD, "true"]' >other/compose.yaml
    (cd other && exec "${case_env[@]}" "$RUNNER" exec ../p.yaml --workdir .) >second.out 2>&1 </dev/null &
    second=$!
    wait_for 30 waits "$spawned" second.out
    kill -TERM "$spawned"
    finish
    assert_eq 143 "$status"
    status=0
    wait "$second" || status=$?
    assert_eq 0 "$status" "status of the second: $(cat second.out)"
    assert_eq "$project-web-1" "$(docker ps --format '{{.Names}}' --filter "label=com.docker.compose.project=$project")"
    remove_project
}

test_jobs_with_the_same_project() {
    trap remove_project EXIT
    web '[CMD, "true"]' >compose.yaml
    {
        printf 'name: p\nstages:\n- name: s\n  jobs:\n'
        local name
        for name in a b c d; do
            printf '  - name: %s\n    steps:\n' "$name"
            deploy persistent | sed 's/^/    /'
        done
    } >p.yaml
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq 1 "$(grep -c "Container $project-web-1: Created" <<<"$stdout")" "times it was created"
    remove_project
}

# What cannot be removed is named, and is the next sweep's.
test_what_cannot_be_removed() {
    local kept
    web '[CMD, "false"]' >compose.yaml
    deploy persistent | job
    spawn "$RUNNER" exec p.yaml
    wait_for 30 is_starting
    trap 'chattr -i "$kept"; remove_project' EXIT
    kept=$(docker info -f '{{.DockerRootDir}}')/containers/$(docker ps -q --no-trunc --filter "name=^$project-web-1$")/kept
    touch "$kept"
    chattr +i "$kept"
    kill -TERM "$spawned"
    finish
    assert_eq 143 "$status"
    assert_match "$stderr" "not all that was made for $project could be removed; \"runner reap\" tries it again: container $project-web-1 \\("
    assert_not_contains "$stderr" "tries it again: network"
    chattr -i "$kept"
    trap remove_project EXIT
    assert_exit 0 "$RUNNER" reap
    nothing_of_project || fail "something is left"
}

test_runner_is_killed() {
    local -a ids
    web '[CMD, "false"]' >compose.yaml
    deploy persistent | job
    spawn "$RUNNER" exec p.yaml
    wait_for 30 is_starting
    kill -KILL "$spawned"
    finish
    wait_for 30 nothing_of_project
    wait_for 20 no_processes
    # With its keeper, too.
    spawn "$RUNNER" exec p.yaml
    wait_for 30 is_starting
    mapfile -t ids < <(case_processes)
    kill -KILL "${ids[@]}"
    finish
    assert_exit 0 "$RUNNER" reap
    nothing_of_project || fail "something is left"
}

is_back() { [[ $(of_project container) == "$1" && $(docker inspect -f '{{.Name}}' "$1") == "/$project-web-1" ]]; }

test_runner_is_killed_while_it_replaces() {
    local before
    trap remove_project EXIT
    web '[CMD, "true"]' >compose.yaml
    deploy persistent | job
    assert_exit 0 "$RUNNER" exec p.yaml
    before=$(of_project container)
    web '[CMD, "false"]' >compose.yaml
    spawn "$RUNNER" exec p.yaml
    wait_for 30 is_starting
    ! is_back "$before" || fail "it was not being replaced"
    kill -KILL "$spawned"
    finish
    wait_for 60 is_back "$before"
    wait_for 20 no_processes
    [[ -n $(of_project network) && -n $(of_project volume) ]] || fail "what it needs is not there"
    remove_project
}

is_aside() { docker ps -a --format '{{.Names}}' | grep -q "^[0-9a-f]*_$project-web-1$"; }

stops() { grep -q "Container $project-web-1: Stopping" "$case_dir/stdout"; }

# The daemon goes on with the stop that was asked for, which must not be the last word.
test_runner_is_killed_while_it_stops_something() {
    local before since
    trap remove_project EXIT
    cat >compose.yaml <<'Y'
services:
  web: {image: "busybox:1.36", command: [sleep, "600"], stop_grace_period: 8s}
Y
    deploy persistent | job
    assert_exit 0 "$RUNNER" exec p.yaml
    before=$(of_project container --no-trunc)
    since=$(docker inspect -f '{{.State.StartedAt}}' "$before")
    sed -i 's/600/601/' compose.yaml
    spawn "$RUNNER" exec p.yaml
    wait_for 30 stops
    kill -KILL "$spawned"
    finish
    wait_for 60 no_processes
    is_running "$before" || fail "it does not run"
    [[ $(docker inspect -f '{{.State.StartedAt}}' "$before") != "$since" ]] || fail "the stop is still to come"
    remove_project
}

# Before there is anything that takes its place.
test_runner_is_killed_while_it_makes_room() {
    local before
    trap remove_project EXIT
    cat >compose.yaml <<'Y'
services:
  web: {image: "busybox:1.36", command: [sleep, "600"], stop_signal: KILL}
  slow: {image: "busybox:1.36", command: [sleep, "600"], stop_grace_period: 8s}
Y
    deploy persistent | job
    assert_exit 0 "$RUNNER" exec p.yaml
    before=$(docker ps -q --filter "name=^$project-web-1$")
    # Its network can only be made anew when all have left it.
    printf 'networks: {default: {labels: {new: "yes"}}}\n' >>compose.yaml
    spawn "$RUNNER" exec p.yaml
    wait_for 30 is_aside
    kill -KILL "$spawned"
    finish
    wait_for 30 is_running "$before"
    wait_for 20 no_processes
    remove_project
}

# What has left it is in it again, under its names.
test_runner_is_killed_after_a_network_was_made_anew() {
    local before
    trap remove_project EXIT
    cat >compose.yaml <<'Y'
services:
  web:
    image: busybox:1.36
    command: [sleep, "600"]
    stop_signal: KILL
    networks: {n: {aliases: [also], ipv4_address: 10.197.91.10}}
networks: {n: {ipam: {config: [{subnet: 10.197.91.0/24}]}}}
Y
    deploy persistent | job
    assert_exit 0 "$RUNNER" exec p.yaml
    before=$(docker ps -q --filter "name=^$project-web-1$")
    sed -i -e 's/n: {ipam/n: {labels: {new: "yes"}, ipam/' \
        -e 's/^    stop_signal/    healthcheck: {test: "false", interval: 200ms, retries: 1000}\n&/' compose.yaml
    spawn "$RUNNER" exec p.yaml
    wait_for 30 is_starting
    kill -KILL "$spawned"
    finish
    wait_for 60 is_running "$before"
    wait_for 30 no_processes
    assert_match "$(docker inspect -f "{{with .NetworkSettings.Networks.${project}_n}}{{.IPAddress}} {{.Aliases}}{{end}}" \
        "$before")" '^10\.197\.91\.10 \[.*also.*\]$'
    remove_project
}

# Between the end of the old network and the new one.
test_runner_is_killed_before_a_network_is_made_anew() {
    local before
    trap remove_project EXIT
    cat >compose.yaml <<'Y'
services:
  web:
    image: busybox:1.36
    command: [sleep, "600"]
    stop_signal: KILL
    networks: {n: {ipv4_address: 10.197.94.10}}
networks: {n: {ipam: {config: [{subnet: 10.197.94.0/24}]}}}
Y
    deploy persistent | job
    assert_exit 0 "$RUNNER" exec p.yaml
    before=$(docker ps -q --filter "name=^$project-web-1$")
    sed -i 's/10.197.94/10.197.95/' compose.yaml
    # The request is not passed on.
    mkfifo hold
    python3 "$fakes/tapped_socket.py" "$PWD/socket" "${DOCKER_HOST#unix://}" 'POST .*/networks/create' \
        'until [ -s pid ]; do sleep 0.1; done; kill -KILL "$(cat pid)"; false' <hold >tapped 2>&1 &
    exec 9>hold
    wait_for 20 grep -q ready tapped
    spawn "$RUNNER" exec --docker-host "unix://$PWD/socket" p.yaml
    echo "$spawned" >pid
    finish
    assert_eq 137 "$status" "exit status"
    wait_for 30 no_processes
    exec 9>&-
    is_running "$before" || fail "it does not run"
    assert_eq 10.197.94.10 "$(docker inspect -f "{{.NetworkSettings.Networks.${project}_n.IPAddress}}" "$before")"
    remove_project
}

test_what_was_replaced_cannot_be_removed() {
    local before kept
    trap 'chattr -i "$kept"; remove_project' EXIT
    cat >compose.yaml <<'Y'
services:
  web: {image: "busybox:1.36", command: [sleep, "600"], stop_signal: KILL}
  other: {image: "busybox:1.36", command: [sleep, "600"], stop_signal: KILL}
Y
    deploy persistent | job
    assert_exit 0 "$RUNNER" exec p.yaml
    before=$(docker inspect -f '{{.Id}}' "$project-web-1")
    kept=$(docker info -f '{{.DockerRootDir}}')/containers/$before/kept
    touch "$kept"
    chattr +i "$kept"
    sed -i 's/600/601/' compose.yaml
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stderr$stdout" "warning: all is up, but"
    assert_eq "$project-other-1 $project-web-1" "$(docker ps --format '{{.Names}}' | sort | paste -sd ' ')"
    chattr -i "$kept"
    trap remove_project EXIT
    remove_project
}

is_running() { [[ $(docker inspect -f '{{.Name}} {{.State.Status}}' "$1") == "/$project-web-1 running" ]]; }

has_unready() { docker ps --format '{{.Names}} {{.Status}}' | grep -q "^$project-gate-1.*health: starting"; }

# Somebody else was faster.
test_name_that_is_taken_meanwhile() {
    local theirs
    trap remove_project EXIT
    cat >compose.yaml <<'Y'
services:
  web: {image: "busybox:1.36", command: [sleep, "600"], stop_signal: KILL}
Y
    deploy persistent | job
    assert_exit 0 "$RUNNER" exec p.yaml
    # `late` waits for `web`, which waits until `gate` is healthy.
    cat >compose.yaml <<'Y'
services:
  gate:
    image: busybox:1.36
    command: [sleep, "600"]
    stop_signal: KILL
    healthcheck: {test: [CMD, test, -e, /open], interval: 200ms, retries: 500}
  web: {image: "busybox:1.36", command: [sleep, "601"], stop_signal: KILL, depends_on: {gate: {condition: service_healthy}}}
  late: {image: "busybox:1.36", command: [sleep, "600"], depends_on: [web]}
Y
    spawn "$RUNNER" exec p.yaml
    wait_for 30 has_unready
    theirs=$(docker create --name "$project-late-1" busybox:1.36 true)
    docker exec "$project-gate-1" touch /open
    finish
    assert_eq 1 "$status"
    docker inspect "$theirs" >/dev/null || fail "what somebody else has made is removed"
    docker rm "$theirs" >/dev/null
    assert_eq "$project-web-1 Up" "$(docker ps -a --format '{{.Names}} {{.Status}}' | grep "^$project" | cut -d' ' -f1,2)"
    remove_project
}

test_config_that_is_wrong() {
    job <<Y
- name: up
  service: {type: docker-compose, name: $project, version: v2, config: none.yaml}
Y
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "none.yaml"
    printf 'services:\n  web:\n    imagee: x\n' >compose.yaml
    deploy persistent | job
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr$stdout" "compose.yaml:3:5"
    assert_contains "$stderr$stdout" 'did you mean "image"'
    job <<Y
- name: up
  engine: kubernetes
  service: {type: docker-compose, name: $project, version: v2, config: compose.yaml}
Y
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "write engine: host at the step"
}

# --- stacks --------------------------------------------------------------------------------------

# stack LIFETIME COMMAND: p.yaml that deploys a stack with one service that runs it.
stack() {
    job <<Y
- name: up
  id: up
  service:
    type: docker-swarm
    name: $project
    version: v1
    lifetime: $1
    timeout: 60s
    config: |
      services:
        web: {image: "busybox:1.36", command: [sh, -c, "$2"], ports: ["18${RUNNER_TEST_SLOT}80:8080", "9090"], stop_grace_period: 1s, secrets: [word]}
      secrets: {word: {environment: WORD}}
- name: look
  environment:
    ADDRESS: "{{ steps.up.outputs.web_8080 }}"
    CHOSEN: "{{ steps.up.outputs.web_9090 }}"
    DOCKER_HOST: "$RUNNER_TEST_SWARM"
  command: docker service ls --format '{{.Name}} {{.Replicas}}'; echo "\$ADDRESS; \$PIPELINE_SERVICE_TYPE; \$CHOSEN"
Y
}

of_stack() { for kind in service network secret; do DOCKER_HOST=$RUNNER_TEST_SWARM docker $kind ls -q --filter "label=com.docker.stack.namespace=$project"; done; }
nothing_of_stack() { [[ -z $(of_stack) ]]; }
remove_stack() { DOCKER_HOST=$RUNNER_TEST_SWARM docker stack rm "$project" >/dev/null 2>&1 || true; }

test_stack_for_a_job() {
    stack job "exec sleep 600"
    assert_exit 0 "$RUNNER" exec --docker-host "$RUNNER_TEST_SWARM" p.yaml
    assert_contains "$stdout" "] ${project}_web 1/1"
    assert_match "$stdout" "\] 127\.0\.0\.1:18${RUNNER_TEST_SLOT}80; docker-swarm; 127\.0\.0\.1:[1-9][0-9]+"
    nothing_of_stack || fail "something is left: $(of_stack)"
}

test_stack_that_lasts_and_fails() {
    local before
    trap remove_stack EXIT
    stack persistent "echo it begins; exit 3"
    assert_exit 1 "$RUNNER" exec --docker-host "$RUNNER_TEST_SWARM" p.yaml
    assert_contains "$stderr$stdout" "${project}_web"
    assert_contains "$stdout" "service ${project}_web: removed"
    nothing_of_stack || fail "something is left: $(of_stack)"
    assert_exit 0 "$RUNNER" artifacts get latest --output kept
    assert_contains "$(find kept -name "${project}_web.log" -exec cat {} +)" "it begins"
    # Of a terminal there are no frames.
    stack persistent "echo it begins again; exit 3"
    sed -i 's/web: {/web: {tty: true, /' p.yaml
    assert_exit 1 "$RUNNER" exec --docker-host "$RUNNER_TEST_SWARM" p.yaml
    assert_exit 0 "$RUNNER" artifacts get latest --output again
    assert_contains "$(find again -name "${project}_web.log" -exec cat {} +)" "it begins again"
    stack persistent "exec sleep 600"
    assert_exit 0 "$RUNNER" exec --docker-host "$RUNNER_TEST_SWARM" p.yaml
    before=$(of_stack)
    assert_eq 3 "$(wc -l <<<"$before")" "objects of the stack"
    assert_exit 0 "$RUNNER" exec --docker-host "$RUNNER_TEST_SWARM" p.yaml
    assert_exit 0 "$RUNNER" reap --docker-host "$RUNNER_TEST_SWARM" --all
    assert_eq "$before" "$(of_stack)" "objects of the stack afterwards"
    remove_stack
}

swarm() { DOCKER_HOST=$RUNNER_TEST_SWARM docker "$@"; }
remove_theirs() {
    swarm service rm "${project}_web" >/dev/null 2>&1 || true
    swarm secret rm "${project}_word" >/dev/null 2>&1 || true
}

test_names_that_are_taken_in_a_swarm() {
    trap remove_theirs EXIT
    swarm secret create "${project}_word" - <<<theirs >/dev/null
    stack persistent "exec sleep 600"
    assert_exit 1 "$RUNNER" exec --docker-host "$RUNNER_TEST_SWARM" p.yaml
    assert_contains "$stderr" "a secret \"${project}_word\" exists that is not of the stack"
    swarm secret inspect "${project}_word" >/dev/null || fail "their secret is removed"
    swarm secret rm "${project}_word" >/dev/null
    swarm service create --detach --name "${project}_web" --replicas 0 busybox:1.36 sleep 600 >/dev/null
    assert_exit 1 "$RUNNER" exec --docker-host "$RUNNER_TEST_SWARM" p.yaml
    assert_contains "$stderr" "a service \"${project}_web\" exists that is not of the stack"
    swarm service inspect "${project}_web" >/dev/null || fail "their service is removed"
    nothing_of_stack || fail "something is left: $(of_stack)"
    remove_theirs
}

# on_no_node: what p.yaml deploys is waited for as long as it takes, as no node will do.
on_no_node() {
    sed -i 's/stop_grace_period: 1s/&, deploy: {placement: {constraints: ["node.labels.none == yes"]}}/; s/timeout: 60s/timeout: 1h/' p.yaml
}

has_service() { [[ $(of_stack | wc -l) == 3 ]]; }

test_stack_of_a_killed_runner() {
    trap remove_stack EXIT
    stack persistent "sleep 600"
    on_no_node
    spawn "$RUNNER" exec --docker-host "$RUNNER_TEST_SWARM" p.yaml
    wait_for 30 has_service
    kill -KILL "$spawned"
    finish
    wait_for 60 nothing_of_stack
    wait_for 20 no_processes
}

# A swarm of this test alone.
dying() { DOCKER_HOST=$(dockerd_host "dying-$script") docker "$@"; }
of_dying() { for kind in service network secret; do dying $kind ls -q --filter "label=com.docker.stack.namespace=$project"; done; }
has_dying_service() { [[ $(of_dying | wc -l) == 3 ]]; }
nothing_of_dying() { [[ -z $(of_dying) ]]; }

test_the_daemon_dies_in_mid_deploy() {
    local -a ids
    swarm_begin "dying-$script"
    trap 'swarm_leave "dying-$script"; dockerd_stop "dying-$script" >/dev/null 2>&1' EXIT
    stack persistent "sleep 600"
    on_no_node
    spawn "$RUNNER" exec --docker-host "$(dockerd_host "dying-$script")" p.yaml
    wait_for 60 has_dying_service
    dockerd_kill "dying-$script"
    wait_for 60 grep -q "$project is removed when it answers" "$case_dir/stderr"
    swarm_again "dying-$script"
    finish
    [[ $status == [13] ]] || fail "status $status"
    assert_match "$stderr" 'Docker'
    nothing_of_dying || fail "something is left: $(of_dying)"
    # The runner, and who watches over it, go with it.
    spawn "$RUNNER" exec --docker-host "$(dockerd_host "dying-$script")" p.yaml
    wait_for 60 has_dying_service
    dockerd_kill "dying-$script"
    mapfile -t ids < <(case_processes)
    kill -KILL "${ids[@]}"
    finish
    swarm_again "dying-$script"
    has_dying_service || fail "there is nothing to be removed"
    assert_exit 0 "$RUNNER" reap
    nothing_of_dying || fail "something is left: $(of_dying)"
}

test_no_swarm() {
    stack persistent "sleep 600"
    assert_exit 3 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "swarm"
}

# --- manifests -----------------------------------------------------------------------------------

# manifests COMMAND: a Deployment that runs it, a Service, and a ConfigMap with a word of the step.
manifests() {
    cat <<Y
apiVersion: v1
kind: ConfigMap
metadata: {name: words}
data: {word: "\${WORD}", price: "\$\$5", ip: "\$(POD_IP)", lost: "a\$no_such", none: "\${NO_SUCH:-}"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: "busybox:1.36", command: [sh, -c, "$1"]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
Y
}

apply() {
    printf -- '- name: up\n  id: up\n  service: {type: kubernetes, name: %s, version: v2, config: k.yaml, lifetime: %s%s}\n' \
        "$project" "$1" "${2:+, $2}"
}

objects() { kube get deployments,services,configmaps -o name | grep -v kube-root-ca | sort; }
only_words() { [[ $(objects) == configmap/words ]]; }
no_objects() { [[ -z $(objects) ]]; }

test_manifests_for_a_job() {
    namespace_take
    manifests "exec sleep 600" >k.yaml
    {
        apply job
        cat <<'Y'
- name: look
  command: |
    echo "web is at {{ steps.up.outputs.web_80 }}"
    echo "at $ADDRESS; $PIPELINE_SERVICE_TYPE"
    until test -e seen; do sleep 0.1; done
  environment: {ADDRESS: "{{ steps.up.outputs.web_80 }}"}
Y
    } | job
    spawn "$RUNNER" exec "${cluster[@]}" p.yaml
    wait_for 60 kube get configmap words
    kube get configmap words -o json | jq -c .data >words
    touch seen
    finish
    assert_eq 0 "$status"
    assert_eq '{"ip":"$(POD_IP)","lost":"a","none":"","price":"$5","word":"hello"}' "$(jq -Sc . words)"
    assert_match "$stderr" "warning: $PWD/k.yaml:4: the variable no_such is not set and becomes empty; write"
    assert_not_contains "$stderr" "NO_SUCH"
    assert_match "$stdout" '\[step\(2/2\): look\] at [0-9.]+:80; kubernetes'
    wait_for 30 no_objects
}

test_manifests_that_last() {
    namespace_take
    manifests "exec sleep 600" >k.yaml
    apply persistent | job
    assert_exit 0 "$RUNNER" exec "${cluster[@]}" p.yaml
    assert_eq "configmap/runner-$project configmap/words deployment.apps/web service/web" "$(objects | paste -sd ' ')"
    assert_exit 0 "$RUNNER" exec "${cluster[@]}" p.yaml
    assert_contains "$stdout" "unchanged"
    assert_exit 0 "$RUNNER" reap "${cluster[@]}"
    assert_eq "configmap/runner-$project configmap/words deployment.apps/web service/web" "$(objects | paste -sd ' ')"
    # What is empty by mistake takes nothing away.
    echo '# nothing' >k.yaml
    apply persistent "prune: true" | job
    assert_exit 1 "$RUNNER" exec "${cluster[@]}" p.yaml
    assert_contains "$stderr" "k.yaml has no objects in it"
    # What the set no longer has goes, and nothing else.
    manifests "exec sleep 600" | sed '/^---/,/^---/!d; /^---/d' >deployment.yaml
    mv deployment.yaml k.yaml
    apply persistent "prune: true" | job
    assert_exit 0 "$RUNNER" exec "${cluster[@]}" p.yaml
    assert_eq "configmap/runner-$project deployment.apps/web" "$(objects | paste -sd ' ')"
}

apply_in_limit() {
    apply persistent "timeout: ${limit}s" | job
    assert_exit 1 "$RUNNER" exec "${cluster[@]}" p.yaml
}

test_manifests_fail() {
    local -a limits=(5 15 45)
    namespace_take
    kube create configmap words --from-literal=mine=yes >/dev/null
    manifests "exit 3" >k.yaml
    in_time '[[ $stdout$stderr == *deployment.apps/web* ]]' apply_in_limit
    assert_contains "$stdout$stderr" "deployment.apps/web"
    # What was there before stays.
    wait_for 30 only_words
}

test_logs_of_manifests_are_kept() {
    namespace_take
    cat >k.yaml <<'Y'
apiVersion: batch/v1
kind: Job
metadata: {name: task}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      initContainers: [{name: first, image: "busybox:1.36", command: [echo, "it begins"]}]
      containers: [{name: main, image: "busybox:1.36", command: [sh, -c, "echo it says ${WORD}; exit 3"]}]
Y
    apply persistent | job
    { printf 'secrets: {WORD: {from: env}}\n' && sed '/^environment/d' p.yaml; } >secret.yaml
    WORD=s3cret-word assert_exit 1 "$RUNNER" exec "${cluster[@]}" secret.yaml
    assert_exit 0 "$RUNNER" artifacts get latest --output kept
    assert_eq "it says ***" "$(find kept -name 'task-*.main.log' -exec cat {} +)"
    assert_eq "it begins" "$(find kept -name 'task-*.first.log' -exec cat {} +)"
    wait_for 30 no_objects
}

test_manifests_of_a_killed_runner() {
    namespace_take
    manifests "exit 3" >k.yaml
    apply persistent | job
    spawn "$RUNNER" exec "${cluster[@]}" p.yaml
    wait_for 60 kube get service web
    kill -KILL "$spawned"
    finish
    wait_for 60 no_objects
    wait_for 20 no_processes
}

test_examples() {
    namespace_take
    assert_exit 0 "$RUNNER" exec "${cluster[@]}" "$examples/manifests.yaml"
    assert_match "$stdout" 'tell\] the site is at [0-9.]+:80 in the cluster'
    wait_for 30 no_objects
    assert_exit 0 "$RUNNER" exec --docker-host "$RUNNER_TEST_SWARM" "$examples/stack.yaml"
    assert_contains "$stdout" "tell] runner-example runs"
}

run_tests "$@"

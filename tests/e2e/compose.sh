#!/usr/bin/env bash
# Compose projects on a daemon: up, down, ps, logs, and what happens on bad days.
source "$(dirname "$0")/../lib.sh"
source "$(dirname "$0")/../env/env.sh"

fakes=$(cd "$(dirname "$0")/../fake" && pwd)
declare -A case_timeout=([test_killed_in_mid_up]=120 [test_the_daemon_dies_in_mid_up]=120 [test_builds]=120)

# file SERVICES…: compose.yaml of project p; each argument is a line of it below `services:`.
file() {
    printf 'name: p\nservices:\n' >compose.yaml
    printf '  %s\n' "$@" >>compose.yaml
}

# Ends at once when it is told to.
sleeper='image: busybox:1.36, init: true, command: sleep 1000'

up() { assert_exit 0 "$RUNNER" compose up "$@"; }
down() { assert_exit 0 "$RUNNER" compose down -v "$@"; }
# Ids and names of the project's containers: "a-1 ID", sorted.
ids() {
    docker ps -a --no-trunc --filter label=com.docker.compose.project=p --format '{{.Names}} {{.ID}}' | sort
}
names() { ids | cut -d ' ' -f 1 | paste -sd ' '; }
# state CONTAINER
state() { docker inspect --format '{{.State.Status}}' "$1"; }
is_exited() { [[ $(state "$1") == exited ]]; }

test_up_and_down() {
    echo secret >token
    cat >compose.yaml <<'EOF'
name: p
services:
  db:
    image: busybox:1.36
    init: true
    command: sh -c 'sleep 0.5; touch /ready; sleep 1000'
    healthcheck: {test: [CMD, test, -e, /ready], interval: 300ms, retries: 50}
    volumes: [data:/data]
  migrate:
    image: busybox:1.36
    command: sh -c 'test -e /data && echo migrated | tee /data/done'
    volumes: [data:/data]
    depends_on: {db: {condition: service_healthy}}
  web:
    image: busybox:1.36
    init: true
    command: sh -c 'cp /data/done /tmp/www; exec httpd -f -p 80 -h /tmp'
    volumes: [data:/data:ro]
    environment: {NAME: value}
    ports: ["127.0.0.1::80"]
    networks: {default: {aliases: [www]}, back: {}}
    depends_on: {migrate: {condition: service_completed_successfully}}
    secrets: [token]
    configs: [{source: settings, target: /etc/settings, uid: "5", mode: 0440}]
secrets: {token: {file: ./token}}
configs: {settings: {content: "x=1\n"}}
volumes: {data: }
networks: {back: {internal: true}}
EOF
    up
    assert_eq "p-db-1 p-migrate-1 p-web-1" "$(names)"
    local port
    port=$(docker port p-web-1 80)
    # Nothing says when it listens.
    wait_for 20 curl -fsS -o answer "http://$port/www"
    assert_eq migrated "$(cat answer)" "answer"
    assert_eq "secret x=1 5 440 value" "$(docker exec p-web-1 sh -c \
        'echo $(cat /run/secrets/token /etc/settings) $(stat -c "%u %a" /etc/settings) $NAME')"
    docker run --rm --network p_back busybox:1.36 ping -c 1 www >/dev/null 2>&1 &&
        fail "the alias is in a network that has not got it"
    docker run --rm --network p_default busybox:1.36 wget -q -O /dev/null http://www/www

    assert_exit 0 "$RUNNER" compose ps -a --format json
    assert_eq "db running healthy 0,migrate exited  0,web running  0" \
        "$(jq -rs 'map("\(.Service) \(.State) \(.Health) \(.ExitCode)") | join(",")' <<<"$stdout")"
    assert_exit 0 "$RUNNER" compose ps
    assert_not_contains "$stdout" migrate
    assert_match "$stdout" 'p-web-1 .* 127.0.0.1:[0-9]+->80/tcp'
    assert_exit 0 "$RUNNER" compose -p p logs migrate
    assert_eq "migrate-1  | migrated" "$stdout"
    down
    assert_not_contains "$(docker volume ls -q)" p_data
}

test_only_what_changed_is_replaced() {
    file "a: {$sleeper, volumes: [/anonymous]}" "b: {$sleeper, depends_on: [a]}"
    up
    docker exec p-a-1 sh -c 'echo kept >/anonymous/file'
    ids >before
    up
    assert_eq "$(cat before)" "$(ids)"
    assert_eq "" "$stderr" "what an up without changes says"
    file "a: {$sleeper, volumes: [/anonymous], environment: {NEW: '1'}}" "b: {$sleeper, depends_on: [a]}"
    up
    assert_eq "$(grep p-b-1 before)" "$(ids | grep p-b-1)"
    assert_eq 2 "$(ids | wc -l)" "containers"
    assert_not_contains "$(ids)" "$(grep p-a-1 before)"
    assert_eq "kept 1" "$(docker exec p-a-1 sh -c 'echo $(cat /anonymous/file) $NEW')"
    up --force-recreate
    assert_not_contains "$(ids)" "$(grep p-b-1 before)"
    assert_eq kept "$(docker exec p-a-1 cat /anonymous/file)"
    local volumes
    volumes=$(docker inspect --format '{{range .Mounts}}{{.Name}}{{end}}' p-a-1)
    down
    assert_not_contains "$(docker volume ls -q)" "$volumes"
}

# What a file asked for before and does not now is not in the new container.
test_volumes_that_are_not_in_the_file_any_more() {
    local image='build: {context: ., dockerfile_inline: "FROM busybox:1.36\nVOLUME /of-image/\n"}, init: true, command: sleep 1000'
    file "a: {$sleeper, volumes: [data:/data, /one, /two]}" "b: {$sleeper, volumes_from: [a]}" "c: {$image}"
    echo 'volumes: {data: {}}' >>compose.yaml
    up
    docker exec p-a-1 touch /one/kept
    docker exec p-c-1 touch /of-image/kept
    file "a: {$sleeper, volumes: [/one]}" "b: {$sleeper}" "c: {$image, environment: {NEW: 1}}"
    up
    assert_eq "kept" "$(docker exec p-c-1 sh -c 'test $NEW && ls /of-image')"
    assert_eq "/one" "$(docker inspect --format '{{range .Mounts}}{{.Destination}}{{end}}' p-a-1)"
    assert_eq "kept" "$(docker exec p-a-1 ls /one)"
    assert_eq "" "$(docker inspect --format '{{range .Mounts}}{{.Destination}}{{end}}' p-b-1)"
    down --rmi local
    docker volume rm p_data >/dev/null
}

# Although they were made as the project's own.
test_down_keeps_what_is_not_the_files() {
    file "a: {$sleeper, volumes: ['ext:/e', 'gone:/g', 'unused:/u', 'own:/o'], networks: [default, net]}"
    echo 'volumes: {ext: {}, gone: {}, unused: {}, own: {}}
networks: {net: {}}' >>compose.yaml
    up
    file "a: {$sleeper, volumes: ['ext:/e', 'own:/o'], networks: [default, net]}"
    echo 'volumes: {ext: {external: true, name: p_ext}, unused: {}, own: {}}
networks: {net: {external: true, name: p_net}}' >>compose.yaml
    down
    assert_eq "p_ext p_gone p_unused" "$(docker volume ls -q --filter name=^p_ | sort | paste -sd ' ')"
    assert_eq p_net "$(docker network ls --filter name=^p_ --format '{{.Name}}')"
    assert_exit 0 "$RUNNER" compose -p p down -v
    assert_eq "" "$(docker volume ls -q --filter name=^p_)$(docker network ls -q --filter name=^p_)"
}

test_a_paused_service() {
    file "a: {$sleeper}"
    up
    docker pause p-a-1 >/dev/null
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" 'service "a" is not up: container p-a-1 is paused; unpause it'
    docker unpause p-a-1 >/dev/null
    up
    down
}

test_security_options() {
    echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}' >profile.json
    file "a: {$sleeper, security_opt: ['seccomp=./profile.json']}" "b: {$sleeper, security_opt: ['systempaths=unconfined']}"
    up
    assert_exit 1 docker exec p-a-1 mkdir /none
    assert_contains "$stderr" "Operation not permitted"
    assert_eq '[] []' "$(docker inspect --format '{{json .HostConfig.MaskedPaths}} {{json .HostConfig.ReadonlyPaths}}' p-b-1)"
    ids >before
    echo '{' >profile.json
    file "a: {$sleeper, security_opt: ['seccomp:profile.json'], environment: {NEW: 1}}"
    assert_exit 1 "$RUNNER" compose up
    assert_match "$stderr" 'compose.yaml:3:[0-9]+: service "a": the seccomp profile .*/profile.json: line [0-9]+: '
    assert_eq "$(cat before)" "$(ids)"
    down --remove-orphans
}

test_scale_and_orphans() {
    file "a: {$sleeper, deploy: {replicas: 3}}" "old: {$sleeper}"
    up
    assert_eq "p-a-1 p-a-2 p-a-3 p-old-1" "$(names)"
    file "a: {$sleeper, scale: 1}"
    up
    assert_contains "$stderr" "containers of services that are not in the file any more: p-old-1; --remove-orphans"
    assert_eq "p-a-1 p-old-1" "$(names)"
    up --remove-orphans
    assert_eq "p-a-1" "$(names)"
    down
}

test_an_image_that_is_missing() {
    file "a: {$sleeper}" "b: {image: 'busybox:none-such', pull_policy: never}"
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" 'compose.yaml:4:6: service "b": image busybox:none-such is not on the Docker host'
    assert_eq "" "$(names)"
    # Nor is one of another platform.
    docker tag busybox:1.36 127.0.0.1:1/none:2
    file "a: {$sleeper}" "b: {image: '127.0.0.1:1/none:2', platform: linux/s390x}"
    assert_exit 1 "$RUNNER" compose up
    docker image rm 127.0.0.1:1/none:2 >/dev/null
    assert_contains "$stderr" "Image 127.0.0.1:1/none:2 Pulling"
    assert_not_contains "$stderr" Network
    file "a: {$sleeper}" "b: {image: '127.0.0.1:1/none:1'}"
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" 'service "b":'
    assert_contains "$stderr" '127.0.0.1:1'
    assert_eq "" "$(names)"
}

# published REGISTRY NAME: an image of that name in the registry, and not on the daemon.
published() {
    docker tag busybox:1.36 "$1/$2:1"
    docker push -q "$1/$2:1" >/dev/null
    docker image rm "$1/$2:1" >/dev/null
}

test_pulls() {
    docker login -u "$RUNNER_TEST_AUTH_USER" --password-stdin "$RUNNER_TEST_AUTH_REGISTRY" \
        <<<"$RUNNER_TEST_AUTH_PASSWORD" >/dev/null 2>&1
    published "$RUNNER_TEST_AUTH_REGISTRY" private/compose
    published "$RUNNER_TEST_REGISTRY" runner-test/compose
    local common='init: true, command: sleep 1000'
    file "a: {image: '$RUNNER_TEST_REGISTRY/runner-test/compose:1', $common}" \
        "b: {image: '$RUNNER_TEST_AUTH_REGISTRY/private/compose:1', $common}" \
        "c: {build: {context: ., dockerfile_inline: 'FROM $RUNNER_TEST_AUTH_REGISTRY/private/compose:1', pull: true}, $common}"
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" "$RUNNER_TEST_AUTH_REGISTRY/private/compose"
    assert_eq "" "$(names)"
    mkdir -p "$case_dir/home/.docker"
    printf '{"auths": {"%s": {"auth": "%s"}}}' "$RUNNER_TEST_AUTH_REGISTRY" \
        "$(printf %s "$RUNNER_TEST_AUTH_USER:$RUNNER_TEST_AUTH_PASSWORD" | base64 -w0)" \
        >"$case_dir/home/.docker/config.json"
    up
    assert_contains "$stderr" "Image $RUNNER_TEST_AUTH_REGISTRY/private/compose:1 Pulled"
    assert_eq "p-a-1 p-b-1 p-c-1" "$(names)"
    ids >before
    up --pull always
    assert_contains "$stderr" "Image $RUNNER_TEST_REGISTRY/runner-test/compose:1 Pulled"
    assert_eq "$(cat before)" "$(ids)"
    # What goes during a pull is not taken for there.
    mkfifo hold
    python3 "$fakes/tapped_socket.py" "$PWD/socket" "${DOCKER_HOST#unix://}" 'POST .*/images/create' \
        "docker rm -f p-a-1" <hold >tapped &
    exec 9>hold
    wait_for 20 grep -q ready tapped
    up --pull always --docker-host "unix://$PWD/socket"
    exec 9>&-
    assert_eq "p-a-1 p-b-1 p-c-1" "$(names)"
    down --rmi all
    docker image inspect "$RUNNER_TEST_REGISTRY/runner-test/compose:1" >/dev/null 2>&1 && fail "it is still there"
    assert_exit 1 "$RUNNER" compose up --pull never
    assert_contains "$stderr" 'the pull policy "never" forbids to pull it'
}

# An image that is named and can be built is pulled if it is there; its policy says when it is anew.
test_pull_policies() {
    local image=$RUNNER_TEST_REGISTRY/runner-test/policy:1 build='build: {context: ., dockerfile_inline: "FROM busybox:1.36\nRUN touch /built\n"}'
    published "$RUNNER_TEST_REGISTRY" runner-test/policy
    file "a: {image: '$image', $build, init: true, command: sleep 1000}"
    up
    assert_contains "$stderr" "Image $image Pulled"
    assert_exit 1 docker exec p-a-1 test -e /built
    up --build
    assert_exit 0 docker exec p-a-1 test -e /built
    docker image rm -f "$image" >/dev/null
    file "a: {image: '$RUNNER_TEST_REGISTRY/runner-test/none:1', $build, init: true, command: sleep 1000}"
    up
    assert_contains "$stderr" "none:1 not found"
    assert_contains "$stderr" "; it is built"
    assert_exit 0 docker exec p-a-1 test -e /built
    docker image rm -f "$RUNNER_TEST_REGISTRY/runner-test/none:1" >/dev/null

    local policy
    for policy in missing daily weekly every_1w12h; do
        docker pull -q "$image" >/dev/null
        file "a: {image: '$image', pull_policy: $policy, init: true, command: sleep 1000}"
        up
        assert_not_contains "$stderr" "Pulled"
    done
    for policy in every_1ms refresh always; do
        file "a: {image: '$image', pull_policy: $policy, init: true, command: sleep 1000}"
        up
        assert_contains "$stderr" "Image $image Pulled"
    done
    file "a: {image: '$image', pull_policy: every_day}"
    assert_exit 2 "$RUNNER" compose up
    assert_contains "$stderr" "is one of always, never, missing, build, daily, weekly, every_DURATION"
    sed -i s/every_day/daily/ compose.yaml
    down --rmi all
}

test_a_port_that_is_taken() {
    docker run -d --name holder --label dev.runner.run=x -p 127.0.0.1:18477:80 busybox:1.36 sleep 1000 >/dev/null
    file "a: {$sleeper}" "b: {$sleeper, ports: ['127.0.0.1:18477:80'], depends_on: [a]}"
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" 'service "b": container p-b-1 cannot be started:'
    assert_contains "$stderr" 'port is already allocated'
    # A later up goes on from there.
    docker rm -f holder >/dev/null
    up
    assert_eq running "$(state p-b-1)"
    down
}

# From one service to another, and two of them crosswise, where one depends on the other.
test_ports_that_move() {
    local sleeper='image: busybox:1.36, command: "sleep 1000", stop_grace_period: 1s'
    file "a: {$sleeper, ports: ['127.0.0.1:18474:80', '18475:81/udp']}"
    up
    file "a: {$sleeper}" "b: {$sleeper, ports: ['127.0.0.1:18474:80', '127.0.0.1:18475:81/udp']}"
    up
    assert_eq "127.0.0.1:18474" "$(docker port p-b-1 80)"
    file "a: {$sleeper, ports: ['18474:80'], depends_on: [b]}" "b: {$sleeper, ports: ['127.0.0.1:18476:80']}"
    up
    file "a: {$sleeper, ports: ['18476:80'], depends_on: [b]}" "b: {$sleeper, ports: ['127.0.0.1:18474:80']}"
    up
    assert_eq "127.0.0.1:18474" "$(docker port p-b-1 80)"
    assert_eq "p-a-1 p-b-1" "$(names)"
    down
}

test_addresses_that_move() {
    local sleeper='image: busybox:1.36, command: "sleep 1000", stop_grace_period: 0s'
    local net=$'networks: {n: {ipam: {config: [{subnet: 10.197.79.0/24}]}}}'
    with_addresses() {
        file "a: {$sleeper, networks: {n: {ipv4_address: 10.197.79.$1}}}" \
            "b: {$sleeper, networks: {n: {ipv4_address: 10.197.79.$2}}, depends_on: [a]}"
        printf '%s\n' "$net" >>compose.yaml
        up
        assert_eq "10.197.79.$1 10.197.79.$2" "$(docker inspect \
            -f '{{.NetworkSettings.Networks.p_n.IPAddress}}' p-a-1 p-b-1 | xargs)"
    }
    with_addresses 10 20
    with_addresses 11 10
    with_addresses 10 11
    down
}

# Of what takes no notice of TERM.
test_no_time_to_stop() {
    file "a: {image: busybox:1.36, command: sleep 1000, stop_grace_period: 1000s}"
    up
    sed -i 's/1000s/1001s/' compose.yaml
    up -t 0
    down --timeout 0
}

# The network that was there is there again, and what was in it.
test_a_network_that_cannot_be_made() {
    local net='networks: {n: {ipam: {config: [{subnet: 10.197.80.0/24}]}}}'
    file "a: {$sleeper, networks: {n: {aliases: [also], ipv4_address: 10.197.80.10}}}" "b: {$sleeper, networks: [n]}"
    echo "$net" >>compose.yaml
    up
    ids >before
    docker network create --label dev.runner.run=x --subnet 10.197.81.0/24 holder >/dev/null
    sed -i -e 's/10.197.80/10.197.81/g' -e '/^  b:/d' compose.yaml
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" "network p_n cannot be created: Pool overlaps"
    assert_eq "$(cat before)" "$(ids)"
    assert_eq "running 10.197.80.10" \
        "$(docker inspect -f '{{.State.Status}} {{.NetworkSettings.Networks.p_n.IPAddress}}' p-a-1)"
    assert_contains "$(docker inspect -f '{{.NetworkSettings.Networks.p_n.Aliases}}' p-a-1)" "also"
    assert_exit 0 docker exec p-b-1 ping -c 1 -W 5 also
    docker network rm holder >/dev/null
    down --remove-orphans
}

test_a_bind_source_that_is_missing() {
    file "a: {$sleeper, volumes: [{type: bind, source: ./none, target: /x, bind: {create_host_path: false}}]}"
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" 'compose.yaml:3:6: service "a": container p-a-1 cannot be created: invalid mount config'
    assert_contains "$stderr" "$PWD/none"
    down
}

test_a_health_check_that_does_not_pass() {
    file "db: {image: 'busybox:1.36', init: true, command: [sh, -c, 'echo starting up; sleep 1000'],
      healthcheck: {test: 'echo no disk; exit 1', interval: 200ms, retries: 2}}" \
        "web: {$sleeper, depends_on: {db: {condition: service_healthy}}}"
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" 'service "db" is not'
    assert_contains "$stderr" 'container p-db-1 is unhealthy: its check says "no disk"'
    assert_contains "$stderr" 'p-db-1 | starting up'
    assert_eq "created" "$(state p-web-1)"
    down
}

test_a_service_that_fails() {
    file "job: {image: 'busybox:1.36', command: [sh, -c, 'echo some; echo reason >&2; exit 7']}" \
        "web: {$sleeper, depends_on: {job: {condition: service_completed_successfully}}}" \
        "free: {$sleeper, depends_on: {job: {condition: service_completed_successfully, required: false}}}"
    assert_exit 1 "$RUNNER" compose up web
    assert_contains "$stderr" 'service "job" '
    assert_contains "$stderr" 'container p-job-1 ended with exit code 7'
    assert_contains "$stderr" 'p-job-1 | reason'
    assert_eq created "$(state p-web-1)"
    down
    sed -i '/^  web:/d' compose.yaml
    assert_exit 0 "$RUNNER" compose up --no-wait free
    assert_contains "$stderr" "what depends on it does not require it"
    assert_eq running "$(state p-free-1)"
    down
}

# Although it was up when it was looked at first.
test_services_that_do_not_stay_up() {
    # Ended by a file, as a command in it might end with it.
    file "a: {image: 'busybox:1.36', volumes: ['.:/here'], command: [sh, -c, 'until test -e /here/end; do sleep 0.1; done; exit 3']}" \
        "b: {$sleeper, healthcheck: {test: 'test -e /up', interval: 200ms, retries: 10000}}"
    spawn "$RUNNER" compose up
    wait_for 20 grep -q "Container p-a-1 Started" "$case_dir/stderr"
    wait_for 20 grep -q "Container p-b-1 Started" "$case_dir/stderr"
    touch end
    wait_for 20 is_exited p-a-1
    docker exec p-b-1 touch /up
    finish
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" 'service "a" is not up: container p-a-1 ended with exit code 3'
    down
}

# The old container runs again, and what is new is gone.
check_taken_back() {
    assert_eq "$(cat before)" "$(ids)"
    assert_eq running "$(state p-a-1)"
    assert_not_contains "$(docker network ls --format '{{.Name}}')" p_more
    assert_not_contains "$(docker volume ls -q)" p_new
}

# Like the first, but never healthy.
never='healthcheck: {test: "false", interval: 1s, retries: 1000, start_period: 1h}'
changed() {
    file "a: {$sleeper, networks: [default, more], volumes: ['new:/new'], $never}" "b: {$sleeper, depends_on: {a: {condition: service_healthy}}}"
    printf 'networks: {more: {}}\nvolumes: {new: {}}\n' >>compose.yaml
}

up_in_limit() { assert_exit 124 "$RUNNER" compose up --wait-timeout "${limit}s"; }

test_a_timeout_takes_back() {
    file "a: {$sleeper}"
    up
    ids >before
    changed
    in_time '[[ $stderr == *"not healthy yet"* ]]' up_in_limit
    assert_match "$stderr" "compose up timeout after $limit seconds?; service \"a\" is not up: container p-a-1 is not healthy yet"
    check_taken_back
    down
}

test_an_interrupt_takes_back() {
    file "a: {$sleeper}"
    up
    ids >before
    changed
    spawn "$RUNNER" compose up
    wait_for 20 grep -q "Container p-a-1 Started" "$case_dir/stderr"
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status" "exit status"
    check_taken_back
    # While what is replaced stops.
    file "a: {image: 'busybox:1.36', command: [sh, -c, 'trap : TERM; while :; do sleep 1; done'], stop_grace_period: 2s}"
    up
    ids >before
    changed
    spawn "$RUNNER" compose up
    wait_for 20 grep -q "Container p-a-1 Stopping" "$case_dir/stderr"
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status" "exit status"
    assert_not_contains "$stderr" "cannot be put back"
    check_taken_back
    down
}

test_a_replacement_that_cannot_start() {
    file "a: {$sleeper}"
    up
    ids >before
    file "a: {image: 'busybox:1.36', command: /no/such/program}"
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" 'service "a": container p-a-1 cannot be started:'
    assert_eq "$(cat before)" "$(ids)"
    assert_eq running "$(state p-a-1)"
    file "a: {$sleeper, volumes: [{type: bind, source: ./none, target: /x, bind: {create_host_path: false}}]}"
    assert_exit 1 "$RUNNER" compose up
    assert_eq "$(cat before)" "$(ids)"
    assert_eq running "$(state p-a-1)"
    down
}

# Wherever it was, the next up finishes it.
test_killed_in_mid_up() {
    local moment
    file "a: {$sleeper}" "b: {$sleeper, depends_on: [a]}"
    up
    for moment in "a-1 Stopping" "a-1 Stopped" "a-1 Recreating" "a-1 Recreated" "a-1 Starting" "b-1 Recreated"; do
        file "a: {$sleeper, environment: {AT: '$moment'}, configs: [c]}" "b: {$sleeper, environment: {AT: '$moment'}, depends_on: [a]}"
        echo 'configs: {c: {content: text}}' >>compose.yaml
        spawn "$RUNNER" compose up
        wait_for 20 grep -q "Container p-$moment" "$case_dir/stderr"
        kill -KILL "$spawned"
        finish
        up
        assert_eq "p-a-1 p-b-1" "$(names)" "containers after a kill at $moment"
        assert_eq "$moment text" "$(docker exec p-a-1 sh -c 'echo $AT $(cat /c)')"
        assert_eq "$moment" "$(docker exec p-b-1 sh -c 'echo $AT')"
    done
    down
}

# What an image has at the place of a volume is copied when a container is created: long enough to be met.
volumes() { docker volume ls -q | grep -vxF -f before || true; }
a_volume_is_made() { [[ -n $(volumes) ]]; }

# killed_while_it_is_created: the daemon goes on, and has no container yet with which something can be done.
killed_while_it_is_created() {
    spawn "$RUNNER" compose up
    wait_for 20 a_volume_is_made
    kill -KILL "$spawned"
    finish
}

test_killed_while_the_daemon_creates() {
    printf '%s\n' "FROM busybox:1.36" "RUN mkdir /d && dd if=/dev/zero of=/d/x bs=1M count=400" "VOLUME /d" |
        docker build -q -t runner-test/large - >/dev/null 2>&1
    trap 'docker image rm -f runner-test/large >/dev/null 2>&1' EXIT
    docker volume ls -q >before
    file "a: {image: runner-test/large, init: true, command: sleep 1000}"
    killed_while_it_is_created
    up
    assert_eq "p-a-1" "$(names)" "containers"
    assert_eq 1 "$(volumes | wc -l)" "volumes"
    down
    assert_eq "" "$(volumes)" "volumes"
    killed_while_it_is_created
    down
    assert_eq "" "$(names)$(volumes)" "what is left"
}

test_the_daemon_dies_in_mid_up() {
    dockerd_start "dying-$script"
    trap 'dockerd_stop "dying-$script" >/dev/null 2>&1' EXIT
    images_ensure "$(dockerd_host "dying-$script")" busybox:1.36
    export DOCKER_HOST
    DOCKER_HOST=$(dockerd_host "dying-$script")
    file "a: {$sleeper}"
    up
    file "a: {$sleeper, environment: {NEW: 1}}" "b: {$sleeper, $never}"
    spawn "$RUNNER" compose up
    # A daemon that dies in the middle of a start cannot start that container any more.
    wait_for 30 grep -q "Container p-a-1 Started" "$case_dir/stderr"
    wait_for 30 grep -q "Container p-b-1 Started" "$case_dir/stderr"
    dockerd_kill "dying-$script"
    finish
    assert_eq 3 "$status" "exit status"
    assert_match "$stderr" 'runner compose up: .*Docker'
    dockerd_start "dying-$script"
    sed -i "s/, healthcheck.*/}/" compose.yaml
    up
    assert_eq "p-a-1 p-b-1" "$(names)"
    assert_eq 1 "$(docker exec p-a-1 sh -c 'echo $NEW')"
    down
}

test_a_container_of_somebody_else() {
    docker run -d --name p-a-1 --label dev.runner.run=x busybox:1.36 sleep 1000 >/dev/null
    docker inspect --format '{{.Id}} {{.State.StartedAt}}' p-a-1 >before
    file "a: {$sleeper}"
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" 'compose.yaml:3:6: service "a": there is a container p-a-1 that is not of this service'
    down
    assert_eq "$(cat before)" "$(docker inspect --format '{{.Id}} {{.State.StartedAt}}' p-a-1)"
    docker rm -f p-a-1 >/dev/null
}

test_external_networks_and_volumes() {
    file "a: {$sleeper, networks: [n], volumes: ['vol:/x']}"
    printf 'networks: {n: {external: true}}\nvolumes: {vol: {external: true}}\n' >>compose.yaml
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" 'network "n" is external, but there is none named n; create it with `docker network create n`'
    docker network create n >/dev/null
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" 'volume "vol" is external, but there is none named vol'
    docker volume create vol >/dev/null
    up
    down
    docker network rm n >/dev/null
    docker volume rm vol >/dev/null
}

test_a_network_that_changed() {
    file "a: {$sleeper}" "b: {$sleeper, depends_on: [a]}"
    up
    echo 'networks: {default: {ipam: {config: [{subnet: 10.213.44.0/24}]}}}' >>compose.yaml
    up
    assert_match "$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' p-b-1)" '^10\.213\.44\.'
    assert_eq "p-a-1 p-b-1" "$(names)"
    down
}

test_a_network_that_changed_with_others_in_it() {
    file "a: {$sleeper}" "b: {$sleeper, networks: {default: {aliases: [other]}}}"
    up
    ids >before
    docker run -d --name stranger --init --label dev.runner.run=x --network p_default busybox:1.36 sleep 1000 >/dev/null
    echo 'networks: {default: {labels: {changed: "1"}}}' >>compose.yaml
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" 'network p_default has to be made anew, but container stranger, which is not'
    assert_eq "$(cat before)" "$(ids)"
    docker exec stranger ping -c 1 other >/dev/null
    docker rm -f stranger >/dev/null
    # One of another service than those asked for stays in the network.
    up a
    assert_eq "$(grep p-b-1 before)" "$(ids | grep p-b-1)"
    docker exec p-a-1 ping -c 1 other >/dev/null
    # And it comes back as it was when all is taken back.
    ids >before
    file "a: {$sleeper, $never}" "b: {$sleeper, networks: {default: {aliases: [other]}}}"
    echo 'networks: {default: {labels: {changed: "2"}}}' >>compose.yaml
    assert_exit 124 "$RUNNER" compose up --wait-timeout 6s
    assert_eq "$(cat before)" "$(ids)"
    docker exec p-a-1 ping -c 1 other >/dev/null
    down
}

# Known before anything is stopped for it.
test_what_cannot_be_done_stops_nothing() {
    file "a: {$sleeper}"
    up
    ids >before
    started=$(docker inspect --format '{{.State.StartedAt}}' p-a-1)
    # refused ATTRIBUTES MESSAGE [TOP]
    refused() {
        file "a: {$sleeper, $1}"
        echo "${3:-}" >>compose.yaml
        assert_exit 1 "$RUNNER" compose up
        assert_contains "$stderr" "$2"
        assert_eq "$(cat before)" "$(ids)"
        assert_eq "$started" "$(docker inspect --format '{{.State.StartedAt}}' p-a-1)" "$1"
    }
    refused 'secrets: [s]' 'compose.yaml:4:14: "s" of secrets is external' 'secrets: {s: {external: true}}'
    refused 'secrets: [s]' '"s" of secrets is the value of the variable NO_SUCH, which is not set' \
        'secrets: {s: {environment: NO_SUCH}}'
    refused 'configs: [c], read_only: true' '"c" of configs cannot be copied into a container of service "a", which is read_only' \
        'configs: {c: {content: x}}'
    refused 'devices: ["nvidia.com/gpu=all"]' 'the device "nvidia.com/gpu=all" is one of CDI'
    refused 'volumes: [{type: image, source: busybox, target: /x}]' 'mounts of the type "image" are not supported'
    local minor
    minor=$(docker version --format '{{.Server.APIVersion}}')
    ((${minor#*.} >= 44)) || refused 'volumes: [{type: volume, source: v, target: /x, volume: {subpath: s}}]' \
        'service "a": volume.subpath needs Docker Engine 26; this one is older' 'volumes: {v: {}}'
    ((${minor#*.} >= 44)) || refused 'networks: {default: {interface_name: eth7}}' 'interface_name needs Docker Engine 28.1'
    down
}

test_what_a_daemon_ignores() {
    local minor
    echo value >secret
    minor=$(docker version --format '{{.Server.APIVersion}}')
    file "a: {$sleeper, secrets: [{source: s, mode: 0400}], networks: {default: {gw_priority: 1}}}"
    echo 'secrets: {s: {file: ./secret}}' >>compose.yaml
    up
    assert_contains "$stderr" 'warning: service "a": uid, gid and mode of "s" of secrets are ignored'
    ((${minor#*.} >= 48)) || assert_contains "$stderr" 'warning: service "a": gw_priority is ignored: it needs Docker Engine 28'
    down
}

# One goes between the list of containers and the look at it.
test_logs_of_what_goes_meanwhile() {
    file "a: {image: 'busybox:1.36', command: echo of a}" "b: {image: 'busybox:1.36', command: echo of b}"
    up
    mkfifo hold
    python3 "$fakes/tapped_socket.py" "$PWD/socket" "${DOCKER_HOST#unix://}" 'GET .*/containers/[0-9a-f]{64}/json' \
        "docker rm -f p-a-1" <hold >tapped &
    exec 9>hold
    wait_for 20 grep -q ready tapped
    assert_exit 0 "$RUNNER" compose -p p logs --docker-host "unix://$PWD/socket"
    exec 9>&-
    assert_eq "b-1  | of b" "$stdout"
    assert_eq "p-b-1" "$(names)"
    # What cannot be read keeps nothing back either, but is told.
    down
    file "a: {image: 'busybox:1.36', command: echo of a, logging: {driver: none}}" "b: {image: 'busybox:1.36', command: echo of b}"
    up
    assert_exit 1 "$RUNNER" compose -p p logs
    assert_eq "b-1  | of b" "$stdout"
    assert_match "$stderr" '^runner compose logs: .*does not support reading'
    down
}

# One that is to be replaced goes at any moment: what takes its place does so all the same.
test_what_is_replaced_goes_meanwhile() {
    local request
    for request in '/containers/[0-9a-f]{64}/stop' '/containers/[0-9a-f]{64}/rename' '/containers/create'; do
        file "a: {$sleeper, stop_grace_period: 0s, environment: {AT: before}}"
        up
        file "a: {$sleeper, stop_grace_period: 0s, environment: {AT: '$request'}}"
        rm -f hold socket tapped
        mkfifo hold
        python3 "$fakes/tapped_socket.py" "$PWD/socket" "${DOCKER_HOST#unix://}" "POST .*$request" \
            'docker rm -f $(docker ps -aq --filter label=com.docker.compose.project=p)' <hold >tapped &
        exec 9>hold
        wait_for 20 grep -q ready tapped
        assert_exit 0 "$RUNNER" compose up --docker-host "unix://$PWD/socket"
        exec 9>&-
        assert_eq "p-a-1" "$(names)" "containers after one went before $request"
        assert_eq "$request" "$(docker exec p-a-1 sh -c 'echo "$AT"')"
        down
    done
}

test_hooks() {
    file "a: {$sleeper, post_start: [{command: [sh, -c, 'echo begun; echo \$\$X >/x'], environment: {X: hook}}], pre_stop: [{command: echo farewell}]}"
    up
    assert_contains "$stderr" "p-a-1 | begun"
    assert_eq hook "$(docker exec p-a-1 cat /x)"
    down
    assert_contains "$stderr" "p-a-1 | farewell"
    file "a: {$sleeper, post_start: [{command: [sh, -c, 'exit 9']}]}"
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" "post_start hook 1 of container p-a-1 ended with exit code 9"
    down
}

test_builds() {
    docker image rm -f p-a p-b runner-test/c:1 >/dev/null 2>&1 || true
    write "$case_dir/home/.docker/config.json" \
        <<<'{"proxies": {"default": {"httpProxy": "http://proxy.invalid", "noProxy": "local"}}}'
    mkdir -p ctx/sub other
    echo one >ctx/one
    echo two >ctx/two
    echo three >ctx/sub/three
    printf '*\n!one\n!sub/three\n' >ctx/.dockerignore
    cat >ctx/Dockerfile <<'EOF'
FROM busybox:1.36 AS base
ARG WORD=none
COPY . /all
RUN echo "the word is $WORD, the proxy $http_proxy" && cd /all && find . -type f | sort | tee /list
FROM base AS other
RUN false
EOF
    echo 'FROM busybox:1.36
COPY one /from-elsewhere' >other/Dockerfile
    cat >compose.yaml <<'EOF'
name: p
services:
  a: {build: {context: ctx, target: base, no_cache: true, args: {WORD: hello}, labels: {mine: "1"}}, environment: {NO_PROXY: a}, init: true, command: sleep 1000}
  b: {build: {context: ctx, dockerfile: ../other/Dockerfile}, init: true, command: sleep 1000}
  c: {build: {context: ctx, dockerfile_inline: "FROM busybox:1.36\nCOPY sub/three /inline\n"}, image: "runner-test/c:1", init: true, command: sleep 1000}
EOF
    up
    assert_contains "$stderr" "p-a | the word is hello, the proxy http://proxy.invalid"
    assert_eq "http://proxy.invalid a local" \
        "$(docker exec p-a-1 sh -c 'echo "$HTTP_PROXY $NO_PROXY $no_proxy"')"
    # What the builder reads for itself comes with the rest, but stays out of the image.
    assert_eq "./one ./sub/three" "$(docker exec p-a-1 cat /list | paste -sd ' ')"
    assert_eq one "$(docker exec p-b-1 cat /from-elsewhere)"
    assert_eq three "$(docker exec p-c-1 cat /inline)"
    assert_eq "1 p" "$(docker image inspect --format '{{.Config.Labels.mine}} {{index .Config.Labels "com.docker.compose.project"}}' p-a)"
    # What somebody makes of an image has its labels.
    docker run -d --name mine p-a sleep 1000 >/dev/null
    ids >before
    up --remove-orphans
    assert_eq "$(cat before)" "$(ids)"
    docker rm -f mine >/dev/null
    ids >before
    # Nothing is built anew unless that is asked for, and then what comes of it is used.
    echo changed >ctx/one
    up
    assert_eq "$(cat before)" "$(ids)"
    up --build
    assert_eq changed "$(docker exec p-b-1 cat /from-elsewhere)"
    assert_eq "$(grep p-c-1 before)" "$(ids | grep p-c-1)"
    down --rmi local
    docker image inspect p-a >/dev/null 2>&1 && fail "the image is still there"
    docker image rm runner-test/c:1 >/dev/null
    echo 'services: {a: {build: {context: ., dockerfile_inline: "FROM busybox:1.36\nRUN --mount=type=cache,target=/x true\n"}}}' >kit.yaml
    assert_exit 1 "$RUNNER" compose -p p -f kit.yaml up
    assert_contains "$stderr" 'kit.yaml:1:15: service "a": dockerfile_inline:2: "RUN --mount" is for BuildKit'
    sed -i 's/target: base/target: other/' compose.yaml
    assert_exit 1 "$RUNNER" compose up
    assert_contains "$stderr" 'compose.yaml:3:6: service "a": The command'
    assert_contains "$stderr" "returned a non-zero code: 1"
    assert_eq "" "$(names)"
    down --rmi all
}

test_namespaces_links_and_shared_volumes() {
    file "a: {$sleeper, volumes: [/shared]}" "b: {$sleeper, network_mode: 'service:a', volumes_from: ['a:ro'], pid: 'service:a'}" \
        "c: {$sleeper, links: ['a:alias']}"
    up
    docker exec p-a-1 sh -c 'echo shared >/shared/file'
    assert_eq "shared" "$(docker exec p-b-1 cat /shared/file)"
    assert_eq "$(docker exec p-a-1 cat /etc/hostname)" "$(docker exec p-b-1 cat /etc/hostname)"
    docker exec p-c-1 ping -c 1 alias >/dev/null
    ids >before
    up
    assert_eq "$(cat before)" "$(ids)"
    down
}

test_usage() {
    file "a: {$sleeper}"
    assert_exit 2 "$RUNNER" compose up none
    assert_contains "$stderr" 'runner compose up: there is no service "none"'
    assert_exit 2 "$RUNNER" compose up --force-recreate --no-recreate
    assert_exit 3 "$RUNNER" compose up --docker-host tcp://127.0.0.1:1
    assert_exit 2 "$RUNNER" compose down a
    echo 'x-nothing: {}' >none.yaml
    assert_exit 1 "$RUNNER" compose -f none.yaml up --remove-orphans
    assert_contains "$stderr" 'runner compose up: project work has no service to bring up'
    echo 'services: {a: {image: busybox, profiles: [p]}}' >none.yaml
    assert_exit 1 "$RUNNER" compose -f none.yaml up
    assert_contains "$stderr" 'no service to bring up; activate a profile of one'
    echo 'x: {' >>compose.yaml
    assert_exit 2 "$RUNNER" compose up
}

run_tests "$@"

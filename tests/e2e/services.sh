#!/usr/bin/env bash
# Services of jobs and pipelines: names, readiness, their ends, and what is left of them.
source "$(dirname "$0")/../lib.sh"

# job KEYS SERVICES STEPS: a pipeline of one job, all given in YAML.
job() {
    printf 'name: p\n%s\nstages: [{name: s, jobs: [{name: j, services: {%s}, steps: [%s]}]}]\n' "$1" "$2" "$3" >p.yaml
}

web='image: runner-test/service:1'
ask='wget -q -O - http://web:8080/'

test_name_of_a_service_in_container_steps() {
    job 'image: busybox:1.36' "web: {$web}" "{name: a, command: '$ask'}, {name: b, command: '$ask', isolation: job}"
    assert_exit 0 "$RUNNER" exec --history kept p.yaml
    assert_contains "$stdout" "[step(1/2): a] hello from the image"
    assert_contains "$stdout" "[step(2/2): b] hello from the image"
    # Its output is all there, beside that of the steps.
    assert_contains "$stdout" "[job(1/1): j][service: web] starting
[stage(1/1): s][job(1/1): j][service: web] listening on 8080"
    assert_contains "$stderr" "[job(1/1): j][service: web] ready"
    local place
    for place in web 0.0.web; do
        assert_exit 0 "$RUNNER" logs --history kept latest "$place"
        assert_eq "starting
listening on 8080" "$(head -2 <<<"$stdout")" "what $place has printed"
        assert_not_contains "$stdout" "[service"
    done
    assert_exit 1 "$RUNNER" logs --history kept latest 0.0.db
    assert_contains "$stderr" 'has no step "0.0.db", nor is there output of a service of that name'
    assert_exit 0 "$RUNNER" logs --history kept latest
    assert_contains "$stdout" "[job(1/1): j][service: web] listening on 8080"
}

test_keys_of_a_service() {
    job 'image: busybox:1.36
user: "65534"
environment: {NOT: forHim, WHO: me}' "web: {image: 'busybox:1.36', environment: {NAME: 'I am \${WHO}'}, entrypoint: [sh, -c],
        command: ['echo \$NAME \$NOT \$(id -u) \$(pwd) \$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null); exec httpd -f -p 80'],
        workdir: /tmp, user: 1234, resources: {memory: 64m}, ready: {log: '^I am'}}" '{name: a, command: ls}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[service: web] I am me 1234 /tmp 67108864"
}

test_shape_of_a_service() {
    mkdir www
    echo page >www/index.html
    local trap='trap "sleep DELAY; echo bye from NAME; exit" TERM; echo up; while :; do sleep 0.1; done'
    job 'image: busybox:1.36
grace: 100ms' "web: {image: 'busybox:1.36', platform: linux/amd64, pull: never, volumes: ['./www:/www:ro'], command: [httpd, -f, -p, '8080', -h, /www],
            resources: {pids: 20, cpus: 0.5}, security: {read_only: true, cap_drop: ALL, no_new_privileges: true}, ready: {tcp: 8080, interval: 100ms}},
        slow: {image: 'busybox:1.36', grace: 1m, command: [sh, -c, '$(sed 's/DELAY/0.5/; s/NAME/slow/' <<<"$trap")'], ready: {log: up}},
        short: {image: 'busybox:1.36', command: [sh, -c, '$(sed 's/DELAY/1000/; s/NAME/short/' <<<"$trap")'], ready: {log: up}}" \
        "{name: a, command: '$ask; touch up; until [ -e go ]; do sleep 0.1; done'}"
    spawn "$RUNNER" exec p.yaml
    wait_for 30 test -e up
    docker ps -q --filter label=dev.runner.role=service | xargs docker --config "$case_dir/witness" inspect --format \
        '{{.Config.Hostname}} {{with .HostConfig}}{{.PidsLimit}} {{.NanoCpus}} {{.ReadonlyRootfs}} {{.CapDrop}} {{.SecurityOpt}}{{end}}' >services
    assert_eq "web 20 500000000 true [ALL] [no-new-privileges]" "$(grep '^web' services)"
    assert_match "$(docker ps -q --filter label=dev.runner.role=service --filter volume=/www)" '^[0-9a-f]+$' "container with the volume"
    touch go
    finish
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" "[step(1/1): a] page"
    assert_contains "$stdout" "[service: slow] bye from slow"
    assert_not_contains "$stdout" "bye from short"
}

test_image_of_a_service_that_does_not_fit() {
    job 'image: busybox:1.36' "web: {$web, pull: never, platform: linux/arm64}" '{name: a, command: echo never}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_match "$stderr" 'service "web": .*platform: wanted linux/arm64, actual: linux/amd64'
    local image=$RUNNER_TEST_AUTH_REGISTRY/private/busybox:1.36
    docker image rm -f "$image" >/dev/null 2>&1 || true
    printf 'name: p\nimage: busybox:1.36\nstages: [{name: s, fail_fast: false, jobs: [' >p.yaml
    local name keys
    while read -r name keys; do
        printf '{name: %s, services: {web: {image: "%s", %s, command: [httpd, -f], ready: {tcp: 80}}}, steps: [{name: a, command: echo %s}]},\n' \
            "$name" "$image" "$keys" "$name" >>p.yaml
    done <<END
never pull: never
denied pull: always, image_registry: "$RUNNER_TEST_AUTH_REGISTRY", image_registry_username: $RUNNER_TEST_AUTH_USER, image_registry_password: wrong-one
END
    echo ']}]' >>p.yaml
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_not_contains "$stdout" "] never"
    assert_not_contains "$stdout" "] denied"
    assert_match "$stderr" 'job.*: never\] failed: service "web": .*`pull: never`'
    assert_match "$stderr" 'job.*: denied\] failed: service "web": .*(unauthorized|no basic auth|authentication)'
}

# Another implementation, whose containers reach each other.
test_services_with_podman() {
    podman_take
    export DOCKER_HOST=$RUNNER_TEST_PODMAN_HOST
    write p.yaml <<'P'
name: p
image: busybox:1.36
services:
  outer: {image: "busybox:1.36", command: [sh, -c, "mkdir /www; echo outer >/www/index.html; exec httpd -f -p 8080 -h /www"], ready: {http: "http://outer:8080/"}}
stages:
  - name: s
    jobs:
      - name: j
        services:
          inner: {image: "busybox:1.36", environment: {WHO: inner}, command: [sh, -c, "mkdir /www; echo $WHO >/www/index.html; echo starting; exec httpd -f -p 80 -h /www"],
            ready: {tcp: 80, command: test -e /www/index.html, log: ^start}}
        steps:
          - {name: server, background: true, command: "echo 3 >index.html; exec httpd -f -p 8081", ready: {tcp: 8081}}
          - {name: ask, command: "wget -q -O - http://outer:8080/; wget -q -O - http://inner/; wget -q -O - http://localhost:8081/"}
P
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "outer inner 3" "$(sed -n 's/.*: ask\] //p' <<<"$stdout" | paste -sd ' ')"
    assert_contains "$stdout" "[service: inner] starting"
}

test_services_start_together_and_all_are_awaited() {
    # Each of them is ready only after it has reached the other.
    local other='mkdir /www; httpd -p 80 -h /www; until wget -q -O /dev/null http://OTHER/up; do sleep 0.1; touch /www/up; done; touch /www/up; echo met; exec sleep 1000'
    job 'image: busybox:1.36' "a: {image: 'busybox:1.36', command: [sh, -c, '${other/OTHER/b}'], ready: {log: met}},
        b: {image: 'busybox:1.36', command: [sh, -c, '${other/OTHER/a}'], ready: {log: met}}" '{name: a, command: echo both}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[service: a] met"
    assert_contains "$stdout" "[service: b] met"
    assert_contains "$stdout" "[step(1/1): a] both"
}

test_ports_that_the_image_exposes_are_awaited() {
    job 'image: busybox:1.36' "web: {$web, environment: {AFTER: 2}}" "{name: a, command: '$ask'}"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[step(1/1): a] hello from the image"
}

test_health_check_of_the_image_is_awaited() {
    job 'image: busybox:1.36' "db: {image: 'runner-test/healthy:1', environment: {AFTER: 1}}" '{name: a, command: echo step}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[service: db] well"
    assert_contains "$stdout" "[step(1/1): a] step"
    in_time '[[ $stderr == *"there is no /tmp/healthy"* ]]' never_healthy
    assert_match "$stderr" "service \"db\": it was not ready after $limit seconds?: its health check says [a-z]+: there is no /tmp/healthy"
}

never_healthy() {
    job 'image: busybox:1.36' "db: {image: 'runner-test/healthy:1', environment: {AFTER: 100}, ready: {log: getting, timeout: ${limit}s}}" '{name: a, command: echo step}'
    assert_exit 1 "$RUNNER" exec p.yaml
}

test_ready_of_a_service() {
    job 'image: busybox:1.36' "web: {$web, ready: {tcp: 8080, http: 'http://localhost:8080/', command: 'test -e /www/index.html', log: '^listening on [0-9]+\$'}}" "{name: a, command: '$ask'}"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[step(1/1): a] hello from the image"
}

on_another_port() {
    job 'image: busybox:1.36' "web: {$web, ready: {tcp: 'web:8081', timeout: ${limit}s}}, other: {$web}" '{name: a, command: echo never}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_not_contains "$stdout" "] never"
}

test_not_ready_says_why_and_shows_its_last_lines() {
    in_time '[[ $stderr == *"refused"*"| listening on 8080"* ]]' on_another_port
    assert_match "$stderr" "\\[job\\(1/1\\): j\\] failed: service \"web\": it was not ready after $limit seconds?: cannot reach web:8081: connection refused"
    assert_contains "$stderr" "    | starting
    | listening on 8080"
    assert_contains "$stderr" "skipped"
}

test_end_before_it_is_ready_fails_with_its_exit_code() {
    job 'image: busybox:1.36' "db: {image: 'busybox:1.36', command: [sh, -c, 'echo no license; exit 9'], ready: {tcp: 1}}" '{name: a, command: echo never}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'failed: service "db": it ended before it was ready: exit code 9'
    assert_contains "$stderr" "    | no license"
}

test_image_that_is_not_there() {
    job 'image: busybox:1.36' "db: {image: '127.0.0.1:1/nothing:1'}" '{name: a, command: echo never}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'failed: service "db": '
    assert_contains "$stderr" '127.0.0.1:1/nothing:1'
}

test_service_that_dies_while_the_job_goes_on() {
    job 'image: busybox:1.36' "web: {image: 'busybox:1.36', command: [sh, -c, 'httpd -p 80; until wget -q -O /dev/null http://web/cgi-bin/die 2>/dev/null || [ -e /tmp/die ]; do sleep 0.1; done; echo I die; exit 3'], ready: {tcp: 80}, volumes: ['$PWD:/tmp']}" \
        "{name: a, engine: host, image: '', command: 'touch die; until [ -e told ]; do sleep 0.05; done; echo went on'}"
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -F '[service: web] has ended by itself, before its job: exit code 3' "$case_dir/stderr"
    touch told
    finish
    assert_eq 0 "$status"
    assert_contains "$stderr" "[service: web] | I die"
    assert_contains "$stdout" "went on"
}

test_host_steps_use_published_ports() {
    job 'engine: host' "my-web: {$web, ports: 8080}" '{name: a, command: "curl -s http://$PIPELINE_SERVICE_MY_WEB_HOST:$PIPELINE_SERVICE_MY_WEB_PORT_8080/; env | grep ^PIPELINE_SERVICE | sort"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "a] hello from the image"
    assert_contains "$stdout" "PIPELINE_SERVICE_MY_WEB_HOST=127.0.0.1"
    job 'engine: host' "web: {$web, ports: '18471:8080'}" '{name: a, command: "curl -s http://127.0.0.1:18471/"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "a] hello from the image"
}

test_services_of_the_pipeline_are_shared() {
    cat >p.yaml <<P
name: p
image: busybox:1.36
services:
  web: {$web, ports: [8080]}
stages:
- name: first
  jobs:
  - {name: a, steps: [{name: ask, command: '$ask'}]}
  - name: b
    services: {own: {$web, command: ["81", "my own"], ready: {tcp: 81}}}
    steps: [{name: ask, command: '$ask; wget -q -O - http://own:81/'}]
- name: second
  jobs:
  - {name: c, engine: host, image: '', steps: [{name: ask, command: 'curl -s http://127.0.0.1:\$PIPELINE_SERVICE_WEB_PORT/'}]}
  - {name: d, steps: [{name: bad, command: 'wget -q -O - http://own:81/ || exit 0; exit 1'}]}
finally:
- name: last
  jobs: [{name: e, steps: [{name: ask, command: '$ask'}]}]
post: '$ask'
P
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq 1 "$(grep -c '^\[service: web\] starting' "$case_dir/stdout")"
    assert_eq 5 "$(grep -c 'hello from the image' "$case_dir/stdout")"
    assert_contains "$stdout" "[job(2/2): b][step(1/1): ask] my own"
    assert_eq 1 "$(grep -c 'my own' "$case_dir/stdout")"
}

pipeline_on_another_port() {
    printf 'name: p\nservices: {db: {%s, command: ["1", a], ready: {tcp: 2, timeout: %ss}}}\nstages: [{name: s, jobs: [{name: j, steps: [{name: a, command: echo never}]}]}]\n' "$web" "$limit" >p.yaml
    assert_exit 1 "$RUNNER" exec p.yaml
}

test_pipeline_fails_when_its_service_is_not_ready() {
    in_time '[[ $stderr == *"refused"*"| listening on 1"* ]]' pipeline_on_another_port
    assert_match "$stderr" "\\[workflow\\] failed: service \"db\": it was not ready after $limit seconds?: cannot reach db:2: connection refused"
    assert_contains "$stderr" "    | listening on 1"
    assert_not_contains "$stdout" "] never"
}

endless_beside_a_service() {
    cat >p.yaml <<P
name: p
image: busybox:1.36
stages:
- name: s
  jobs:
  - name: j
    timeout: ${limit}s
    services: {web: {$web}}
    steps: [{name: a, command: echo begun; sleep 1000, grace: 0s}]
    post: '$ask'
P
    assert_exit 1 "$RUNNER" exec p.yaml
}

test_post_reaches_services_after_a_timeout() {
    in_time '[[ $stdout == *"] begun"* ]]' endless_beside_a_service
    assert_match "$stderr" "job \"j\" timeout after $limit seconds?"
    assert_contains "$stdout" "post] hello from the image"
}

test_attempts_of_a_job_have_services_of_their_own() {
    job 'image: busybox:1.36' "web: {$web}" "{name: a, command: '$ask; exit 1'}"
    sed -i 's/name: j,/name: j, retry: 1,/' p.yaml
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_eq 2 "$(grep -c 'service: web\] starting' "$case_dir/stdout")"
    assert_eq 2 "$(grep -c 'hello from the image' "$case_dir/stdout")"
}

test_reports_and_the_terminal_show_services() {
    job 'image: busybox:1.36' "web: {$web}" '{name: a, command: echo step}'
    assert_exit 0 "$RUNNER" exec --progress json --report html=report.html p.yaml
    assert_match "$(jq -r 'select(.event == "ServiceLog").id' <<<"$stdout" | head -n 1)" '^[0-9a-z]+\.0\.0\.web$'
    assert_eq "starting listening on 8080" "$(jq -rj 'select(.event == "ServiceLog").text' <<<"$stdout" | tr '\n' ' ' | sed 's/ $//')"
    assert_contains "$(cat report.html)" "web | listening on 8080"
    # The last thing that is shown of a service must not be looked at when that is gone.
    assert_exit 0 script -qec "'$RUNNER' exec p.yaml" /dev/null
    assert_contains "$stdout" "listening on 8080"
}

# In both scopes, with a step that does not end.
endless() {
    cat >p.yaml <<P
name: p
image: busybox:1.36
services: {outer: {$web}}
stages:
- name: s
  jobs:
  - name: j
    services: {web: {$web, ports: [8080]}}
    steps: [{name: a, command: '$ask; exec sleep 1000', grace: 1s}]
P
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -F 'a] hello' "$case_dir/stdout"
}

test_cancel_removes_everything() {
    endless
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status"
}

test_kill_9_leaves_nothing() {
    endless
    kill -KILL "$spawned"
    finish
    assert_no_leftovers 30
}

test_names_are_unique() {
    cat >p.yaml <<P
name: p
services: {web: {$web}}
stages: [{name: s, jobs: [{name: j, services: {web: {$web}}, steps: [{name: a, command: a}]}]}]
P
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stderr$stdout" 'p.yaml:3:48: error: the pipeline has a service "web", too; give this one another name'
    cat >p.yaml <<P
name: p
services: {my-db: {$web}}
stages: [{name: s, jobs: [{name: j, services: {my.db: {$web}, your_db: {$web}, your-db: {$web}}, steps: [{name: a, command: a}]}]}]
P
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stderr$stdout" 'the services "my-db" and "my.db" would have the same variables PIPELINE_SERVICE_…; give this one another name'
    assert_contains "$stderr$stdout" 'the services "your_db" and "your-db" would have the same variables'
}

run_tests "$@"

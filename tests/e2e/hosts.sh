#!/usr/bin/env bash
# Jobs on hosts: real runs, on hosts that are all this machine.
source "$(dirname "$0")/../lib.sh"

# hosts KEYS COMMAND: p.yaml, with a job "deploy" of those keys on hosts a, b, c, d. $AT is another
# file on each.
hosts() {
    write p.yaml <<Y
name: p
hosts:
  - {name: a, engine: host, roles: [front], environment: {AT: at-a}}
  - {name: b, engine: host, roles: [front], environment: {AT: at-b}}
  - {name: c, engine: host, roles: [back], environment: {AT: at-c}}
  - {name: d, engine: host, roles: [back], environment: {AT: at-d}, vars: {last: "yes"}}
stages:
  - name: s
    jobs:
      - name: deploy
        run_on: all
$(sed 's/^/        /' <<<"$1")
        steps:
          - name: t
            command: |
$(sed 's/^/              /' <<<"$2")
Y
}

# states: of the hosts in their order.
states() {
    jq -r '[.. | objects | select(.host) | .host + "=" + .status + (if .reason then "/" + .reason else "" end)]
        | join(" ")' report.json
}

test_each_host_is_a_job_of_its_own() {
    hosts 'environment: {LAST: "{{ host.vars.last }}"}
pre: echo "before $PIPELINE_HOST"
post: echo "behind $PIPELINE_HOST"' 'echo "$AT $LAST"'
    exec_report p.yaml --report junit=report.xml --report html=report.html
    assert_eq 0 "$status"
    for host in a b c d; do
        local last=
        [[ $host != d ]] || last=yes
        assert_eq "before $host
at-$host $last
behind $host" "$(sed -n "s/.*deploy ($host)\]\[step([0-9/]*): [a-z]*\] //p" <<<"$stdout")" "output on $host"
        assert_contains "$(<report.xml)" "<property name=\"host\" value=\"$host\"/>"
        assert_contains "$(<report.html)" "deploy ($host)"
        assert_match "$stderr" "succeeded .* job deploy \\($host\\)"
    done
    assert_eq "a=succeeded b=succeeded c=succeeded d=succeeded" "$(states)"
}

# Each host waits for the other of its batch, and looks for those of other batches.
test_batches_come_one_after_the_other() {
    hosts 'serial: 2' 'touch $AT
case $PIPELINE_HOST in
a | b) until test -e at-a && test -e at-b; do sleep 0.01; done; test ! -e at-c && test ! -e at-d && touch $AT-done ;;
c | d) until test -e at-c && test -e at-d; do sleep 0.01; done; test -e at-a-done && test -e at-b-done ;;
esac'
    exec_report p.yaml --jobs 4
    assert_eq "a=succeeded b=succeeded c=succeeded d=succeeded" "$(states)"
    assert_exit 0 "$RUNNER" plan p.yaml
    assert_contains "$stdout" "job deploy (b)  (batch 1 of 2)
      step t  (host)
*   job deploy (c)  (batch 2 of 2)"
    assert_exit 0 "$RUNNER" plan p.yaml --format mermaid
    assert_contains "$stdout" 's0j2["deploy (c)<br/>batch 2 of 2<br/>· t"]'
    assert_contains "$stdout" "s0j1 --> s0j2"
    assert_exit 0 "$RUNNER" plan p.yaml --format dot
    assert_contains "$stdout" 'label="deploy (c)\nbatch 2 of 2\n· t"'
    assert_exit 0 "$RUNNER" plan p.yaml --format json
    assert_eq '{"host":{"name":"c","engine":"host","roles":["back"]},"batch":2,"batches":2}' \
        "$(jq -c '.stages[0].jobs[2] | {host, batch, batches}' <<<"$stdout")"
}

test_max_parallel() {
    hosts 'max_parallel: 1' 'mkdir only && sleep 0.05 && rmdir only'
    exec_report p.yaml --jobs 4
    assert_eq "a=succeeded b=succeeded c=succeeded d=succeeded" "$(states)"
}

test_a_failure_stops_later_batches() {
    hosts 'serial: 2' 'test $PIPELINE_HOST != a'
    exec_report p.yaml
    assert_eq 1 "$status"
    assert_eq "a=failed/error b=succeeded c=skipped/dependency d=skipped/dependency" "$(states)"
    assert_eq "a host of a batch before it failed" \
        "$(jq -r '.. | objects | select(.host == "c") | .error' report.json)"
}

test_ignore_errors() {
    hosts 'serial: 1
ignore_errors: true' 'test $PIPELINE_HOST = d'
    exec_report p.yaml
    assert_eq 0 "$status"
    assert_eq "a=failed/error b=failed/error c=failed/error d=succeeded" "$(states)"
    assert_match "$stderr" 'failed .* job deploy \(c\) \(allowed to fail\)'
}

# Who runs when there is one failure too many is ended.
test_max_failures() {
    hosts 'max_failures: 1' 'case $PIPELINE_HOST in
a | b) until test -e at-c && test -e at-d; do sleep 0.01; done; exit 1 ;;
c | d) touch $AT; sleep 600 ;;
esac'
    exec_report p.yaml --jobs 4
    assert_eq 1 "$status"
    assert_eq "a=failed/error b=failed/error c=cancelled d=cancelled" "$(states)"
    hosts 'serial: 2
max_failures: 50%' 'test $PIPELINE_HOST = b || test $PIPELINE_HOST = d'
    exec_report p.yaml
    assert_eq 1 "$status"
    assert_eq "a=failed/error b=succeeded c=failed/error d=succeeded" "$(states)"
    exec_report p.yaml --set 'stages[0].jobs[0].ignore_errors=true'
    assert_eq 0 "$status"
    exec_report p.yaml --set 'stages[0].jobs[0].ignore_errors=true' --set 'stages[0].jobs[0].serial=1'
    assert_eq 1 "$status"
    assert_eq "a=failed/error b=skipped/dependency c=skipped/dependency d=skipped/dependency" "$(states)"
}

test_a_host_is_tried_again_by_itself() {
    hosts 'retry: 1' 'echo x >>$AT; test $PIPELINE_HOST != b || test $(wc -l <$AT) = 2'
    exec_report p.yaml
    assert_eq 0 "$status"
    assert_eq "1 2 1 1" "$(for host in a b c d; do wc -l <at-$host; done | paste -sd ' ')"
}

test_what_depends_on_it_waits_for_all() {
    hosts '' 'echo "{{ not an expression }} $PIPELINE_HOST" >/dev/null; touch $AT'
    cat >>p.yaml <<'Y'
      - name: behind
        depends_on: deploy
        steps: [{name: t, command: ls at-*}]
Y
    exec_report p.yaml --only deploy --only behind
    assert_eq 0 "$status"
    assert_eq 4 "$(grep -c 'behind.*] at-' <<<"$stdout")" "hosts that had ended"
    assert_exit 0 "$RUNNER" exec p.yaml --only 'deploy (b)'
    assert_contains "$stderr" "deploy (a)] skipped: left out"
}

test_hosts_are_daemons_too() {
    write p.yaml <<Y
name: p
hosts:
  - {name: here, engine: host}
  - {name: there, engine: "docker://$DOCKER_HOST"}
stages:
  - name: s
    jobs:
      - name: j
        run_on: all
        image: busybox:1.36
        steps:
          - {name: t, command: 'test "\$(hostname)" = "$(hostname)" && echo "\$PIPELINE_HOST" || echo "\$PIPELINE_HOST in a container"'}
Y
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "here
there in a container" "$(sed -n 's/.*t\] //p' <<<"$stdout" | sort)"
    assert_exit 0 "$RUNNER" doctor -c p.yaml
    assert_match "$stdout" "^ok +host  .*
ok +docker://$DOCKER_HOST  "
}

test_mistakes_have_a_place() {
    hosts '' true
    sed -i 's/run_on: all/run_on: [front, bakc]/' p.yaml
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_eq 'p.yaml:11:25: error: "run_on": no host and no role is called "bakc"; did you mean "back"?' \
        "$(head -1 <<<"$stdout")"
}

test_inventory_of_ansible() {
    mkdir -p ci/inventory
    write ci/inventory/test.ini <<'I'
lone ansible_connection=local
[web]
web-[1:2] ansible_connection=local
[web:vars]
port=80
[eu:children]
web
I
    write ci/p.yaml <<'Y'
name: p
hosts_file: inventory/${WHERE}.ini
hosts: [{name: here, engine: host}]
stages:
  - name: s
    jobs:
      - name: j
        run_on: [eu, here]
        environment: {WHAT: "{{ host.vars.port }} {{ join(host.roles, ' ') }}"}
        steps: [{name: t, command: 'echo "$PIPELINE_HOST: $WHAT"'}]
Y
    assert_exit 0 "$RUNNER" exec ci/p.yaml -e WHERE=test
    assert_eq 'here:  
web-1: 80 eu web
web-2: 80 eu web' "$(sed -n 's/.*t\] //p' <<<"$stdout" | sort)"
    assert_exit 2 "$RUNNER" validate ci/p.yaml -e WHERE=none
    assert_contains "$stdout" 'ci/p.yaml:2:13: error: the hosts file cannot be read: ci/inventory/none.ini does not exist'
    write ci/inventory/test.ini <<'I'
[web]
web-1 ansible_connection=local pass=secret x
web-2 ansible_connection=locl
I
    assert_exit 2 "$RUNNER" validate ci/p.yaml -e WHERE=test
    assert_eq 'ci/inventory/test.ini:2:44: error: "x" is no variable; behind the name of a host goes KEY=VALUE' "$stdout"
    sed -i 2d ci/inventory/test.ini
    assert_exit 2 "$RUNNER" validate ci/p.yaml -e WHERE=test
    assert_eq 'ci/inventory/test.ini:2:7: error: there is no engine for connections of the kind "locl"; name one with runner_engine
     2 | web-2 ansible_connection=locl
       |       ^' "$stdout"
    assert_exit 2 "$RUNNER" validate ci/p.yaml -e WHERE=test --format json
    assert_eq '"ci/inventory/test.ini" 2 7' "$(jq -r '.[] | "\(.file | tojson) \(.line) \(.column)"' <<<"$stdout")"
}

run_tests "$@"

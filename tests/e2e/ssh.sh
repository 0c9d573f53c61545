#!/usr/bin/env bash
# Steps on a host by ssh: a real sshd on a loopback address, whose connections break, and which is
# ended and started again.
source "$(dirname "$0")/../lib.sh"
source "$(dirname "$0")/../sshd.sh"

# shellcheck disable=SC2034 # for lanes.sh
needs_daemon=no

# It cannot be told to end: it ends when nobody has renewed its lease. Waited for by the last test.
test_a_runner_is_killed() {
    leftovers_allowed=yes
    sshd_begin
    pipeline '{name: a, command: "echo up; setsid sleep NAP2 & sleep NAP3"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    kill -9 "$spawned"
    finish
    sshd_end
    [[ -n $(ls tmp) ]] || fail "there was no directory"
    wait_for 200 rmdir tmp
    ! pgrep -f "sleep ${nap}[23]" >/dev/null || fail "a process of the step is left"
}
case_timeout[test_a_runner_is_killed]=240

test_steps() {
    sshd_begin
    cat >p.yaml <<P
name: p
engine: "$url"
environment: {ODD: "a 'b' \"c\" \\\\ \$\$d\ne", LARGE: "$(head -c 64000 /dev/zero | tr '\0' x)"}
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: streams, command: "echo out; echo err >&2"}
          - {name: odd, command: 'printf %s "\$ODD" | od -An -c | tr -d "\n "; echo; echo \${#LARGE}'}
          - {name: tell, command: 'echo "answer=42" >>"\$PIPELINE_OUTPUT"; echo "WORD=later" >>"\$PIPELINE_ENV"'}
          - {name: use, environment: {A: "{{ steps.tell.outputs.answer }}"}, command: 'echo \$A \$WORD'}
          - {name: code, command: exit 7, allow_failure: true}
          - {name: signal, command: 'kill -KILL \$\$', allow_failure: true}
          - {name: nothing, command: no-such-command-here, allow_failure: true}
          - {name: input, command: 'cat; echo end of input'}
          - {name: binary, command: 'head -c 3000000 /dev/zero | tr "\\0" "\\377" | cksum'}
P
    exec_report p.yaml
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" "streams] out"
    assert_not_contains "$stdout" "streams] err"
    assert_contains "$stdout" "odd] a'b'\"c\"\\\$\$d\\ne"
    assert_contains "$stdout" "odd] 64000"
    assert_contains "$stdout" "use] 42 later"
    assert_contains "$stdout" "input] end of input"
    assert_contains "$stdout" "binary] $(head -c 3000000 /dev/zero | tr '\0' '\377' | cksum)"
    assert_eq failed/error "$(state_of signal)"
    assert_contains "$stderr" "exit code 7"
    assert_contains "$stderr" "exit code 127"
    assert_host_is_clean
}

test_workspace() {
    sshd_begin
    write data/in <<<"from here"
    pipeline '{name: a, command: "pwd; cat data/in; mkdir out; echo made >out/file; chmod 750 out/file", artifacts: {paths: [out/]}},
        {name: b, workdir: data, command: "cat in"}' 'checkout: workdir'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "/work0"
    assert_contains "$stdout" "a] from here"
    assert_contains "$stdout" "b] from here"
    assert_host_is_clean
    assert_exit 0 "$RUNNER" artifacts get latest --output got
    assert_eq made "$(cat got/out/file)"
    assert_eq 750 "$(stat -c %a got/out/file)"
}

test_login_directory() {
    umask 022
    sshd_begin
    # Both are read by a bash that sshd starts.
    write home/.bashrc <<<'echo "noise Runner-begin"; echo more noise >&2; printf Runner-'
    pipeline '{name: a, command: "pwd; ls; umask; stat -c %a $(dirname $PIPELINE_OUTPUT)"}'
    echo here >only-here
    assert_exit 0 "$RUNNER" exec p.yaml
    # As the login has it, but nobody else may read or write what steps tell.
    assert_contains "$stdout" "a] 0022"
    assert_contains "$stdout" "a] 700"
    assert_not_contains "$stdout" only-here
    assert_host_is_clean
}

test_connections_break() {
    local i
    sshd_begin
    pipeline '{name: a, command: "for i in $(seq 1 300); do echo line $i; sleep 0.02; done"}'
    spawn "$RUNNER" exec p.yaml
    for i in 20 60 61 100 200; do
        wait_for 30 grep -q "line $i\$" "$case_dir/stdout"
        sshd_cut
    done
    finish
    assert_eq 0 "$status" "exit status"
    assert_eq "$(seq 1 300)" "$(sed 's/.* //' <<<"$stdout")" "what came"
    assert_host_is_clean
}

test_server_is_restarted() {
    sshd_begin
    pipeline '{name: a, command: "echo up; until [ -e '"$PWD"'/go ]; do sleep 0.05; done; echo done"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    sshd_end
    touch go
    sleep 1
    sshd_start
    finish
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" "a] done"
    assert_host_is_clean
}

test_host_loses_the_helper() {
    sshd_begin
    pipeline '{name: a, command: "echo up; sleep NAP4"}, {name: b, command: echo never}'
    spawn "$RUNNER" exec --report json=report.json p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    # The relay; what it has started sees that.
    pkill -9 -o -f "^$PWD/tmp/runner-.*/helper lane"
    finish
    assert_eq 1 "$status" "exit status"
    assert_eq failed/lost "$(state_of a)"
    assert_not_contains "$stdout" never
    ! pgrep -f "sleep ${nap}4" >/dev/null || fail "a process of the step is left"
    assert_host_is_clean
}

test_cancel() {
    sshd_begin
    pipeline '{name: a, command: "trap \"echo told; exit 0\" TERM; echo up; setsid sleep NAP5 & sleep NAP6 & wait"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status" "exit status"
    assert_contains "$stdout" "a] told"
    ! pgrep -f "sleep ${nap}[56]" >/dev/null || fail "a process of the step is left"
    assert_host_is_clean
}

does_not_heed() {
    pipeline "{name: a, timeout: ${limit}s, grace: 200ms, command: 'trap \"\" TERM; echo up; while :; do sleep 0.1; done'}"
    exec_report p.yaml
    assert_eq 1 "$status" "exit status"
}

test_timeout() {
    sshd_begin
    in_time '[[ $stdout == *"a] up"* ]]' does_not_heed
    assert_eq failed/timeout "$(state_of a)"
    assert_host_is_clean
}

# What was being brought there is told to go, too.
test_interrupt_while_the_helper_is_brought() {
    mkdir bin
    printf '#!/bin/sh\ntouch %q/asked; until test -e %q/go; do sleep 0.05; done; exec %q "$@"\n' \
        "$PWD" "$PWD" "$(command -v wc)" >bin/wc
    chmod +x bin/wc
    sshd_path=$PWD/bin:$PATH
    sshd_begin
    pipeline '{name: a, command: echo never}'
    spawn "$RUNNER" exec p.yaml
    wait_for 30 test -e asked
    kill -INT "$spawned"
    wait_for 20 signal_is_read "$spawned"
    touch go
    finish
    assert_eq 130 "$status" "exit status"
    assert_not_contains "$stdout" never
    assert_host_is_clean
}

test_one_session_a_connection() {
    sshd_begin "MaxSessions 1"
    pipeline '{name: a, depends_on: [], command: echo a}, {name: b, depends_on: [], command: echo b},
        {name: c, depends_on: [a, b], command: echo c}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "c] c"
    assert_host_is_clean
}

# With a uname of another system, such as have no helper.
other_system() {
    mkdir -p bin
    printf '#!/bin/sh\necho FreeBSD amd64\n' >bin/uname
    chmod +x bin/uname
    sshd_path=$PWD/bin:$PATH
    umask 022
    sshd_begin
    assert_exit 0 "$RUNNER" doctor "$url"
    assert_contains "$stdout" "a FreeBSD amd64 without the helper"
}

test_without_the_helper() {
    other_system
    cat >p.yaml <<P
name: p
engine: "$url"
environment: {ODD: "a 'b' \"c\" % \\\\ d\ne", LARGE: "$(head -c 64000 /dev/zero | tr '\0' x)"}
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: streams, command: "echo out; echo err >&2"}
          - {name: odd, command: 'printf %s "\$ODD" | od -An -c | tr -d "\n "; echo; echo \${#LARGE}'}
          - {name: tell, command: 'echo "answer=42" >>"\$PIPELINE_OUTPUT"; echo "WORD=later" >>"\$PIPELINE_ENV"'}
          - {name: use, environment: {A: "{{ steps.tell.outputs.answer }}"}, command: 'echo \$A \$WORD'}
          - {name: code, command: exit 7, allow_failure: true}
          - {name: signal, command: 'kill -KILL \$\$', allow_failure: true}
          - {name: input, command: 'cat; echo end of input'}
          - {name: rest, command: 'sleep ${nap}7 & echo has begun'}
          - {name: binary, command: 'head -c 3000000 /dev/zero | tr "\\0" "\\377" | cksum; umask'}
P
    exec_report p.yaml
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" "streams] out"
    assert_not_contains "$stdout" "streams] err"
    assert_contains "$stdout" "odd] a'b'\"c\"%\\d\\ne"
    assert_contains "$stdout" "odd] 64000"
    assert_contains "$stdout" "use] 42 later"
    assert_contains "$stdout" "input] end of input"
    assert_contains "$stdout" "binary] $(head -c 3000000 /dev/zero | tr '\0' '\377' | cksum)"
    assert_contains "$stdout" "binary] 0022"
    assert_not_contains "$stderr" "] Killed"
    assert_eq 7 "$(jq '[.. | objects | select(.name == "code")][0].exit_code' report.json)"
    assert_eq 137 "$(jq '[.. | objects | select(.name == "signal")][0].exit_code' report.json)"
    ! pgrep -f "sleep ${nap}7" >/dev/null || fail "a process of the step is left"
    assert_host_is_clean
}

test_without_the_helper_nothing_stays() {
    local how
    other_system
    pipeline '{name: a, grace: 200ms, command: "trap \"echo told\" TERM; echo up; sleep NAP8; sleep NAP9"}'
    for how in INT KILL; do
        spawn "$RUNNER" exec p.yaml
        wait_for 30 grep -q up "$case_dir/stdout"
        kill -"$how" "$spawned"
        finish
        wait_for 30 bash -c "! pgrep -f 'sleep ${nap}[89]'"
        wait_for 30 bash -c "[ -z \"\$(ls -A tmp)\" ]"
    done
    # Who is told has all the time to say so.
    sed -i 's/grace: 200ms/grace: 1h/' p.yaml
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    kill -INT "$spawned"
    wait_for 30 grep -q "a] told" "$case_dir/stdout"
    kill -INT "$spawned"
    finish
    wait_for 30 bash -c "! pgrep -f 'sleep ${nap}[89]'"
    wait_for 30 bash -c "[ -z \"\$(ls -A tmp)\" ]"
    spawn "$RUNNER" exec --report json=report.json p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    sshd_cut
    finish
    assert_eq 1 "$status" "exit status"
    assert_eq failed/lost "$(state_of a)"
    wait_for 30 bash -c "! pgrep -f 'sleep ${nap}[89]'"
    leftovers_allowed=yes
}

test_what_cannot_work_is_said() {
    sshd_begin "ForceCommand echo this host says no more"
    pipeline '{name: a, command: echo hello}'
    run "$RUNNER" exec p.yaml
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "this host says no more"
    sshd_end
    run "$RUNNER" exec p.yaml
    assert_contains "$stderr" "refused"
    sshd_start
    pipeline '{name: a, command: echo hello, user: somebody}'
    run "$RUNNER" exec p.yaml
    assert_contains "$stderr" "runs as who logs in"
}

test_doctor() {
    sshd_begin
    assert_exit 0 "$RUNNER" doctor "$url"
    assert_contains "$stdout" "whole trees ended"
}

# Two names for the one server, one batch each.
test_hosts_of_an_inventory() {
    sshd_begin
    write hosts.ini <<END
[web]
web-[1:2] ansible_host=$address ansible_port=$port

[web:vars]
ansible_user=$(id -un)
ansible_ssh_private_key_file=$case_dir/key
ansible_host_key_checking=False
END
    write p.yaml <<'Y'
name: p
hosts_file: hosts.ini
stages:
  - name: s
    jobs:
      - name: j
        run_on: web
        serial: 1
        steps:
          - {name: there, command: 'echo "$PIPELINE_HOST ${SSH_CONNECTION:+by ssh}"'}
          - {name: here, engine: host, command: 'echo "$PIPELINE_HOST ${SSH_CONNECTION:+by ssh}"'}
Y
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "web-1 by ssh
web-1 
web-2 by ssh
web-2 " "$(sed -n 's/.*e] web/web/p' <<<"$stdout")"
    assert_exit 0 "$RUNNER" doctor -c p.yaml
    assert_match "$stdout" "ok +ssh://$address:$port\\?key=$case_dir/key&insecure=true  "
}

# Two minutes of waiting are enough once.
if (($# == 0)) && [[ ${RUNNER_TEST_PRESET:-asan} != asan ]]; then
    set -- $(declare -F | sed -n 's/^declare -f \(test_\)/\1/p' | grep -vx test_a_runner_is_killed)
fi
run_tests "$@"

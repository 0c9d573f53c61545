#!/usr/bin/env bash
# Bad days of hosts and of the ways to them: what vanishes, cannot be reached, is full, or refuses.
source "$(dirname "$0")/../lib.sh"
source "$(dirname "$0")/../sshd.sh"

# shellcheck disable=SC2034 # for lanes.sh
needs_daemon=no

# forget_the_run: as a restart of the host does: what ran there has ended, and its directory is gone.
forget_the_run() {
    local pid
    # All of it before anybody can log in again, or hears of it on a connection that is there.
    kill -STOP "$sshd_pid"
    sshd_signal STOP
    for pid in $(pgrep -f "^$PWD/tmp/runner-.*/helper lane"); do
        kill -9 "$pid" 2>/dev/null || true
    done
    sshd_cut
    rm -rf tmp/runner-*
    kill -CONT "$sshd_pid"
}

test_host_is_started_anew() {
    sshd_begin
    pipeline '{name: a, command: "echo up; sleep NAP4", allow_failure: true},
        {name: b, retry: 2, command: "echo attempt $PIPELINE_ATTEMPT; [ $PIPELINE_ATTEMPT = 2 ] || sleep NAP4"},
        {name: c, command: "echo done"}'
    spawn "$RUNNER" exec --report json=report.json p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    forget_the_run
    wait_for 30 grep -q "attempt 1" "$case_dir/stdout"
    forget_the_run
    finish
    assert_eq 0 "$status" "exit status"
    assert_eq failed/lost "$(state_of a)"
    assert_contains "$stdout" "b] attempt 2"
    assert_contains "$stdout" "c] done"
    assert_contains "$stderr" "is gone, as after a restart of the host: it is made again"
    assert_host_is_clean
}

# Between steps, so that none of them is lost.
test_host_is_started_anew_between_steps() {
    sshd_begin
    pipeline "{name: a, command: echo up},
        {name: b, engine: host, command: 'echo between; until [ -e go ]; do sleep 0.05; done'},
        {name: c, command: echo done}"
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -q between "$case_dir/stdout"
    forget_the_run
    touch go
    finish
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" "c] done"
    assert_host_is_clean
}

# log_in_by SHELL [OPTION]: what is asked for is run as sshd does it for a user with another login shell.
log_in_by() {
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nexec %s -c "$SSH_ORIGINAL_COMMAND"\n' "$*" >"$case_dir/login"
    chmod +x "$case_dir/login"
}

# Whatever the shell says of a program that is not there, and with which code.
test_host_is_started_anew_whatever_the_shell() {
    local shell
    mkdir "so!"
    cd "so!"
    log_in_by sh
    sshd_begin "ForceCommand $case_dir/login"
    pipeline "{name: a, command: echo up},
        {name: b, engine: host, command: 'echo between; until [ -e go ]; do sleep 0.05; done'},
        {name: c, command: echo done}"
    for shell in "tcsh -f" fish "sh -e"; do
        log_in_by "$shell"
        rm -f go
        spawn "$RUNNER" exec p.yaml
        wait_for 30 grep -q between "$case_dir/stdout"
        forget_the_run
        touch go
        finish
        assert_eq 0 "$status" "exit status with $shell"
        assert_contains "$stdout" "c] done"
        assert_contains "$stderr" "is gone, as after a restart of the host: it is made again"
        assert_host_is_clean
    done
}

# What steps have made in a copy is not made up by another copy; a job that begins anew has all.
test_copy_of_the_workspace_vanishes() {
    sshd_begin
    write data <<<"from here"
    printf 'name: p\nengine: "%s"\nstages: [{name: s, jobs: [{name: j, checkout: workdir, retry: 2, steps: [
        {name: make, command: "cat data >made"},
        {name: wait, engine: host, command: "echo up $PIPELINE_ATTEMPT; until [ -e go ]; do sleep 0.05; done"},
        {name: use, command: cat made}]}]}]\n' "$url" >p.yaml
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -q "up" "$case_dir/stdout"
    forget_the_run
    touch go
    finish
    assert_eq 0 "$status" "exit status"
    assert_contains "$stderr" "use] failed: lost: no exit record: the copy of the workspace is gone, and what earlier steps have made there"
    assert_contains "$stdout" "use] from here"
    assert_host_is_clean
}

# A connection that takes no command is not kept for later.
test_refused_connections_do_not_pile_up() {
    sshd_begin "MaxSessions 0"
    pipeline "{name: a, retry: 3, command: echo never, allow_failure: true},
        {name: b, engine: host, command: 'echo up; until [ -e go ]; do sleep 0.05; done'}"
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    wait_for 20 no_connections
    touch go
    finish
    assert_eq 0 "$status" "exit status"
    assert_contains "$stderr" "the limit is its MaxSessions"
}
no_connections() { [[ -z $(ps -o pid= --ppid "$sshd_pid") ]]; }

# What could not be killed while the host could not be reached ends as soon as it can be, and not only
# with the run.
test_step_that_could_not_be_killed() {
    sshd_begin
    pipeline '{name: a, grace: 200ms, command: "echo up; sleep NAP1"}'
    cat >>p.yaml <<'Y'
finally:
  - {name: f, jobs: [{name: f, steps: [{name: b, engine: host, command: 'echo next; until [ -e go ]; do sleep 0.05; done'}]}]}
Y
    spawn "$RUNNER" exec --report json=report.json p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    sshd_end
    kill -INT "$spawned"
    wait_for 40 grep -q next "$case_dir/stdout"
    pgrep -f "sleep ${nap}1" >/dev/null || fail "the step has ended without a word"
    sshd_start
    wait_for 40 bash -c "! pgrep -f 'sleep ${nap}[1]'"
    touch go
    finish
    assert_eq 130 "$status"
    assert_eq cancelled "$(state_of a)"
    assert_host_is_clean
}

# refused PARTS TEXT…: a pipeline at the URL of the server with these parameters in place of its own does
# not begin, with these words.
refused() {
    local text
    url="ssh://$(id -un)@$address:$port?config=none&$1"
    shift
    pipeline '{name: a, command: echo never}'
    run "$RUNNER" exec p.yaml
    assert_eq 3 "$status" "exit status"
    assert_not_contains "$stdout" never
    for text; do
        assert_contains "$stderr" "$text"
    done
}

fingerprint() { ssh-keygen -lf "$1" | cut -d ' ' -f 2; }

test_keys_of_hosts() {
    sshd_begin "HostKey $case_dir/sshd/host_ed25519"
    local known=$case_dir/known_hosts mine=$case_dir/sshd/host_ed25519.pub
    : >"$known"
    refused "key=$case_dir/key&known_hosts=$known" "the host key is not known: ssh-ed25519 $(fingerprint "$mine")"
    assert_eq "" "$(<"$known")" "what was written down"
    ssh-keygen -q -t ed25519 -N '' -f "$case_dir/other"
    printf '[%s]:%s %s\n' "$address" "$port" "$(<"$case_dir/other.pub")" >"$known"
    refused "key=$case_dir/key&known_hosts=$known" "$(fingerprint "$mine")" "$(fingerprint "$case_dir/other.pub")"
    refused "key=$case_dir/key&known_hosts=$known&accept_new=true" "$(fingerprint "$mine")"
    refused "key=$case_dir/key&host_key=$(fingerprint "$case_dir/other.pub")" "$(fingerprint "$mine")" \
        "host_key says $(fingerprint "$case_dir/other.pub")"
    run "$RUNNER" doctor "$url"
    assert_eq 3 "$status" "exit status"
    assert_contains "$stdout" "$(fingerprint "$mine")"
}

test_logins_that_are_refused() {
    sshd_begin "PasswordAuthentication yes"
    local agent
    ssh-keygen -q -t ed25519 -N secret -f "$case_dir/locked"
    ssh-keygen -q -t ed25519 -N '' -f "$case_dir/stranger"
    refused "insecure=true&key=$case_dir/locked" "/locked (is encrypted: add it to the agent, or give ?passphrase=)"
    refused "insecure=true&key=$case_dir/locked&passphrase=wr0ng" "/locked (cannot be opened: is the passphrase right?)"
    assert_not_contains "$stdout$stderr" wr0ng
    refused "insecure=true&key=$case_dir/stranger" "/stranger (refused)"
    eval "$(ssh-agent -s)" >/dev/null
    agent=$SSH_AGENT_PID
    # shellcheck disable=SC2064
    trap "kill $agent; sshd_end" EXIT
    ssh-add -q "$case_dir/stranger"
    refused insecure=true "agent"
    url="ssh://$(id -un):wr0ng@$address:$port?config=none&insecure=true"
    pipeline '{name: a, command: echo never}'
    assert_exit 3 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "password (refused)"
    assert_not_contains "$stdout$stderr" wr0ng
}

test_servers_that_do_not_answer() {
    local words
    sshd_begin
    : >nothing
    # Up to its part of an exchange of keys.
    python3 -c 'import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(b"SSH-2.0-none\r\n")
f = s.makefile("rb")
line, size = f.readline(), f.read(4)
sys.stdout.buffer.write(line + size + f.read(int.from_bytes(size, "big")))' "$address" "$port" >begin
    sshd_end
    refused "key=$case_dir/key&insecure=true" "Connection refused"
    printf 'Host *\nConnectTimeout 1\nConnectionAttempts 1\n' >config
    url="ssh://$(id -un)@$address:$port?key=$case_dir/key&insecure=true&config=$PWD/config"
    pipeline '{name: a, command: echo never}'
    # Takes connections, and says no more than that.
    for words in nothing begin; do
        python3 -c 'import socket, sys
s = socket.create_server((sys.argv[1], int(sys.argv[2])))
words, taken = open(sys.argv[3], "rb").read(), []
while True:
    taken.append(s.accept()[0])
    taken[-1].sendall(words)' "$address" "$port" "$words" &
        sshd_pid=$!
        wait_for 20 listens
        assert_exit 3 "$RUNNER" exec p.yaml
        assert_contains "$stderr" "the server has not answered for 1 seconds"
        sshd_end
    done
}

# A banner before the login, and start-up files that print, on both streams, without a line break.
test_banner_and_noise() {
    mkdir -p home
    printf 'Runner-begins\nAll that you do here is recorded.\n' >banner
    write home/.bashrc <<<'printf "noise\nRunner-"; printf "noise" >&2'
    sshd_begin "Banner $PWD/banner"
    pipeline '{name: a, command: "echo mine; echo too >&2"}' 'checkout: workdir'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "[stage(1/1): s][job(1/1): j][step(1/1): a] mine" "$stdout"
    assert_contains "$stderr" "a] too"
    assert_not_contains "$stderr" noise
    assert_host_is_clean
}

# The disk that everything goes to has a size.
test_disk_is_full() {
    sshd_begin
    # shellcheck disable=SC2016
    local size
    sshd_end
    mkdir small
    mount -t tmpfs -o size=8m none small
    trap 'sshd_end; umount -l "$PWD/small"' EXIT
    mv tmp tmp.before
    ln -s small tmp
    sshd_start
    pipeline '{name: a, command: "head -c 20000000 /dev/zero >$PWD/big"}, {name: b, command: echo never}' 'checkout: workdir'
    exec_report p.yaml
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "No space left on device"
    assert_not_contains "$stdout" never
    assert_eq "" "$(ls -A small)"
    # A copy that does not fit.
    head -c 9000000 /dev/urandom >large
    exec_report p.yaml
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "cannot copy $PWD to the host: runner: cannot unpack large: no space left on device"
    assert_eq "" "$(ls -A small)"
    # Nor does the helper.
    head -c 9000000 /dev/zero >small/fill 2>/dev/null || true
    rm large
    exec_report p.yaml
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "the helper cannot be brought to $(id -un)@$address (exit code 1): "
    assert_contains "$stderr" "No space left on device; it needs a POSIX sh, and a directory with some room"
    assert_eq fill "$(ls -A small)"
}

test_no_shell_there() {
    mkdir -p none
    sshd_path=$PWD/none
    sshd_begin
    pipeline '{name: a, command: echo never}'
    run "$RUNNER" exec p.yaml
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "(exit code 127): bash: line 1: exec: sh: not found; it needs a POSIX sh"
    assert_host_is_clean
}

# net_begin: the server in a network of its own at the other end of a cable; commands behind "${net[@]}" are
# at this end. Its connections are in this script's processes only.
net_begin() {
    local near far
    sshd_begin
    sshd_end
    # What is in its namespace says so: before, /proc may show another than it is in.
    unshare --net bash -c ': >near.ready; exec sleep 1000' &
    near=$!
    unshare --net bash -c ': >far.ready; exec sleep 1000' &
    far=$!
    # shellcheck disable=SC2064
    trap "sshd_end; kill $near $far" EXIT
    net=(nsenter -t "$near" -n)
    far_net=(nsenter -t "$far" -n)
    wait_for 20 test -e near.ready -a -e far.ready
    "${net[@]}" ip link add near type veth peer name far netns "$far"
    "${net[@]}" ip addr add 10.213.0.1/24 dev near
    "${net[@]}" ip link set near up
    "${far_net[@]}" ip addr add 10.213.0.2/24 dev far
    "${far_net[@]}" ip link set far up
    "${far_net[@]}" ip link set lo up
    address=10.213.0.2
    "${far_net[@]}" bash "$sshd_script" "$sshd_dir" "$address" "$port" \
        "SetEnv HOME=$PWD/home TMPDIR=$PWD/tmp" 2>>"$case_dir/sshd.log" &
    sshd_pid=$!
    wait_for 20 "${net[@]}" bash -c "exec 3<>/dev/tcp/$address/$port"
    url="ssh://$(id -un)@$address:$port?key=$case_dir/key&insecure=true&config=none"
}
cable() { "${far_net[@]}" ip link set far "$1"; }

# The cable is out for some time, and then in again: with the connection, or with one that the server has
# given up meanwhile.
test_cable_is_out() {
    local i
    net_begin
    pipeline '{name: a, command: "for i in $(seq 1 300); do echo line $i; sleep 0.02; done"}'
    spawn "${net[@]}" "$RUNNER" exec p.yaml
    for i in 20 150; do
        wait_for 30 grep -q "line $i\$" "$case_dir/stdout"
        cable down
        sleep 1
        ((i == 20)) || sshd_cut
        sleep 0.5
        cable up
    done
    finish
    assert_eq 0 "$status" "exit status"
    assert_eq "$(seq 1 300)" "$(sed 's/.* //' <<<"$stdout")" "what came"
    assert_host_is_clean
}

# What is there ends by itself, as the runner gives up.
test_cable_stays_out() {
    net_begin
    pipeline '{name: a, command: "echo up; sleep NAP2"}, {name: b, command: echo never}'
    spawn "${net[@]}" "$RUNNER" exec --report json=report.json p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    cable down
    wait "$spawned" && status=0 || status=$?
    collect
    assert_eq 1 "$status" "exit status"
    assert_eq failed/lost "$(state_of a)"
    assert_contains "$stderr" "no contact for 120 seconds, after which the relay on the host ends by itself: "
    assert_not_contains "$stdout" never
    wait_for 60 bash -c "! pgrep -f 'sleep ${nap}[2]'"
    wait_for 60 bash -c '[ -z "$(ls -A tmp)" ]'
}
case_timeout[test_cable_stays_out]=300

# Long waiting is enough once.
if (($# == 0)) && [[ ${RUNNER_TEST_PRESET:-asan} != asan ]]; then
    set -- $(declare -F | sed -n 's/^declare -f \(test_\)/\1/p' | grep -vxE "test_step_that_could_not_be_killed|test_cable_stays_out")
fi
run_tests "$@"

# shellcheck shell=bash
# For end-to-end scripts behind tests/lib.sh: a real sshd for each test, on a loopback address, and
# pipelines on it.
#
#   sshd_begin "MaxSessions 1"       # lines of sshd_config; sets url
#   pipeline '{name: a, command: "echo up; sleep NAP1"}'
#   spawn "$RUNNER" exec p.yaml
#   sshd_cut                         # its connections; sshd_end: the server; sshd_start: another
#   finish
#   assert_host_is_clean

sshd_path=
sshd_script=$(cd "$(dirname "${BASH_SOURCE[0]}")/env" && pwd)/sshd.sh
port=2222
# Of one length: none is the beginning of another's.
nap=$(printf '9%07d' $$)

# sshd_begin [LINE…]: one for this test, with these lines of sshd_config; sets url and sshd_pid.
sshd_begin() {
    sshd_dir=$case_dir/sshd
    address=127.$((RANDOM % 200 + 20)).$((RANDOM % 250 + 1)).$((RANDOM % 250 + 1))
    mkdir -p "$sshd_dir" home
    [[ -e $case_dir/key ]] || ssh-keygen -q -t ed25519 -N '' -f "$case_dir/key"
    cp "$case_dir/key.pub" "$sshd_dir/authorized_keys"
    sshd_pid=
    trap sshd_end EXIT
    sshd_start "$@"
    url="ssh://$(id -un)@$address:$port?key=$case_dir/key&insecure=true&config=none"
}

# The login's own start-up files are nothing to these tests, and what is left is looked for in $PWD/tmp.
sshd_start() {
    mkdir -p tmp
    bash "$sshd_script" "$sshd_dir" "$address" "$port" \
        "SetEnv HOME=$PWD/home TMPDIR=$PWD/tmp ${sshd_path:+PATH=$sshd_path}" "$@" 2>>"$case_dir/sshd.log" &
    sshd_pid=$!
    wait_for 20 listens
}

listens() { (exec 3<>"/dev/tcp/$address/$port") 2>/dev/null; }

# sshd_connections: the processes of the connections, without the server.
sshd_connections() {
    local pid
    for pid in $(ps -o pid= --ppid "$sshd_pid"); do
        echo "$pid" $(ps -o pid= --ppid "$pid")
    done
}

# sshd_signal SIGNAL: to these.
sshd_signal() {
    local -a pids
    read -ra pids -d '' < <(sshd_connections) || true
    ((${#pids[@]} == 0)) || kill -s "$1" "${pids[@]}" 2>/dev/null || true
}

# Their server may not have collected them, as when it is stopped.
have_ended() { ! ps -o stat= -p "$*" | grep -qv '^Z'; }

# sshd_cut: ends the connections and not the server. Who is killed ends in a moment, which is waited for.
sshd_cut() {
    local -a pids
    read -ra pids -d '' < <(sshd_connections) || true
    ((${#pids[@]})) || return 0
    kill -KILL "${pids[@]}" 2>/dev/null || true
    wait_for 20 have_ended "${pids[@]}"
}

# sshd_end: ends the server, and its connections.
sshd_end() {
    [[ -n $sshd_pid ]] || return 0
    kill -STOP "$sshd_pid" 2>/dev/null || true
    sshd_cut
    kill -9 "$sshd_pid" 2>/dev/null || true
    wait "$sshd_pid" 2>/dev/null || true
    sshd_pid=
}

on_failure() { tail -n 20 "$case_dir/sshd.log" 2>/dev/null || true; }

# pipeline STEPS [JOB KEYS]: a pipeline of one job on the host; NAP is a number that nobody else has.
pipeline() {
    printf 'name: p\nengine: "%s"\nstages: [{name: s, jobs: [{name: j, %s steps: [%s]}]}]\n' \
        "$url" "${2:+$2,}" "${1//NAP/$nap}" >p.yaml
}

# What runners leave on hosts that have nothing else of them.
assert_host_is_clean() {
    assert_eq "" "$(ls -A tmp)" "what is left on the host"
    ! pgrep -f "$PWD/tmp/runner-" >/dev/null || fail "a helper of the run is left"
}

#!/usr/bin/env bash
# `runner doctor`: what it finds where everything works, and what it says where something does not.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../s3.sh
source "$(dirname "$0")/../s3.sh"
# shellcheck source=../env/env.sh
source "$(dirname "$0")/../env/env.sh"

# line NAME: the line of that check in standard output; mend NAME: what stands below it.
line() { grep -E "^[^ ]+ +$1  " <<<"$stdout"; }
mend() { awk -v name="$1" '/^[^ ]/ { wanted = $2 == name; next } wanted' <<<"$stdout"; }

# finding NAME STATE REGEX: the check came to that.
finding() {
    assert_match "$(line "$1")" "^$2 +$1 +$3" "finding of $1"
    case $2 in
    fail | warn) [[ -n $(mend "$1") ]] || fail "nothing says how to mend $1" ;;
    *) assert_eq "" "$(mend "$1")" "mending of $1" ;;
    esac
}

# What stands before commands.
sudo=()
((EUID == 0)) || sudo=(sudo -E)
# Without the sockets that this machine may have.
# shellcheck disable=SC2016
without_sockets=("${sudo[@]}" unshare --mount bash -c 'mount -t tmpfs none /run && exec "$@"' -)
# A user for whom nothing is prepared.
user=61234
as_user=("${sudo[@]}" setpriv --reuid "$user" --regid "$user" --clear-groups)

test_everything_works() {
    assert_exit 0 "$RUNNER" doctor
    finding state ok "journals in $case_dir/.*runner, temporary files in $case_dir/tmp$"
    finding archives ok "files can be packed"
    finding cache ok "$case_dir/home/.cache/runner can be written and read$"
    finding artifacts ok "$case_dir/home/.local/state/runner/artifacts can be written and read$"
    finding history ok "0 runs are recorded in $case_dir/home/.local/state/runner$"
    finding host ok "local processes"
    finding ssh n/a "not available: no host is named: "
    finding idp n/a "not available: no agent is named: "
    finding docker ok "[0-9.]+.* \(API 1\.[0-9]+\) at $DOCKER_HOST from DOCKER_HOST: .*, no swarm$"
    assert_eq "" "$(find "$case_dir/home" -type f -path '*doctor*')" "objects"
    assert_eq "" "$stderr"
    assert_exit 0 "$RUNNER" doctor --format json
    assert_eq "state archives cache artifacts history host docker" \
        "$(jq -r '[.[] | select(.state == "ok") | .check] - ["kubernetes"] | join(" ")' <<<"$stdout")"
    assert_exit 0 "$RUNNER" doctor docker state
    assert_match "$stdout" $'^ok +docker .*\nok +state [^\n]*$'
    assert_exit 0 "$RUNNER" doctor --docker-host unix:///none "docker://$DOCKER_HOST"
}

test_swarm() {
    docker swarm init --advertise-addr 127.0.0.1 >/dev/null
    run "$RUNNER" doctor docker
    docker swarm leave --force >/dev/null
    assert_eq 0 "$status"
    finding docker ok ".*, swarm manager$"
}

test_no_docker() {
    local daemon=$DOCKER_HOST
    unset DOCKER_HOST
    run "${without_sockets[@]}" "$RUNNER" doctor
    assert_eq 0 "$status"
    finding docker n/a "not available: no Docker was found: "
    finding host ok ""
    run "${without_sockets[@]}" "$RUNNER" doctor docker
    assert_eq 3 "$status"
    finding docker fail "no Docker was found: "
    assert_contains "$(mend docker)" "install and start Docker or podman"
    export DOCKER_HOST=$daemon # for what looks after the test
}

test_docker_that_is_named_is_not_there() {
    assert_exit 3 "$RUNNER" doctor --docker-host unix:///none.sock
    finding docker fail "cannot connect to the Docker daemon at unix:///none.sock: No such file or directory$"
    assert_contains "$(mend docker)" "start the daemon (sudo systemctl start docker)"
    finding host ok ""
    DOCKER_HOST='' DOCKER_CONTEXT=none assert_exit 3 "$RUNNER" doctor
    finding docker fail 'Docker context "none" does not exist in '
}

# The mending of it is said by the message.
finding_by_message() {
    assert_match "$(line "$1")" "^$2 +$1 +$3" "finding of $1"
}

# listen ADDRESS CODE: in the background, until file descriptor 9 is closed: Python of a listening
# socket "s"; ADDRESS is a path, or empty for a port of 127.0.0.1, which becomes the file "address".
listen() {
    mkfifo hold
    python3 - "$1" "$2" 9>&- <<'P' &
import os, socket, sys, threading
path, code = sys.argv[1:]
if path:
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    os.chmod(path, 0o600)
    s.listen()
else:
    s = socket.create_server(("127.0.0.1", 0))
with open("address.new", "w") as f:
    f.write(path or "127.0.0.1:%d" % s.getsockname()[1])
os.rename("address.new", "address")
if code:
    threading.Thread(target=exec, args=(code, {"s": s}), daemon=True).start()
open("hold").read()
P
    wait_for 20 test -e address
    exec 9>hold
}

listen_end() {
    exec 9>&-
    wait
}

test_socket_without_permission() {
    listen "$PWD/docker.sock" ""
    chmod 755 .
    mkdir -m 777 user
    run "${as_user[@]}" env HOME="$PWD/user" XDG_RUNTIME_DIR= TMPDIR= "$RUNNER" doctor --docker-host "unix://$PWD/docker.sock"
    listen_end
    assert_eq 3 "$status"
    finding docker fail "cannot connect to the Docker daemon at unix://$PWD/docker.sock: Permission denied$"
    assert_contains "$(mend docker)" "sudo usermod -aG docker USER"
    finding state ok "journals in $PWD/user/.local/state/runner, temporary files in /tmp$"
    finding cache ok "$PWD/user/.cache/runner"
}

test_something_else_than_docker() {
    listen "" 'while True:
    c = s.accept()[0]
    while c.recv(65536):
        c.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")'
    DOCKER_HOST=tcp://$(<address) run "$RUNNER" doctor
    listen_end
    assert_eq 3 "$status"
    finding docker fail ""
}

# It takes the request, and answers nothing.
test_interrupted() {
    listen "" 'c = s.accept()[0]
while c.recv(65536):
    open("asked", "w")'
    spawn "$RUNNER" doctor --format json --docker-host "tcp://$(<address)"
    wait_for 20 test -e asked
    kill -INT "$spawned"
    finish
    listen_end
    assert_eq 130 "$status"
    assert_eq "state archives cache artifacts history host" "$(jq -r '[.[].check] | join(" ")' <<<"$stdout")"
    assert_eq "runner doctor: cancelled" "$stderr"
}

test_directories_that_cannot_be_written() {
    local -a as=("${as_user[@]}" env -u XDG_RUNTIME_DIR HOME="$PWD/home" DOCKER_HOST="$DOCKER_HOST")
    mkdir home
    chmod 755 . home
    run "${as[@]}" TMPDIR=/tmp "$RUNNER" doctor cache state
    assert_eq 0 "$status"
    finding cache warn ".*$PWD/home/.cache.*Permission denied"
    finding state ok "journals in /tmp/runner-$user, temporary files in /tmp$"
    run "${as[@]}" "$RUNNER" doctor artifacts
    assert_eq 3 "$status"
    finding artifacts fail ".*$PWD/home/.local.*Permission denied"
    run "${as[@]}" TMPDIR="$PWD" "$RUNNER" doctor state
    assert_eq 3 "$status"
    finding state fail ".*$PWD/runner-.*Permission denied"
    assert_contains "$(mend state)" "TMPDIR"
    # The last place that is tried.
    as_root rm -rf "/tmp/runner-$user"
    as_root mkdir -m 755 "/tmp/runner-$user"
    run "${as[@]}" "$RUNNER" doctor state
    as_root rm -rf "/tmp/runner-$user"
    assert_eq 3 "$status"
    finding state fail ".*/tmp/runner-$user"
    assert_contains "$(mend state)" "XDG_STATE_HOME"
}

# run_without LIBRARY COMMAND…: as if the shared library were not installed.
run_without() {
    local file
    file=$(ldconfig -p | awk -v name="$1" '$1 == name && !n++ { print $NF }')
    shift
    # shellcheck disable=SC2016
    run "${sudo[@]}" unshare --mount bash -c 'mount --bind /dev/null "$1" && shift && exec "$@"' - \
        "$file" "$@"
}

test_libraries_that_are_missing() {
    run_without libarchive.so.13 "$RUNNER" doctor
    assert_eq 0 "$status"
    finding archives warn "libarchive.so.13 cannot be loaded .*; install the package libarchive13$"
    finding docker ok ""
    run_without libcurl.so.4 "$RUNNER" doctor
    assert_eq 3 "$status"
    finding archives ok ""
    finding_by_message docker fail "libcurl.so.4 cannot be loaded .*; install the package libcurl4$"
}

test_store() {
    s3_credentials
    assert_exit 0 "$RUNNER" doctor --store "$store" store
    finding store ok "${store/\?/\\?} can be written and read$"
    assert_eq "" "$(in_bucket)" "bucket"
    assert_exit 0 "$RUNNER" doctor --store "$store"
    finding store ok ""
    finding docker ok ""
    AWS_SECRET_ACCESS_KEY=wrong assert_exit 3 "$RUNNER" doctor --store "$store" store
    finding store fail ".*SignatureDoesNotMatch"
    # What has been written and cannot be read is removed.
    s3_proxy "GET status 403 AccessDenied"
    assert_exit 3 "$RUNNER" doctor --store "$store" store
    s3_proxy_end
    finding store fail ".*AccessDenied"
    assert_eq "" "$(in_bucket)" "bucket"
}

test_usage() {
    assert_exit 2 "$RUNNER" doctor dokcer
    assert_eq 'runner doctor: there is no "dokcer" to look at; did you mean "docker"?' "$stderr"
    assert_exit 2 "$RUNNER" doctor host elephant
    assert_eq 'runner doctor: there is no "elephant" to look at; see "runner doctor --help"' "$stderr"
    assert_exit 2 "$RUNNER" doctor ftp://me:secret@there
    assert_eq 'runner doctor: there is no "ftp://there" to look at; see "runner doctor --help"' "$stderr"
    write p.yaml <<<'{name: p, hosts: [{name: a, engine: dokcer}], stages: []}'
    assert_exit 2 "$RUNNER" doctor -c p.yaml
    assert_contains "$stderr" 'p.yaml:1:37: error: unknown engine "dokcer"; did you mean "docker"?'
    assert_eq "" "$stdout"
    assert_exit 2 "$RUNNER" doctor store
    assert_eq "runner doctor: which store? --store s3://BUCKET/PREFIX says" "$stderr"
    assert_exit 2 "$RUNNER" doctor --cache-size huge
    assert_contains "$stderr" "runner doctor: --cache-size: "
    assert_exit 2 "$RUNNER" doctor --store nonsense
    assert_eq 'runner doctor: --store: the store "nonsense" is not known; use local or s3://BUCKET/PREFIX' "$stderr"
}

run_tests "$@"

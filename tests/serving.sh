# shellcheck shell=bash
# For end-to-end scripts that kill servers; sourced behind lib.sh.
#
#   serve OPTION…    a server in this directory, at $url; the next one is at the same port
#   kill_server      with SIGKILL
#   end              in order
#   is STATE RUN     whether the server says so of the run

serve() {
    spawn "$RUNNER" server --host 127.0.0.1 --port "${port:=$(own_port)}" --workdir "$PWD/runs" --history "$PWD/history" "$@"
    wait_for 20 grep -q listening "$case_dir/stderr"
    port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' "$case_dir/stderr")
    url=ws://127.0.0.1:$port
}

kill_server() {
    kill -KILL "$spawned"
    finish
}

end() {
    kill -TERM "$spawned"
    finish
    assert_eq 0 "$status" "the server's exit status"
}

is() { [[ $("${case_env[@]}" "$RUNNER" show -s "$url" --format json "$2" | jq -r .status) == "$1" ]]; }

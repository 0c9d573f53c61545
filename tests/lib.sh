# shellcheck shell=bash
# For end-to-end scripts: tests/e2e/NAME.sh sources this file, defines functions test_*, and ends
# with `run_tests "$@"`. Each test runs in a process, a directory and a HOME of its own:
#
#   source "$(dirname "$0")/../lib.sh"
#   declare -A case_timeout=([test_slow]=120)       # seconds, otherwise 60
#   test_hello() {
#       write p.yaml <<<'{name: p, stages: [{name: s, jobs: [{name: j, steps: [{command: "echo hi"}]}]}]}'
#       assert_exit 0 "$RUNNER" exec p.yaml
#       assert_contains "$stdout" "hi"
#   }
#   run_tests "$@"
#
# A script that uses the Kubernetes cluster sets needs_cluster=shared before run_tests, or alone if no
# other may use it meanwhile, as when it stops parts of it. One that uses the swarm sets needs_swarm=yes;
# such scripts run one after the other.
#
# A script that uses a current Docker Compose as a witness sets needs_compose=yes before run_tests; the
# program is then $COMPOSE_WITNESS. With needs_agent=yes there is a real IDP agent, $IDP_AGENT.
#
# One that needs no Docker daemon sets needs_daemon=no: it runs beside those that do.
#
# After a test that passed, assert_no_leftovers runs by itself unless the test sets leftovers_allowed.
# Run by hand: eval "$(tests/env/up.sh)"; RUNNER=build/runner tests/e2e/NAME.sh [test_hello…]
#
# Commands under test go through `run`, `assert_exit` or `spawn`, which give them the environment by
# which their processes are found again. stdout, stderr and status hold the result; the exact bytes
# are in $case_dir/stdout and $case_dir/stderr. The current directory is $case_dir/work.
set -euo pipefail

declare -A case_timeout=()
leftovers_allowed=
needs_cluster=
needs_compose=
needs_agent=
needs_swarm=
needs_daemon=
# shellcheck disable=SC2034 # for the tests
stdout='' stderr='' limit=
status=0 spawned=
script=$(basename "$0" .sh)
sources=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# --- doing ---------------------------------------------------------------------------------------

# write FILE: standard input becomes the file, directories are made.
write() {
    mkdir -p "$(dirname "$1")"
    cat >"$1"
}

# The witness: the docker command line client, with a configuration apart from the runner's. A daemon that no
# longer answers is not waited for.
docker() { timeout "$(patience 300)" docker --config "$case_dir/witness" "$@"; }

collect() {
    # Shell variables hold no NUL, and a gigabyte does not belong in one.
    # shellcheck disable=SC2034
    stdout=$(head -c 1M "$case_dir/stdout" | tr -d '\0')
    # shellcheck disable=SC2034
    stderr=$(head -c 1M "$case_dir/stderr" | tr -d '\0')
}

# run COMMAND…: runs it to its end; sets status, stdout, stderr.
run() {
    command_line=$*
    status=0
    "${case_env[@]}" "$@" >"$case_dir/stdout" 2>"$case_dir/stderr" </dev/null || status=$?
    collect
}

# exec_report OPTION…: runs a pipeline whose report is report.json then, whatever its status.
exec_report() {
    run "$RUNNER" exec --report json=report.json "$@"
    [[ -s report.json ]] || fail "there is no report"
}

# state_of NAME: state and reason of the first node of that name in report.json: "failed/timeout".
state_of() {
    jq -r --arg name "$1" '[.. | objects | select(.name == $name)] | first
        | .status + (if .reason then "/" + .reason else "" end)' report.json
}

# spawn COMMAND…: starts it; its pid is $spawned. Output files grow while it runs.
spawn() {
    command_line=$*
    # Not by the command: until it has begun, what an earlier one has written would still be there.
    : >"$case_dir/stdout"
    : >"$case_dir/stderr"
    "${case_env[@]}" "$@" >"$case_dir/stdout" 2>"$case_dir/stderr" </dev/null &
    spawned=$!
}

# finish: waits for the spawned command; sets status, stdout, stderr.
finish() {
    status=0
    wait "$spawned" || status=$?
    collect
}

# patience SECONDS: the limit of a wait, which is only against waiting for ever: a slow machine has more
# of it, by $RUNNER_TEST_TIMEOUT_FACTOR.
patience() { echo $(($1 * ${RUNNER_TEST_TIMEOUT_FACTOR:-1})); }

# wait_for SECONDS COMMAND…: polls until the command succeeds, otherwise the test fails. What does not come
# soon is not asked for so often: others need the processor.
wait_for() {
    local limit deadline rounds=0
    limit=$(patience "$1")
    deadline=$((SECONDS + limit + 1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || fail "not within $limit seconds: $*"
        rounds=$((rounds + 1))
        if ((rounds < 20)); then
            sleep 0.05
        elif ((rounds < 60)); then
            sleep 0.2
        else
            sleep 0.5
        fi
    done
}

# in_time CONDITION COMMAND…: for a timeout that is to strike when something has come to a certain point,
# which a slow machine may not have done by then. COMMAND is called with more and more seconds in $limit,
# those of $limits, until CONDITION, shell text, says that it had; if it never says so, the last time is
# what counts.
limits=(1 3 9 27)
in_time() {
    local reached=$1
    shift
    for limit in "${limits[@]}"; do
        "$@"
        ! eval "$reached" >/dev/null 2>&1 || break
    done
}

# signal_is_read PID: the process has taken what was sent to it; another of the same kind before that would
# be lost.
signal_is_read() { ! grep -q '^ShdPnd:.*[1-9a-f]' "/proc/$1/status"; }

# minds_interrupts PID: a shell starts background commands with them ignored, and one that is sent before the
# process has changed that is lost.
minds_interrupts() { ! grep -qE '^Name:[[:space:]]*bash$|^SigIgn:.*[2367abef]$' "/proc/$1/status"; }

# interrupt_again: a second time, and not the same time.
interrupt_again() {
    wait_for 20 signal_is_read "$spawned"
    kill -INT "$spawned"
}

# own_port: one at which a server can be started anew. While none is there nobody else gets it: it is not among
# those that the kernel chooses from, for whoever connects or wants any port.
own_port() {
    local port=$((20000 + SRANDOM % 10000))
    while (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        port=$((20000 + SRANDOM % 10000))
    done
    echo "$port"
}

# kill_at_once PID…: none of them comes to see the end of another and to act on it.
kill_at_once() {
    kill -STOP "$@"
    kill -KILL "$@"
}

# runner_image NAME: what the Dockerfile makes, in this script's daemon under that name. It is built once and
# then loaded into the other daemons of the environment, until that is stopped.
runner_image() {
    local key built
    # shellcheck disable=SC2046
    key=$(tar -C "$sources" --sort=name --mtime=@0 -c Dockerfile $(sed -n 's/^!//p' "$sources/.dockerignore") |
        sha256sum | cut -c 1-16)
    built=$RUNNER_TEST_STATE/runner-image-$key.tar
    (
        flock 9
        [[ ! -s $built ]] || exit 0
        DOCKER_BUILDKIT=0 docker build -q -t "runner-test/runner:$key" "$sources" >"$case_dir/build.log" 2>&1 &&
            docker save -o "$built.new" "runner-test/runner:$key" && mv "$built.new" "$built"
    ) 9>"$RUNNER_TEST_STATE/runner-image.lock" || fail "docker build: $(tail -n 20 "$case_dir/build.log")"
    docker image inspect "runner-test/runner:$key" >/dev/null 2>&1 || docker load -q -i "$built" >/dev/null
    docker tag "runner-test/runner:$key" "$1"
}

# ends_of FILE: its first and last lines; what failed stands in front.
ends_of() {
    if (($(wc -l <"$1") <= 100)); then
        cat "$1"
    else
        head -n 20 "$1"
        echo "[…]"
        tail -n 80 "$1"
    fi
}

# --- asserting -----------------------------------------------------------------------------------

# fail TEXT: ends the test, with the place in the script and the last command's output, and what
# on_failure tells, where a script or library has that.
fail() {
    local frame=0
    while [[ ${BASH_SOURCE[frame]} == "${BASH_SOURCE[0]}" && frame -lt ${#BASH_LINENO[@]}-1 ]]; do
        frame=$((frame + 1))
    done
    printf '%s:%s: %s\n' "$(basename "${BASH_SOURCE[frame]}")" "${BASH_LINENO[frame - 1]}" "$1"
    [[ -z ${command_line:-} ]] || printf 'last command: %s (exit %s)\n' "$command_line" "$status"
    local stream
    for stream in stdout stderr; do
        [[ ! -s $case_dir/$stream ]] || printf -- '--- its %s:\n%s\n' "$stream" \
            "$(tail -n 40 "$case_dir/$stream" | cut -c 1-400 | tr -d '\0')"
    done
    ! declare -F on_failure >/dev/null || on_failure
    exit 1
}

# assert_eq EXPECTED GOT [WHAT]
assert_eq() {
    [[ $1 == "$2" ]] || fail "${3:-value} differs
expected: $1
got:      $2"
}

# assert_contains TEXT PART [WHAT], and its opposite
assert_contains() {
    [[ $1 == *"$2"* ]] || fail "${3:-text} does not contain what it should
expected: $2
got:      $(tail -n 40 <<<"$1")"
}

assert_not_contains() {
    [[ $1 != *"$2"* ]] || fail "${3:-text} contains what it should not: $2"
}

# assert_match TEXT REGEX [WHAT]: an extended regular expression
assert_match() {
    [[ $1 =~ $2 ]] || fail "${3:-text} does not match
expected: $2
got:      $(tail -n 40 <<<"$1")"
}

# assert_exit CODE COMMAND…
assert_exit() {
    local expected=$1
    shift
    run "$@"
    [[ $status == "$expected" ]] || fail "exit status differs
expected: $expected
got:      $status"
}

# --- leftovers -----------------------------------------------------------------------------------

# What things of runs and of Compose projects have.
labels_of_ours=(dev.runner.run com.docker.compose.project)

# Prints one line for each thing of a run that still exists, as seen from outside the runner.
leftovers() {
    things_of_runs | grep -vxF -e "${stood_before:-nothing}" || true
    local pid
    for pid in $(case_processes); do
        printf 'process %s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null || true)"
    done
    # The one that ThreadSanitizer has for a moment before a program begins: who is killed then leaves it.
    find "$case_dir/tmp" -mindepth 1 -maxdepth 1 ! -name 'tsan.rodata.*' -printf 'temporary file %p\n'
}

# Of each kind at once: this runs often, and filters by labels cannot say "or".
things_of_runs() {
    local ours
    ours="[ ,]\\($(sed 's/ /\\|/; s/\./\\./g' <<<"${labels_of_ours[*]}")\\)="
    # Those of pods are their kubelet's, where the daemon is a node's; scripts ask its cluster.
    docker ps -a --format 'container {{.ID}} {{.Image}} {{.Status}} {{.Labels}}' |
        sed -n "/io\\.kubernetes\\.pod\\.uid=/d; /$ours/p"
    docker network ls --format 'network {{.ID}} {{.Name}} {{.Labels}}' | sed -n "/$ours/s/ [^ ]*\$//p"
    docker volume ls --format 'volume {{.Name}} {{.Labels}}' | sed -n "/$ours/s/ [^ ]*\$//p"
}

# Processes that descend from a command under test: they, the steps too, have its TMPDIR.
case_processes() {
    local environ pid state
    for environ in $(grep -lszxF "TMPDIR=$case_dir/tmp" /proc/[0-9]*/environ || true); do
        pid=${environ#/proc/}
        pid=${pid%/environ}
        state=$(sed -n 's/^State:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null || true)
        [[ -z $state || $state == [ZX]* ]] || echo "$pid"
    done
}

# assert_no_leftovers [SECONDS]: containers, networks, volumes, processes and temporary files are
# gone, at the latest after SECONDS (default 0: a runner that has ended has cleaned up).
assert_no_leftovers() {
    local deadline left
    deadline=$((SECONDS + $(patience "${1:-0}")))
    while left=$(leftovers) && [[ -n $left ]]; do
        ((SECONDS < deadline)) || fail "left behind:
$left"
        sleep 0.1
    done
}

# Also those in which the daemon still sees a container that it has removed, so that one script's
# leftovers are not every later script's.
remove_networks() {
    local network endpoint
    docker network prune -f >/dev/null 2>&1 || true
    for network in $(for label in "${labels_of_ours[@]}"; do
        docker network ls -q --filter "label=$label" 2>/dev/null
    done); do
        docker network inspect -f '{{range .Containers}}{{.Name}} {{end}}' "$network" |
            tr ' ' '\n' | while read -r endpoint; do
            [[ -z $endpoint ]] || docker network disconnect -f "$network" "$endpoint"
        done
        docker network rm "$network"
    done >/dev/null 2>&1 || true
}

# After a test whatever its result, so that the next one starts clean.
remove_leftovers() {
    local -a ids
    mapfile -t ids < <(case_processes)
    ((${#ids[@]} == 0)) || kill -KILL "${ids[@]}" 2>/dev/null || true
    local label
    for label in "${labels_of_ours[@]}"; do
        mapfile -t ids < <(docker ps -aq --filter "label=$label" 2>/dev/null)
        ((${#ids[@]} == 0)) || docker rm -fv "${ids[@]}" >/dev/null 2>&1 || true
    done
    remove_networks
    for label in "${labels_of_ours[@]}"; do
        mapfile -t ids < <(docker volume ls -q --filter "label=$label" 2>/dev/null)
        ((${#ids[@]} == 0)) || docker volume rm -f "${ids[@]}" >/dev/null 2>&1 || true
    done
}

# --- running -------------------------------------------------------------------------------------

# Sanitizers write to files, so that a report of any process of the tree fails the test.
sanitizer_options() {
    local log=log_path=$case_dir/sanitizer
    export ASAN_OPTIONS=$log:detect_stack_use_after_return=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}
    export UBSAN_OPTIONS=$log:print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}
    export TSAN_OPTIONS=$log:second_deadlock_stack=1${TSAN_OPTIONS:+:$TSAN_OPTIONS}
}

# The process of one test: NAME DIRECTORY.
run_case() {
    case_dir=$2
    unset DOCKER_CONFIG DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
    sanitizer_options
    # A shell starts background commands with signals ignored; steps must see the usual ones.
    case_env=(env "--default-signal=INT,QUIT,PIPE" TMPDIR="$case_dir/tmp" HOME="$case_dir/home"
        XDG_RUNTIME_DIR="$case_dir/runtime")
    cd "$case_dir/work"
    "$1"
    if [[ -z $leftovers_allowed ]]; then
        assert_no_leftovers 0
        touch "$case_dir/clean"
    fi
}

make_case_dir() {
    case_dir=$(mktemp -d /tmp/runner-case.XXXXXX)
    # Steps run as other users, too.
    chmod 755 "$case_dir"
    mkdir "$case_dir"/{home,tmp,work,witness}
    mkdir -m 700 "$case_dir/runtime"
    chmod 1777 "$case_dir/tmp"
}

report() {
    printf '%-4s %s/%s %d.%ds\n' "$1" "$script" "$2" $(($3 / 1000)) $(($3 % 1000 / 100))
    [[ -z ${RUNNER_TEST_RESULTS:-} ]] || printf '%s %s/%s\n' "$1" "$script" "$2" >>"$RUNNER_TEST_RESULTS"
}

milliseconds() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# Runs one test in a process group of its own, which a timeout ends as a whole.
supervise() {
    local name=$1 limit started code=0 sanitizer
    limit=$(patience "${case_timeout[$name]:-60}")
    make_case_dir
    started=$(milliseconds)
    timeout -k 5 "$limit" bash "$0" --case "$name" "$case_dir" >"$case_dir/log" 2>&1 </dev/null ||
        code=$?
    ((code != 124 && code != 137)) || echo "the test did not end within $limit seconds" >>"$case_dir/log"
    sanitizer=$(find "$case_dir" -maxdepth 1 -name 'sanitizer.*' -size +0 -exec head -n 60 {} +)
    [[ -e $case_dir/clean && -z $stood_before ]] || remove_leftovers
    started=$(($(milliseconds) - started))
    if ((code == 0)) && [[ -z $sanitizer ]]; then
        report ok "$name" "$started"
    else
        report FAIL "$name" "$started"
        { ends_of "$case_dir/log" && printf '%s' "$sanitizer"; } | sed 's/^/     | /'
        failures=$((failures + 1))
    fi
    if [[ -z ${RUNNER_TEST_KEEP:-} ]]; then
        rm -rf "$case_dir" 2>/dev/null || sudo -n rm -rf "$case_dir"
    fi
}

# The functions test_*, in the order of the script.
all_cases() {
    shopt -s extdebug
    local name
    for name in $(compgen -A function test_); do
        declare -F "$name"
    done | sort -n -k 2,2 | cut -d ' ' -f 1
    shopt -u extdebug
}

# cluster_take shared|alone: waits until the cluster is there and this script may use it. The lock
# ends with this shell: it is on a descriptor that tests do not get.
cluster_take() {
    if [[ -z ${RUNNER_TEST_KUBECONFIG:-} ]]; then
        echo "there is no cluster: eval \"\$(tests/env/up.sh --kubernetes)\", or tests/run.sh $script" >&2
        exit 2
    fi
    # shellcheck source=/dev/null
    (source "$RUNNER_TEST_ENV/env.sh" && kube_wait) || exit 2
    exec 8>>"$RUNNER_TEST_STATE/kube.lock"
    flock "--$([[ $1 == alone ]] && echo exclusive || echo shared)" 8
}

# Builds it if it is not in the cache.
compose_take() {
    # shellcheck source=/dev/null
    COMPOSE_WITNESS=$(source "$RUNNER_TEST_ENV/env.sh" && compose_build >&2 && compose_bin) || exit 2
    export COMPOSE_WITNESS
}

agent_take() {
    # shellcheck source=/dev/null
    IDP_AGENT=$(source "$RUNNER_TEST_ENV/env.sh" && agent_build >&2 && agent_bin) || exit 2
    export IDP_AGENT
}

# swarm_take: waits until no other script uses the swarm.
swarm_take() {
    if [[ -z ${RUNNER_TEST_SWARM:-} ]]; then
        echo "there is no swarm: eval \"\$(tests/env/up.sh --swarm)\", or tests/run.sh $script" >&2
        exit 2
    fi
    exec 7>>"$RUNNER_TEST_STATE/swarm.lock"
    flock 7
}

# podman_take: in a test: waits until no other uses the podman that all lanes share, and then keeps it
# for itself until it has ended: who looks for what is left there would see what others have.
podman_take() {
    exec 6>>"$RUNNER_TEST_STATE/podman.lock"
    flock 6
}

# run_tests [NAME…]: all tests of the script, or those named.
run_tests() {
    if [[ ${1:-} == --case ]]; then
        run_case "$2" "$3"
        return
    fi
    [[ -x ${RUNNER:-} && -n ${DOCKER_HOST:-} ]] || {
        echo "RUNNER and DOCKER_HOST are not set: eval \"\$(tests/env/up.sh)\", or tests/run.sh $script" >&2
        exit 2
    }
    RUNNER=$(realpath "$RUNNER")
    export RUNNER
    [[ -z $needs_cluster ]] || cluster_take "$needs_cluster"
    [[ -z $needs_swarm ]] || swarm_take
    [[ -z $needs_compose ]] || compose_take
    [[ -z $needs_agent ]] || agent_take
    make_case_dir
    stood_before=$(things_of_runs 2>/dev/null || true)
    rm -r "$case_dir"
    export stood_before
    [[ -z $stood_before ]] || printf 'of an earlier script, and not removable:\n%s\n' "$stood_before"
    local name failures=0
    local -a names=("$@")
    (($# > 0)) || mapfile -t names < <(all_cases)
    for name in "${names[@]}"; do
        supervise "$name" 8>&- 7>&-
    done
    ((failures == 0))
}

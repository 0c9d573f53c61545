# shellcheck shell=bash
# What every script of the test environment shares: places, messages, processes.
#
# Nothing is kept inside the repository: RUNNER_TEST_CACHE holds what may live between runs
# (image tarballs, the daemons' image stores), and one "slot" directory below it per run.

RUNNER_TEST_CACHE=${RUNNER_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/runner-tests}
export RUNNER_TEST_CACHE
RUNNER_TEST_ENV=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export RUNNER_TEST_ENV

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

# Daemons, mounts and bridges need root; everything else runs as the caller.
as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo "$@"
    fi
}

now_ms() {
    local t=${EPOCHREALTIME/[.,]/}
    echo "${t%???}"
}

# seconds_since START_MS: elapsed time as "12.3s".
seconds_since() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%ds' $((ms / 1000)) $((ms % 1000 / 100))
}

# wait_until SECONDS COMMAND…: polls until COMMAND succeeds.
wait_until() {
    local deadline=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        (($(now_ms) < deadline)) || return 1
        sleep 0.05
    done
}

# process_start PID: its start time in ticks, or failure if it is gone or a zombie.
# With the pid it names one process for good, so that a recycled pid is never killed. A zombie whose
# other threads still end is not gone: its sockets and files are open.
process_start() {
    local stat
    local -a field thread
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -r -a field <<<"${stat##*) }"
    thread=("/proc/$1/task/"*)
    [[ ${field[0]} != Z || ${#thread[@]} -gt 1 ]] || return 1
    echo "${field[19]}"
}

# pidfile_pid FILE: the pid, if that very process still lives. FILE holds "PID START".
pidfile_pid() {
    local pid start
    [[ -s $1 ]] || return 1
    read -r pid start <"$1" || return 1
    [[ -n $start && $(process_start "$pid") == "$start" ]] || return 1
    echo "$pid"
}

# launch PIDFILE LOG COMMAND…: starts a daemon as root in a session of its own.
launch() {
    local pidfile=$1 log=$2
    shift 2
    local -a sudo=()
    ((EUID == 0)) || sudo=(sudo)
    rm -f "$pidfile"
    # Not through as_root: the subshell of a function would stay, and keep the caller's pipe open.
    # The shell writes its own identity and becomes the daemon: no window for a lost pid.
    # shellcheck disable=SC2016
    "${sudo[@]}" setsid bash -c '
        read -r -a field </proc/$$/stat
        echo "$$ ${field[21]}" >"$0"
        exec "$@"' "$pidfile" "$@" >>"$log" 2>&1 </dev/null &
    disown
    wait_until 10 test -s "$pidfile" || die "could not start $1"
}

# stop_pidfile FILE [GRACE_SECONDS]: TERM, then KILL; done when the process is gone.
stop_pidfile() {
    local pid
    if pid=$(pidfile_pid "$1"); then
        as_root kill -TERM "$pid" 2>/dev/null || true
        if ! wait_until "${2:-10}" pidfile_gone "$1"; then
            as_root kill -KILL "$pid" 2>/dev/null || true
            wait_until 10 pidfile_gone "$1" || say "process $pid ($1) does not die"
        fi
    fi
    as_root rm -f "$1"
}

pidfile_gone() { ! pidfile_pid "$1" >/dev/null; }

# kill_helpers NAME TEXT: kills what outlived its daemon: processes called NAME (the kernel's 15
# bytes of it) whose command line holds TEXT, a path of ours, and their children, the containers.
kill_helpers() {
    local comm name pid arguments
    for comm in /proc/[0-9]*/comm; do
        { read -r name <"$comm"; } 2>/dev/null || continue
        [[ $name == "$1" ]] || continue
        pid=${comm#/proc/}
        pid=${pid%/comm}
        { arguments=$(tr '\0' ' ' <"/proc/$pid/cmdline"); } 2>/dev/null || continue
        if [[ $arguments == *"$2"* ]]; then
            as_root pkill -KILL -P "$pid" || true
            as_root kill -KILL "$pid" 2>/dev/null || true
        fi
    done
}

# kill_tree PID [SIGNAL]: TERM to a background job and its descendants, the ends of the tree first.
kill_tree() {
    local child
    # shellcheck disable=SC2013
    for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
        kill_tree "$child" "${2:-TERM}"
    done
    kill "-${2:-TERM}" "$1" 2>/dev/null || true
}

# tree_of PID: a line for each process of the tree: pid, state, seconds, where it waits, command.
tree_of() {
    local child
    ps -o pid=,stat=,etimes=,wchan:20=,args= -p "$1" | cut -c 1-200
    # shellcheck disable=SC2013
    for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
        tree_of "$child" | sed 's/^/  /'
    done
}

# wait_all PID…: waits for all of these background jobs; fails if one did.
wait_all() {
    local pid status=0
    for pid; do
        wait "$pid" || status=1
    done
    return "$status"
}

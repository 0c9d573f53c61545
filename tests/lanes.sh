# shellcheck shell=bash
# Runs end-to-end scripts side by side, each lane with a docker daemon of its own: so a script may
# count what is left behind without seeing its neighbour's. One more lane has no daemon, for scripts
# that say needs_daemon=no; the others take these when there is nothing else.
#
#   lanes_run LANES PRESET SCRIPT…   uses $root, $work and results.sh
#   lanes_stop                       ends what still runs, when the run is interrupted

: "${root:?}" "${work:?}"
lane_jobs=()
# What takes longest is begun first, so that nothing long runs alone at the end; of these, what has the
# cluster for itself, as long as nobody shares it.
longest_scripts=(kubernetes_faults cluster sidecar compose_same ssh_faults kubernetes_leases deploy deployments
    compose_config kubernetes_examples stack ssh manifests image compose)

lanes_run() {
    local lanes=$1 preset=$2 lane
    shift 2
    lane_jobs=()
    lanes_order "$@" >"$work/queue"
    for ((lane = 0; lane < lanes; lane++)); do
        lane_work "lane$lane" "$preset" &
        lane_jobs+=($!)
    done
    lane_work apart "$preset" &
    lane_jobs+=($!)
    wait_all "${lane_jobs[@]}"
    lane_jobs=()
}

# lanes_order SCRIPT…: the longest, what several share, the others.
lanes_order() {
    local name script
    {
        for name in "${longest_scripts[@]}"; do
            for script; do
                [[ $script != */"$name.sh" ]] || echo "$script"
            done
        done
        grep -ls '^needs_' "$@" || true
        printf '%s\n' "$@"
    } | awk '!seen[$0]++'
}

lanes_stop() {
    local job
    : >"$work/queue"
    for job in "${lane_jobs[@]}"; do
        kill_tree "$job"
        wait "$job" 2>/dev/null || true
    done
}

lane_work() {
    local script
    while script=$(lane_next "$1"); do
        lane_script "$1" "$2" "$script"
        : >"$work/$1.needs"
    done
}

# lane_needs SCRIPT: "alone", "shared" (the cluster), "swarm", "nothing" (no daemon), as it says by needs_…
# before run_tests.
lane_needs() {
    sed -n '/^needs_/{s/needs_swarm=yes/swarm/; s/needs_cluster=//; s/needs_daemon=no/nothing/; s/needs_[a-z]*=yes//; p}' "$1"
}

# lane_waits NEEDS OTHERS: whether it would wait for what the others hold.
lane_waits() {
    local need
    for need in $1; do
        case $need in
        alone) [[ $2 != *alone* && $2 != *shared* ]] || return 0 ;;
        shared) [[ $2 != *alone* ]] || return 0 ;;
        swarm) [[ $2 != *swarm* ]] || return 0 ;;
        esac
    done
    return 1
}

# lane_for LANE: the scripts of the queue that it may take, those first for which it is made.
lane_for() {
    local script
    while read -r script; do
        case $1,$(lane_needs "$script") in
        apart,*nothing*) echo "1 $script" ;;
        apart,*) ;;
        *nothing*) echo "2 $script" ;;
        *) echo "1 $script" ;;
        esac
    done <"$work/queue" | sort -s -k 1,1 | cut -d ' ' -f 2-
}

# lane_next LANE: takes the first script for it that need not wait for another lane's, or the first of
# all; fails when there is none.
lane_next() {
    (
        flock 9
        : >"$work/$1.needs"
        others=$(cat "$work"/*.needs)
        mapfile -t scripts < <(lane_for "$1")
        ((${#scripts[@]})) || exit 1
        chosen=${scripts[0]}
        for script in "${scripts[@]}"; do
            if ! lane_waits "$(lane_needs "$script")" "$others"; then
                chosen=$script
                break
            fi
        done
        lane_needs "$chosen" >"$work/$1.needs"
        grep -vxF "$chosen" "$work/queue" >"$work/queue.new" || true
        mv "$work/queue.new" "$work/queue"
        echo "$chosen"
    ) 9>"$work/queue.lock"
}

lane_daemon() { [[ $1 == apart ]] && echo unix:///nonexistent/docker.sock || dockerd_host "$1"; }

# Tests have limits of their own; this one is for what stands around them, as a daemon that no longer answers.
script_seconds=1500

# limited SECONDS COMMAND…: ends it with all that it has started when it takes longer, and tells what that was
# and returns 124.
limited() {
    local seconds=$1 command watcher status=0
    shift
    "$@" </dev/null &
    command=$!
    (
        { sleep "$seconds"; } 2>/dev/null || exit 1
        echo "not done within $seconds seconds; what runs:"
        tree_of "$command"
        kill_tree "$command"
    ) &
    watcher=$!
    wait "$command" || status=$?
    pkill -P "$watcher" -x sleep || true
    ! wait "$watcher" || status=124
    return "$status"
}

lane_script() {
    local lane=$1 preset=$2 script=$3 name started status=0
    name=$(basename "$script" .sh)
    started=$(now_ms)
    : >"$work/$preset.$name.results"
    DOCKER_HOST=$(lane_daemon "$lane") RUNNER=$root/build/$preset/runner \
        RUNNER_TEST_PRESET=$preset RUNNER_TEST_RESULTS=$work/$preset.$name.results \
        limited "$script_seconds" bash "$script" >"$work/$preset.$name.log" 2>&1 || status=$?
    (
        flock 9
        printf -- '-- %s %s (%s)\n' "$preset" "$name" "$(seconds_since "$started")"
        cat "$work/$preset.$name.log"
        results_of_script "$preset" "$name" "$status" "$work/$preset.$name.results"
    ) 9>"$work/output.lock"
}

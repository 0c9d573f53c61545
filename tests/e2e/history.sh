#!/usr/bin/env bash
# The history of runs: what `exec` records, and the commands that show and change it.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034
needs_daemon=no

# Beside the directory of each test.
state=../history
export RUNNER_HISTORY=$state

# runner ARGUMENT…: as `run` does it, beside what that keeps.
runner() { "${case_env[@]}" "$RUNNER" "$@"; }

simple() {
    cat >p.yaml <<'YAML'
name: ship it
stages:
- name: build
  jobs:
  - name: unit
    steps:
    - {name: compile, command: "echo one; echo two >&2; printf three"}
    - {name: test, command: "echo tested"}
  - name: lint
    steps:
    - {name: look, command: "echo looked"}
YAML
}

# The id of the newest run.
latest() { runner list --limit 1 --format json | jq -r '.[0].id'; }

# --- what is recorded ----------------------------------------------------------------------------

test_a_run_is_recorded() {
    simple
    run "$RUNNER" exec p.yaml
    assert_eq 0 "$status"
    local shown=$stdout
    run "$RUNNER" list
    assert_eq 0 "$status"
    assert_match "$stdout" 'RUN +STATE +BEGAN +DURATION +PIPELINE'
    assert_match "$stdout" '[0-9a-z]{22}  succeeded  20[0-9:TZ-]+ +[0-9.]+s  ship it'
    run "$RUNNER" list --format json
    assert_eq '"exec" "succeeded" "ship it" 0' \
        "$(jq -c '.[] | .origin, .status, .name, .exit_status' <<<"$stdout" | tr '\n' ' ' | sed 's/ $//')"
    run "$RUNNER" logs latest
    assert_eq 0 "$status"
    assert_eq "$(sort <<<"$shown")" "$(sort <<<"$stdout")" "the log, as it was shown"
    run "$RUNNER" logs latest compile
    assert_eq "one
three" "$stdout"
    assert_eq "two" "$stderr"
    run "$RUNNER" logs latest 0.1
    assert_eq "looked" "$stdout"
    run "$RUNNER" show latest
    assert_match "$stdout" 'succeeded +[0-9.]+s +1 +step compile'
    assert_match "$stdout" "run $(latest) succeeded"
    run "$RUNNER" show latest --format json
    assert_eq "build/unit/compile build/unit/test build/lint/look" \
        "$(jq -r '[.stages[] | .name as $s | .jobs[] | .name as $j | .steps[] | "\($s)/\($j)/\(.name)"] | join(" ")' <<<"$stdout")"
    run "$RUNNER" show latest --format yaml
    assert_eq "$(<p.yaml)" "$stdout"
    assert_eq "" "$(ls "$state/open")" "runs that the store does not know the end of"
}

test_a_failure_is_recorded() {
    cat >p.yaml <<'YAML'
name: p
stages:
- name: s
  jobs:
  - name: j
    steps:
    - {name: a, retry: 1, command: "echo bad luck; exit 7"}
    - {name: b, command: echo never}
YAML
    run "$RUNNER" exec p.yaml
    assert_eq 1 "$status"
    run "$RUNNER" show latest
    assert_match "$stdout" 'failed +[0-9.]+s +2 +step a'
    assert_match "$stdout" 'skipped +.* step b'
    assert_contains "$stdout" "bad luck"
    assert_contains "$stdout" "cause: exit code 7"
    run "$RUNNER" list --status failed --format json
    assert_eq 1 "$(jq '.[0].exit_status' <<<"$stdout")"
    run "$RUNNER" list --status succeeded
    assert_contains "$stdout" "no such run"
}

test_nothing_is_recorded_unless_wanted() {
    simple
    run "$RUNNER" exec --no-history p.yaml
    assert_eq 0 "$status"
    [[ ! -e $state ]] || fail "something is in $state"
    run "$RUNNER" list
    assert_eq 0 "$status"
    assert_contains "$stdout" "no such run is recorded in $(realpath "$state")"
}

test_no_secret_is_recorded() {
    cat >p.yaml <<'YAML'
name: p
secrets: {TOKEN: {from: env, variable: MY_TOKEN}}
stages:
- name: s
  jobs:
  - name: j
    steps:
    - {name: a, command: "echo it is $TOKEN; echo $TOKEN >&2; exit 1"}
    - {name: "hunter2-hunter2", command: "true"}
YAML
    export MY_TOKEN=hunter2-hunter2
    run "$RUNNER" exec p.yaml
    assert_eq 1 "$status"
    run "$RUNNER" logs latest
    assert_contains "$stdout" "it is ***"
    run "$RUNNER" show latest --format yaml
    assert_not_contains "$stdout" hunter2
    run grep -rla hunter2 "$state"
    assert_eq "" "$stdout" "files with the secret"
}

test_notes_are_in_the_log() {
    cat >p.yaml <<'YAML'
name: p
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: 'echo abc >"$PIPELINE_MASK"'}, {name: b, command: echo behind it}]}]}]
YAML
    run "$RUNNER" exec p.yaml
    assert_eq 0 "$status"
    local shown
    shown=$(grep 'a value in' "$case_dir/stderr")
    run "$RUNNER" logs latest
    assert_eq "$shown" "$(grep 'a value in' "$case_dir/stderr" "$case_dir/stdout" -h)"
}

test_no_password_of_the_file_is_recorded() {
    cat >p.yaml <<'YAML'
name: p
image_registry_password: hunter2-hunter2
stages:
- name: s
  jobs:
  - name: j
    steps: [{name: a, engine: host, command: "echo hello"}]
YAML
    run "$RUNNER" exec p.yaml
    assert_eq 0 "$status"
    run "$RUNNER" show latest --format yaml
    assert_contains "$stdout" "image_registry_password: ***"
    assert_eq "" "$(grep -rla hunter2 "$state" || true)" "files with the password"
    # One that no mask takes is said, and is no reason to fall over.
    sed -i "s/hunter2-hunter2/$(head -c 20000 /dev/zero | tr '\0' x)/" p.yaml
    run "$RUNNER" exec p.yaml
    assert_eq 0 "$status"
    assert_contains "$stderr" "a password is too long to be masked"
    run "$RUNNER" list --format json
    assert_eq succeeded "$(jq -r '.[0].status' <<<"$stdout")"
}

# --- a run that goes on --------------------------------------------------------------------------

# A run that prints "ready", and ends when there is a file `go`.
begin_waiting() {
    cat >p.yaml <<'YAML'
name: waits
stages:
- name: s
  jobs:
  - name: j
    steps:
    - {name: a, command: "echo ready; until test -e go; do sleep 0.1; done; echo went"}
    - {name: b, command: "echo last"}
YAML
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -q ready "$case_dir/stdout"
}

# Whether the log of the latest run has a line.
logged() { runner logs latest a 2>/dev/null | grep -qx "$1"; }

test_a_run_that_goes_on_is_seen() {
    begin_waiting
    wait_for 30 logged ready
    run "$RUNNER" list --format json
    assert_eq running "$(jq -r '.[0].status' <<<"$stdout")"
    run "$RUNNER" show latest
    assert_match "$stdout" 'running .* step a'
    assert_match "$stdout" 'pending .* step b'
    run "$RUNNER" delete latest
    assert_eq 1 "$status"
    assert_match "$stderr" 'has not ended: cancel it first'
    runner logs --follow latest >followed 2>&1 &
    local follower=$!
    # A service may say something later.
    "${case_env[@]}" "$RUNNER" logs --follow latest 0.0.db >silent 2>&1 &
    local other=$!
    wait_for 30 grep -q ready followed
    wait_for 30 grep -qrs inotify "/proc/$other/fdinfo"
    touch go
    finish
    wait "$follower" || fail "the follower ended with $?"
    wait "$other" || fail "the other ended with $?: $(<silent)"
    assert_eq "" "$(<silent)" "the log of no service"
    run "$RUNNER" logs --follow latest 0.0.db
    assert_eq 1 "$status" "nothing can come any more"
    assert_eq "ready went last" "$(sed 's/.*\] //' followed | tr '\n' ' ' | sed 's/ $//')"
}

# A record is written by hand: one whose run has a name and a tree a moment later.
test_a_run_that_has_just_begun_is_followed() {
    runner list >/dev/null
    local record=$state/runs/01handmade
    mkdir -m 700 -p "$state/runs" "$record" "$state/open"
    touch "$record/log" "$record/log.index" "$state/open/01handmade"
    exec 9>>"$record/events"
    flock 9
    printf '%s\n' '{"seq":1,"event":"RunBegan","format":1,"time":"2026-03-01T08:00:12.000Z","id":"01handmade","origin":"exec"}' >&9
    run "$RUNNER" logs latest
    assert_eq 1 "$status"
    assert_match "$stderr" 'has not begun yet'
    "${case_env[@]}" "$RUNNER" logs --follow latest >followed 2>&1 9>&- &
    local follower=$!
    wait_for 30 grep -qrs inotify "/proc/$follower/fdinfo"
    printf '%s\n' '{"seq":2,"event":"RunPlanned","time":"2026-03-01T08:00:12.000Z","id":"01handmade","name":"p","tree":{"id":"01handmade","name":"p","status":"pending"}}' >&9
    printf '%s\n' '{"seq":3,"event":"RunEnded","time":"2026-03-01T08:00:12.000Z","id":"01handmade","status":"succeeded"}' >&9
    exec 9>&-
    wait "$follower" || fail "the follower ended with $?: $(<followed)"
    assert_eq "" "$(<followed)"
}

test_cancel() {
    begin_waiting
    wait_for 30 logged ready
    run "$RUNNER" cancel "$(latest)"
    assert_eq 0 "$status"
    assert_match "$stdout" 'run [0-9a-z]{22} cancelled'
    finish
    assert_eq 143 "$status"
    run "$RUNNER" cancel latest
    assert_eq 1 "$status"
    assert_match "$stderr" 'has ended already: cancelled'
}

# Who asked, and why, is in the log, in the record, and with the run wherever it is shown.
test_cancel_with_a_reason() {
    begin_waiting
    wait_for 30 logged ready
    run env LOGNAME=alice "$RUNNER" cancel latest --reason $'wrong\nbranch'
    assert_eq 0 "$status"
    finish
    assert_eq 143 "$status"
    local why='cancelled by alice: wrong branch'
    run "$RUNNER" logs latest
    assert_match "$stderr$stdout" "$why"
    run "$RUNNER" list
    assert_match "$stdout" "cancelled .*\\($why\\)"
    run "$RUNNER" show latest
    assert_eq "$why" "$(tail -n 1 <<<"$stdout")"
    run "$RUNNER" show latest --format json
    assert_eq "$why" "$(jq -r .error <<<"$stdout")"
    [[ ! -e $state/runs/$(latest)/control ]] || fail "the control socket is left"
}

# A runner of a version without a socket is asked by a signal.
test_cancel_without_a_socket() {
    begin_waiting
    wait_for 30 logged ready
    rm "$state/runs/$(latest)/control"
    run "$RUNNER" cancel latest --reason why
    assert_eq 0 "$status"
    assert_match "$stderr" 'runner cancel: the reason is not noted: run [0-9a-z]{22} cannot be asked'
    finish
    assert_eq 143 "$status"
}

test_a_runner_that_is_killed() {
    begin_waiting
    wait_for 30 logged ready
    kill -KILL "$spawned"
    wait "$spawned" 2>/dev/null || true
    run "$RUNNER" list --format json
    assert_eq "failed lost" "$(jq -r '.[0] | "\(.status) \(.reason)"' <<<"$stdout")"
    run "$RUNNER" show latest
    assert_match "$stdout" 'failed .* step a'
    assert_match "$stdout" 'skipped .* step b'
    assert_contains "$stdout" "its outcome is unknown"
    run "$RUNNER" logs latest a
    assert_eq ready "$stdout"
    run "$RUNNER" delete latest
    assert_eq 0 "$status"
    assert_eq "" "$(ls "$state/runs" "$state/open" | grep -v : || true)" "what is left"
    assert_no_leftovers 10
}

# What is called like an event of the record is none.
test_a_killed_run_with_a_strange_name() {
    begin_waiting
    finish_it() { touch go; finish; rm go; }
    finish_it
    sed -i 's/name: b/name: RunEnded/; s/name: a/name: \x27"RunEnded"\x27/' p.yaml
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -q ready "$case_dir/stdout"
    wait_for 30 grep -q '"StepStarted"' "$(printf '%s\n' "$state"/runs/* | tail -n 1)/events"
    kill -KILL "$spawned"
    wait "$spawned" 2>/dev/null || true
    run "$RUNNER" list --format json
    assert_eq "lost succeeded" "$(jq -r '[.[0].reason, .[1].status] | join(" ")' <<<"$stdout")"
    assert_no_leftovers 10
}

# Runs that begin while others look are found all the same.
test_looking_at_runs_that_begin() {
    simple
    while [[ ! -e enough ]]; do runner list >/dev/null 2>&1; done &
    local looking=$!
    for _ in {1..12}; do runner exec p.yaml >/dev/null 2>&1; done
    touch enough
    wait "$looking"
    run "$RUNNER" list --format json
    assert_eq 12 "$(jq length <<<"$stdout")" "runs"
    assert_eq 12 "$(jq '[.[] | select(.status == "succeeded" and .exit_status == 0)] | length' <<<"$stdout")"
}

test_a_record_that_is_gone() {
    begin_waiting
    wait_for 30 logged ready
    rm -rf "$state"/runs/*
    touch go
    finish
    run "$RUNNER" list --format json
    assert_eq "failed lost" "$(jq -r '.[0] | "\(.status) \(.reason)"' <<<"$stdout")"
    run "$RUNNER" show latest
    assert_eq 1 "$status"
    assert_match "$stderr" 'the record of run .* is gone'
    run "$RUNNER" delete latest
    assert_eq 0 "$status"
}

# --- which run -----------------------------------------------------------------------------------

test_names_of_runs() {
    simple
    runner exec p.yaml >/dev/null 2>&1
    local id
    id=$(latest)
    run "$RUNNER" show "${id:0:18}"
    assert_eq 0 "$status"
    run "$RUNNER" show nothing
    assert_eq 1 "$status"
    assert_match "$stderr" 'runner show: .*nothing'
    run "$RUNNER" logs latest nothing
    assert_eq 1 "$status"
    assert_match "$stderr" 'has no step "nothing"'
    local place
    for place in "" . 0. 0..0 0.0.7 9 00 0.0.0.0 0.0.nothing "$id" "$id." "$id.7"; do
        run "$RUNNER" logs latest "$place"
        assert_eq 1 "$status" "logs of the place \"$place\""
        assert_contains "$stderr" "has no step \"$place\""
    done
    run "$RUNNER" logs latest "$id.0.0.1"
    assert_eq tested "$stdout"
    run "$RUNNER" show
    assert_eq 2 "$status"
    run "$RUNNER" list --status sad
    assert_eq 2 "$status"
    run "$RUNNER" list --search "SHIP"
    assert_contains "$stdout" "$id"
    run "$RUNNER" list --search "'; DROP TABLE runs; --%"
    assert_contains "$stdout" "no such run"
    run "$RUNNER" delete "$id" nothing
    assert_eq 1 "$status"
    run "$RUNNER" show "$id"
    assert_eq 0 "$status" "it is still there"
}

# So many marks that the next run has the store follow all of them. Those have no record, and go.
many_marks() { touch "$state"/open/01m8000000000000000{100..355}; }

# keeps COUNT OPTION…: so many records are left behind a run. It gives the store two seconds; what cannot be
# done in them the next one does.
keeps() {
    many_marks
    runner exec "${@:2}" p.yaml >/dev/null 2>&1
    (($(ls "$state/runs" | wc -l) == $1))
}

# The store follows, and what is too many goes, once for many runs.
test_retention() {
    simple
    for _ in 1 2 3; do
        runner exec p.yaml >/dev/null 2>&1
    done
    wait_for 30 keeps 2 --history-runs 2
    assert_eq "" "$(ls "$state/open")" "marks"
    run "$RUNNER" list --format json
    assert_eq 2 "$(jq length <<<"$stdout")"
    wait_for 30 keeps 1 --history-age 1ms --history-runs 0
    run "$RUNNER" list --format json
    assert_eq 1 "$(jq length <<<"$stdout")" "the newest stays"
}

test_the_last_lines() {
    cat >p.yaml <<'YAML'
name: p
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "seq 1 50000"}, {name: b, command: "printf 'x\\ny'"}]}]}]
YAML
    run "$RUNNER" exec p.yaml
    assert_eq 0 "$status"
    run "$RUNNER" logs --tail 2 latest a
    assert_eq "49999
50000" "$stdout"
    run "$RUNNER" logs --tail 2 latest
    assert_eq "50000 x y" "$(sed 's/.*\] //' <<<"$stdout" | tr '\n' ' ' | sed 's/ $//')"
    run "$RUNNER" logs --tail 0 latest a
    assert_eq "" "$stdout"
    run "$RUNNER" logs --tail 1000000 latest a
    assert_eq "$(seq 1 50000 | sha256sum)" "$(sha256sum <"$case_dir/stdout")"
}

test_a_log_that_is_too_long() {
    cat >p.yaml <<'YAML'
name: p
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "seq 1 300000"}, {name: b, command: echo end}]}]}]
YAML
    run "$RUNNER" exec --history-log 300k p.yaml
    assert_eq 0 "$status"
    run "$RUNNER" logs latest a
    assert_eq 0 "$status"
    assert_match "$stderr" 'runner: [0-9]+ bytes of output are missing here'
    head -c 100 "$case_dir/stdout" >begun
    assert_eq "$(seq 1 300000 | head -c 100)" "$(<begun)" "the beginning"
    assert_eq 1988899 "$(($(stat -c %s "$case_dir/stdout") + $(grep -o '[0-9]* bytes' "$case_dir/stderr" | cut -d ' ' -f 1)))" \
        "bytes that are there, and that are missing"
    run "$RUNNER" exec --history-log lots p.yaml
    assert_eq 2 "$status"
}

# --- bad days ------------------------------------------------------------------------------------

test_a_store_that_is_damaged() {
    simple
    runner exec p.yaml >/dev/null 2>&1
    rm -f "$state"/runs.db-*
    head -c 8192 /dev/urandom >"$state/runs.db"
    run "$RUNNER" exec p.yaml
    assert_eq 0 "$status" "the run does not care"
    run "$RUNNER" list
    assert_eq 1 "$status"
    assert_match "$stderr" 'runner list: .*runs\.db'
    # The records are all that is needed for another one.
    rm "$state/runs.db"
    run "$RUNNER" list --format json
    assert_eq 2 "$(jq length <<<"$stdout")"
}

# Lines that make no sense are left out; the end says how it was.
test_a_record_that_is_damaged() {
    simple
    runner exec p.yaml >/dev/null 2>&1
    runner exec p.yaml >/dev/null 2>&1
    local records=("$state"/runs/*/events)
    sed -i '4s/.*/nonsense/' "${records[0]}"
    sed -i '4s/"id":"/"id":"x/; 5s/"status":"/"status":"un/' "${records[1]}"
    run "$RUNNER" list --format json
    assert_eq "succeeded succeeded" "$(jq -r '[.[].status] | join(" ")' <<<"$stdout")"
    assert_eq "" "$stderr"
}

test_the_status_is_that_of_the_process() {
    simple
    status=0
    runner exec p.yaml >/dev/full 2>/dev/null || status=$?
    assert_eq 1 "$status"
    run "$RUNNER" list --format json
    assert_eq 1 "$(jq '.[0].exit_status' <<<"$stdout")"
}

# Neither a store that another has locked nor a limit of files changes how a run ends.
test_a_store_that_is_locked() {
    simple
    runner exec p.yaml >/dev/null 2>&1
    runner list >/dev/null
    python3 - "$state/runs.db" <<'PY' &
import os, sqlite3, sys, time
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("BEGIN IMMEDIATE")
open("locked", "w").close()
while not os.path.exists("done"):
    time.sleep(0.05)
PY
    local locking=$!
    wait_for 30 test -e locked
    many_marks
    run "$RUNNER" exec p.yaml
    assert_eq 0 "$status"
    assert_not_contains "$stderr" "record"
    touch done
    wait "$locking"
    many_marks
    run bash -c "ulimit -f 20; exec '$RUNNER' exec p.yaml"
    assert_eq 0 "$status"
    run "$RUNNER" list --format json
    assert_eq 3 "$(jq length <<<"$stdout")" "all of them"
}

# dream CONDITION: those runs are in a state that a newer runner may know.
dream() {
    python3 -c 'import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as d: d.execute("UPDATE runner_runs SET state = \"dreaming\" WHERE " + sys.argv[2])' \
        "$state/runs.db" "$1"
}

# By hand, as somebody else may have written it, or a newer runner.
test_what_others_wrote_reaches_no_terminal() {
    runner list >/dev/null
    mkdir -m 700 -p "$state/runs" "$state/runs/01strange" "$state/open"
    touch "$state/runs/01strange/log" "$state/runs/01strange/log.index" "$state/open/01strange"
    local time='"time":"2026-03-01T08:00:12.000Z","id":"01strange"' red='\u001b[31m'
    printf '%s\n' "{\"seq\":1,\"event\":\"RunBegan\",\"format\":1,$time,\"origin\":\"${red}o\"}" \
        "{\"seq\":2,\"event\":\"RunPlanned\",$time,\"name\":\"${red}n\",\"tree\":{\"name\":\"${red}n\",\"status\":\"succeeded\"}}" \
        "{\"seq\":3,\"event\":\"RunEnded\",$time,\"status\":\"succeeded\"}" >"$state/runs/01strange/events"
    local command
    for command in list "show latest" "logs latest" "logs latest $red" "cancel latest"; do
        # shellcheck disable=SC2086
        run "$RUNNER" $command
        assert_not_contains "$stdout$stderr" $'\e'
    done
    run "$RUNNER" show latest
    assert_contains "$stdout" 'pipeline \x1b[31mn, begun 2026-03-01T08:00:12.000Z by \x1b[31mo'
    simple
    runner exec p.yaml >/dev/null 2>&1
    runner list >/dev/null
    dream "id = '01strange'"
    run "$RUNNER" list
    assert_eq 0 "$status"
    assert_contains "$stdout" "ship it"
    assert_not_contains "$stdout" 01strange
    assert_eq "runner list: 1 runs are left out: a newer runner has recorded them" "$stderr"
    run "$RUNNER" show 01strange
    assert_eq 1 "$status"
    assert_match "$stderr" 'run 01strange is "dreaming" in the store'
    dream "id <> '01strange'"
    run "$RUNNER" show latest
    assert_eq 1 "$status"
    assert_match "$stderr" 'was recorded by a newer runner: use that'
}

test_no_place_for_it() {
    simple
    touch file
    run "$RUNNER" exec --history file/below p.yaml
    assert_eq 0 "$status"
    assert_match "$stderr" 'the run is not recorded: .*file/below'
}

test_a_place_that_others_can_change() {
    simple
    mkdir open
    chmod 0777 open
    run "$RUNNER" exec --history open p.yaml
    assert_eq 0 "$status"
    assert_match "$stderr" 'the run is not recorded: open can be written by others; chmod it to 0700'
    run "$RUNNER" list --history open
    assert_eq 1 "$status"
    assert_eq '' "$(ls open)"
}

run_tests "$@"

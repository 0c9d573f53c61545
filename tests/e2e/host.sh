#!/usr/bin/env bash
# Pipelines on the host: states, exit codes, output, timeouts, cancellation, what is left behind.
source "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2034 # for lanes.sh
needs_daemon=no

# pipeline STEPS: a pipeline of one job whose steps are given as YAML flow mappings.
pipeline() {
    printf 'name: p\nstages: [{name: s, jobs: [{name: j, steps: [%s]}]}]\n' "$1" >p.yaml
}

test_hello() {
    pipeline '{name: a, command: echo hello}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "[stage(1/1): s][job(1/1): j][step(1/1): a] hello" "$stdout" stdout
    assert_contains "$stderr" "[stage(1/1): s][job(1/1): j][step(1/1): a] done ("
    assert_contains "$stderr" "run " stderr
}

test_failure_has_code_tail_cause_and_advice() {
    pipeline '{name: a, command: "echo one; echo two >&2; exit 3"}, {name: b, command: echo never}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_not_contains "$stdout" never
    assert_contains "$stderr" "[step(1/2): a] failed: exit code 3 ("
    assert_contains "$stderr" "[step(2/2): b] skipped"
    assert_contains "$stderr" "    | one
    | two"
    assert_contains "$stderr" "  cause: exit code 3"
    assert_contains "$stderr" "  next:  "
}

test_streams_stay_apart_and_exact() {
    pipeline '{name: a, command: "printf out; printf err >&2"}'
    assert_exit 0 "$RUNNER" exec --progress json p.yaml
    assert_eq out "$(jq -r 'select(.event == "StepLog" and .stream == "stdout").text' <<<"$stdout")"
    assert_eq err "$(jq -r 'select(.event == "StepLog" and .stream == "stderr").text' <<<"$stdout")"
}

test_binary_output() {
    head -c 3000000 /dev/urandom >data
    printf 'no\0newline' >>data
    pipeline '{name: a, command: cat data}'
    assert_exit 0 "$RUNNER" exec --progress json p.yaml
    python3 - "$case_dir/stdout" >got <<'P'
import base64, json, sys
for line in open(sys.argv[1]):
    event = json.loads(line)
    if event["event"] == "StepLog":
        data = event["text"].encode() if "text" in event else base64.b64decode(event["base64"])
        sys.stdout.buffer.write(data)
P
    cmp data got || fail "the output differs from what the step printed"
}

test_long_line_is_cut_into_marked_pieces() {
    pipeline '{name: a, command: "head -c 100000000 /dev/zero | tr \"\\0\" x"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq 100000000 "$(sed 's/^\[[^ +]* [^ +]* [^ +]* [^+ ]*[ +]//' "$case_dir/stdout" |
        tr -d '\n' | tr -cd x | wc -c)" "number of bytes"
    assert_match "$(sed -n 2p "$case_dir/stdout" | head -c 60)" '\[step\(1/1\): a\]\+xxx'
}

test_partial_line_appears_before_its_end() {
    pipeline '{name: a, command: "printf waiting; until [ -e go ]; do sleep 0.05; done; echo done"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 20 grep -q waiting "$case_dir/stdout"
    touch go
    finish
    assert_eq 0 "$status" "exit status"
    assert_eq "[stage(1/1): s][job(1/1): j][step(1/1): a] waiting
[stage(1/1): s][job(1/1): j][step(1/1): a]+done" "$stdout"
}

test_command_not_found() {
    pipeline '{name: a, command: no-such-command-here}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "failed: exit code 127"
    assert_contains "$stderr" "a command was not found"
}

test_argument_list_too_long() {
    local large
    large=$(head -c 200000 /dev/zero | tr '\0' x)
    write p.yaml <<P
name: p
stages: [{name: s, jobs: [{name: j, steps: [{name: a, environment: {LARGE: $large}, command: "true"}]}]}]
P
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "exit code 126: sh: Argument list too long: the variable LARGE has 200007 bytes, at most 131072 are possible"
    assert_contains "$stderr" "next:  a program takes about 128 KiB in one argument"
    pipeline '{name: a, command: "/bin/true $(head -c 200000 /dev/zero | tr \"\\0\" x)"}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "next:  a program takes about 128 KiB in one argument"
}

test_shell_missing() {
    pipeline '{name: a, command: echo x, shell: no-such-shell}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "exit code 127: no-such-shell: command not found"
}

test_signal_is_named() {
    pipeline '{name: a, command: "kill -SEGV $$"}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "failed: ended by signal 11 (SIGSEGV)"
}

test_step_timeout() {
    pipeline '{name: a, command: sleep 60, timeout: 1, grace: 100ms}'
    assert_exit 1 "$RUNNER" exec --report json=r.json p.yaml
    assert_contains "$stderr" '[step(1/1): a] timeout: 1 second'
    assert_contains "$stderr" 'failed: step "a" timeout after 1 second ('
    assert_eq "failed timeout step timeout after 1 second: context deadline exceeded" \
        "$(jq -r '.stages[0].jobs[0].steps[0] | "\(.status) \(.reason) \(.error)"' r.json)"
}

test_pipeline_timeout_is_124() {
    { echo 'timeout: 1'; echo 'grace: 0.1s'; } >head
    pipeline '{name: a, command: sleep 60}, {name: b, command: echo never}'
    cat head >>p.yaml
    assert_exit 124 "$RUNNER" exec --report json=r.json p.yaml
    assert_contains "$stderr" '[workflow] timeout: 1 second'
    assert_contains "$stderr" 'pipeline "p" timeout after 1 second'
    assert_eq "failed timeout" "$(jq -r '"\(.status) \(.reason)"' r.json)"
    assert_eq cancelled "$(jq -r '.stages[0].jobs[0].steps[1].status' r.json)"
}

test_term_is_ignored_then_killed() {
    pipeline '{name: a, command: "trap \"\" TERM; while :; do sleep 0.1; done", timeout: 1, grace: 200ms}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'step "a" timeout after 1 second'
}

test_daemons_are_gone() {
    pipeline '{name: a, command: "setsid sh -c \"sleep 300 & sleep 300 &\" & (setsid sleep 300 &) ; echo ok"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" ok
}

test_closed_stdout_goes_on() {
    pipeline '{name: a, command: "exec >&- 2>&-; sleep 0.3; touch reached; exit 4"}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "exit code 4"
    [[ -e reached ]] || fail "the step ended when it closed its output"
}

test_interrupt_is_130() {
    pipeline '{name: a, command: "echo up; sleep 60"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 20 grep -q up "$case_dir/stdout"
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status" "exit status"
    assert_contains "$stderr" "[step(1/1): a] cancelled"
}

# interrupted_in_post SIGNAL: the exit status of p.yaml when the signal comes while its `post` runs.
interrupted_in_post() {
    rm -f go
    spawn "$RUNNER" exec p.yaml
    wait_for 20 grep -q 'post is up' "$case_dir/stdout"
    kill -"$1" "$spawned"
    # The signal has to be read first, by a thread.
    wait_for 20 signal_is_read "$spawned"
    sleep 0.2
    touch go
    finish
    assert_contains "$stdout" "post is over"
    echo "$status" >got
}

# The verdict was known before.
test_signal_in_post_keeps_the_verdict() {
    local post='post: "echo post is up; until [ -e go ]; do sleep 0.05; done; echo post is over'
    pipeline '{name: a, command: exit 7}'
    echo "$post\"" >>p.yaml
    interrupted_in_post INT
    assert_eq 1 "$(cat got)" "exit status after a failure"
    interrupted_in_post TERM
    assert_eq 1 "$(cat got)" "exit status after a failure"
    { echo 'timeout: 1'; echo 'grace: 0.1s'; } >>p.yaml
    sed -i 's/exit 7/sleep 60/' p.yaml
    interrupted_in_post INT
    assert_eq 124 "$(cat got)" "exit status after a timeout"
    pipeline '{name: a, command: "true"}'
    echo "$post\"" >>p.yaml
    interrupted_in_post INT
    assert_eq 0 "$(cat got)" "exit status after a success"
    pipeline '{name: a, command: "true"}'
    echo "$post; exit 3\"" >>p.yaml
    interrupted_in_post INT
    assert_eq 1 "$(cat got)" "exit status of a failure in post"
}

test_hurry_in_post_after_success_is_130() {
    pipeline '{name: a, command: "true"}'
    echo 'post: "echo post is up; sleep 60"' >>p.yaml
    spawn "$RUNNER" exec p.yaml
    wait_for 20 grep -q 'post is up' "$case_dir/stdout"
    kill -INT "$spawned"
    interrupt_again
    finish
    assert_eq 130 "$status" "exit status"
}

# A job had failed, but the run had not ended by it.
test_interrupt_beside_a_failed_job_is_130() {
    write p.yaml <<'P'
name: p
stages:
  - name: s
    fail_fast: false
    jobs:
      - {name: failed, steps: [{name: a, command: exit 1}]}
      - {name: j, steps: [{name: a, command: "echo up; sleep 60"}]}
P
    spawn "$RUNNER" exec p.yaml
    wait_for 20 grep -q up "$case_dir/stdout"
    wait_for 20 grep -q 'exit code 1' "$case_dir/stderr"
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status" "exit status"
}

test_second_interrupt_cuts_the_grace() {
    pipeline '{name: a, grace: 1h, command: "trap \"\" TERM; echo up; while :; do sleep 0.1; done"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 20 grep -q up "$case_dir/stdout"
    kill -INT "$spawned"
    interrupt_again
    finish
    assert_eq 130 "$status" "exit status"
}

test_terminate_is_143_and_post_runs() {
    pipeline '{name: a, command: "echo up; sleep 60"}'
    echo 'post: {always: echo always-ran, cancelled: echo cancelled-ran, success: echo success-ran}' >>p.yaml
    spawn "$RUNNER" exec p.yaml
    wait_for 20 grep -q up "$case_dir/stdout"
    kill -TERM "$spawned"
    finish
    assert_eq 143 "$status" "exit status"
    assert_contains "$stdout" always-ran
    assert_contains "$stdout" cancelled-ran
    assert_not_contains "$stdout" success-ran
}

test_killed_runner_leaves_nothing() {
    pipeline '{name: a, command: "echo up; (setsid sleep 300 &); sleep 300"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 20 grep -q up "$case_dir/stdout"
    kill -KILL "$spawned"
    finish
    assert_no_leftovers 20
}

test_pre_and_post() {
    pipeline '{name: a, command: echo main}'
    printf 'pre: echo first\npost: echo last\n' >>p.yaml
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "[stage(1/3): pre][job(1/1): pre][step(1/1): pre] first
[stage(2/3): s][job(1/1): j][step(1/1): a] main
[stage(3/3): post][job(1/1): post][step(1/1): post] last" "$stdout"
}

test_failing_post_fails_the_run() {
    pipeline '{name: a, command: echo main}'
    echo 'post: exit 9' >>p.yaml
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "exit code 9"
}

test_environment_is_isolated() {
    pipeline '{name: a, command: env}'
    export SECRET_OF_HOST=x ALLOWED_ONE=y
    assert_exit 0 "$RUNNER" exec -e GIVEN=a=b --allow-env ALLOWED_ONE p.yaml
    assert_not_contains "$stdout" SECRET_OF_HOST
    assert_contains "$stdout" "ALLOWED_ONE=y"
    assert_contains "$stdout" "GIVEN=a=b"
    assert_contains "$stdout" "PIPELINE_RUNNER=pipeline"
    assert_contains "$stdout" "PIPELINE_STEP=a"
    assert_contains "$stdout" "CI=true"
    assert_exit 0 "$RUNNER" exec --allow-all-env p.yaml
    assert_contains "$stdout" "SECRET_OF_HOST=x"
}

test_environment_inheritance_and_interpolation() {
    write p.yaml <<'Y'
name: p
environment: {A: one, B: "${A}-two", KEEP: "$NOT ${MISSING:-default}"}
stages:
  - name: s
    environment: {A: stage}
    jobs:
      - name: j
        steps:
          - name: a
            environment: {C: "${A}/${B}"}
            command: echo "$A $B $C $KEEP"
Y
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" 'stage one-two stage/one-two $NOT default'
    assert_exit 0 "$RUNNER" exec -e A=given p.yaml
    assert_contains "$stdout" 'given given-two given/given-two'
}

test_nested_run_is_refused() {
    pipeline '{name: a, command: echo never}'
    assert_exit 2 "$RUNNER" exec -e PIPELINE_RUNNER=pipeline p.yaml
    assert_contains "$stderr" "you are already in a pipeline"
    assert_exit 0 "$RUNNER" exec -e PIPELINE_RUNNER=pipeline --allow-nested p.yaml
    PIPELINE_RUNNER=pipeline assert_exit 0 "$RUNNER" exec p.yaml
    PIPELINE_RUNNER=pipeline assert_exit 2 "$RUNNER" exec --allow-env PIPELINE_RUNNER p.yaml
    assert_contains "$stderr" "you are already in a pipeline"
    PIPELINE_RUNNER=pipeline assert_exit 2 "$RUNNER" exec --allow-all-env p.yaml
}

test_nested_run_is_refused_at_every_level() {
    local level
    for level in pipeline stage job step "last stage" "last job" "last step"; do
        jq -n --arg level "$level" '
            def level($name; $more): {name: $name} + $more +
                (if $name == $level then {environment: {PIPELINE_RUNNER: "x"}} else {} end);
            def stages($prefix): [level($prefix + "stage"; {jobs: [level($prefix + "job"; {steps: [
                level($prefix + "step"; {command: "echo never"})]})]})];
            level("pipeline"; {stages: stages(""), finally: stages("last ")})' >p.yaml
        assert_exit 2 "$RUNNER" exec p.yaml
        assert_eq "" "$stdout" stdout
        assert_match "$stderr" 'p.yaml:[0-9]+:[0-9]+: error: you are already in a pipeline'
        assert_exit 0 "$RUNNER" exec --allow-nested p.yaml
    done
}

test_workdir_is_removed_after_success_and_kept_after_failure() {
    pipeline '{name: a, command: "pwd; touch made; exit ${CODE}"}'
    assert_exit 0 "$RUNNER" exec -w new/dir -e CODE=0 p.yaml
    assert_contains "$stdout" "$PWD/new/dir"
    [[ ! -e new/dir ]] || fail "the workdir is still there after success"
    assert_exit 1 "$RUNNER" exec -w new/dir -e CODE=1 p.yaml
    assert_contains "$stderr" "workdir kept: $PWD/new/dir"
    [[ -e new/dir/made ]] || fail "the workdir is gone after failure"
    assert_exit 0 "$RUNNER" exec -w new/dir -e CODE=0 p.yaml
    [[ -e new/dir/made ]] || fail "a workdir that was there before has been removed"
    assert_exit 0 "$RUNNER" exec -w new/dir -e CODE=0 --force-clean p.yaml
    [[ ! -e new/dir ]] || fail "--force-clean left the workdir"
}

test_parallel_and_serial_stages() {
    write p.yaml <<'Y'
name: p
stages:
  - name: par
    jobs:
      - {name: x, steps: [{name: a, command: "touch x; until [ -e y ]; do sleep 0.05; done"}]}
      - {name: y, steps: [{name: a, command: "touch y; until [ -e x ]; do sleep 0.05; done"}]}
  - name: ser
    run_mode: serial
    jobs:
      - {name: x, steps: [{name: a, command: "[ ! -e s ]; sleep 0.2; touch s"}]}
      - {name: y, steps: [{name: a, command: "[ -e s ]"}]}
Y
    assert_exit 0 "$RUNNER" exec p.yaml
}

test_max_parallel() {
    {
        printf 'name: p\nstages: [{name: s, max_parallel: 2, jobs: ['
        for i in 1 2 3 4 5 6; do
            printf '{name: j%s, steps: [{name: a, command: "mkdir r%s; ls -d r* | wc -l; sleep 0.2; rmdir r%s"}]},' $i $i $i
        done
        printf ']}]\n'
    } >p.yaml
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_not_contains "$stdout" "] 3" "number of jobs at a time"
}

test_fail_fast() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    jobs:
      - {name: slow, steps: [{name: a, command: "touch up; sleep 60", grace: 100ms}]}
      - {name: bad, steps: [{name: a, command: "until [ -e up ]; do sleep 0.05; done; exit 1"}]}
  - name: after
    jobs: [{name: j, steps: [{name: a, command: echo never}]}]
Y
    assert_exit 1 "$RUNNER" exec --report json=r.json p.yaml
    assert_eq "cancelled failed" "$(jq -r '.stages[0].jobs | map(.status) | join(" ")' r.json)"
    assert_eq "skipped dependency" "$(jq -r '.stages[1] | "\(.status) \(.reason)"' r.json)"
}

test_no_fail_fast() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    fail_fast: false
    max_parallel: 1
    jobs:
      - {name: bad, steps: [{name: a, command: exit 1}]}
      - {name: good, steps: [{name: a, command: echo still-ran}]}
Y
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stdout" still-ran
}

test_user() {
    [[ $(id -u) == 0 ]] || fail "this test needs root"
    pipeline '{name: a, user: nobody, command: id -un}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "] nobody"
    pipeline '{name: a, user: nobody-such, command: id -un}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'user "nobody-such" does not exist on this host'
}

test_workdir_missing_for_a_step() {
    pipeline '{name: a, workdir: not/there, command: pwd}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "$PWD/not/there"
}

test_strict_shell() {
    pipeline '{name: a, shell_options: strict, command: "false; echo never"}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_not_contains "$stdout" never
}

test_long_script() {
    { printf '# '; head -c 300000 /dev/zero | tr '\0' '#'; printf '\necho reached $0\n'; } >script
    jq -n --rawfile s script '{name: "p", stages: [{name: "s", jobs: [{name: "j", steps: [{name: "a", command: $s}]}]}]}' >p.yaml
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "reached"
}

test_stdin_is_empty() {
    pipeline '{name: a, command: "cat; echo rest"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "] rest"
}

test_closed_output_is_an_error() {
    pipeline '{name: a, command: "seq 100000"}'
    run bash -c "'$RUNNER' exec p.yaml >/dev/full"
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "cannot write to standard output: write failed: No space left on device"
}

test_disk_full_in_workdir() {
    mkdir full
    mount -t tmpfs -o size=64k tmpfs full
    pipeline '{name: a, command: "head -c 1000000 /dev/zero >big"}'
    run "$RUNNER" exec -w full p.yaml
    umount full
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "No space left on device"
}

test_interrupt_before_the_run() {
    mkfifo in
    exec 9<>in
    # shellcheck disable=SC2016
    spawn bash -c 'exec "$0" exec - <in' "$RUNNER"
    wait_for 20 grep -q '^runner' "/proc/$spawned/comm"
    sleep 0.2
    kill -INT "$spawned"
    finish
    exec 9>&-
    assert_eq 130 "$status" "exit status"
}

test_ignored_hangup_stays_ignored() {
    pipeline '{name: a, command: "echo up; until [ -e go ]; do sleep 0.05; done"}'
    spawn env --ignore-signal=HUP "$RUNNER" exec p.yaml
    wait_for 20 grep -q up "$case_dir/stdout"
    kill -HUP "$spawned"
    sleep 0.2
    touch go
    finish
    assert_eq 0 "$status" "exit status"
}

test_hangup_cancels() {
    pipeline '{name: a, command: "echo up; sleep 60"}'
    spawn "$RUNNER" exec p.yaml
    wait_for 20 grep -q up "$case_dir/stdout"
    kill -HUP "$spawned"
    finish
    assert_eq 129 "$status" "exit status"
    assert_contains "$stderr" "[step(1/1): a] cancelled"
}

test_missing_standard_descriptors() {
    pipeline '{name: a, command: "echo hello"}'
    run bash -c "'$RUNNER' exec --keep --no-history p.yaml >&- <&-"
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "cannot write to standard output: write failed: Bad file descriptor"
    ! grep -rq hello "$case_dir/home" "$case_dir/runtime" || fail "output went into a journal"
    run bash -c "'$RUNNER' exec p.yaml 2>&-"
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" hello
    # What --keep has kept.
    run "$RUNNER" reap
}

# A reader that stops reading, as a terminal does after Ctrl-S.
test_signal_ends_the_wait_for_a_reader() {
    pipeline '{name: a, timeout: 3, grace: 100ms, command: "yes | head -c 5000000; sleep 60"}'
    mkfifo out
    exec 9<>out
    spawn bash -c 'exec "$0" exec --report json=r.json p.yaml >out' "$RUNNER"
    wait_for 20 test -e r.json
    sleep 0.2
    kill -0 "$spawned" || fail "it did not wait for its reader"
    kill -INT "$spawned"
    wait_for 20 bash -c "! kill -0 $spawned"
    finish
    exec 9>&-
    assert_eq 130 "$status" "exit status"
    assert_eq timeout "$(jq -r .reason r.json)" reason
}

# is_full: the pipe of descriptor 9, which nobody reads.
is_full() {
    python3 -c 'import fcntl, struct, sys, termios
sys.exit(struct.unpack("i", fcntl.ioctl(9, termios.FIONREAD, b"\0" * 4))[0] < 60000)'
}

# Whoever sends SIGTERM waits for the end and kills after a while; no second one comes.
test_terminated_with_a_stuck_reader() {
    pipeline '{name: a, grace: 100ms, command: "yes"}'
    mkfifo out
    exec 9<>out
    spawn bash -c 'exec "$0" exec p.yaml >out' "$RUNNER"
    wait_for 20 is_full
    kill -TERM "$spawned"
    finish
    exec 9>&-
    assert_eq 143 "$status" "exit status"
    assert_match "$stderr" 'runner: nobody reads the output: up to [1-9][0-9]* bytes of it are lost'
}

# The grace is over with the step's last process, read or not.
test_stuck_reader_and_a_long_grace() {
    pipeline '{name: a, timeout: 1, grace: 1h, command: "yes"}'
    mkfifo out
    exec 9<>out
    spawn bash -c 'exec "$0" exec --report json=r.json p.yaml >out' "$RUNNER"
    wait_for 20 test -e r.json
    assert_eq timeout "$(jq -r .reason r.json)" reason
    cat out >read 9>&- &
    finish
    exec 9>&-
    assert_eq 1 "$status" "exit status"
    assert_not_contains "$stderr" "are lost"
}

test_many_jobs_at_a_time() {
    local i
    {
        printf 'name: p\nstages: [{name: s, jobs: ['
        for i in {1..400}; do
            printf '{name: j%s, steps: [{name: a, command: "ulimit -Sn; until [ -e go ]; do sleep 0.3; done"}]},' "$i"
        done
        echo ']}]'
    } >p.yaml
    ulimit -Sn 1024
    spawn "$RUNNER" exec -j 400 p.yaml
    wait_for 100 bash -c "[ \$(wc -l <'$case_dir/stdout') = 400 ]"
    touch go
    finish
    assert_eq 0 "$status" "exit status"
    assert_eq 1024 "$(sed 's/.*\] //' "$case_dir/stdout" | sort -u)" "limit of the steps"
}

test_nonblocking_output() {
    pipeline '{name: a, command: "seq 100000"}'
    write run.py <<'P'
import os, subprocess, sys, time
ours, theirs = os.pipe()
os.set_blocking(theirs, False)
child = subprocess.Popen([sys.argv[1], "exec", "p.yaml"], stdout=theirs)
os.close(theirs)
time.sleep(0.5)
text = open(ours).read()
# Lines that had to wait may be cut in two.
print(child.wait(), text.count("\n") >= 100000, text.endswith("100000\n"))
P
    assert_exit 0 python3 run.py "$RUNNER"
    assert_eq "0 True True" "$stdout"
}

test_names_cannot_break_lines() {
    pipeline '{name: "a\nb\e[31m", command: "echo x; printf \"one\\0two\"; exit 1"}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stdout" '[step(1/1): a\nb\x1b[31m] x'
    assert_not_contains "$stderr" $'\e'
    assert_contains "$stderr" 'step "a\nb\x1b[31m" failed: exit code 1'
    assert_contains "$stderr" '        step a\nb\x1b[31m'
    assert_contains "$stderr" '    | one?two'
}

test_report_goes_where_links_and_pipes_lead() {
    pipeline '{name: a, command: "true"}'
    ln -s target link
    echo old >target
    mkfifo pipe
    assert_exit 0 "$RUNNER" exec --report json=link p.yaml
    [[ -L link ]] || fail "the link has been replaced"
    assert_eq succeeded "$(jq -r .status target)"
    run "$RUNNER" exec --report json=pipe p.yaml
    assert_eq 1 "$status"
    assert_contains "$stderr" "runner: cannot write the report: cannot write pipe: "
    # A reader that is there before the runner is.
    exec 9<>pipe
    timeout 60 cat pipe >got 9>&- &
    assert_exit 0 "$RUNNER" exec --report json=pipe p.yaml
    wait_for 20 test -s got
    exec 9>&-
    wait $!
    assert_eq succeeded "$(jq -r .status got)"
    [[ -p pipe ]] || fail "the pipe has been replaced"
    assert_exit 2 "$RUNNER" exec --report json=a --report json=b p.yaml
    assert_contains "$stderr" "--report json=FILE is given twice"
}

test_report_without_a_place_is_found_beforehand() {
    pipeline '{name: a, command: "touch ran"}'
    assert_exit 2 "$RUNNER" exec --report json=no/dir p.yaml
    assert_contains "$stderr" "runner exec: the report has no place: cannot create a file beside no/dir: No such file or directory"
    mkdir dir
    assert_exit 2 "$RUNNER" exec --report json=dir p.yaml
    assert_contains "$stderr" "the report has no place: cannot write dir: Is a directory"
    assert_exit 2 "$RUNNER" exec --report json=/proc/report.json p.yaml
    assert_contains "$stderr" "the report has no place: cannot create a file beside /proc/report.json"
    [[ ! -e ran ]] || fail "it ran all the same"
    echo old >r.json
    assert_exit 2 "$RUNNER" exec --report json=r.json no-such-file.yaml
    assert_eq old "$(cat r.json)" "the old report"
    assert_exit 0 "$RUNNER" exec --report json=r.json p.yaml
    assert_eq "p.yaml r.json ran" "$(find . -type f -printf '%P\n' | sort | xargs)" "files"
}

test_made_parents_of_the_workdir_go_too() {
    mkdir there
    pipeline '{name: a, command: "touch ${MAKE:-new}"}'
    assert_exit 0 "$RUNNER" exec -w there/a/b/c p.yaml
    assert_eq "" "$(ls there)" "what is left of the workdir"
    assert_exit 0 "$RUNNER" exec -w there/a/b/c -e MAKE=../file p.yaml
    assert_eq "there/a/b/file" "$(find there -type f)"
    [[ ! -e there/a/b/c ]] || fail "the workdir is still there"
}

test_force_clean_spares_homes_and_the_current_directory() {
    mkdir -p top/home top/here link-to
    pipeline '{name: a, command: "true"}'
    assert_exit 0 env HOME="$PWD/top/home" "$RUNNER" exec --force-clean -w top p.yaml
    [[ -d top/home ]] || fail "a directory that holds the home has been removed"
    assert_exit 0 env HOME="$PWD/top/home" "$RUNNER" exec --force-clean -w top/home p.yaml
    [[ -d top/home ]] || fail "the home has been removed"
    ln -s ../../top top/here/up
    assert_exit 0 env HOME="$PWD/top/here/up/home" "$RUNNER" exec --force-clean -w top p.yaml
    [[ -d top/home ]] || fail "the home behind a link has been removed"
    (cd top/here && assert_exit 0 "$RUNNER" exec --force-clean -w ../../top ../../p.yaml)
    [[ -d top/here ]] || fail "the current directory has been removed"
    assert_exit 0 "$RUNNER" exec --force-clean -w top p.yaml
    [[ ! -e top ]] || fail "--force-clean left the workdir"
}

test_keep() {
    pipeline '{name: a, command: "pwd"}'
    assert_exit 0 "$RUNNER" exec --keep -w new p.yaml
    assert_contains "$stderr" "[workflow] workdir kept: $PWD/new"
    [[ -d new ]] || fail "--keep removed the workdir"
    assert_exit 0 "$RUNNER" exec --keep --force-clean -w new p.yaml
    [[ -d new ]] || fail "--force-clean won over --keep"
    leftovers_allowed=1
}

does_not_heed() {
    rm -f log.json
    pipeline "{name: a, timeout: $limit, grace: 100ms, command: 'trap : TERM; touch up; while :; do sleep 0.1; done'}"
    assert_exit 1 "$RUNNER" exec --log-level debug --log-format json --log-file log.json p.yaml
}

test_debug_log() {
    local logged pid
    write p.yaml <<'P'
name: p
environment: {SECRET: s3cr3t-value}
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "echo pid $$; exit 3"}]}]}]
P
    assert_exit 1 "$RUNNER" exec --log-level debug --log-file log p.yaml
    logged=$(cat log)
    pid=$(sed -n 's/.*pid //p' <<<"$stdout")
    assert_match "$logged" 'debug cli: run [0-9a-z]+ begins: version '
    assert_match "$logged" 'debug exec: [0-9a-z]+\.0\.0\.0: step "a": engine host, image -, workdir '
    assert_match "$logged" 'debug exec: engine host: ready after [0-9]+ ms'
    assert_match "$logged" "debug host: process $pid started: sh in $PWD"
    assert_match "$logged" "\.0\.0\.0: process $pid ended after [0-9]+ ms with code 3"
    assert_match "$logged" 'run [0-9a-z]+ ends: failed, exit status 1'
    assert_not_contains "$logged" s3cr3t
    assert_not_contains "$stderr" debug
    in_time 'test -e up' does_not_heed
    assert_eq "SIGTERM to the whole tree
SIGKILL to the whole tree" "$(jq -r 'select(.area == "host").message' log.json | grep -o 'SIG.*')"
}

# The log file is open in the keeper and in supervisors, too, as itself.
test_log_file_of_a_killed_runner() {
    pipeline '{name: a, command: "echo up; sleep 60"}'
    spawn "$RUNNER" exec --log-level debug --log-file log p.yaml
    wait_for 20 grep -q up "$case_dir/stdout"
    kill -KILL "$spawned"
    finish
    assert_no_leftovers 20
    assert_match "$(cat log)" 'process [0-9]+ started: sh'
    assert_eq "" "$(grep -v '^20..-..-..T[0-9:.]*Z \(debug\|warn \) [a-z]*: ' log)" "other lines"
}

test_colors() {
    pipeline '{name: a, command: "true"}'
    CLICOLOR_FORCE=1 assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stderr" $'\e[32mdone\e[0m'
    CLICOLOR_FORCE=1 assert_exit 0 "$RUNNER" exec --no-color p.yaml
    assert_not_contains "$stderr" $'\e'
    CLICOLOR_FORCE=1 NO_COLOR=1 assert_exit 0 "$RUNNER" exec p.yaml
    assert_not_contains "$stderr" $'\e'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_not_contains "$stderr" $'\e'
    assert_exit 0 env TERM=xterm script -qec "$RUNNER exec --progress plain p.yaml" typescript
    assert_contains "$stdout" $'\e[32mdone\e[0m'
    assert_exit 0 env TERM=dumb script -qec "$RUNNER exec p.yaml" typescript
    assert_not_contains "$stdout" $'\e'
}

test_timestamps() {
    local time='[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z '
    pipeline '{name: a, command: "echo x; echo y >&2", timeout: 5}'
    assert_exit 0 "$RUNNER" exec --timestamps p.yaml
    assert_match "$stdout" "^$time\[stage\(1/1\): s\]\[job\(1/1\): j\]\[step\(1/1\): a\] x\$"
    assert_eq 0 "$(sed '/^$/,$d' "$case_dir/stderr" | grep -cvE "^$time\[")" "lines without time"
    assert_match "$stderr" "$time[^ ]* \[?.*timeout: 5 seconds"
}

test_runner_user_without_USER() {
    # shellcheck disable=SC2016
    pipeline '{name: a, command: "echo $PIPELINE_RUNNER_USER"}'
    assert_exit 0 env -u USER "$RUNNER" exec p.yaml
    assert_contains "$stdout" "] $(id -un)"
}

declare -A case_timeout=([test_many_jobs_at_a_time]=120)
run_tests "$@"

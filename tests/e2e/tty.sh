#!/usr/bin/env bash
# --progress tty in a real terminal, which tmux is.
source "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2034 # for lanes.sh
needs_daemon=no

t() { env -u TMUX -u TMPDIR TMUX_TMPDIR="$case_dir" tmux -f /dev/null "$@"; }

# terminal COLUMNS ROWS: opens one with a shell in it, where ./runner is the runner of this case.
terminal() {
    printf '#!/bin/sh\nexec %s %q "$@"\n' "${case_env[*]@Q}" "$RUNNER" >runner
    chmod +x runner
    t new-session -d -x "$1" -y "$2" -s t env LC_ALL=C.UTF-8 PS1='$ ' bash --norc --noprofile
    t set-option -g history-limit 20000
    t set-option -g remain-on-exit on
    trap 't kill-server 2>/dev/null || true' EXIT
    wait_for 20 shows '\$'
}

screen() { t capture-pane -p -t t; }
all() { t capture-pane -p -J -S - -t t; }
shows() { screen | grep -q -- "$1"; }
type_line() { t send-keys -t t -l "$1"$'\n'; }
ended() { [[ -s code ]]; }

# in_terminal COMMAND: runs it there to its end; sets status to its exit status, stdout to all that
# the terminal has shown and keeps.
in_terminal() {
    rm -f code
    # shellcheck disable=SC2034 # for fail
    command_line=$1
    type_line "clear; $1; echo \$? >code"
    wait_for 50 ended
    status=$(cat code)
    wait_for 20 shows '^\$ *$'
    stdout=$(all)
}

# Each line of the second argument is there once, in this order.
assert_once_in_order() {
    assert_eq "$2" "$(grep -oE -- "$3" <<<"$1")" "lines"
}

# The terminal is as a program has to leave it.
assert_terminal_is_well() {
    assert_eq "1 1 0" "$(t display-message -p -t t '#{cursor_flag} #{wrap_flag} #{alternate_on}')" "cursor, wrap, alternate"
}

# numbered [LINES [COMMAND]]: COMMAND behind each line, with its number in $i.
numbered() {
    write p.yaml <<YAML
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: count, command: "for i in \$(seq 1 ${1:-300}); do echo \"line \$i.\"; ${2:-:}; done"}
          - {name: after, command: "printf 'no newline'"}
YAML
}

test_everything_scrolls_above_at_every_size() {
    local size
    numbered 300
    terminal 80 24
    for size in "80 24" "30 8" "12 5" "200 60" "6 3" "80 1"; do
        t resize-window -t t -x "${size% *}" -y "${size#* }"
        t clear-history -t t
        in_terminal './runner exec p.yaml'
        assert_eq 0 "$status"
        assert_once_in_order "$stdout" "$(seq -f 'line %g.' 1 300)" 'line [0-9]+\.'
        assert_contains "$stdout" "no newline"
        [[ ${size% *} -lt 30 ]] || assert_contains "$stdout" "run 0"
        assert_not_contains "$stdout" "1/2 steps"
        assert_terminal_is_well
    done
}

test_tree_tail_and_bar() {
    write p.yaml <<'YAML'
name: p
stages:
  - name: build
    jobs:
      - name: one
        steps:
          - {name: first, command: "true"}
          - {name: talks, command: "for i in 1 2 3 4 5 6; do echo \"said $i\"; done; until test -e go; do sleep 0.05; done"}
      - name: two
        steps: [{name: waits, command: "printf 'no end'; until test -e go; do sleep 0.05; done"}]
YAML
    terminal 80 24
    type_line 'clear; ./runner exec p.yaml; echo $? >code'
    wait_for 20 shows '│ no end'
    wait_for 20 shows '│ said 6'
    wait_for 20 shows '1/3 steps'
    assert_match "$(screen)" '[0-9]+s ▸ build
 +[0-9]+s   ▸ one \(1/2\)
 +[0-9]+s     ▸ talks \(2/2\)
 +│ said 1
.* +│ said 6
 +[0-9]+s   ▸ two \(2/2\)
 +[0-9]+s     ▸ waits
 +│ no end
█+░+ 1/3 steps, [0-9]+s'
    touch go
    wait_for 20 ended
    wait_for 20 shows '^\$ *$'
    assert_match "$(all)" 'one › talks │ said 6
'
    assert_not_contains "$(all)" "▸"
}

test_more_steps_than_rows() {
    write p.yaml <<'YAML'
name: p
stages:
  - name: s
    jobs:
      - name: many
        matrix: {N: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]}
        environment: {N: "{{ matrix.N }}"}
        steps: [{name: s, command: "echo here $N; until test -e go; do sleep 0.1; done"}]
YAML
    terminal 60 9
    type_line 'clear; ./runner exec p.yaml; echo $? >code'
    wait_for 20 shows '… 16 more running'
    assert_eq 4 "$(screen | grep -c '▸')" "steps shown"
    touch go
    wait_for 30 ended
    wait_for 20 shows '^\$ *$'
    assert_eq "$(seq 1 20)" "$(all | sed -n 's/.*here //p' | sort -n)"
}

# stops_at NUMBER…: for `numbered`: waits behind these lines, which are on the screen then, until it may go on.
stops_at() { echo "sleep 0.02; case \$i in ${*/%/ |} none) until test -e go.\$i; do sleep 0.05; done ;; esac"; }

test_resize_while_it_runs() {
    numbered 150 "$(stops_at 20 60 90)"
    terminal 80 24
    type_line 'clear; ./runner exec p.yaml; echo $? >code'
    wait_for 20 shows 'line 20\.'
    touch go.20
    t resize-window -t t -x 50 -y 24
    wait_for 20 shows 'line 60\.'
    touch go.60
    t resize-window -t t -x 120 -y 40
    wait_for 20 shows 'line 90\.'
    touch go.90
    t resize-window -t t -x 60 -y 20
    wait_for 30 ended
    wait_for 20 shows '^\$ *$'
    assert_once_in_order "$(all)" "$(seq -f 'line %g.' 1 150)" 'line [0-9]+\.'
    assert_not_contains "$(all)" "▸"
    assert_terminal_is_well
}

test_output_cannot_steer_the_terminal() {
    write p.yaml <<'YAML'
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: evil, command: "printf '\\033]0;EVIL\\007\\033[2J\\033[1;1Hhome\\033[?25l\\033[?1049h\\033[?7l\\0337\\033c\\n\\033[31mred\\n10%%\\r20%%\\n日本語 😀\\n' >&2; sleep 0.5; exit 1"}
YAML
    terminal 80 24
    in_terminal './runner exec p.yaml'
    assert_eq 1 "$status"
    assert_contains "$stdout" "j › evil │ home
j › evil │ red
j › evil │ 20%
j › evil │ 日本語 😀
✕ s › j › evil failed: exit code 1"
    assert_contains "$stdout" "    | 20%"
    assert_terminal_is_well
    assert_not_contains "$(t display-message -p -t t '#{pane_title}')" EVIL
    assert_match "$(t capture-pane -p -e -S - -t t)" $'\e\\[31m(\e\\[49m)?red\n'
}

# Wide characters do not break the rows of the live area.
test_wide_characters_are_cut_to_the_row() {
    write p.yaml <<'YAML'
name: p
stages: [{name: s, jobs: [{name: j, steps: [{name: w, command: "echo 日本語日本語日本語日本語日本語日本語日本語; echo ああ; until test -e go; do sleep 0.05; done"}]}]}]
YAML
    terminal 40 12
    type_line 'clear; ./runner exec p.yaml; echo $? >code'
    wait_for 20 shows '│ ああ'
    assert_match "$(screen)" '│ 日本語日本語日本語日本語…
 +│ ああ
░+ 0/1 steps'
    touch go
    wait_for 20 ended
    wait_for 20 shows '^\$ *$'
    assert_contains "$(all)" "j › w │ 日本語日本語日本語日本語日本語日本語日本語"
}

test_standard_output_elsewhere_is_exactly_that_of_plain() {
    write p.yaml <<'YAML'
name: p
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "for i in 1 2 3; do echo out $i; echo err $i >&2; done; printf '\\033[1mraw\\033[2J\\001\\377'; sleep 0.4"}]}]}]
YAML
    "${case_env[@]}" "$RUNNER" exec p.yaml >plain 2>/dev/null
    terminal 80 24
    in_terminal './runner exec p.yaml >tty'
    cmp plain tty || fail "standard output differs: $(cat -A tty)"
    assert_once_in_order "$stdout" $'err 1\nerr 2\nerr 3' 'err [0-9]'
    assert_not_contains "$stdout" "out 1"
}

test_where_it_is_plain() {
    local how
    numbered 3
    terminal 80 24
    for how in 'NO_COLOR=1 ./runner exec' 'TERM=dumb ./runner exec' './runner exec --no-color' \
        './runner exec --progress plain'; do
        t clear-history -t t
        in_terminal "$how p.yaml"
        assert_contains "$stdout" "[step(1/2): count] line 3."
    done
    assert_exit 0 env TERM=xterm "$RUNNER" exec --progress tty p.yaml
    assert_contains "$stdout" "[step(1/2): count] line 3."
    assert_contains "$stderr" "standard error is no terminal with a cursor: shown as --progress plain"
}

# start_sleeper: a run in the terminal whose process is $sleeper.
start_sleeper() {
    write p.yaml <<<'{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "echo begun; sleep 60"}]}]}]}'
    terminal 80 24
    type_line 'clear; ./runner exec p.yaml; echo $? >code'
    wait_for 20 shows '│ begun'
    sleeper=$(pgrep -f -x -n "$RUNNER exec p.yaml" -P "$(t display-message -p -t t '#{pane_pid}')")
}

test_ctrl_c() {
    start_sleeper
    t send-keys -t t C-c
    wait_for 20 ended
    wait_for 20 shows '^\$ *$'
    assert_eq 130 "$(cat code)"
    assert_terminal_is_well
    assert_match "$(all)" 'j › a │ begun
■ s › j › a cancelled'
    assert_not_contains "$(all)" "▸"
}

test_killed() {
    start_sleeper
    kill -KILL "$sleeper"
    wait_for 20 ended
    wait_for 20 shows '^\$ *$'
    assert_terminal_is_well
    assert_no_leftovers 10
}

test_stopped_and_continued() {
    numbered 100 "$(stops_at 10)"
    terminal 80 24
    type_line 'clear; ./runner exec p.yaml; echo $? >code'
    wait_for 20 shows 'line 10\.'
    t send-keys -t t C-z
    wait_for 20 shows 'Stopped'
    assert_terminal_is_well
    # The shell goes on behind what is stopped.
    wait_for 20 ended
    rm code
    touch go.10
    type_line 'fg; echo $? >code'
    wait_for 30 ended
    wait_for 20 shows '^\$ *$'
    assert_contains "$(all)" "Stopped"
    assert_once_in_order "$(all | grep -v '  │')" "$(seq -f 'line %g.' 1 100)" 'line [0-9]+\.'
}

test_terminal_that_goes_away() {
    start_sleeper
    t kill-server
    assert_no_leftovers 20
}

test_messages_go_above() {
    numbered 40 'sleep 0.01'
    terminal 100 24
    in_terminal './runner exec --log-level debug p.yaml'
    assert_match "$stdout" 'debug [a-z]+: '
    assert_once_in_order "$stdout" "$(seq -f 'line %g.' 1 40)" 'line [0-9]+\.'
    assert_not_contains "$stdout" "▸"
}

declare -A case_timeout=([test_everything_scrolls_above_at_every_size]=180)
run_tests "$@"

#!/usr/bin/env bash
# `runner completion`: the scripts do what they should in the shells that they are for.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034 # for lanes.sh
needs_daemon=no
root=$(realpath "$(dirname "$0")/../..")
declare -A case_timeout=([test_bash]=180 [test_zsh]=180)

make_script() {
    assert_exit 0 "$RUNNER" completion "$1"
    cp "$case_dir/stdout" "completion.$1"
    touch hello.yaml
    mkdir -p work-dir
}

# typed SHELL LINE: the words of the line after its tabs, with spaces between.
typed() {
    assert_exit 0 "$root/tests/complete.py" "$1" "$PWD/completion.$1" "$2"
    echo "${stdout//$'\n'/ }"
}

in_shell() {
    assert_eq "validate hello.yaml" "$(typed "$1" $'runner val\thel\t')"
    assert_eq "exec --progress=plain --strict hello.yaml" "$(typed "$1" $'runner exec --progress=pl\t --stri\t hel\t')"
    assert_match "$(typed "$1" $'runner run -c hel\t -w wor\t')" '^run -c hello.yaml -w work-dir/?$'
    assert_eq "init minimal --force" "$(typed "$1" $'runner init mini\t --for\t')"
    assert_eq "completion zsh" "$(typed "$1" $'runner compl\tz\t')"
    assert_eq "plan --format mermaid" "$(typed "$1" $'runner plan --format mer\t')"
    # What cannot be known is left alone.
    assert_eq "exec --only hel" "$(typed "$1" $'runner exec --only hel\t')"
    assert_match "$(typed "$1" $'runner schema hel\t')" '^schema hel$'
}

test_bash() {
    make_script bash
    in_shell bash
}

test_zsh() {
    make_script zsh
    in_shell zsh
    # The other way to use it: a function in $fpath.
    mkdir functions
    cp completion.zsh functions/_runner
    write completion.zsh <<Y
fpath=("$PWD/functions" \$fpath)
compinit -D -u
Y
    assert_eq "validate hello.yaml" "$(typed zsh $'runner val\thel\t')"
}

# offered LINE: what fish offers, without the descriptions.
offered() {
    assert_exit 0 fish --no-config -c "source completion.fish; complete -C '$1'"
    cut -f 1 <<<"$stdout" | sort | paste -sd ' '
}

test_fish() {
    make_script fish
    assert_eq "validate" "$(offered 'runner val')"
    assert_exit 0 fish --no-config -c "source completion.fish; complete -C 'runner val'"
    assert_eq $'validate\tcheck pipeline files' "$stdout"
    assert_eq "auto json plain" "$(offered 'runner exec --progress ' | sed 's/\btty\b//; s/  */ /g; s/ $//')"
    assert_eq "--strict" "$(offered 'runner run --stric')"
    assert_eq "hello.yaml" "$(offered 'runner plan hel')"
    assert_eq "hello.yaml" "$(offered 'runner exec --config hel')"
    assert_eq "work-dir/" "$(offered 'runner exec --workdir wor')"
    assert_eq "bash fish zsh" "$(offered 'runner completion ')"
    assert_eq "minimal" "$(offered 'runner init mini')"
    assert_eq "" "$(offered 'runner exec --only hel')"
    assert_eq "" "$(offered 'runner schema hel')"
}

# Every option of every command is known to every shell.
test_every_option() {
    local shell command option in_bash in_fish
    for shell in bash zsh fish; do
        make_script "$shell"
    done
    for command in exec plan validate init reap doctor; do
        # shellcheck disable=SC2016
        assert_exit 0 bash -c 'source completion.bash; COMP_WORDS=(runner "$1" --); COMP_CWORD=2
            _runner; echo "${COMPREPLY[*]}"' bash "$command"
        in_bash=" $stdout "
        in_fish=" $(offered "runner $command --") "
        assert_exit 0 "$RUNNER" "$command" --help
        for option in $(grep -oE '^  (-., |    )--[a-z-]+' <<<"$stdout" | grep -oE -- '--[a-z-]+'); do
            assert_contains "$in_bash" " $option " "what bash offers"
            assert_contains "$in_fish" " $option " "what fish offers"
            grep -qE -- "${option}[=['}]" completion.zsh || fail "zsh: $option"
        done
    done
}

test_usage() {
    assert_exit 2 "$RUNNER" completion
    assert_eq "runner completion: takes one shell: bash, zsh or fish" "$stderr"
    assert_exit 2 "$RUNNER" completion zhs
    assert_eq 'runner completion: there is no "zhs"; did you mean "zsh"?' "$stderr"
    assert_exit 2 "$RUNNER" completion powershell
    assert_eq 'runner completion: there is no "powershell"; there are bash, zsh and fish' "$stderr"
}

run_tests "$@"

#!/usr/bin/env bash
# Secrets: where they come from, and that nothing shows them. Most tests run on the host and in Docker.
source "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2034
declare -A case_timeout=([test_every_stream_of_docker]=120)

secret='x.*[y]+$(z) "q" /\'
multi=$'-----BEGIN-----\nfirst/line+of=it\n\tsecond line\nab\n-----END-----'

# in_all FILE TEXT: fails if the text, or one of its forms, is in the file.
holds_secret() {
    local file=$1 value=$2 form prefix
    local -a forms=("$value" "$(jq -Rrs '@json[1:-1]' < <(printf %s "$value"))"
        "$(jq -Rrs @uri < <(printf %s "$value"))")
    for prefix in '' a ab; do
        form=$(printf %s "$prefix$value" | base64 -w 0)
        form=${form:4}
        forms+=("${form:0:${#form}-4}")
    done
    for form in "${forms[@]}"; do
        [[ ${#form} -lt 4 ]] || ! grep -qF -- "$form" "$file" || {
            echo "$form"
            return
        }
    done
}

assert_no_secret() {
    local file value found
    for file in "$case_dir/stdout" "$case_dir/stderr" "$@"; do
        for value in "$secret" "${extra_secrets[@]}"; do
            found=$(holds_secret "$file" "$value")
            [[ -z $found ]] || fail "$(basename "$file") shows a secret: $found"
        done
    done
}

# pipeline KEYS SCRIPT: one step that runs the script.
pipeline() {
    cp "$2" script.sh
    cat >p.yaml <<END
name: p
secrets:
  TOKEN:
  OTHER: {variable: RUNNER_OTHER}
  MULTI: {from: file, path: multi.txt}
stages:
  - name: s
    jobs:
      - name: "job of \${TOKEN}"
        $1
        steps:
          - name: "step of \${OTHER}"
            command: . ./script.sh
END
    printf '%s\n' "$multi" >multi.txt
}

every_stream() {
    local -a extra_secrets=(hunter2 hunter2hunter 'first/line+of=it' 'second line')
    local -x TOKEN=$secret RUNNER_OTHER=hunter2hunter HUNTER=hunter2
    write all.sh <<'END'
echo "plain: $TOKEN|"
# All of standard error before the line that comes in two parts: the streams have no order between them.
echo "error: $TOKEN|" >&2
set -x
: "$TOKEN"
set +x
printf 'other: %s|\n' "$OTHER"
printf 'pieces: '
rest=$TOKEN
while [ -n "$rest" ]; do
    printf %s "${rest%"${rest#?}"}"
    rest=${rest#?}
done
echo '|'
printf 'slow: hunter2'; sleep 0.5; echo 'hunter|'
printf 'base64: '; printf %s "user:$TOKEN" | base64 | tr -d '\n'; echo '|'
printf 'base64: '; printf %s "usr:$TOKEN" | base64 | tr -d '\n'; echo '|'
printf 'base64: '; printf %s "us:$TOKEN" | base64 | tr '+/' '-_' | tr -d '\n'; echo '|'
echo "$MULTI" | sed 's/^/> /'
echo "multi: $MULTI|"
exit 7
END
    pipeline "$1" all.sh
    assert_exit 1 "$RUNNER" exec --report json=report.json p.yaml
    assert_no_secret report.json
    assert_contains "$stdout" "[job(1/1): job of ***][step(1/1): step of ***] plain: ***|"
    local what
    for what in plain error other pieces slow multi; do
        assert_contains "$stderr" "    | $what: ***|" "the last output"
    done
    assert_match "$stdout" '\] base64: [^ ]{0,7}\*\*\*[^ ]{0,4}\|'
    assert_contains "$stderr" "step of ***] failed: exit code 7"
    assert_eq "step of ***" "$(jq -r '.stages[0].jobs[0].steps[0].name' report.json)"
    run "$RUNNER" exec --progress json p.yaml
    assert_eq 1 "$status"
    assert_no_secret
    jq -r 'select(.event == "StepLog") | .text // (.base64 | @base64d)' "$case_dir/stdout" >text
    assert_no_secret text
    run "$RUNNER" exec --log-level debug p.yaml
    assert_no_secret
}

test_every_stream() { every_stream ''; }

test_every_stream_of_docker() { every_stream 'image: busybox:1.36'; }

test_errors_show_none() {
    local -x TOKEN=busybox-of-mine
    local -a extra_secrets=("$TOKEN")
    write p.yaml <<'END'
name: p
secrets: {TOKEN: }
stages:
  - name: s
    jobs:
      - name: j
        image: "127.0.0.1:1/${TOKEN}:1"
        steps: [{name: a, command: "true"}]
END
    run "$RUNNER" exec --report json=report.json p.yaml
    ((status != 0)) || fail "the image was found"
    assert_contains "$stderr" '127.0.0.1:1/***:1'
    assert_no_secret report.json
    write p.yaml <<'END'
name: p
secrets: {TOKEN: }
stages:
  - name: s
    jobs:
      - name: j
        image: busybox:1.36
        steps: [{name: a, command: "true", volumes: "${TOKEN}"}]
END
    assert_exit 2 "$RUNNER" exec p.yaml
    assert_contains "$stderr" '"***"'
    assert_no_secret
}

# Where steps find them; plugins do not, unless they are given them.
test_who_gets_them() {
    local -x TOKEN=visible-to-steps
    write p.yaml <<'END'
name: p
secrets: {TOKEN: }
stages:
  - name: s
    run_mode: serial
    jobs:
      - name: host
        steps:
          - {name: env, command: 'echo "${#TOKEN}"'}
          - {name: expression, if: "env.TOKEN == 'visible-to-steps'", command: echo equal}
          - {name: expanded, environment: {COPY: "<${TOKEN}>"}, command: 'echo "${#COPY} $COPY"'}
      - name: container
        image: busybox:1.36
        steps: [{name: env, command: 'echo "${#TOKEN}"'}]
      - name: plugin
        steps:
          - {name: none, plugin: {image: "runner-test/plugin:1"}}
          - {name: settings, plugin: {image: "runner-test/plugin:1", settings: {T: "${TOKEN}"}}}
          - {name: all, plugin: {image: "runner-test/plugin:1", inherit_environment: true}}
END
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[job(1/3): host][step(1/3): env] 16"
    assert_contains "$stdout" "expression] equal"
    assert_contains "$stdout" "expanded] 18 <***>"
    assert_contains "$stdout" "[job(2/3): container][step(1/1): env] 16"
    assert_not_contains "$stdout" "none] other: TOKEN"
    assert_contains "$stdout" "settings] PIPELINE_PLUGIN_SETTINGS_T=***"
    assert_contains "$stdout" "all] other: TOKEN"
    assert_not_contains "$stdout$stderr" visible-to-steps
}

test_what_is_wrong_is_said_before_anything_runs() {
    write p.yaml <<'END'
name: p
secrets:
  MISSING:
  RENAMED: {variable: NOT_THERE}
  SHORT:
  EMPTY:
  FILE: {from: file, path: "${DIR:-missing}/token"}
  BINARY: {from: file, path: binary}
  LARGE: {from: file, path: large}
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "touch ran"}]}]}]
END
    printf 'abc\0def' >binary
    head -c 20000 /dev/zero | tr '\0' x >large
    local -x SHORT=abc EMPTY=''
    assert_exit 2 "$RUNNER" exec p.yaml
    [[ ! -e ran ]] || fail "a step ran"
    assert_contains "$stderr" 'p.yaml:3:3: error: the secret "MISSING" is missing: the variable MISSING is not set where the runner was started'
    assert_contains "$stderr" 'p.yaml:4:3: error: the secret "RENAMED" is missing: the variable NOT_THERE'
    assert_contains "$stderr" 'p.yaml:5:3: error: the secret "SHORT" is too short'
    assert_contains "$stderr" 'p.yaml:6:3: error: the secret "EMPTY" is empty'
    assert_contains "$stderr" 'the secret "FILE" cannot be read: missing/token does not exist'
    assert_contains "$stderr" 'the secret "BINARY" holds a NUL byte'
    assert_match "$stderr" 'the secret "LARGE" cannot be read: .*large'
    assert_exit 0 "$RUNNER" validate p.yaml
    write ok.yaml <<'END'
name: p
secrets: {TOKEN: }
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "echo ${#TOKEN} $TOKEN"}]}]}]
END
    assert_exit 0 "$RUNNER" exec -e TOKEN=given-here ok.yaml
    assert_contains "$stdout" "10 ***"
}

# Passwords in the file are hidden from the start, not only when they are used.
test_passwords_of_registries() {
    write p.yaml <<'END'
name: p
environment: {PART: word}
stages:
  - name: first
    jobs: [{name: j, steps: [{name: a, command: cat p.yaml; echo my-pass-word-2}]}]
  - name: second
    if: "false"
    jobs:
      - name: j
        image: 127.0.0.1:1/x
        image_registry: 127.0.0.1:1
        image_registry_username: user-of-it
        image_registry_password: my-secret-password
        steps:
          - {name: a, command: x}
          - name: b
            image_registry_password: "my-pass-${PART}-2"
            command: x
END
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" 'image_registry_password: ***'
    assert_contains "$stdout" 'a] ***'
    assert_not_contains "$stdout$stderr" my-secret-password
    assert_not_contains "$stdout$stderr" my-pass-word-2
    assert_contains "$stdout" user-of-it
}

# Half a megabyte of output around a secret, in writes of all sizes.
test_much_output_changes_nowhere_else() {
    local -x TOKEN=needle-in-it
    write p.yaml <<'END'
name: p
secrets: {TOKEN: }
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "cat big"}]}]}]
END
    local i
    for ((i = 0; i < 20000; i++)); do
        printf '%d needle-in-i %s.\n' "$i" "$(((i % 1000) == 0))"
    done | sed 's/ 1\.$/ needle-in-it./' >big
    assert_exit 0 "$RUNNER" exec p.yaml
    sed 's/^[^]]*\]\[[^]]*\]\[[^]]*\] //' "$case_dir/stdout" >got
    sed 's/needle-in-it/***/' big >wanted
    cmp wanted got || fail "the output differs"
}

# masks_for KEYS [TEXT]: runs first.sh as a step, and a second step that prints file "value". When TEXT was
# seen there is the file "shown".
masks_for() {
    cat >p.yaml <<END
name: p
stages:
  - name: s
    jobs:
      - name: j
        $1
        steps:
          - {name: first, command: ". ./first.sh"}
          - {name: second, command: "cat value; base64 <value"}
END
    spawn "$RUNNER" exec --report json=report.json p.yaml
    if [[ -n ${2:-} ]]; then
        wait_for 50 grep -q "$2" "$case_dir/stdout"
        touch shown
    fi
    finish
}

values_that_steps_add() {
    printf %s 'made-up "token"' >value
    write first.sh <<'END'
echo "before: $(cat value)"
until [ -e shown ]; do sleep 0.1; done
cat value >>"$PIPELINE_MASK"
echo "after: $(cat value)"
printf '\nother-value\r\nab\n\n' >>"$PIPELINE_MASK"
echo "other: other-value ab" >&2
printf 'KEY=other-value\n' >>"$PIPELINE_OUTPUT"
END
    masks_for "$1" before:
    assert_eq 0 "$status"
    assert_contains "$stdout" 'first] before: made-up "token"'
    assert_contains "$stdout" 'first] after: ***'
    assert_contains "$stderr" 'first] other: *** ab'
    assert_contains "$stdout" 'second] ***'
    assert_eq 1 "$(grep -c 'made-up' "$case_dir/stdout")" "lines that show it"
    assert_not_contains "$stdout" "$(base64 <value | cut -c 1-12)"
    assert_eq 1 "$(grep -c 'a value in .PIPELINE_MASK has less than 4 bytes' "$case_dir/stderr")" notes
    assert_eq '***' "$(jq -r '.stages[0].jobs[0].steps[0].outputs.KEY' report.json)"
}

test_values_that_steps_add_on_the_host() { values_that_steps_add ''; }

test_values_that_steps_add_in_docker() { values_that_steps_add 'image: busybox:1.36'; }

test_values_that_steps_add_in_a_shared_container() {
    values_that_steps_add 'isolation: job
        image: busybox:1.36'
}

test_values_that_steps_add_with_podman() {
    podman_take
    DOCKER_HOST=$RUNNER_TEST_PODMAN_HOST values_that_steps_add 'image: busybox:1.36'
}

# each_value_at_once KEYS: many values, each printed on both streams as soon as it is in the file.
each_value_at_once() {
    write first.sh <<'END'
i=0
while [ $i -lt 200 ]; do
    i=$((i + 1))
    echo "made-up-$i-value" >>"$PIPELINE_MASK"
    echo "out made-up-$i-value."
    echo "error made-up-$i-value." >&2
done
END
    echo nothing >value
    masks_for "$1"
    assert_eq 0 "$status"
    assert_not_contains "$stdout$stderr$(cat report.json)" made-up
    assert_eq 200 "$(whole_lines "$case_dir/stdout" | grep -c 'out \*\*\*\.')" "lines on standard output"
    assert_eq 200 "$(whole_lines "$case_dir/stderr" | grep -c 'error \*\*\*\.')" "lines on standard error"
}

# whole_lines FILE: those of which a part was shown early, because the rest was late, put together.
whole_lines() { sed -E ':next; N; $!b next; s/\n\[[^\n]*\]\+//g' "$1"; }

test_each_value_at_once_on_the_host() { each_value_at_once ''; }

test_each_value_at_once_in_docker() { each_value_at_once 'image: busybox:1.36'; }

test_each_value_at_once_in_a_shared_container() {
    each_value_at_once 'isolation: job
        image: busybox:1.36'
}

test_each_value_at_once_in_a_terminal() {
    write p.yaml <<'END'
name: p
stages:
  - name: s
    jobs:
      - name: j
        image: busybox:1.36
        steps:
          - name: a
            tty: true
            command: |
              for i in $(seq 200); do
                echo "made-up-$i-value" >>"$PIPELINE_MASK"
                echo "out made-up-$i-value."
              done
              test -t 1
END
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_not_contains "$stdout$stderr" made-up
    assert_eq 200 "$(grep -c 'out \*\*\*\.' "$case_dir/stdout")" lines
}

test_values_that_steps_add_and_reports() {
    printf %s 'made-up "token"' >value
    write first.sh <<'END'
cat value >>"$PIPELINE_MASK"
echo "KEY=$(cat value)" >>"$PIPELINE_OUTPUT"
exit 3
END
    masks_for 'image: busybox:1.36
        post: cat value'
    assert_eq 1 "$status"
    assert_contains "$stdout" 'post] ***'
    assert_not_contains "$stdout$stderr$(cat report.json)" made-up
    sed -i 's/exit 3//' first.sh
    masks_for 'image: busybox:1.36'
    assert_eq 0 "$status"
    assert_contains "$stdout" 'second] ***'
    assert_not_contains "$stdout$stderr" made-up
    masks_for 'isolation: job
        image: busybox:1.36'
    assert_eq 0 "$status"
    assert_not_contains "$stdout$stderr" made-up
}

test_values_that_cannot_be_masked() {
    : >value
    write first.sh <<<'head -c 20000 /dev/zero | tr "\0" x >>"$PIPELINE_MASK"'
    masks_for ''
    assert_eq 1 "$status"
    assert_contains "$stderr" 'first] failed: a value in $PIPELINE_MASK is too large'
    write first.sh <<<'rm "$PIPELINE_MASK"; mkdir "$PIPELINE_MASK"'
    masks_for ''
    assert_eq 1 "$status"
    assert_contains "$stderr" 'first] failed: $PIPELINE_MASK is no regular file any more'
    write first.sh <<<'yes 1234567890 | head -c 300000 >"$PIPELINE_MASK"'
    masks_for 'image: busybox:1.36'
    assert_eq 1 "$status"
    assert_contains "$stderr" 'first] failed: $PIPELINE_MASK holds more than 256 KiB'
}

run_tests "$@"

#!/usr/bin/env bash
# `runner compose config`: the model of Compose files, held against a current Docker Compose; what is
# said about files that are wrong.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034
needs_compose=yes
declare -A case_timeout=([test_same_as_docker_compose]=300)

root=$(cd "$(dirname "$0")/../.." && pwd)

test_same_as_docker_compose() {
    "$root/tests/compose_same.py" "$RUNNER" "$COMPOSE_WITNESS" || fail "the models differ"
}

# Each directory holds a project that is wrong, and in `expected` what is said about it, with `options`
# and `environment` as those of tests/data/compose.
test_files_that_are_wrong() {
    local directory bad=0
    local -a options environment
    for directory in "$root"/tests/data/compose_errors/*/; do
        options=() environment=()
        [[ ! -e $directory/options ]] || mapfile -t options <"$directory/options"
        [[ ! -e $directory/environment ]] || mapfile -t environment <"$directory/environment"
        cd "$directory"
        run env "${environment[@]}" "$RUNNER" compose "${options[@]}" config
        if [[ $status != "$(cat status 2>/dev/null || echo 2)" ]] ||
            ! diff "$directory/expected" <(sed "s|$directory|DIR/|g" <<<"$stderr") >&2; then
            echo "$(basename "$directory"): exit $status" >&2
            bad=$((bad + 1))
        fi
    done
    ((bad == 0)) || fail "$bad projects are not as expected"
}

web() {
    write compose.yaml <<<"services: {web: {image: busybox$1}}"
}

test_use() {
    assert_exit 2 "$RUNNER" compose
    assert_match "$stderr" '^runner compose: what to do\? It is one of: .*config'
    assert_exit 2 "$RUNNER" compose confg
    assert_match "$stderr" '^runner compose: there is no "confg"; it is one of: '
    web ""
    assert_exit 2 "$RUNNER" compose config nothing
    assert_eq 'runner compose config: there is no service "nothing"' "$stderr"
    assert_exit 2 "$RUNNER" compose config --hash nothing
    assert_eq 'runner compose config: there is no service "nothing"' "$stderr"
    assert_exit 0 "$RUNNER" compose config -q
    assert_eq "" "$stdout$stderr"
    assert_exit 2 "$RUNNER" compose -f none.yaml config
    assert_contains "$stderr" "none.yaml does not exist"
    assert_exit 0 "$RUNNER" compose up --help
    assert_contains "$stdout" "--wait-timeout DURATION"
    assert_contains "$stdout" "--pull always/missing/never"
    rm compose.yaml
    assert_exit 2 "$RUNNER" compose config
    assert_contains "$stderr" "there is no compose.yaml, compose.yml, docker-compose.yml"
}

test_standard_input_and_files_above() {
    web ""
    mkdir -p a/b
    cd a/b
    assert_exit 0 "$RUNNER" compose config --format json
    assert_eq "work" "$(jq -r .name <<<"$stdout")" "name"
    status=0
    stdout=$("$RUNNER" compose -f - -p p config --format json <../../compose.yaml)
    assert_eq "p busybox" "$(jq -r '.name + " " + .services.web.image' <<<"$stdout")"
}

test_services_with_what_they_need() {
    write compose.yaml <<'E'
services:
  a: {image: busybox, depends_on: [b]}
  b: {image: busybox}
  c: {image: busybox}
E
    assert_exit 0 "$RUNNER" compose config --format json a
    assert_eq "a b" "$(jq -r '.services | keys | join(" ")' <<<"$stdout")"
}

# A file is read in time that grows with its size.
test_large_files() {
    python3 - <<'E'
with open("large.yaml", "w") as f:
    f.write("services:\n")
    for i in range(20000):
        f.write(f"  s{i}:\n    image: busybox:{i}\n    environment: {{A: '{i}', B: \"{'x' * 300}\"}}\n"
                f"    ports: ['{i % 60000 + 1}']\n    depends_on: [s{max(i - 1, 0) if i else 1}]\n"
                if i else f"  s0:\n    image: busybox\n")
E
    assert_exit 0 "$RUNNER" compose -f large.yaml config --services
    assert_eq 20000 "$(wc -l <"$case_dir/stdout")" "services"
    head -c 17000000 /dev/zero | tr '\0' '#' >huge.yaml
    assert_exit 2 "$RUNNER" compose -f huge.yaml config
    assert_contains "$stderr" "huge.yaml is larger than 16777216 bytes"
}

# Short files that would mean a lot.
test_bombs() {
    local i
    for ((i = 0; i < 300; i++)); do
        echo "  s$i: {extends: s$((i + 1))}"
    done | { echo "services:" && cat && echo "  s300: {image: busybox}"; } >deep.yaml
    assert_exit 2 "$RUNNER" compose -f deep.yaml config -q
    assert_contains "$stderr" "services extend each other more than 200 deep"

    for ((i = 0; i < 20; i++)); do
        echo "include: [i$((i + 1)).yaml, i$((i + 1)).yaml]" >"i$i.yaml"
    done
    echo "services: {web: {image: busybox}}" >i20.yaml
    assert_exit 2 "$RUNNER" compose -f i0.yaml config -q
    assert_contains "$stderr" "a project has at most 1000 files"

    web ", ports: ['1-65535', '1-65535/udp', '1-65535/sctp', '1-65535:1-65535']"
    assert_exit 2 "$RUNNER" compose config -q
    assert_contains "$stderr" "a file has at most 200000 ports, ranges written out"

    {
        echo "services: {web: {image: busybox}}"
        echo "x-large:"
        for ((i = 0; i < 1000; i++)); do echo '- $LARGE'; done
    } >large.yaml
    LARGE=$(head -c 100000 /dev/zero | tr '\0' x) assert_exit 2 "$RUNNER" compose -f large.yaml config -q
    assert_contains "$stderr" "what variables expand to is more than 67108864 bytes"
}

run_tests "$@"

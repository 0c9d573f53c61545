#!/usr/bin/env bash
# `runner init`: every template is valid, fits the schema, and runs.
source "$(dirname "$0")/../lib.sh"
root=$(realpath "$(dirname "$0")/../..")
this_file=$(realpath "$0")
declare -A case_timeout=([test_go]=240 [test_node]=120 [test_python]=120)

test_every_template_has_a_test() {
    local name
    assert_exit 0 "$RUNNER" init --list
    while read -r name _; do
        grep -q "template $name\b" "$this_file" || fail "no test runs the template $name"
        [[ -e $root/runner/cli/templates/$name.yaml ]] || fail "there is no file of $name"
    done <<<"$stdout"
    assert_eq "$(find "$root/runner/cli/templates" -name '*.yaml' | wc -l)" "$(wc -l <<<"$stdout")" "templates"
}

# template NAME [OPTION…]: writes it here, checks it and runs it with the options.
template() {
    assert_exit 0 "$RUNNER" init "$1"
    assert_eq 'wrote .pipeline.yaml; now edit it, then "runner plan" and "runner exec"' "$stderr"
    assert_eq "" "$(diff .pipeline.yaml "$root/runner/cli/templates/$1.yaml")" "what init wrote"
    shift
    "$RUNNER" schema >schema.json
    assert_exit 0 "$root/tests/schema.py" schema.json .pipeline.yaml
    assert_exit 0 "$RUNNER" validate --strict
    assert_eq ".pipeline.yaml: valid" "$stdout"
    assert_exit 0 "$RUNNER" exec --strict "$@"
}

test_minimal() {
    template minimal
    assert_contains "$stdout" "Hello from example"
    rm .pipeline.yaml
    assert_exit 0 "$RUNNER" init
    assert_eq "" "$(diff .pipeline.yaml "$root/runner/cli/templates/minimal.yaml")" "the default"
}

test_docker() {
    template docker
    assert_contains "$stdout" "[step(2/2): check] release"
    [[ ! -e out ]] || fail "out is still there"
}

test_matrix() {
    template matrix
    assert_eq "testing in debug mode
testing in release mode
testing in release mode" "$(sed 's/.*\] //' <<<"$stdout" | sort)"
}

test_services() {
    template services
    assert_contains "$stdout" "[step(1/1): test] hello"
}

test_deploy() {
    git init -q -b main .
    git -c user.name=t -c user.email=t@example.org commit -q --allow-empty -m one
    template deploy
    assert_contains "$stdout" "] deploy it"
    assert_contains "$stdout" "] all is well"
    git checkout -q -b feature
    assert_exit 0 "$RUNNER" exec
    assert_not_contains "$stdout" "] deploy it"
}

# The test image of Node.js is an older one and has no npm: this stands in for it.
test_node() {
    write image/Dockerfile <<'D'
FROM node:16
RUN printf '#!/bin/sh\ncase $1 in ci) echo installed ;; test) exec node --test ;; run) echo linted ;; *) exit 1 ;; esac\n' >/usr/local/bin/npm && chmod +x /usr/local/bin/npm
D
    DOCKER_BUILDKIT=0 docker build -q -t node:22 image >/dev/null
    write sum.test.js <<<"require('node:test')('sum', () => require('node:assert').equal(1 + 1, 2))"
    template node
    docker rmi node:22 >/dev/null
    assert_contains "$stdout" "[step(1/1): install] installed"
    assert_contains "$stdout" "# pass 1"
}

test_python() {
    write test_sum.py <<'P'
import unittest

class Sum(unittest.TestCase):
    def test_sum(self):
        self.assertEqual(1 + 1, 2)
P
    template python
    assert_contains "$stdout$stderr" "test_sum (test_sum.Sum"
}

test_go() {
    write go.mod <<<$'module example.org/program\n\ngo 1.18'
    write main.go <<<$'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println(sum(1, 1)) }\n\nfunc sum(a, b int) int { return a + b }'
    write main_test.go <<<$'package main\n\nimport "testing"\n\nfunc TestSum(t *testing.T) {\n\tif sum(1, 1) != 2 {\n\t\tt.Fail()\n\t}\n}'
    template go
    assert_match "$stdout" 'ok .*example.org/program'
    assert_eq 2 "$(./program)" "the program that was built"
}

test_writes_where_it_is_told_and_over_nothing() {
    mkdir -p ci
    assert_exit 0 "$RUNNER" init docker -o ci/p.yaml
    [[ -e ci/p.yaml && ! -e .pipeline.yaml ]] || fail "it is not where it should be"
    echo mine >.pipeline.yaml
    assert_exit 2 "$RUNNER" init
    assert_eq "runner init: .pipeline.yaml is there already; --force replaces it, -o FILE writes another" "$stderr"
    assert_eq mine "$(cat .pipeline.yaml)" "the file that was there"
    ln -s nowhere link.yaml
    assert_exit 2 "$RUNNER" init -o link.yaml
    assert_exit 0 "$RUNNER" init go --force
    assert_eq "" "$(diff .pipeline.yaml "$root/runner/cli/templates/go.yaml")" "the file replaced"
    assert_exit 0 "$RUNNER" init python -o -
    assert_eq "$(cat "$root/runner/cli/templates/python.yaml")" "$stdout" "standard output"
    assert_exit 1 "$RUNNER" init -o nowhere/at/all.yaml
    assert_eq "runner init: cannot create nowhere/at/all.yaml: No such file or directory" "$stderr"
}

test_unknown_template() {
    assert_exit 2 "$RUNNER" init pyton
    assert_eq 'runner init: there is no template "pyton"; did you mean "python"?' "$stderr"
    assert_exit 2 "$RUNNER" init cobol-76
    assert_eq 'runner init: there is no template "cobol-76"; see "runner init --list"' "$stderr"
    assert_exit 2 "$RUNNER" init go node
    assert_eq 'runner init: takes one template, but got several' "$stderr"
    [[ ! -e .pipeline.yaml ]] || fail "something was written"
}

run_tests "$@"

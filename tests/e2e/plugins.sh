#!/usr/bin/env bash
# The interface of plugins on real daemons: context, schema, versions, pins, outputs.
source "$(dirname "$0")/../lib.sh"

# image TAG < LINES: lines of a Dockerfile on top of runner-test/plugin:1.
image() {
    { echo "FROM runner-test/plugin:1" && cat; } >Dockerfile.case
    DOCKER_BUILDKIT=0 docker build -q -t "$1" - <Dockerfile.case >/dev/null 2>&1
}

# pipeline STEPS
pipeline() { printf 'name: p\nstages: [{name: s, jobs: [{name: j, steps: [%s]}]}]\n' "$1" >p.yaml; }

# One that prints its context and tries to change it.
context_image() {
    image runner-test/context:1 <<'EOF'
RUN printf '#!/bin/sh\ncat "$PIPELINE_CONTEXT" /pipeline/context.json\nls -ld /pipeline/plugin/run\n' >/pipeline/plugin/run
EOF
}

# printed_context: the document that the step printed, once of the two.
printed_context() { sed -n 's/.*\] \({"api".*\)/\1/p' <<<"$stdout" | tail -n 1; }

test_context() {
    context_image
    pipeline '{name: First one, command: "echo K=v >>$PIPELINE_OUTPUT; exit 3", allow_failure: true},
        {name: told, id: second, plugin: {image: "runner-test/context:1"}, workdir: sub}'
    assert_exit 0 "$RUNNER" exec p.yaml
    local document expected
    document=$(printed_context)
    assert_eq 2 "$(grep -c '{"api"' <<<"$stdout")" "times that it was printed"
    expected='{"api":1,"job":{"matrix":{},"name":"j"},"pipeline":{"name":"p"},"stage":{"name":"s"},'
    expected+='"step":{"attempt":1,"id":"second","name":"told"},'
    expected+='"steps":{"first-one":{"exit_code":3,"name":"First one","outputs":{"K":"v"},"status":"failed"}},'
    expected+="\"workdir\":\"$PWD/sub\"}"
    assert_eq "$expected" "$(jq -cS 'del(.pipeline.id)' <<<"$document")" "context"
    assert_match "$(jq -r .pipeline.id <<<"$document")" '^[0-9a-z]{22}$' "id of the run"
}

test_context_of_matrix_and_attempt() {
    context_image
    cat >p.yaml <<'EOF'
name: p
stages:
  - name: s
    jobs:
      - name: j
        matrix: {arch: [amd64, arm64], max_parallel: 1}
        steps:
          - name: a
            plugin: {image: "runner-test/context:1"}
          - name: b
            retry: {attempts: 2, on: [127]}
            plugin: {image: "runner-test/context:1", entrypoint: /not-there}
            allow_failure: true
EOF
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" '"matrix":{"arch":"amd64"}'
    assert_contains "$stdout" '"matrix":{"arch":"arm64"}'
    assert_contains "$stderr" "it is not a pipeline plugin (/not-there not found)"
}

# Whatever the container is: its root read-only, another user, no shell, shared with other steps.
test_context_in_containers_of_all_kinds() {
    context_image
    pipeline '{name: a, user: "1234", security: {read_only: true}, plugin: {image: "runner-test/context:1"}},
        {name: b, sandbox: true, plugin: {image: "runner-test/context:1"}},
        {name: c, isolation: job, plugin: {image: "runner-test/context:1"}},
        {name: d, isolation: job, plugin: {image: "runner-test/context:1"}}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq 8 "$(grep -c '"api":1' <<<"$stdout")" "documents"
    assert_contains "$stdout" '"step":{"name":"d","id":"d","attempt":1}'
    # What the image has beside it is still there, as it was.
    assert_eq 4 "$(grep -c -- '-rwxr-xr-x .* /pipeline/plugin/run' <<<"$stdout")" "entrypoints"
    pipeline '{name: a, plugin: {image: "runner-test/noshell:1", entrypoint: /hello}}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "hello from a static binary"
}

test_context_with_podman() {
    podman_take
    context_image
    docker save runner-test/context:1 | docker -H "$RUNNER_TEST_PODMAN_HOST" load >/dev/null
    pipeline '{name: a, plugin: {image: "runner-test/context:1"}},
        {name: b, security: {read_only: true}, user: "1234", plugin: {image: "runner-test/context:1"}}'
    DOCKER_HOST=$RUNNER_TEST_PODMAN_HOST assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq 4 "$(grep -c '"api":1' <<<"$stdout")" "documents"
    assert_eq "" "$(docker -H "$RUNNER_TEST_PODMAN_HOST" volume ls -q)" "volumes of podman"
}

# A plugin's outputs, variables and masks, as any step's.
test_outputs() {
    image runner-test/outputs:1 <<'EOF'
RUN printf '#!/bin/sh\necho version=1.2 >>$PIPELINE_OUTPUT\necho COLOUR=red >>$PIPELINE_ENV\necho s3cr3t >>$PIPELINE_MASK\n' >/pipeline/plugin/run
EOF
    pipeline '{name: a, user: "1234", security: {read_only: true}, plugin: {image: "runner-test/outputs:1"}},
        {name: b, environment: {V: "{{ steps.a.outputs.version }}"}, command: "echo $V $COLOUR s3cr3t"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "b] 1.2 red ***"
}

test_mount_over_the_plugin_is_refused() {
    pipeline '{name: a, volumes: ["./x:/pipeline"], plugin: {image: "runner-test/plugin:1"}}'
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stdout$stderr" "cannot mount $PWD/x at /pipeline, where the plugin is"
}

schema_image() {
    image runner-test/schema:1 <<'EOF'
LABEL pipeline.plugin.api=1 pipeline.plugin.schema='{"type": "object", "required": ["url"], "properties": { \
    "url": {"type": "string", "description": "where to send it"}, "count": {"type": "integer", "minimum": 1, "default": 3}, \
    "level": {"enum": ["low", "high"]}, "dry-run": {"type": "boolean"}, "tags": {"type": "array"}}}'
EOF
}

test_schema() {
    schema_image
    pipeline '{name: a, plugin: {image: "runner-test/schema:1", settings: {url: "http://x", dry-run: true, tags: [a, b]}}}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "PIPELINE_PLUGIN_SETTINGS_COUNT=3"
    assert_contains "$stdout" "PIPELINE_PLUGIN_SETTINGS_DRY_RUN=true"
    assert_contains "$stdout" 'PIPELINE_PLUGIN_SETTINGS_TAGS=["a","b"]'
}

test_settings_that_do_not_fit() {
    schema_image
    pipeline '{name: a, command: echo first}, {name: b, plugin: {image: "runner-test/schema:1", settings: {ulr: "http://x", count: 0, level: mid}}}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'step(2/2): b] the setting "url" is missing: where to send it'
    assert_contains "$stderr" 'step(2/2): b] the setting "count" must be at least 1, not "0"'
    assert_contains "$stderr" 'step(2/2): b] the setting "level" must be one of low, high, not "mid"'
    assert_contains "$stderr" 'step(2/2): b] the plugin has no setting "ulr"; did you mean "url"?'
    assert_contains "$stderr" "step(2/2): b] failed: the settings of the plugin have 4 errors"
    assert_not_contains "$stdout" "PIPELINE_PLUGIN" "output of a plugin that must not run"
    # A single one is the failure itself, and is told once.
    pipeline '{name: b, plugin: {image: "runner-test/schema:1", settings: {url: x, dry-run: maybe}}}'
    assert_exit 1 "$RUNNER" exec --report json=r.json p.yaml
    assert_eq 'the setting "dry-run" must be true or false, not "maybe"' \
        "$(jq -r '.stages[0].jobs[0].steps[0].error' r.json)"
    assert_eq 0 "$(grep -c '^\[stage.*b\] the setting' <<<"$stderr")" "notes"
}

test_unset_settings_are_not_given() {
    schema_image
    pipeline '{name: b, plugin: {image: "runner-test/schema:1", settings: {url: "${NOT_SET_ANYWHERE}"}}}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'the setting "url" is missing'
}

test_wrong_labels() {
    image runner-test/wrong:1 <<<"LABEL pipeline.plugin.schema='{\"oneOf\": []}'"
    pipeline '{name: a, plugin: {image: "runner-test/wrong:1"}}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'the label pipeline.plugin.schema of the plugin runner-test/wrong:1 is wrong: the schema: "oneOf" is not supported'
    image runner-test/wrong:2 <<<"LABEL pipeline.plugin.api=2"
    pipeline '{name: a, plugin: {image: "runner-test/wrong:2", api: 1}}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'the plugin runner-test/wrong:2 was made for version "2" of the plugin interface'
    assert_not_contains "$stdout" PIPELINE_PLUGIN
}

test_version_of_the_interface() {
    pipeline '{name: a, plugin: {image: "runner-test/plugin:1", api: 2}}'
    assert_exit 2 "$RUNNER" exec p.yaml
    assert_contains "$stderr" '"api" must be 1, not "2"'
    pipeline '{name: a, plugin: {image: "runner-test/plugin:1", api: 1}}'
    assert_exit 0 "$RUNNER" exec p.yaml
}

# A digest names what it names, also when the tag has moved on.
test_pinned_image() {
    local name=$RUNNER_TEST_REGISTRY/pinned digest
    image "$name:1" <<<"LABEL which=first"
    docker push -q "$name:1" >/dev/null
    digest=$(docker image inspect -f '{{index .RepoDigests 0}}' "$name:1")
    docker rmi "$name:1" >/dev/null
    image "$name:1" <<<"ENV PIPELINE_WHICH=second"
    docker push -q "$name:1" >/dev/null
    pipeline "{name: a, plugin: {image: \"$digest\"}}"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "pulling $digest"
    assert_not_contains "$stdout" PIPELINE_WHICH
    pipeline "{name: a, plugin: {image: \"${digest%??????????}\"}}"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "is not a digest (sha256: and 64 hexadecimal digits)"
}

sdk=$(realpath "$(dirname "$0")/../../deploy/plugin-sdk")

# What both kinds of the SDK make of the same JSON, path by path.
test_sdk_json() {
    cat >d.json <<'EOF'
{"a": {"b": [1, "zwei\u00e4\n\ud83d\ude00", {"c": null}]}, "s": "x\"y\\z", "e": [], "n": -1.5e3, "t": true,
 "m": {"k 1": "v", "l": [1,2]}}
EOF
    cat >json.c <<'EOF'
#include "pipeline-plugin.h"
int main(int argc, char **argv)
{
    char *json = plugin_read(argv[1]);
    char *text = plugin_json(json, argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL, argc > 4 ? argv[4] : NULL,
        argc > 5 ? argv[5] : NULL, (char *)NULL);
    free(json);
    if (!text)
        return 1;
    puts(text);
    free(text);
    return 0;
}
EOF
    cc -std=c99 -D_POSIX_C_SOURCE=200809L -g -fsanitize=address,undefined -Wall -Wextra -pedantic -Werror \
        -I "$sdk" -o json json.c
    printf '. "%s"; shift; plugin_json "$@"\n' "$sdk/pipeline-plugin.sh" >json.sh
    local expected keys
    while IFS='|' read -r keys expected; do
        read -ra keys <<<"$keys"
        assert_exit 0 ./json d.json "${keys[@]}"
        assert_eq "$(printf %b "$expected")" "$stdout" "in C, ${keys[*]}"
        assert_exit 0 sh -c 'sh ./json.sh "$@" <d.json' sh - "${keys[@]}"
        assert_eq "$(printf %b "$expected")" "$stdout" "in sh, ${keys[*]}"
    done <<'EOF'
a b 0|1
a b 1|zweiä\n😀
a b 2|{"c": null}
a b 2 c|null
s|x"y\\z
n|-1.5e3
t|true
e|[]
m l 1|2
EOF
    for keys in "m x" "a b 7" "a b x" "s x" "n 0"; do
        read -ra keys <<<"$keys"
        assert_exit 1 ./json d.json "${keys[@]}"
        assert_exit 1 sh -c 'sh ./json.sh "$@" <d.json' sh - "${keys[@]}"
    done
    for expected in '{' '[1,]' '{"a" 1}' '[1] x' '' '"x'; do
        assert_exit 1 sh -c 'printf %s "$1" | sh ./json.sh x' sh "$expected"
        assert_eq "" "$stdout" "what was printed of $expected"
    done
}

test_sdk_sh() {
    cat >s.sh <<EOF
. "$sdk/pipeline-plugin.sh"
plugin_setting a-b; plugin_setting none standard; plugin_list tags; plugin_list nothing; plugin_list empty
if plugin_flag yes; then echo flag; fi
if plugin_flag no true; then echo flag; fi
plugin_command
plugin_output one "a=b"; plugin_output two "x
y"
(plugin_flag a-b) || echo "code \$?"
plugin_require yes x y
EOF
    run env PIPELINE_PLUGIN_SETTINGS_A_B="it's \$x  y" PIPELINE_PLUGIN_SETTINGS_TAGS='["a b", 2]' \
        PIPELINE_PLUGIN_SETTINGS_YES=true PIPELINE_PLUGIN_SETTINGS_EMPTY='[ ]' \
        PIPELINE_PLUGIN_COMMAND="$(printf 'echo hi' | base64)" PIPELINE_OUTPUT=out dash s.sh
    assert_eq 2 "$status" "exit status"
    assert_eq "it's \$x  y
standard
a b
2
flag
flag
echo hicode 2" "$stdout"
    assert_eq 'error: the setting "a-b" must be true or false, not "it'"'"'s $x  y"
error: settings are missing: x y' "$stderr"
    assert_match "$(cat out)" '^one=a=b
two<<(PLUGIN_[0-9]+_END)
x
y
PLUGIN_[0-9]+_END$'
}

run_tests "$@"

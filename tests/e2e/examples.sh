#!/usr/bin/env bash
# Every file in examples/ runs and does what it says; none is left out.
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../s3.sh
source "$(dirname "$0")/../s3.sh"
examples=$(realpath "$(dirname "$0")/../../examples")
this_file=$(realpath "$0")

test_every_example_has_a_test() {
    local file
    for file in "$examples"/*.yaml; do
        grep -q "example ${file##*/}" "$this_file" || fail "no test runs ${file##*/}"
    done
}

# example FILE [OPTION…]: it validates, runs and succeeds.
example() {
    local file=$1
    shift
    assert_exit 0 "$RUNNER" validate "$examples/$file"
    assert_exit 0 "$RUNNER" exec "$examples/$file" "$@"
}

test_hello() {
    example hello.yaml
    assert_contains "$stdout" "Hello from hello on linux/"
}

test_stages() {
    example stages.yaml
    assert_contains "$stdout" "[job(1/2): collect][step(1/1): concatenate] no complaints
[stage(2/2): report][job(1/2): collect][step(1/1): concatenate] unit tests passed"
    assert_match "$stdout" '\[step\(1/1\): count lines\] 2'
    [[ ! -e stages-example ]] || fail "the workdir is still there"
}

test_dependencies() {
    example dependencies.yaml
    assert_contains "$stdout" "[step(3/4): package] packaged"
    assert_contains "$stdout" "[stage(3/3): release][job(1/1): publish][step(1/1): push] released"
    assert_not_contains "$stdout" "never"
    assert_contains "$stderr" 'rescue] skipped: it needs "package" to fail, which succeeded'
    assert_contains "$stderr" 'skipped: it needs "app" to fail, which succeeded'
}

test_conditions() {
    example conditions.yaml
    assert_contains "$stdout" "] lint failed with 4"
    assert_contains "$stdout" "] on main"
    assert_contains "$stdout" "] behind the steps"
    assert_contains "$stdout" "] the pipeline succeeded"
    assert_not_contains "$stdout" "not here"
    assert_not_contains "$stdout" "something failed"
    assert_contains "$stderr" "skipped: the condition \"env.BRANCH =~ '^release-'\" does not hold"
}

test_artifacts() {
    unset XDG_STATE_HOME
    example artifacts.yaml
    assert_contains "$stdout" "] the program"
    assert_not_contains "$stdout" "report.xml"
    assert_contains "$stderr" 'artifacts "dist" of the job "build": 1 file'
    assert_exit 0 "$RUNNER" artifacts get latest build test -o there
    assert_eq "<testsuite/>" "$(cat there/report.xml)"
}

test_matrix() {
    example matrix.yaml
    assert_eq "alpine is quick
debian is quick
debian is slow
fedora is quick" "$(sed 's/.*\] //' <<<"$stdout" | sort)"
    assert_contains "$stdout" "[job(4/4): test fedora with 3]"
}

# On a slow machine a shell may take longer than the second of the file.
retry_in_limit() {
    rm -rf retry-example
    run "$RUNNER" exec "$examples/retry.yaml" --set "stages[0].jobs[0].steps[2].timeout=${limit}s"
}

test_retry() { # example retry.yaml
    assert_exit 0 "$RUNNER" validate "$examples/retry.yaml"
    in_time '((status == 0))' retry_in_limit
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" "[step(1/3): flaky] attempt 3"
    assert_match "$stderr" 'flaky\] attempt 2 failed: exit code 1; trying again in 0'
    assert_contains "$stderr" "whole job] attempt 1 failed: step \"check\" failed: exit code 1; trying again"
    assert_not_contains "$stderr" "not for every reason] attempt"
    assert_contains "$stderr" "only for some] attempt 1 failed: step timeout after $limit second"
}

test_secrets() {
    local -x API_TOKEN='a b"c/d+e'
    example secrets.yaml
    assert_contains "$stdout" "as it is] the token is ***"
    assert_contains "$stdout" "by another name] the password is ***"
    assert_contains "$stdout" "line by line] > ***"
    assert_contains "$stdout" "in a container] the token has 9 characters, and is ***"
    assert_match "$stdout" 'encoded\] dXNlcj.?\*\*\*'
    assert_match "$stdout" 'in pieces\] \*\*\*'
    assert_not_contains "$stdout" "one of two"
}

test_inputs() {
    assert_exit 2 "$RUNNER" exec "$examples/inputs.yaml" --input target=prod
    assert_contains "$stderr" 'the input "version" is required'
    assert_contains "$stderr" 'must be test, staging or production, not "prod"'
    example inputs.yaml --input version=1.4.2 --input replicas=10 --input notify=true
    assert_contains "$stdout" "deploy to test][step(1/3): deploy] the product 1.4.2 on 10 machines"
    assert_contains "$stdout" "that is a lot"
    assert_contains "$stdout" "sent to team@example.org"
    assert_exit 0 "$RUNNER" exec "$examples/inputs.yaml" --input version=1 --input target=staging
    assert_contains "$stdout" "deploy to staging]"
    assert_not_contains "$stdout" "a lot"
    assert_not_contains "$stdout" "sent"
}

test_cache() {
    example cache.yaml
    assert_contains "$stdout" "] downloaded the dependencies"
    assert_contains "$stdout" "] compiling util"
    example cache.yaml
    assert_contains "$stdout" "] the dependencies are there already"
    assert_contains "$stdout" "] util.o is up to date"
}

test_outputs() {
    example outputs.yaml
    assert_contains "$stdout" "use] version 1.4: hello from an earlier step"
    assert_contains "$stdout" "use] - smaller"
    assert_contains "$stdout" "of 1.x] a version 1"
    assert_contains "$stdout" 'tell] release 1.4, tests {"alpine":"passed","debian":"passed"}'
}

test_docker() {
    example docker.yaml
    assert_contains "$stdout" "[step(3/3): limits] 1000"
    assert_contains "$stdout" "[step(2/2): find it] kept"
}

test_plugin() {
    example plugin.yaml
    assert_contains "$stdout" "PIPELINE_PLUGIN_SETTINGS_VERSION=1.2.0"
    assert_contains "$stdout" 'PIPELINE_PLUGIN_SETTINGS_CHANNELS=["stable","edge"]'
    assert_eq "[stage(1/1): publish][job(1/1): announce][step(2/2): any program] VERSION=1.2.0" \
        "$(grep '\] VERSION' <<<"$stdout")" "environment that plugins see"
}

test_plugins() {
    DOCKER_BUILDKIT=0 "$examples/plugins/build.sh" >/dev/null 2>&1
    example plugins.yaml
    assert_contains "$stdout" "[step(1/2): announce] version 1.2, by job announce of plugins"
    assert_contains "$stdout" "[step(1/2): announce] - edge"
    assert_contains "$stdout" "[step(2/2): check] ANNOUNCEMENT has 5 lines, says announce"
    rm -r plugins-example
}

test_concurrency() {
    example concurrency.yaml
    assert_eq 2 "$(grep -c '\] deployed$' <<<"$stdout")" "deployments"
}

test_hosts() {
    example hosts.yaml
    assert_contains "$stdout" "dumping /srv/db of db-2"
    assert_contains "$stdout" "dumping /etc/lb of lb-1"
    assert_eq "1 2 3" "$(sed -n 's,.*installing for http://web-\([0-9]\):800.*,\1,p' <<<"$stdout" | paste -sd ' ')"
    assert_eq "web-1 is well web-2 is well" \
        "$(sed -n 's/.*\] \(.* is well\)/\1/p' <<<"$stdout" | sort | paste -sd ' ')"
    example hosts.yaml --input hosts=canary
    assert_not_contains "$stdout" "installing for http://web-2"
}

test_steps() {
    example steps.yaml
    assert_contains "$stdout" "empty] 0"
    assert_contains "$stdout" "bash] from an array"
    assert_contains "$stdout" "python] from python"
    assert_not_contains "$stdout" "not reached"
    assert_contains "$stdout" "on the host] 24 80"
    assert_contains "$stdout" "in a container] a terminal"
}

# web [USER:PASSWORD]: a server over ./srv, until the test ends; its port is in $port.
web() {
    mkdir srv
    mkfifo hold
    python3 "$(dirname "$this_file")/../fake/web.py" srv "$@" <hold >port &
    exec 9>hold
    wait_for 20 test -s port
    port=$(<port)
}

test_types() {
    web
    example types.yaml --input webhook="http://127.0.0.1:$port/hook"
    assert_contains "$stdout" "[step(4/7): try it] <h1>It's a shop</h1>"
    assert_contains "$stdout" '[step(6/7): announce] on ["stable","edge"], commit 41'
    assert_contains "$stdout" "[step(6/7): announce] <h1>It's a shop</h1>"
    assert_match "$(jq -r '.body | fromjson.text' srv/requests)" '^types: published [0-9a-f]{40}$'
}

# tool NAME CODE: a program of that name that tells its arguments.
tool() {
    mkdir -p bin
    printf '#!/bin/sh\necho "%s: $*"\necho "[]" >findings.json\nexit %s\n' "$1" "$2" >"bin/$1"
    chmod +x "bin/$1"
}

test_release() {
    web 'deployer:s3cret'
    git init -q srv/site
    printf 'pages styles:\n\tmkdir -p dist\n\techo $@ >dist/$@\nlinks:\n\techo "looked at links" && test -e dist/pages\n' >srv/site/Makefile
    git -C srv/site add Makefile
    git -C srv/site -c user.name=n -c user.email=e@x commit -qm one
    git -C srv/site tag v1
    rm srv/site/Makefile
    git -C srv/site -c user.name=n -c user.email=e@x commit -qam two
    tool rsync 0
    local -x PATH=$PWD/bin:$PATH GIT_PASSWORD=s3cret
    example release.yaml --input repository="http://127.0.0.1:$port/git/site" --input webhook="http://127.0.0.1:$port/hook"
    assert_contains "$stdout" "build] echo styles >dist/styles"
    assert_contains "$stdout" "check] looked at links"
    assert_not_contains "$stdout" 'check] echo' "what --silent hides"
    assert_match "$stdout" 'publish\] rsync: .*--delete .*--itemize-changes .*dist/ .*/www'
    assert_eq 'POST {"content":"released"} null
PUT {"state": "released"} Bearer s3cret' "$(jq -r '"\(.method) \(.body) \(.headers.Authorization)"' srv/requests)"
    assert_not_contains "$stdout$stderr" s3cret
}

test_scan() {
    unset XDG_STATE_HOME
    tool trivy 1
    local -x PATH=$PWD/bin:$PATH
    assert_exit 1 "$RUNNER" exec "$examples/scan.yaml"
    assert_contains "$stdout" 'sources][step(2/2): scan] trivy: fs --exit-code 1 --severity HIGH,CRITICAL --format json --output findings.json --scanners vuln,secret src'
    assert_contains "$stdout" 'image][step(1/1): scan] trivy: image --exit-code 1 --severity CRITICAL busybox:1.36'
    assert_exit 0 "$RUNNER" artifacts get latest sources -o there
    assert_eq "[]" "$(cat there/findings.json)"
    tool trivy 0
    example scan.yaml
}

test_language() {
    example language.yaml
    assert_contains "$stdout" "hello from node"
    assert_contains "$stdout" "hello from python"
    assert_contains "$stdout" "hello from go"
    assert_contains "$stdout" "hello from an image of our choice"
}

test_timeouts() { # example timeouts.yaml ends by its own timeout
    assert_exit 1 "$RUNNER" exec "$examples/timeouts.yaml"
    assert_contains "$stderr" 'stage "slow" timeout after 2 seconds'
    assert_contains "$stdout" "this runs whatever happened"
}

test_pre_post() {
    example pre-post.yaml
    assert_eq "preparing the stage begins the job begins working the job ends the stage ends it went well cleaning up" \
        "$(sed 's/.*\] //' <<<"$stdout" | paste -sd ' ')"
}

test_private_registry() {
    docker image rm -f "$RUNNER_TEST_AUTH_REGISTRY"/private/{busybox:1.36,plugin:1} >/dev/null 2>&1 || true
    example private-registry.yaml -e REGISTRY="$RUNNER_TEST_AUTH_REGISTRY" \
        -e REGISTRY_USERNAME="$RUNNER_TEST_AUTH_USER" -e REGISTRY_PASSWORD="$RUNNER_TEST_AUTH_PASSWORD"
    assert_contains "$stdout" "pulled from $RUNNER_TEST_AUTH_REGISTRY"
    assert_contains "$stdout" "use the image] served"
    assert_contains "$stdout" "use the plugin] PIPELINE_PLUGIN_SETTINGS_TITLE=pulled"
    assert_not_contains "$stdout$stderr" "$RUNNER_TEST_AUTH_PASSWORD"
}

test_kubernetes() { # example kubernetes.yaml, as far as it goes without a cluster
    assert_exit 0 "$RUNNER" validate --strict "$examples/kubernetes.yaml"
    assert_eq "kubernetes.yaml: valid" "${stdout##*/}"
}

test_deployments_elsewhere() { # example stack.yaml, example manifests.yaml: deployments.sh runs them
    local name
    for name in stack manifests; do
        assert_exit 0 "$RUNNER" validate --strict "$examples/$name.yaml"
    done
}

declare -A case_timeout=([test_language]=180)
test_background() {
    example background.yaml
    assert_contains "$stdout" "[step(4/5): ask] 200"
    assert_contains "$stderr" "[step(2/5): worker] stopped with its job: exit code 143"
}

test_services() {
    example services.yaml
    assert_contains "$stdout" "[step(1/1): ask by name] good morning"
    assert_contains "$stdout" "[step(1/1): ask by name] shared"
    assert_contains "$stdout" "[step(1/1): ask by port] shared"
}

test_deployment() {
    example deployment.yaml
    assert_contains "$stdout" "] hello from the project"
}

test_containers() {
    example containers.yaml
    assert_contains "$stdout" "mounts] here"
    assert_contains "$stdout" "mounts] mounted"
    assert_contains "$stdout" "mounts] read-only"
    assert_eq "lo" "$(sed -n 's/.*no network\] //p' <<<"$stdout")" "network devices"
    assert_contains "$stdout" "without the entrypoint of the image] set by the entrypoint, no"
    assert_contains "$stdout" "few rights] uid=1000 gid=1000"
    assert_match "$stdout" 'few rights\] CapBnd:.0000000000000400'
    assert_match "$stdout" 'few rights\] NoNewPrivs:.1'
    assert_contains "$stdout" "few rights] the root is read-only"
    assert_match "$stdout" 'few rights\] shm +16 '
    assert_contains "$stdout" "something between] a host name of its own"
    assert_match "$stdout" 'something between\] Seccomp:.0'
}

# The daemon of a machine whose root lacks capabilities cannot give them; then it says the same here.
test_privileged() {
    if docker run --rm --privileged --network none busybox:1.36 true 2>refused; then
        example privileged.yaml
        assert_contains "$stdout" "mount] mounted"
        assert_contains "$stdout" "[service: disk] mounted"
        assert_contains "$stdout" "use] it is there"
        return
    fi
    local reason
    reason=$(grep -o 'unable to .*: operation not permitted' refused) || fail "$(<refused)"
    run "$RUNNER" exec "$examples/privileged.yaml"
    assert_eq 1 "$status" "exit status"
    assert_match "$stderr" "mount\\] failed: cannot start a container: .*$reason"
    assert_match "$stderr" "service \"disk\": cannot start a container: .*$reason"
}

test_site() {
    example site.yaml
    assert_contains "$stdout" "look] <h1>Hello</h1>"
}

test_s3() {
    s3_credentials
    example s3.yaml -e STORE="$store"
    assert_contains "$stdout" "look] made by gcc"
    assert_contains "$stderr" "cache compiler-1 saved: 4 B"
    assert_match "$(in_bucket)" '/cache/s3/[^/]+/compiler-1'
    example s3.yaml -e STORE="$store"
    assert_contains "$stdout" "compile] the compiler is there"
    assert_exit 0 "$RUNNER" artifacts get latest --store "$store" -o there
    assert_eq "made by gcc" "$(cat there/dist/app)"
}

# In a repository of two commits, the last of which changes a source.
test_when() {
    git init -q -b main .
    git config user.name tester
    git config user.email tester@example.org
    echo >main.c
    git add main.c
    git commit -q -m one
    echo changed >main.c
    git commit -q -a -m two
    example when.yaml -e PIPELINE_BRANCH=main -e PIPELINE_EVENT=push
    assert_contains "$stdout" "compile] sources have changed"
    assert_contains "$stdout" "whatever happened] in any case"
    assert_contains "$stdout" "publish] published"
    assert_not_contains "$stdout" "not here"
    assert_exit 0 "$RUNNER" exec "$examples/when.yaml" -e PIPELINE_BRANCH=feature -e PIPELINE_EVENT=push
    assert_not_contains "$stdout" "published"
}

run_tests "$@"

#!/usr/bin/env bash
# Artifacts: kept by jobs and steps, taken by other jobs, looked at afterwards; on the host, in Docker,
# and with a real S3 server.
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../ignored.sh
source "$(dirname "$0")/../ignored.sh"
# shellcheck source=../s3.sh
source "$(dirname "$0")/../s3.sh"
unset XDG_STATE_HOME

# What is in the local store, by key.
stored() { find "$case_dir/home/.local/state/runner/artifacts/objects" -type f -printf '%P\n' 2>/dev/null | sort; }

# Names that have been kept in the last run.
kept() {
    run "$RUNNER" artifacts ls latest --format json
    jq -r '.[] | "\(.job)/\(.name)"' <<<"$stdout"
}

# one_job JOB_KEYS COMMAND: a pipeline of one job.
one_job() {
    cat >p.yaml <<EOF
name: p
stages:
  - name: s
    jobs:
      - name: j
        $1
        steps:
          - name: t
            command: |
              $2
EOF
}

# build_and_use KEYS: a job makes files, one of a later stage removes and takes them.
build_and_use() {
    cat >p.yaml <<EOF
name: p
$1
stages:
  - name: build
    jobs:
      - name: build
        artifacts:
          - {name: dist, paths: [dist, "**/*.xml"], exclude: "**/*.log", expire_in: 1 week${2:-}}
        steps:
          - name: make
            command: |
              mkdir -p dist/sub out/deep
              echo app >dist/sub/app && chmod 750 dist/sub/app
              ln -s sub/app dist/link
              echo no >dist/x.log
              echo yes >out/deep/r.xml
  - name: clean
    jobs:
      - name: clean
        steps: [{name: clean, command: "rm -rf dist out"}]
  - name: use
    jobs:
      - name: use
        artifacts: {from: build}
        steps:
          - name: use
            command: |
              cat dist/link out/deep/r.xml
              stat -c %a dist/sub/app
              ls dist
EOF
}

assert_used() {
    assert_contains "$stdout" "] app
[stage(3/3): use][job(1/1): use][step(1/1): use] yes
[stage(3/3): use][job(1/1): use][step(1/1): use] 750
[stage(3/3): use][job(1/1): use][step(1/1): use] link
[stage(3/3): use][job(1/1): use][step(1/1): use] sub"
    assert_not_contains "$stdout" "x.log"
    assert_contains "$stderr" 'artifacts "dist": 3 files, 8 bytes, kept until 20'
    assert_contains "$stderr" 'artifacts "dist" of the job "build": 3 files'
}

test_host() {
    build_and_use ""
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_used
}

test_docker() {
    build_and_use "image: busybox:1.36"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_used
}

# What belongs to steps and jobs of either end, in containers; the host has tests of its own.
test_steps_and_ends_in_docker() {
    local keys='[{name: ok, paths: f}, {name: bad, paths: f, when: on_failure}, {name: any, paths: f, when: always}, {name: no, paths: none, optional: true}]'
    cat >p.yaml <<EOF
name: p
image: busybox:1.36
stages:
  - name: s
    fail_fast: false
    jobs:
      - {name: good, artifacts: $keys, steps: [{name: t, command: touch f}]}
      - {name: bad, artifacts: $keys, steps: [{name: t, command: touch f; exit 3}]}
      - {name: steps, steps: [{name: First step, command: "echo 1 >a", artifacts: {paths: a}}, {name: t, command: "echo 2 >b; exit 1", artifacts: $keys}]}
      - {name: nothing, artifacts: {name: n, paths: none}, steps: [{name: t, command: "true"}]}
EOF
    sed -i '/name: steps/s/paths: f/paths: b/g' p.yaml
    exec_report p.yaml
    assert_eq "succeeded failed/error" "$(state_of good) $(state_of nothing)"
    assert_contains "$stderr" "artifacts \"n\": no file matches in $PWD"
    assert_eq "good/any good/ok bad/any bad/bad steps/any steps/bad steps/first-step" "$(kept | paste -sd ' ')"
}

# apart [OPTION…]: with a workdir that the daemon does not see, and that looks as the one that it does.
apart() {
    ((EUID == 0)) || fail "needs root for a mount that the daemon does not see"
    mkdir -p w
    run unshare -m bash -c 'touch -d @1 w && mount -t tmpfs none w && touch -d @1 w && exec "$0" exec p.yaml -w w "$@"' "$RUNNER" "$@"
}

# Files go into the copy that a job works on, and come back from it.
test_copy_of_the_workdir() {
    build_and_use "image: busybox:1.36"
    sed -i "s/^              ln -s/              touch -d '2001-02-03 04:05:06' dist\/sub\/app\n&/" p.yaml
    apart
    assert_eq 0 "$status" "exit code"
    assert_contains "$stderr" "] the Docker host does not see $PWD/w: steps work on a copy"
    assert_used
    assert_exit 0 "$RUNNER" artifacts get latest build dist -o there
    assert_eq "2001-02-03 04:05:06 750" "$(TZ=UTC stat -c '%.19y %a' there/dist/sub/app)"
    assert_eq "dist dist/link dist/sub dist/sub/app out out/deep out/deep/r.xml" \
        "$(cd there && find . -mindepth 1 -printf '%P\n' | sort | paste -sd ' ')" "files"
    assert_eq "" "$(ls w)" "what came into the workdir"
}

# What .runnerignore names stays behind; git is the witness.
test_what_a_copy_leaves_out() {
    ((EUID == 0)) || fail "needs root for a mount that the daemon does not see"
    ignored_tree of
    assert_contains "$(<expected)" sub/deep/a.tmp "what git leaves over"
    mkdir w
    cat >p.yaml <<'EOF'
name: p
image: busybox:1.36
stages: [{name: s, jobs: [{name: j, steps: [{name: look, command: "find . -type f | cut -c 3-"}]}]}]
EOF
    assert_exit 0 unshare -m bash -c 'mount -t tmpfs none w && cp -a of/. w && exec "$0" exec p.yaml -w w' "$RUNNER"
    assert_contains "$stderr" "] the Docker host does not see $PWD/w: steps work on a copy"
    assert_eq "$(<expected)" "$(sed -n 's/.*: look\] //p' <<<"$stdout" | sort)" "what is in the copy"
}

test_copy_of_a_step() {
    cat >p.yaml <<'EOF'
name: p
image: busybox:1.36
stages:
  - name: s
    fail_fast: false
    jobs:
      - name: steps
        steps:
          - {name: one, command: "mkdir d; echo 1 >d/a", artifacts: {paths: "d/*"}}
          - {name: two, command: "echo 2 >d/a; exit 1", artifacts: {paths: [d, e], when: always}}
      - name: none
        checkout: none
        artifacts: {name: n, paths: [f, g]}
        steps: [{name: t, command: "ls; echo x >f"}]
      - name: missing
        artifacts: {name: n, paths: [no/such, "*.none"]}
        steps: [{name: t, command: "echo x >f"}]
EOF
    apart
    assert_eq 1 "$status" "exit code"
    assert_contains "$stderr" "] failed: artifacts \"n\": no file matches in $PWD/w"
    assert_eq "none/n steps/one steps/two" "$(kept | sort | paste -sd ' ')"
    for i in one two; do
        assert_exit 0 "$RUNNER" artifacts get latest steps "$i" -o "$i"
    done
    assert_eq "1 2" "$(cat one/d/a two/d/a | paste -sd ' ')" "files"
    assert_exit 0 "$RUNNER" artifacts get latest none n -o none
    assert_eq "f" "$(ls none)" "files"
}

# No link is followed out of the workspace; one is kept as such.
test_copy_with_links() {
    one_job 'image: busybox:1.36
        artifacts: {name: n, paths: [out/passwd, in/f, d, up]}' \
        'ln -s /etc out; mkdir d; ln -s /etc/passwd d/link; ln -s d in; echo x >d/f; ln -s ../../.. up'
    apart
    assert_eq 0 "$status" "exit code"
    assert_exit 0 "$RUNNER" artifacts get latest -o there
    assert_eq "d d/f d/link up" "$(cd there && find . -mindepth 1 -printf '%P\n' | sort | paste -sd ' ')" "files"
    assert_eq "/etc/passwd ../../.." "$(readlink there/d/link there/up | paste -sd ' ')" "links"
}

# Of several places of a job the files of that which was opened last.
test_several_copies() {
    cat >p.yaml <<'EOF'
name: p
stages:
  - name: s
    jobs:
      - name: copy last
        artifacts: {name: n, paths: ["[xy]*"]}
        steps:
          - {name: here, command: "echo here >x1; echo here >x2"}
          - {name: there, image: "busybox:1.36", command: "cat x1; echo there >x2; echo there >y"}
      - name: copy first
        depends_on: ["copy last"]
        artifacts: {name: n, paths: [z1, z2, y]}
        steps:
          - {name: there, image: "busybox:1.36", command: "echo there >z1; echo there >z2"}
          - {name: here, command: "echo here >z2"}
          - {name: late, image: "busybox:1.36", checkout: none, command: "echo late >y"}
EOF
    apart
    assert_eq 0 "$status" "exit code"
    assert_exit 0 "$RUNNER" artifacts get latest "copy last" n -o one
    assert_eq "here there there" "$(cat one/x1 one/x2 one/y | paste -sd ' ')" "files"
    assert_exit 0 "$RUNNER" artifacts get latest "copy first" n -o two
    assert_eq "there here late" "$(cat two/z1 two/z2 two/y | paste -sd ' ')" "files"
}

# What holds the copy is made anew when it is lost.
test_copy_whose_holder_is_lost() {
    cat >p.yaml <<'EOF'
name: p
stages:
  - name: s
    jobs:
      - name: j
        artifacts: {name: n, paths: [f]}
        steps:
          - {name: there, image: "busybox:1.36", command: "echo there >f"}
          - {name: kill, command: "docker kill $(docker ps -q --filter label=dev.runner.role=holder)"}
EOF
    apart --allow-env DOCKER_HOST
    assert_eq 0 "$status" "exit code"
    assert_exit 0 "$RUNNER" artifacts get latest -o there
    assert_eq "there" "$(cat there/f)" "file"
}

# Nothing is kept of what has not come back as a whole.
test_copy_that_does_not_come_back() {
    one_job 'image: busybox:1.36
        artifacts: [{name: big, paths: [d]}, {name: small, paths: [d/small]}]' \
        'mkdir d; echo x >d/small; head -c 3000000 /dev/urandom >d/zbig'
    mkdir -p w tmp
    run unshare -m bash -c 'mount -t tmpfs none w && mount -t tmpfs -o size=2m none tmp &&
        TMPDIR=$PWD/tmp exec "$0" exec p.yaml -w w' "$RUNNER"
    assert_eq 1 "$status" "exit code"
    assert_contains "$stderr" '] failed: artifacts "big": cannot bring d from the Docker host: '
    assert_contains "$stderr" "No space left on device"
    assert_eq "" "$(stored)"
}

test_list_and_get() {
    build_and_use ""
    assert_exit 0 "$RUNNER" exec p.yaml
    local id
    id=$(sed -n 's/^run \([0-9a-z]*\) succeeded.*/\1/p' <<<"$stderr")
    assert_exit 0 "$RUNNER" artifacts ls
    assert_match "$stdout" "$id +build +dist +3 +8  20[0-9-]+$"
    assert_exit 0 "$RUNNER" artifacts ls "$id" build dist --format json
    assert_eq "[\"$id\",\"p\",\"build\",\"0.0\",\"dist\",3,8,64]" \
        "$(jq -c '.[0] | [.run, .pipeline, .job, .job_id, .name, .files, .size, (.archive_sha256 | length)]' <<<"$stdout")"
    assert_exit 0 "$RUNNER" artifacts get "$id" build dist -o there
    assert_eq "there: dist of build: 3 files" "$stdout"
    assert_eq "app" "$(cat there/dist/link)" "file"
    assert_exit 0 "$RUNNER" artifacts get latest --archive -o there
    assert_eq "yes" "$(zstd -dc there/dist.tar.zst | tar xO out/deep/r.xml 2>/dev/null)" "file in the archive"
    assert_exit 1 "$RUNNER" artifacts get "$id" other
    assert_eq "runner artifacts: there are no such artifacts; runner artifacts ls shows what there is" "$stderr"
    assert_exit 2 "$RUNNER" artifacts get
    assert_exit 2 "$RUNNER" artifacts frob
    assert_eq 'runner artifacts: artifacts knows ls, get and prune, not "frob"' "$stderr"
    assert_exit 2 "$RUNNER" artifacts prune all
    assert_exit 2 "$RUNNER" artifacts ls --store http://x
    assert_contains "$stderr" 'the store "http://x" is not known; use local or s3://BUCKET/PREFIX'
}

test_empty_store() {
    assert_exit 0 "$RUNNER" artifacts ls
    assert_eq "there are no artifacts" "$stdout"
    assert_exit 0 "$RUNNER" artifacts ls --format json
    assert_eq "[]" "$stdout"
    assert_exit 0 "$RUNNER" artifacts prune
    [[ ! -e $case_dir/home/.local ]] || fail "a look has made the store"
}

# Of success and failure each keeps its own, and a cancelled or timed out one what is for always.
test_when() {
    local keys='artifacts: [{name: ok, paths: f}, {name: bad, paths: f, when: on_failure}, {name: any, paths: f, when: always}]'
    one_job "$keys" "echo x >f"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "j/any
j/ok" "$(kept)"
    one_job "$keys" "echo x >f; exit 3"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_eq "j/any
j/bad" "$(kept)"
    one_job "timeout: 1s
        $keys" "echo x >f; sleep 60"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_eq "j/any
j/bad" "$(kept)"
    one_job "$keys" "echo x >f; echo up; sleep 60"
    spawn "$RUNNER" exec p.yaml
    wait_for 20 grep -q "] up" "$case_dir/stdout"
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status" "exit status"
    assert_eq "j/any" "$(kept)"
}

test_steps() {
    cat >p.yaml <<'EOF'
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: First step, command: "echo 1 >a", artifacts: {paths: a}}
          - {name: b, command: "echo 2 >b", artifacts: [{name: "b-${PLACE}", paths: "${PLACE}"}], environment: {PLACE: b}}
          - {name: c, command: "echo 3 >c; exit 1", artifacts: {paths: c, when: on_failure}}
EOF
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_eq "j/b-b
j/c
j/first-step" "$(kept)"
}

test_nothing_matches() {
    one_job 'artifacts: {name: n, paths: [none, "*.txt"]}' "true"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "artifacts \"n\": no file matches in $PWD"
    assert_match "$stderr" "failed +[0-9.]+s +1 +job j"
    assert_match "$stderr" "succeeded +[0-9.]+s +1 +step t"
    one_job 'artifacts: {name: n, paths: none, optional: true}' "true"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "artifacts \"n\": no file matches in $PWD"
    # What has failed before fails for its own reason.
    one_job 'artifacts: {name: n, paths: none, when: always}' "exit 7"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "artifacts \"n\": no file matches in $PWD"
    assert_contains "$stderr" "exit code 7"
}

test_step_fails_and_is_not_repeated() {
    cat >p.yaml <<'EOF'
name: p
stages: [{name: s, jobs: [{name: j, steps: [{name: t, retry: 2, command: "echo ran", artifacts: {paths: none}}]}]}]
EOF
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_eq 1 "$(grep -c "] ran" <<<"$stdout")" "attempts"
    assert_contains "$stderr" 'artifacts "t": no file matches'
}

test_matrix() {
    cat >p.yaml <<'EOF'
name: p
stages:
  - name: s
    jobs:
      - name: b
        matrix: {arch: [arm, x86]}
        environment: {ARCH: "{{ matrix.arch }}"}
        artifacts: {paths: "bin-{{ matrix.arch }}"}
        steps: [{name: t, command: "echo $ARCH >bin-$ARCH"}]
      - name: clean
        depends_on: [b]
        steps: [{name: t, command: "rm bin-*"}]
      - name: use
        depends_on: [clean]
        artifacts: {from: b}
        steps: [{name: t, command: "cat bin-arm bin-x86"}]
EOF
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "] arm"
    assert_contains "$stdout" "] x86"
    assert_eq 2 "$(kept | wc -l)" "artifacts"
}

test_sources() {
    cat >p.yaml <<'EOF'
name: p
stages:
  - name: s
    jobs:
      - name: a
        artifacts: {paths: f}
        steps: [{name: t, command: "true"}]
      - name: b
        artifacts: {from: a}
        steps: [{name: t, command: "true"}]
  - name: t
    jobs:
      - name: c
        artifacts: {from: [aa, b, c, d]}
        steps: [{name: t, command: "true"}]
      - name: d
        artifacts: {paths: f}
        steps: [{name: t, command: "true"}]
EOF
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stdout$stderr" 'p.yaml:9:27: error: the job "a" need not have ended when this one starts; add it to "depends_on"'
    assert_contains "$stdout$stderr" 'p.yaml:14:28: error: "from" names the job "aa", which is not there'
    assert_contains "$stdout$stderr" 'p.yaml:14:32: error: the job "b" keeps no artifacts'
    assert_contains "$stdout$stderr" 'p.yaml:14:35: error: the job "c" keeps no artifacts'
    assert_contains "$stdout$stderr" 'p.yaml:14:38: error: the job "d" need not have ended when this one starts'
}

test_source_without() {
    cat >p.yaml <<'EOF'
name: p
stages:
  - name: s
    jobs:
      - name: a
        allow_failure: true
        artifacts: {paths: f}
        steps: [{name: t, command: "exit 1"}]
      - name: b
        depends_on: [a]
        artifacts: {from: a, optional: true}
        steps: [{name: t, command: "echo ran"}]
      - name: c
        depends_on: [b]
        artifacts: {from: a}
        steps: [{name: t, command: "echo never"}]
EOF
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "] ran"
    assert_not_contains "$stdout" "] never"
    assert_contains "$stderr" 'the job "a" has kept no artifacts: it has failed'
}

# The clock of another day: what has expired goes with the next run that keeps something.
test_expiry() {
    local runtime
    cc -shared -fPIC -o clock.so "$sources/tests/fake/wall_clock.c"
    echo 0 >offset
    runtime=$(ldd "$RUNNER" | awk '/lib[at]san/ {print $3}')
    local -a by=(env "LD_PRELOAD=${runtime:+$runtime:}$PWD/clock.so" "WALL_CLOCK_OFFSET=$PWD/offset" "$RUNNER")
    one_job 'artifacts: [{name: short, paths: f, expire_in: 1h}, {name: long, paths: f, expire_in: 1 day}]' "echo x >f"
    assert_exit 0 "${by[@]}" exec p.yaml
    assert_eq 4 "$(stored | wc -l)" "objects"
    echo 3601 >offset
    one_job 'artifacts: {name: other, paths: f}' "echo x >f"
    assert_exit 0 "${by[@]}" exec p.yaml
    assert_not_contains "$(stored)" "short"
    assert_contains "$(stored)" "long.tar.zst"
    one_job 'artifacts: {name: short, paths: f, expire_in: 1h}' "echo x >f"
    assert_exit 0 "${by[@]}" exec p.yaml
    echo 7202 >offset
    assert_exit 0 "${by[@]}" artifacts prune --dry-run
    assert_match "$stdout" "^would remove [0-9a-z]{22} j short$"
    assert_exit 0 "${by[@]}" artifacts prune
    assert_match "$stdout" "^removed [0-9a-z]{22} j short$"
    assert_not_contains "$(stored)" "short"
}

test_many_jobs() {
    cat >p.yaml <<'EOF'
name: p
stages:
  - name: s
    jobs:
      - name: b
        matrix: {i: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}
        environment: {I: "{{ matrix.i }}"}
        artifacts: {paths: "f-{{ matrix.i }}"}
        steps: [{name: t, command: "head -c 300000 /dev/urandom >f-$I"}]
EOF
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq 12 "$(kept | wc -l)" "artifacts"
    assert_exit 0 "$RUNNER" artifacts get latest -o out
    for i in 1 7 12; do
        cmp "f-$i" "$(find out -name "f-$i")" || fail "f-$i differs"
    done
}

# On the host, what works on a directory of its own has nothing to give; and nowhere does it see what
# comes into the workdir.
test_needs_the_workdir() {
    one_job 'checkout: none
        artifacts: {name: n, paths: f}' "echo x >f"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'artifacts "n": steps on the engine host worked on a copy of the workdir, from which nothing comes back'
    build_and_use ""
    sed -i 's/^        artifacts: {from: build}/        checkout: none\n&/' p.yaml
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "artifacts come into the workdir, which nothing sees with checkout: none"
}

# --- S3 ---

test_s3() {
    s3_credentials
    build_and_use "" ", store: \"$store\""
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_used
    assert_match "$(in_bucket)" '^\./ci/[0-9a-z]{22}/0\.0-build/dist\.json
\./ci/[0-9a-z]{22}/0\.0-build/dist\.tar\.zst$'
    assert_eq "" "$(stored)" "local store"
    assert_exit 0 "$RUNNER" artifacts ls --store "$store"
    assert_match "$stdout" "build +dist +3 +8"
    assert_exit 0 "$RUNNER" artifacts get latest --store "$store" -o there
    assert_eq "yes" "$(cat there/out/deep/r.xml)"
}

test_s3_in_docker() {
    s3_credentials
    build_and_use "image: busybox:1.36" ", store: \"$store\""
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_used
}

# In three parts, through a server that is busy and connections that break.
test_s3_large_with_faults() {
    s3_credentials
    s3_proxy "PUT status 503 SlowDown
PUT reset 100000
partNumber=2 status 503 SlowDown
json reset 10
GET cut 5000000"
    one_job "artifacts: {paths: large, store: \"$store\"}" "head -c 20000000 /dev/urandom >large"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_exit 0 "$RUNNER" artifacts get latest --store "$store" -o there
    cmp large there/large || fail "the file differs"
    assert_eq "" "$(cat faults)" "faults that were not met"
    assert_eq 2 "$(in_bucket | wc -l)" "objects"
    s3_proxy_end
}

test_s3_refused() {
    s3_credentials
    s3_proxy "partNumber=2 status 403 AccessDenied"
    one_job "artifacts: {name: a, paths: large, store: \"$store\"}" "head -c 20000000 /dev/urandom >large"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "artifacts \"a\": S3 at http://$(<address): PUT s3://$bucket/ci/"
    assert_contains "$stderr" "AccessDenied: On purpose. (HTTP 403); check what the access key is allowed to do"
    assert_eq "" "$(in_bucket)" "bucket"
    assert_eq "" "$(find "$RUNNER_TEST_S3_DATA/$bucket/.sgwtmp" -type f 2>/dev/null)" "parts"
    s3_proxy_end
}

test_s3_errors() {
    s3_credentials
    one_job "artifacts: {name: a, paths: f, store: \"$store\"}" "echo x >f"
    AWS_SECRET_ACCESS_KEY=wrong assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "SignatureDoesNotMatch"
    assert_contains "$stderr" "check the secret access key, and the region"
    unset AWS_ACCESS_KEY_ID
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'artifacts "a": no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'
    mkdir "$case_dir/home/.aws"
    printf '[ci]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$RUNNER_TEST_S3_KEY" \
        "$RUNNER_TEST_S3_SECRET" >"$case_dir/home/.aws/credentials"
    one_job "artifacts: {name: a, paths: f, store: \"$store&profile=ci\"}" "echo x >f"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq 2 "$(in_bucket | wc -l)" "objects"
    one_job "artifacts: {name: a, paths: f, optional: true, store: \"s3://no-such-bucket?endpoint=$RUNNER_TEST_S3&profile=ci\"}" "echo x >f"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "NoSuchBucket"
}

run_tests "$@"

#!/usr/bin/env bash
# Artifacts: kept by jobs and steps, taken by other jobs, looked at afterwards; on the host, in Docker,
# and with a real S3 server.
source "$(dirname "$0")/../lib.sh"
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
    wait_for 10 grep -q "] up" "$case_dir/stdout"
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
    one_job 'artifacts: [{name: short, paths: f, expire_in: 1s}, {name: long, paths: f, expire_in: 1 day}]' "echo x >f"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq 4 "$(stored | wc -l)" "objects"
    sleep 1.1
    one_job 'artifacts: {name: other, paths: f}' "echo x >f"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_not_contains "$(stored)" "short"
    assert_contains "$(stored)" "long.tar.zst"
    one_job 'artifacts: {name: short, paths: f, expire_in: 1s}' "echo x >f"
    assert_exit 0 "$RUNNER" exec p.yaml
    sleep 1.1
    assert_exit 0 "$RUNNER" artifacts prune --dry-run
    assert_match "$stdout" "^would remove [0-9a-z]{22} j short$"
    assert_exit 0 "$RUNNER" artifacts prune
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

# What works on a directory of its own has nothing to give, and sees nothing of what comes.
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

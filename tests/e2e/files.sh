#!/usr/bin/env bash
# hashFiles(), exists() and the conditions of `when` that look at files and their history.
source "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2034 # for lanes.sh
needs_daemon=no

# hash GLOB…: what hashFiles() gives in the current directory.
hash_of() {
    local list
    list=$(printf "'%s'," "$@")
    write "$case_dir/hash.yaml" <<END
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - name: t
            environment: {HASH: "{{ hashFiles(${list%,}) }}"}
            command: echo "<\$HASH>"
END
    assert_exit 0 "$RUNNER" exec "$case_dir/hash.yaml"
    hash=$(sed -n 's/.*<\(.*\)>.*/\1/p' "$case_dir/stdout")
}

test_hash_files() {
    local first
    write a.lock <<<one
    write sub/b.lock <<<two
    hash_of '**/*.lock'
    first=$hash
    assert_match "$first" '^[0-9a-f]{64}$'
    touch -d yesterday a.lock
    chmod 600 sub/b.lock
    hash_of 'sub/*' 'a.lock'
    assert_eq "$first" "$hash" "the hash of the same files"
    write sub/b.lock <<<three
    hash_of '**/*.lock'
    [[ $hash != "$first" ]] || fail "another content, the same hash"
    write sub/b.lock <<<two
    hash_of '**/*.lock'
    assert_eq "$first" "$hash"
    mv sub/b.lock sub/c.lock
    hash_of '**/*.lock'
    [[ $hash != "$first" ]] || fail "another name, the same hash"
    hash_of 'nothing/**'
    assert_eq "" "$hash"
    hash_of '**' '!**/*.lock'
    assert_eq "" "$hash"
}

test_hash_files_does_not_follow_links() {
    write a/f <<<x
    ln -s .. a/loop
    mkfifo a/pipe
    hash_of '**'
    assert_match "$hash" '^[0-9a-f]{64}$'
}

test_hash_files_stays_inside() {
    write p.yaml <<'END'
name: p
stages: [{name: s, jobs: [{name: j, steps: [{name: t, if: "hashFiles('../x') == ''", command: "true"}]}]}]
END
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "hashFiles(): the pattern \"../x\" must not leave the directory"
}

test_exists() {
    write src/deep/a.c <<<x
    write p.yaml <<'END'
name: p
environment: {DIR: src}
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: one, if: "exists('src')", command: echo one}
          - {name: two, if: "exists('**/*.c')", command: echo two}
          - {name: three, if: "exists('**/*.h')", command: echo three}
          - {name: four, when: {exists: "${DIR}/deep/*.c"}, command: echo four}
          - {name: five, when: {exists: [Makefile, "*.mk"]}, command: echo five}
END
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "one two four" "$(sed 's/.*\] //' <<<"$stdout" | paste -sd ' ')"
    assert_contains "$stderr" 'skipped: "when.exists" does not hold: no file matches'
}

commit() { git -c user.name=n -c user.email=e@x commit -qm "$1"; }

changed_pipeline() {
    write "$case_dir/p.yaml" <<'END'
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: docs, when: {changed: "docs/**"}, command: echo docs}
          - {name: code, when: {changed: ["**/*.c", "!vendor"]}, command: echo code}
END
}

test_changed() {
    changed_pipeline
    git init -qb main .
    write docs/a.md <<<a
    write src/a.c <<<a
    git add . && commit first
    assert_exit 0 "$RUNNER" exec "$case_dir/p.yaml"
    assert_eq "docs code" "$(sed 's/.*\] //' <<<"$stdout" | paste -sd ' ')" "the first commit"
    write src/a.c <<<b
    write vendor/x.c <<<x
    git add . && commit second
    assert_exit 0 "$RUNNER" exec "$case_dir/p.yaml"
    assert_eq "code" "$(sed 's/.*\] //' <<<"$stdout" | paste -sd ' ')"
    write vendor/x.c <<<y
    git add . && commit third
    assert_exit 0 "$RUNNER" exec "$case_dir/p.yaml"
    assert_eq "" "$stdout"
    assert_contains "$stderr" '"when.changed" does not hold: no file that matches has changed'
    write docs/a.md <<<uncommitted
    assert_exit 0 "$RUNNER" exec "$case_dir/p.yaml"
    assert_contains "$stdout" "] docs"
}

test_changed_needs_history() {
    changed_pipeline
    assert_exit 1 env GIT_CEILING_DIRECTORIES="$case_dir" "$RUNNER" exec "$case_dir/p.yaml"
    assert_contains "$stderr" \
        '"when.changed" cannot be told: the workdir is not in a git repository'
    git init -qb main origin
    (cd origin && write docs/a.md <<<a && git add . && commit first && git commit -q \
        --allow-empty -m second --author "n <e@x>") || (cd origin && commit second || true)
    (cd origin && write b <<<b && git add . && commit third)
    git clone -q --depth 1 "file://$PWD/origin" clone
    cd clone
    assert_exit 1 "$RUNNER" exec "$case_dir/p.yaml"
    assert_contains "$stderr" "the clone is shallow; fetch two commits at least"
    mkdir "$case_dir/empty"
    assert_exit 1 env PATH="$case_dir/empty" "$RUNNER" exec "$case_dir/p.yaml"
    assert_contains "$stderr" "git is not installed here"
}

test_branch_and_event() {
    write p.yaml <<'END'
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: main, when: {branch: main}, command: echo main}
          - {name: release, when: {branch: ["release/*", "!release/old"]}, command: echo release}
          - {name: other, when: {branch: "!main"}, command: echo other}
          - {name: manual, when: {event: manual}, command: echo manual}
          - {name: push, when: {event: [push, tag]}, command: echo push}
END
    says() {
        local expected=$1
        shift
        assert_exit 0 env -u CI_COMMIT_BRANCH -u GITHUB_REF_NAME -u GITHUB_HEAD_REF \
            -u GITHUB_EVENT_NAME -u CI_PIPELINE_SOURCE "$@"
        assert_eq "$expected" "$(sed 's/.*\] //' <<<"$stdout" | paste -sd ' ')" "$*"
    }
    says "main manual" "$RUNNER" exec p.yaml -e PIPELINE_BRANCH=main
    says "release other push" "$RUNNER" exec p.yaml -e PIPELINE_BRANCH=release/1 -e PIPELINE_EVENT=push
    says "other manual" "$RUNNER" exec p.yaml -e PIPELINE_BRANCH=release/old
    says "main push" CI_COMMIT_BRANCH=main CI_PIPELINE_SOURCE=push "$RUNNER" exec p.yaml
    says "release other push" GITHUB_REF_NAME=release/2 GITHUB_EVENT_NAME=push "$RUNNER" exec p.yaml
    says "manual" "$RUNNER" exec p.yaml -w "$PWD/nowhere"
    assert_contains "$stderr" '"when.branch" does not hold: it is not known; say -e PIPELINE_BRANCH=NAME'
    git init -qb main .
    mkdir -p sub
    says "main manual" "$RUNNER" exec p.yaml -w sub
}

test_validate_finds_bad_globs() {
    write p.yaml <<'END'
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: t, when: {exists: /etc/passwd, changed: "../x", branch: "${nope", event: ""}, command: "true"}
END
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stderr$stdout" '"exists": the pattern "/etc/passwd" must be relative'
    assert_contains "$stderr$stdout" '"changed": the pattern "../x" must not leave the directory'
}

run_tests "$@"

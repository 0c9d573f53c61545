#!/usr/bin/env bash
# Caches of jobs and steps, on the host and in docker, and everything that can go wrong with them.
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../s3.sh
source "$(dirname "$0")/../s3.sh"
declare -A case_timeout=([test_killed]=180)

engines='host docker'

# shellcheck disable=SC2016 # for the step
make_or_find='[ -e deps/made ] && echo "found $(cat deps/made)" || { mkdir -p deps; cp lock deps/made; echo made; }'

# pipeline KEYS [COMMAND]: p.yaml with one job, whose cache has these further keys.
pipeline() {
    write p.yaml <<END
name: p
stages:
  - name: s
    jobs:
      - name: j
        cache: {key: "deps-{{ hashFiles('lock') }}", paths: [deps], $1}
        steps:
          - name: t
            command: |
              ${2:-$make_or_find}
END
}

# exec_on ENGINE [OPTION…]
exec_on() {
    local engine=$1
    shift
    [[ $engine == host ]] || set -- --image busybox:1.36 "$@"
    assert_exit 0 "$RUNNER" exec p.yaml "$@"
}

# Each test that takes an engine runs on both, in directories and homes of their own.
on_both() {
    local engine
    for engine in $engines; do
        mkdir "$engine"
        cd "$engine"
        HOME=$PWD/home
        case_env+=(HOME="$HOME" XDG_CACHE_HOME="$PWD/xdg")
        store=$PWD/xdg/runner
        "$1" "$engine"
        cd ..
    done
}

objects() { find "$store/objects" -type f 2>/dev/null | sort; }

hit_and_miss() {
    pipeline ""
    echo one >lock
    exec_on "$1"
    assert_match "$stderr" '\[job\(1/1\): j\] no cache for deps-[0-9a-f]{64}'
    assert_match "$stderr" '\[job\(1/1\): j\] cache deps-[0-9a-f]{64} saved: 4 B, packed [0-9]+ B, in '
    assert_contains "$stdout" "] made"
    assert_eq 1 "$(objects | wc -l)"
    rm -rf deps
    exec_on "$1"
    assert_match "$stderr" '\] cache deps-[0-9a-f]{64} restored: 4 B in [0-9]'
    assert_not_contains "$stderr" "saved"
    assert_contains "$stdout" "] found one"
    rm -rf deps
    echo two >lock
    exec_on "$1"
    assert_contains "$stderr" "no cache for deps-"
    assert_contains "$stdout" "] made"
    assert_eq 2 "$(objects | wc -l)"
}
test_hit_and_miss() { on_both hit_and_miss; }

restore_keys() {
    pipeline 'restore_keys: [other-, deps-]'
    echo one >lock
    exec_on "$1"
    rm -rf deps
    echo two >lock
    exec_on "$1"
    assert_match "$stderr" 'cache deps-[0-9a-f]{64} restored from deps-[0-9a-f]{64}: 4 B'
    assert_contains "$stdout" "] found one"
    assert_match "$stderr" 'cache deps-[0-9a-f]{64} saved'
    assert_eq 2 "$(objects | wc -l)"
    # The newest of those that begin so, and not one of other paths or another pipeline.
    rm -rf deps
    echo three >lock
    echo changed >deps.new
    exec_on "$1"
    assert_contains "$stdout" "] found one"
    sed -i 's/paths: \[deps\]/paths: [deps, more]/' p.yaml
    rm -rf deps
    echo four >lock
    exec_on "$1"
    assert_contains "$stderr" "no cache for deps-"
    sed -i 's/^name: p/name: other/; s/\[deps, more\]/[deps]/' p.yaml
    rm -rf deps
    exec_on "$1"
    assert_contains "$stderr" "no cache for deps-"
}
test_restore_keys() { on_both restore_keys; }

policies() {
    echo one >lock
    pipeline 'policy: pull'
    exec_on "$1"
    assert_contains "$stderr" "no cache for deps-"
    assert_eq "" "$(objects)"
    pipeline 'policy: push'
    rm -rf deps
    exec_on "$1"
    assert_not_contains "$stderr" "no cache for"
    assert_contains "$stderr" " saved: "
    rm -rf deps
    exec_on "$1"
    assert_contains "$stdout" "] made"
    assert_contains "$stderr" "not saved: it is there already"
    pipeline 'policy: pull'
    rm -rf deps
    exec_on "$1"
    assert_contains "$stdout" "] found one"
}
test_policies() { on_both policies; }

test_when() {
    store=$case_dir/home/.cache/runner
    echo one >lock
    local when status saved
    while read -r when status saved; do
        rm -rf "$store"
        pipeline "when: $when" "mkdir -p deps; touch deps/x; exit $status"
        assert_exit "$status" "$RUNNER" exec p.yaml
        assert_eq "$saved" "$(objects | wc -l)" "$when after $status"
    done <<'END'
on_success 0 1
on_success 1 0
on_failure 0 0
on_failure 1 1
always 0 1
always 1 1
END
    # A timeout is a failure, and what is to be saved then has its own time.
    rm -rf "$store"
    pipeline 'when: always' 'mkdir -p deps; touch deps/x; sleep 60'
    sed -i 's/- name: j/- name: j\n        timeout: 1s/' p.yaml
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" " saved: 0 B"
}

# One job for each end and each `when`; in containers, the host has its own test.
test_when_in_docker() {
    local when
    {
        printf 'name: p\nimage: busybox:1.36\nstages: [{name: s, fail_fast: false, jobs: ['
        for when in on_success on_failure always; do
            printf '{name: %s ok, cache: {key: %s-0, paths: [f], when: %s}, steps: [{name: t, command: touch f}]},\n' $when $when $when
            printf '{name: %s bad, cache: {key: %s-1, paths: [f], when: %s}, steps: [{name: t, command: "touch f; exit 1"}]},\n' $when $when $when
        done
        printf ']}]\n'
    } >p.yaml
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_exit 0 "$RUNNER" cache ls --format json
    assert_eq "always-0 always-1 on_failure-1 on_success-0" "$(jq -r '.[].key' <<<"$stdout" | sort | paste -sd ' ')" "caches"
}

# apart [OPTION…]: in Docker, with a workdir that the daemon does not see.
apart() {
    ((EUID == 0)) || fail "needs root for a mount that the daemon does not see"
    mkdir -p w
    assert_exit 0 unshare -m bash -c 'mount -t tmpfs none w && echo one >w/lock && exec "$0" exec p.yaml -w w --image busybox:1.36' "$RUNNER"
}

# What is restored goes into the copy, and what is saved comes from there.
test_copy_of_the_workdir() {
    pipeline ''
    apart
    assert_contains "$stderr" "] the Docker host does not see $PWD/w: steps work on a copy"
    assert_contains "$stderr" " saved: 4 B"
    assert_contains "$stdout" "] made"
    apart
    assert_contains "$stderr" " restored: 4 B"
    assert_contains "$stdout" "] found one"
    assert_not_contains "$stderr" "warning"
}

# The copy has been made, and changed, before the cache is restored; nothing else in it changes.
test_copy_before_the_cache() {
    write p.yaml <<END
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: before, command: "mkdir deps; echo two >lock; echo mine >deps/other; mkdir deps/empty; rmdir deps/empty"}
          - name: t
            cache: {key: k, paths: [deps, lock, "!deps/other"]}
            command: |
              ls deps; cat deps/other lock; $make_or_find; mkdir -p deps/empty; echo three >lock
END
    apart
    assert_contains "$stderr" "] cache k saved: 10 B"
    assert_contains "$stdout" "] other
[stage(1/1): s][job(1/1): j][step(2/2): t] mine
[stage(1/1): s][job(1/1): j][step(2/2): t] two
[stage(1/1): s][job(1/1): j][step(2/2): t] made"
    apart
    assert_contains "$stderr" "] cache k restored: 10 B"
    assert_contains "$stdout" "] empty
[stage(1/1): s][job(1/1): j][step(2/2): t] made
[stage(1/1): s][job(1/1): j][step(2/2): t] other
[stage(1/1): s][job(1/1): j][step(2/2): t] mine
[stage(1/1): s][job(1/1): j][step(2/2): t] three
[stage(1/1): s][job(1/1): j][step(2/2): t] found two"
}

cache_of_a_step() {
    write p.yaml <<'END'
name: p
stages:
  - name: s
    jobs:
      - name: j
        matrix: {v: [1, 2]}
        environment: {V: "{{ matrix.v }}"}
        steps:
          - {name: before, command: "[ ! -e deps-$V ] && echo none"}
          - name: t
            cache:
              - {key: "one-${V}", paths: "deps-${V}"}
              - {key: "two-${V}", paths: ["*.none"]}
            command: "[ -e deps-$V/x ] && echo found $V || { mkdir deps-$V; echo $V >deps-$V/x; }"
          - {name: after, command: "rm -r deps-$V"}
END
    exec_on "$1"
    assert_contains "$stderr" "[step(2/3): t] cache one-1 saved: 2 B"
    assert_contains "$stderr" "[step(2/3): t] warning: cache two-2 not saved: no file matches its paths"
    exec_on "$1"
    assert_contains "$stderr" "[step(2/3): t] cache one-2 restored: 2 B"
    assert_contains "$stdout" "] found 1"
    assert_contains "$stdout" "] found 2"
    assert_contains "$stdout" "] none"
}
test_cache_of_a_step() { on_both cache_of_a_step; }

test_corrupt() {
    store=$case_dir/home/.cache/runner
    echo one >lock
    pipeline ""
    exec_on host
    local object
    object=$(objects)
    printf x | dd of="$object" bs=1 seek=300 conv=notrunc status=none
    rm -rf deps
    exec_on host
    assert_match "$stderr" \
        'warning: cache deps-[0-9a-f]+ not restored: the object "cache/p/[0-9a-f]+/deps-[0-9a-f]+" was damaged and has been removed'
    assert_contains "$stderr" "no cache for deps-"
    assert_contains "$stdout" "] made"
    assert_contains "$stderr" " saved: "
    truncate -s 100 "$object"
    rm -rf deps
    exec_on host
    assert_contains "$stderr" "was damaged and has been removed"
    rm -rf deps
    exec_on host
    assert_contains "$stdout" "] found one"
}

test_read_only_store() {
    mkdir store && store=$PWD/store
    echo one >lock
    pipeline ""
    exec_on host --cache-dir "$store"
    as_nobody() { # a user who may read it and no more
        chmod -R a+rX . "$store"
        run setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/tmp "$RUNNER" exec p.yaml \
            -w "$case_dir/nobody" --cache-dir "$store"
    }
    mkdir -m 777 "$case_dir/nobody"
    cp lock "$case_dir/nobody"
    if [[ $(id -u) == 0 ]]; then
        as_nobody
        assert_eq 0 "$status"
        assert_contains "$stdout" "] found one"
        echo two >"$case_dir/nobody/lock"
        rm -rf "$case_dir/nobody/deps"
        as_nobody
        assert_eq 0 "$status"
        assert_match "$stderr" "warning: cache deps-[0-9a-f]+ not saved: cannot open $store/lock: Permission denied"
    fi
    write not-a-directory <<<x
    rm -rf deps
    exec_on host --cache-dir "$PWD/not-a-directory/x"
    assert_contains "$stderr" "warning: cache deps-"
    exec_on host --cache-dir /proc/nothing
    assert_contains "$stderr" "not saved: cannot create the directory /proc/nothing"
}

test_full_store() {
    ((EUID == 0)) || fail "needs root to mount a small file system"
    mkdir small
    mount -t tmpfs -o size=256k none small
    # shellcheck disable=SC2064 # the directory of now
    trap "umount '$PWD/small'" EXIT
    echo one >lock
    pipeline "" 'mkdir -p deps; head -c 1000000 /dev/urandom >deps/made'
    exec_on host --cache-dir "$PWD/small/store"
    assert_match "$stderr" 'warning: cache deps-[0-9a-f]+ not saved: cannot write to the store .*: No space left on device'
    assert_eq "" "$(find small/store/tmp small/store/objects -type f)"
    # A store that is full by its own limit gives up what has not been used for the longest time.
    pipeline "" 'mkdir -p deps; head -c 40000 /dev/urandom >deps/made'
    for i in 1 2 3 4; do
        echo "$i" >lock
        exec_on host --cache-dir "$PWD/small/store" --cache-size 100k
    done
    store=$PWD/small/store
    assert_eq 2 "$(objects | wc -l)"
    exec_on host --cache-dir "$store" --cache-size 10k
    echo 5 >lock
    exec_on host --cache-dir "$store" --cache-size 10k
    assert_match "$stderr" 'not saved: it has more than the 10240 bytes of the whole store'
}

# A runner that is killed while it saves leaves nothing that a later one could take for an entry.
test_killed() {
    leftovers_allowed=yes
    store=$case_dir/home/.cache/runner
    mkdir deps
    head -c 60000000 /dev/urandom >deps/big
    sha256sum deps/big >sum
    pipeline 'policy: push' 'true'
    local i torn=0
    is_writing_or_done() {
        [[ -n $(find "$store/tmp" -type f 2>/dev/null) || $(<"/proc/$spawned/stat") == *') Z '* ]]
    }
    for i in 1 2 3 4 5 6 7 8; do
        echo "$i" >lock
        spawn "$RUNNER" exec p.yaml
        wait_for 30 is_writing_or_done
        sleep "0.0$((RANDOM % 90 + 10))"
        kill -KILL "$spawned" 2>/dev/null || true
        finish
        [[ -z $(find "$store/tmp" -type f) ]] || torn=$((torn + 1))
    done
    ((torn > 0)) || fail "none of the runners was killed while it saved"
    pipeline '' 'true'
    for i in 1 2 3 4 5 6 7 8; do
        echo "$i" >lock
        rm -rf deps
        mkdir deps && touch deps/x
        exec_on host
        assert_not_contains "$stderr" "damaged"
        assert_not_contains "$stderr" "warning"
        [[ ! -e deps/big ]] || sha256sum -c --quiet sum || fail "the entry is not what was saved"
    done
    assert_eq "" "$(find "$store/tmp" -type f)"
    assert_no_leftovers 20
}

test_two_at_once() {
    store=$case_dir/home/.cache/runner
    echo one >lock
    pipeline "" 'mkdir -p deps; echo x >deps/made; sleep 0.3'
    local -a pids=()
    for i in 1 2 3 4; do
        mkdir "w$i"
        cp lock "w$i"
        "${case_env[@]}" "$RUNNER" exec p.yaml -w "w$i" >"w$i.log" 2>&1 &
        pids+=($!)
    done
    for i in "${pids[@]}"; do
        wait "$i" || fail "one of the runs failed: $(cat w?.log)"
    done
    assert_eq 1 "$(objects | wc -l)"
    assert_eq "" "$(find "$store/tmp" -type f)"
    rm -rf w1/deps
    assert_exit 0 "$RUNNER" exec p.yaml -w w1
    assert_contains "$stderr" " restored: "
}

links_and_modes() {
    write p.yaml <<'END'
name: p
stages:
  - name: s
    jobs:
      - name: j
        cache: {key: k, paths: [tree, "!tree/skip"]}
        steps:
          - name: t
            command: |
              [ -e tree ] && exit 0
              mkdir -p tree/dir tree/skip && cd tree && ln -s ../.. dir/loop && ln -s dir/loop again
              echo x >dir/file && ln dir/file hard && chmod 750 dir/file && touch -d '2001-02-03 04:05:06' dir/file
              mkfifo pipe; echo ä >"$(printf 'n\303\244me')"
END
    exec_on "$1"
    local list='find . -not -name pipe -not -name skip -printf "%P %y %m %Ts %n %l\n" | sort'
    (cd tree && eval "$list") >before
    rm -rf tree
    exec_on "$1"
    assert_contains "$stderr" "cache k restored"
    assert_eq "$(grep -v '^ d' before)" "$(cd tree && eval "$list" | grep -v '^ d')"
    [[ ! -e tree/skip ]] || fail "what is excluded was restored"
}
test_links_and_modes() { on_both links_and_modes; }

# An entry cannot be unpacked through a link out of the workdir, nor over a directory.
test_link_in_the_way() {
    write p.yaml <<'END'
name: p
stages: [{name: s, jobs: [{name: j, cache: {key: k, paths: [d]}, steps: [{name: t, command: "mkdir -p d; echo x >d/file"}]}]}]
END
    exec_on host
    rm -rf d
    mkdir "$case_dir/outside"
    ln -s "$case_dir/outside" d
    exec_on host
    assert_contains "$stderr" 'warning: cache k not restored: cannot unpack d: "d" on the way to it is a link or a file'
    rm d
}

test_empty_keys_and_paths() {
    write p.yaml <<'END'
name: p
stages:
  - name: s
    jobs:
      - name: j
        cache: [{key: "{{ hashFiles('nothing') }}", paths: [x]}, {key: "a b/ä{{ hashFiles('nothing') }}", paths: [x]}]
        steps: [{name: t, command: "echo x >x"}]
END
    exec_on host
    assert_contains "$stderr" "warning: no cache, as its key is empty"
    assert_contains "$stderr" "cache a b/ä saved: 2 B"
    assert_exit 0 "$RUNNER" cache ls --format json
    assert_eq "a b/ä p" "$(jq -r '.[] | .key + " " + .pipeline' <<<"$stdout")"
}

test_needs_the_workdir() {
    pipeline ""
    sed -i 's/- name: j/- name: j\n        checkout: none/' p.yaml
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" \
        '[job(1/1): j] failed: "cache" is about the workdir, which nothing sees with checkout: none'
    sed -i '/checkout: none/d; s/- name: t/- name: t\n            checkout: none/' p.yaml
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "not saved: steps on the engine host worked on a copy of the workdir"
}

test_bad_files() {
    write p.yaml <<'END'
name: p
stages:
  - name: s
    jobs:
      - name: j
        cache: {key: k, paths: [/etc, ../x], store: ftp://x, policy: push-pull}
        steps: [{name: t, cache: [{paths: [a]}, {key: "${", paths: [b]}, {key: "{{ hashfiles('x') }}", paths: [c]}, {key: k, paths: []}], command: "true"}]
END
    assert_exit 2 "$RUNNER" validate p.yaml
    local message
    for message in '"paths": the pattern "/etc" must be relative' \
        '"paths": the pattern "../x" must not leave the directory' \
        '"store": the store "ftp://x" is not known; use local or s3://BUCKET/PREFIX' \
        '"policy" must be pull-push, pull or push' 'the cache has no "key"' 'the cache has no paths' 'did you mean hashFiles()?'; do
        assert_contains "$stdout$stderr" "$message"
    done
}

test_command() {
    write p.yaml <<'END'
name: p
stages: [{name: s, jobs: [{name: j, matrix: {v: [1, 2, 3]}, cache: {key: "k{{ matrix.v }}", paths: ["f{{ matrix.v }}"]}, environment: {V: "{{ matrix.v }}"}, steps: [{name: t, command: "echo x >f$V"}]}]}]
END
    assert_exit 0 "$RUNNER" cache ls
    assert_eq "no caches" "$stdout"
    exec_on host
    assert_exit 0 "$RUNNER" cache ls
    assert_contains "$stdout" "3 entries, "
    assert_exit 2 "$RUNNER" cache rm
    assert_exit 1 "$RUNNER" cache rm nothing
    assert_contains "$stderr" "there is no entry with such a key"
    assert_exit 0 "$RUNNER" cache rm --dry-run k1
    assert_contains "$stdout" "would rm"
    assert_exit 0 "$RUNNER" cache rm k1 k3
    assert_exit 0 "$RUNNER" cache ls --format json
    assert_eq "k2" "$(jq -r '.[].key' <<<"$stdout")"
    assert_exit 0 "$RUNNER" cache prune
    assert_eq "nothing to remove" "$stdout"
    assert_exit 0 "$RUNNER" cache prune --max-size 1
    assert_contains "$stdout" "removed"
    assert_exit 0 "$RUNNER" cache ls
    assert_eq "no caches" "$stdout"
    assert_exit 2 "$RUNNER" cache list
    assert_contains "$stderr" 'there is no "list"; it is ls, rm or prune'
    assert_exit 2 "$RUNNER" cache
    assert_exit 2 "$RUNNER" exec p.yaml --cache-size much
    assert_contains "$stderr" "--cache-size"
}

test_s3() {
    s3_credentials
    pipeline "restore_keys: [deps-], store: \"$store\""
    echo one >lock
    exec_on host
    assert_match "$stderr" 'cache deps-[0-9a-f]{64} saved: 4 B'
    assert_match "$(in_bucket)" '^\./ci/cache/p/[^/]+/deps-[0-9a-f]{64}$'
    [[ ! -e $case_dir/home/.cache/runner ]] || fail "there is a local store"
    rm -rf deps
    exec_on docker
    assert_match "$stderr" 'cache deps-[0-9a-f]{64} restored: 4 B'
    assert_contains "$stdout" "] found one"
    rm -rf deps
    echo two >lock
    exec_on host
    assert_match "$stderr" 'cache deps-[0-9a-f]{64} restored from deps-[0-9a-f]{64}: 4 B'
    assert_exit 0 "$RUNNER" cache ls --store "$store" --format json
    assert_eq 2 "$(jq length <<<"$stdout")" "entries"
    assert_exit 0 "$RUNNER" cache rm --all --store "$store"
    assert_eq "" "$(in_bucket)" "bucket"
}

# What goes wrong with the server is said, and is a cache that is not there.
test_s3_fails() {
    s3_credentials
    s3_proxy "PUT status 503 SlowDown
PUT reset 10"
    pipeline "store: \"$store\""
    echo one >lock
    exec_on host
    assert_match "$stderr" 'cache deps-[0-9a-f]{64} saved: 4 B'
    assert_eq "" "$(cat faults)" "faults that were not met"
    echo two >lock
    echo "PUT status 403 AccessDenied" >faults
    exec_on host
    assert_contains "$stderr" "AccessDenied: On purpose. (HTTP 403)"
    assert_eq 1 "$(in_bucket | wc -l)" "objects"
    AWS_SECRET_ACCESS_KEY=another-secret exec_on host
    assert_contains "$stderr" "SignatureDoesNotMatch"
    assert_contains "$stderr" "check the secret access key, and the region"
    assert_not_contains "$stderr" "another-secret"
    assert_contains "$stdout" "] found one"
    s3_proxy_end
    rm -rf deps
    exec_on host
    assert_contains "$stderr" "cannot connect to S3 at http://$(<address): Connection refused"
    assert_contains "$stdout" "] made"
}

run_tests "$@"

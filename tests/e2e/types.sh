#!/usr/bin/env bash
# Steps with a `type`, with real repositories, tools and receivers, on the host and in containers.
source "$(dirname "$0")/../lib.sh"
fake=$(realpath "$(dirname "$0")/../fake")

# pipeline STEPS [KEYS]: keys of the job.
pipeline() {
    mkdir -p w # that it is there before keeps it after the run
    printf 'name: p\nworkdir: %s\nstages: [{name: s, jobs: [{name: j%s, steps: [%s]}]}]\n' \
        "$PWD/w" "${2:+, $2}" "$1" >p.yaml
}

in_tools='image: "runner-test/tools:1", network: host'

# ensure_tools: the image with git, curl, make and rsync; its entrypoint is git.
ensure_tools() {
    # shellcheck source=../env/env.sh
    source "$RUNNER_TEST_ENV/env.sh"
    images_ensure "$DOCKER_HOST" runner-test/tools:1
}

# both CHECK…: runs the function with nothing, then with the keys that make it a container's.
on_both() {
    local check=$1
    shift
    "$check" '' "$@"
    rm -rf w
    ensure_tools
    "$check" "$in_tools," "$@"
}

# A repository of three commits, a branch "other" from the first and a tag v1 of the second.
make_repository() {
    local g=(git -C "$1" -c user.name=n -c user.email=e@x)
    git init -q -b trunk "$1"
    local i
    for i in 1 2 3; do
        echo "$i" >"$1/file"
        "${g[@]}" add file
        "${g[@]}" commit -q -m "commit $i"
        ((i != 1)) || git -C "$1" branch other
        ((i != 2)) || "${g[@]}" tag -a -m "version 1" v1
    done
}

# serve DIRECTORY [USER:PASSWORD]: a web server over it, until the test ends; its port is in $port.
serve() {
    local end # the server ends when the last holder of this does
    mkdir -p "$1"
    mkfifo "$1.hold"
    python3 "$fake/web.py" "$@" <"$1.hold" >"$1.port" &
    exec {end}>"$1.hold"
    wait_for 20 test -s "$1.port"
    port=$(<"$1.port")
}

# requests EXPRESSION: what the server noted, by jq.
requests() { jq -cs "$1" srv/requests; }

# --- fetch_code ----------------------------------------------------------------------------------

fetched() { # KEYS CONFIG CONTENT
    pipeline "{name: get, $1 type: fetch_code, config: {repository: 'http://127.0.0.1:$port/git/r', path: code, $2}}"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "$3" "$(cat w/code/file)" "file with $2"
}

test_fetch_branches_tags_and_commits() {
    serve srv
    make_repository srv/r
    local first
    first=$(git -C srv/r rev-parse other)
    all_refs() {
        fetched "$1" '' 3
        assert_contains "$stdout" "get] HEAD is now at "
        fetched "$1" 'ref: other' 1
        assert_eq v1 "$(git -C w/code tag)" "tags"
            fetched "$1" 'ref: v1' 2
        fetched "$1" "ref: $first" 1
        rm -rf w
        fetched "$1" "ref: ${first:0:8}" 1
        fetched "$1" 'ref: refs/heads/trunk' 3
        # Again, from less to more.
        rm -rf w
        fetched "$1" 'depth: 1' 3
        assert_eq 1 "$(git -C w/code rev-list --count HEAD)" "commits"
        fetched "$1" '' 3
        assert_eq 3 "$(git -C w/code rev-list --count HEAD)" "commits"
    }
    on_both all_refs
}

test_fetch_output() {
    make_repository r
    pipeline "{name: get, type: fetch_code, config: {repository: 'file://$PWD/r', ref: v1}},
        {name: use, environment: {C: '{{ steps.get.outputs.commit }}'}, command: 'echo \"at \$C\"; git rev-parse --git-dir'}"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "use] at $(git -C r rev-parse v1^{commit})"
    assert_contains "$stdout" "use] .git"
}

test_fetch_errors() {
    make_repository r
    failing() { # CONFIG MESSAGE
        pipeline "{name: get, type: fetch_code, config: {repository: 'file://$PWD/r', path: code, $1}}"
        assert_exit 1 "$RUNNER" exec p.yaml
        assert_contains "$stderr" "$2"
    }
    failing 'ref: nope' "couldn't find remote ref nope"
    failing 'ref: abcdef12' "there is no branch, tag or commit abcdef12 in file://$PWD/r"
    rm -rf w && mkdir -p w/code && touch w/code/.mine
    failing '' "$PWD/w/code is not empty and no git repository; empty it, or give \"config\" another \"path\""
    rm -rf w && mkdir w && make_repository w/code && git -C w/code config remote.origin.url elsewhere
    failing '' "$PWD/w/code holds another repository than file://$PWD/r; remove it"
    assert_eq 3 "$(cat w/code/file)" "what was there"
}

# What is there is kept, unless it is to go.
test_fetch_again() {
    serve srv
    make_repository srv/r
    again() {
        fetched "$1" '' 3
        echo mine >w/code/new
        # As if another user's container had fetched it.
        ((EUID != 0)) || chown -R 1234 w
        fetched "$1" 'ref: v1' 2
        assert_eq mine "$(cat w/code/new)"
        echo changed >w/code/file
        pipeline "{name: get, $1 type: fetch_code, config: {repository: 'http://127.0.0.1:$port/git/r', path: code}}"
        assert_exit 1 "$RUNNER" exec p.yaml
        assert_contains "$stderr" "would be overwritten by checkout"
        fetched "$1" 'clean: true' 3
        [[ ! -e w/code/new ]] || fail "a file was not cleaned away"
    }
    on_both again
}

# Neither in logs, nor in arguments, nor in the repository.
test_fetch_with_password() {
    serve srv 'bot:s3cret/w@rd'
    make_repository srv/r
    # A git that notes its arguments, before the real one.
    mkdir bin
    printf '#!/bin/sh\nprintf "%%s\\n" "$*" >>%s\nexec /usr/bin/git "$@"\n' "$PWD/arguments" >bin/git
    chmod +x bin/git
    private() { # KEYS CONFIG
        rm -rf w
        pipeline "{name: tell, command: 'cat ../p.yaml'},
            {name: get, $1 type: fetch_code, config: {path: code, ref: '{{ steps.tell.outputs.none }}', $2}}, {name: tell again, command: 'cat ../p.yaml'}"
        assert_exit 0 "$RUNNER" exec p.yaml -e PW='s3cret/w@rd'
        assert_eq 3 "$(cat w/code/file)"
        ! grep -r 's3cret' w "$case_dir/stdout" "$case_dir/stderr" || fail "the password is seen"
    }
    with_passwords() {
        private "$1" "repository: 'http://127.0.0.1:$port/git/r', username: bot, password: '\${PW}'"
        private "$1" "repository: 'http://bot:s3cret%2Fw%40rd@127.0.0.1:$port/git/r'"
        private "$1" "repository: 'http://bot@127.0.0.1:$port/git/r', password: '\${PW}'"
        pipeline "{name: get, $1 type: fetch_code, config: {path: none, repository: 'http://127.0.0.1:$port/git/r'}}"
        assert_exit 1 "$RUNNER" exec p.yaml
        assert_contains "$stderr" "terminal prompts disabled"
    }
    local -x PATH=$PWD/bin:$PATH
    on_both with_passwords
    assert_contains "$(cat arguments)" "fetch -q"
    assert_not_contains "$(cat arguments)" s3cret
}

# add_submodule NAME PORT: srv/r gets srv/sub as that, from the server on the port.
add_submodule() {
    local git=(git -C srv/r -c user.name=n -c user.email=e@x -c protocol.file.allow=always)
    "${git[@]}" submodule --quiet add "$PWD/srv/sub" "$1" 2>/dev/null
    "${git[@]}" config -f .gitmodules "submodule.$1.url" "http://127.0.0.1:$2/git/sub"
    "${git[@]}" add .gitmodules
    "${git[@]}" commit -q -m "with $1"
}

# A password is for its host, not for one that a submodule names.
test_fetch_submodules() {
    serve srv bot:secret-word
    local own=$port
    make_repository srv/sub
    make_repository srv/r
    with_submodules() {
        pipeline "{name: get, $1 type: fetch_code, config: {repository: 'http://127.0.0.1:$own/git/r',
            password: secret-word, username: bot, path: code, submodules: true}}"
        run "$RUNNER" exec p.yaml
    }
    fetches_them() {
        with_submodules "$1"
        assert_eq 0 "$status" "exit status"
        assert_eq 3 "$(cat w/code/same/file)"
    }
    add_submodule same "$own"
    on_both fetches_them
    mkdir foreign
    cp -a srv/sub foreign
    serve foreign other:secret-word
    add_submodule elsewhere "$port"
    with_submodules ''
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "terminal prompts disabled"
    assert_contains "$(cat foreign/authorizations)" None
    assert_not_contains "$(cat foreign/authorizations)" Basic
}

# Words of the file are words for git.
test_fetch_injection() {
    make_repository r
    cp -a r "it's; touch x \$(touch y)"
    pipeline "{name: get, type: fetch_code, config: {repository: \"file://$PWD/it's; touch x \$(touch y)\", path: \"a'b; touch z\"}}"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq 3 "$(cat "w/a'b; touch z/file")"
    assert_eq "" "$(find . -name x -o -name y -o -name z)" "files made by words"
    local ref
    for ref in '--upload-pack=touch x' '+trunk' 'a:b' 'a b'; do
        pipeline "{name: get, type: fetch_code, config: {repository: r, ref: '$ref'}}"
        assert_exit 2 "$RUNNER" validate p.yaml
        assert_contains "$stdout$stderr" "\"ref\" must be a branch, tag or commit, not \"$ref\""
    done
    pipeline "{name: get, type: fetch_code, config: {path: none, repository: 'ext::sh -c \"touch %S/x\"'}}"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "transport 'ext' not allowed"
}

# fake_tool NAME CODE: prints its arguments, for tools that are not at hand.
fake_tool() {
    mkdir -p bin
    printf '#!/bin/sh\necho "%s: $*"\necho "[]" >report.json\nexit %s\n' "$1" "$2" >"bin/$1"
    chmod +x "bin/$1"
}

# --- build, test ---------------------------------------------------------------------------------

write_makefile() {
    write "$1/Makefile" <<'END'
all:
	@echo "made $(CURDIR) $(WHAT)"
test:
	@echo "tested $(WHAT)"
%:
	@printf '<%s>\n' '$@'
END
}

test_make() {
    make_all() {
        rm -rf w && write_makefile w/sub
        pipeline "{name: a, $1 type: build, config: {tool: make, directory: sub, args: ['WHAT=x y']}},
            {name: b, $1 type: test, config: {tool: make, directory: sub}},
            {name: c, $1 type: build, config: {tool: make, directory: sub, targets: [one, '\${T}'], args: -s}},
            {name: d, $1 type: build, ${1:+entrypoint: [],} command: 'pwd; exit 3', config: {directory: sub}, allow_failure: [3]}"
        assert_exit 0 "$RUNNER" exec p.yaml -e 'T=$(touch x);two'
        assert_contains "$stdout" "a] made $PWD/w/sub x y"
        assert_contains "$stdout" "b] tested"
        assert_contains "$stdout" "c] <one>"
        assert_contains "$stdout" 'c] <$(touch x);two>'
        assert_contains "$stdout" "d] $PWD/w/sub"
        pipeline "{name: a, $1 type: test, config: {tool: make}}"
        assert_exit 1 "$RUNNER" exec p.yaml
        assert_contains "$stderr" "cause: exit code 2"
    }
    on_both make_all
}

test_cmake() {
    write w/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.20)
project(p NONE)
enable_testing()
message(STATUS "flavour ${FLAVOUR}")
add_custom_target(hello ALL COMMAND ${CMAKE_COMMAND} -E echo hello-target)
add_custom_target(extra COMMAND ${CMAKE_COMMAND} -E echo extra-target)
add_test(NAME bad COMMAND ${CMAKE_COMMAND} -E false)
END
    pipeline '{name: a, type: build, config: {tool: cmake, args: -DFLAVOUR=sweet}},
        {name: b, type: build, config: {tool: cmake, targets: [hello, extra]}},
        {name: c, type: test, config: {tool: cmake}}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "a] -- flavour sweet"
    assert_contains "$stdout" "a] hello-target"
    assert_not_contains "$stdout" "a] extra-target"
    assert_contains "$stdout" "b] extra-target"
    assert_contains "$stdout" "c] 0% tests passed, 1 tests failed out of 1"
}

# The image of a tool is taken where no level names one.
test_go() {
    ensure_tools
    images_ensure "$DOCKER_HOST" golang:1.22
    docker tag golang:1.22 golang:latest
    write w/go.mod <<<$'module m\n\ngo 1.19'
    write w/m_test.go <<<$'package m\n\nimport "testing"\n\nfunc TestIt(t *testing.T) {}'
    pipeline '{name: a, type: test, engine: docker, config: {tool: go, args: -v}}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "--- PASS: TestIt"
    assert_exit 0 "$RUNNER" plan p.yaml
    assert_contains "$stdout" "step a  (test on docker golang:latest)"
    docker rmi golang:latest >/dev/null
}

# npm installs what is needed first, by the lock file if there is one.
test_npm() {
    fake_tool npm 0
    build() {
        pipeline "{name: a, type: build, environment: {PATH: '$PWD/bin:/usr/bin:/bin'}, config: {tool: npm, args: [--flag, \"it's\"]}},
            {name: b, type: test, environment: {PATH: '$PWD/bin:/usr/bin:/bin'}, config: {tool: npm, targets: unit}}"
        assert_exit 0 "$RUNNER" exec p.yaml
        assert_eq "npm: $1
npm: run build -- --flag it's
npm: run unit --" "$(sed 's/.*\] //; s/ *$//' <<<"$stdout")"
    }
    build install
    touch w/package-lock.json
    build ci
}

test_tool_is_missing() {
    pipeline '{name: a, type: build, image: "busybox:1.36", config: {tool: cargo}}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "a] cargo is not in the image busybox:1.36; take an image that has it, such as rust:latest"
    assert_contains "$stderr" "cause: exit code 127"
    pipeline '{name: a, type: test, environment: {PATH: /bin}, config: {tool: gradle}}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'a] gradle is not installed where the step runs; install it, or give the step an "image" that has it, such as gradle:latest'
    pipeline '{name: a, type: fetch_code, image: "busybox:1.36", config: {repository: x}}, '
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "git is not in the image busybox:1.36; take an image that has it, such as alpine/git:latest"
    pipeline '{name: a, type: notify, image: "busybox:1.36", config: {url: "http://127.0.0.1:1/"}}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "curl is not in the image busybox:1.36"
}

# --- security_scan -------------------------------------------------------------------------------

test_scanners() {
    local tool
    for tool in trivy gitleaks semgrep bandit; do fake_tool "$tool" 1; done
    scan() { # CONFIG ARGUMENTS
        pipeline "{name: a, type: security_scan, environment: {PATH: '$PWD/bin:/usr/bin:/bin'}, config: {$1}}"
        assert_exit 1 "$RUNNER" exec p.yaml
        assert_match "$stdout" "a\\] $2( |$)"
        assert_contains "$stderr" "cause: exit code 1"
    }
    scan 'tool: trivy' 'trivy: fs --exit-code 1 \.'
    scan 'tool: trivy, severity: high, path: src, report: report.json, args: [--timeout, 5m]' \
        'trivy: fs --exit-code 1 --severity HIGH,CRITICAL --format json --output report.json --timeout 5m src'
    scan 'tool: trivy, image: "app:1", severity: critical' 'trivy: image --exit-code 1 --severity CRITICAL app:1'
    scan 'tool: gitleaks' 'gitleaks: detect --no-banner --redact --no-git --source \.'
    mkdir w/.git
    scan 'tool: gitleaks, report: report.json' 'gitleaks: detect --no-banner --redact --source \. --report-format json --report-path report.json'
    scan 'tool: semgrep, severity: high' 'semgrep: scan --error --severity ERROR \.'
    scan 'tool: bandit, severity: medium, path: src' 'bandit: --quiet --severity-level medium --recursive src'
}

# The step fails, and its report is kept.
test_report_is_kept() {
    fake_tool trivy 1
    unset XDG_STATE_HOME
    pipeline "{name: a, type: security_scan, environment: {PATH: '$PWD/bin:/usr/bin:/bin'},
        config: {tool: trivy, report: report.json}, artifacts: {paths: report.json, when: always}}"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'a] artifacts "a": 1 file'
}

# --- deploy --------------------------------------------------------------------------------------

test_copy() {
    copy() {
        rm -rf w && mkdir -p w/dist/sub
        touch w/dist/{a.txt,b.txt,c.bin} w/dist/sub/d
        pipeline "{name: a, $1 type: deploy, config: {tool: copy, source: 'dist/*.txt', destination: 'to here/x'}},
            {name: b, $1 type: deploy, config: {tool: copy, source: dist/, destination: all}},
            {name: c, $1 type: deploy, config: {tool: copy, source: [sub, c.bin], destination: ../some, directory: dist}}"
        assert_exit 0 "$RUNNER" exec p.yaml
        assert_eq "a.txt b.txt" "$(cd 'w/to here/x' && echo *)"
        assert_eq "a.txt b.txt c.bin sub" "$(cd w/all && echo *)"
        assert_eq "c.bin sub" "$(cd w/some && echo *)"
        pipeline "{name: a, $1 type: deploy, config: {tool: copy, source: 'none/*', destination: all}}"
        assert_exit 1 "$RUNNER" exec p.yaml
        assert_contains "$stderr" "none/*': No such file"
    }
    on_both copy
}

test_rsync() {
    ensure_tools
    mkdir -p w/dist w/there
    touch w/dist/new w/there/old
    pipeline "{name: a, $in_tools, type: deploy, config: {tool: rsync, source: dist/, destination: there}}"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "new old" "$(cd w/there && echo *)"
    pipeline "{name: a, $in_tools, type: deploy, config: {tool: rsync, source: dist/, destination: there, delete: true, args: -v}}"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq "new" "$(cd w/there && echo *)"
    assert_contains "$stdout" "deleting old"
}

# --- notify --------------------------------------------------------------------------------------

test_notify() {
    serve srv
    notify() {
        : >srv/requests
        pipeline "{name: a, $1 type: notify, config: {url: 'http://127.0.0.1:$port/hook', message: \"done: \${WHAT}\\n{{ pipeline.name }}\"}},
            {name: b, $1 type: notify, config: {url: 'http://127.0.0.1:$port/x[1]{2}?a=b', method: GET}},
            {name: c, $1 type: notify, config: {url: 'http://127.0.0.1:$port/put', method: PUT, body: '<a b=\"c\"/>',
                headers: {Content-Type: text/xml, X-Token: '\${TOKEN}', X-None: '\${NOT_SET}'}}},
            {name: d, $1 type: notify, config: {url: 'http://127.0.0.1:$port/d', message: a, format: discord}},
            {name: e, $1 type: notify, config: {url: 'http://127.0.0.1:$port/e', message: a, format: wecom}},
            {name: f, $1 type: notify, config: {url: 'http://127.0.0.1:$port/f', message: '@/etc/passwd', format: plain}}"
        assert_exit 0 "$RUNNER" exec p.yaml -e 'WHAT="x\y" $(touch x)' -e TOKEN=a-secret
        assert_contains "$stdout" "a] ok"
        assert_eq '[["POST","/hook"],["GET","/x[1]{2}?a=b"],["PUT","/put"],["POST","/d"],["POST","/e"],["POST","/f"]]' \
            "$(requests 'map([.method, .path])')"
        assert_eq '{"text":"done: \"x\\y\" $(touch x)\np"}' "$(requests '.[0].body | fromjson')"
        assert_eq '"application/json"' "$(requests '.[0].headers["Content-Type"]')"
        assert_eq '["<a b=\"c\"/>","text/xml","a-secret",null]' \
            "$(requests '.[2] | [.body, .headers["Content-Type"], .headers["X-Token"], .headers["X-None"]]')"
        assert_eq '[{"content":"a"},{"msgtype":"text","text":{"content":"a"}}]' "$(requests '.[3:5] | map(.body | fromjson)')"
        assert_eq '"@/etc/passwd"' "$(requests '.[5].body')"
    }
    on_both notify
}

test_notify_fails() {
    serve srv
    pipeline "{name: a, type: notify, config: {url: 'http://127.0.0.1:$port/status/404', message: x}}"
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "a] no, because"
    assert_contains "$stderr" "The requested URL returned error: 404"
    pipeline '{name: a, type: notify, config: {url: "http://127.0.0.1:1/", message: x}}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "Failed to connect to 127.0.0.1 port 1"
    pipeline "{name: a, type: notify, config: {url: '\${HOOK}', headers: {A: \"x\\ny\"}}}"
    assert_exit 2 "$RUNNER" exec p.yaml -e HOOK=file:///etc/passwd
    assert_contains "$stderr" '"url" must begin with http:// or https://'
    assert_exit 2 "$RUNNER" exec p.yaml -e "HOOK=http://127.0.0.1:$port/"
    assert_contains "$stderr" 'the header "A" must be of one line'
}

# The URL of a hook is a secret: it is in no argument of any process.
test_notify_hides_its_url() {
    serve srv
    mkdir bin
    printf '#!/bin/sh\ntr "\\0" " " </proc/$PPID/cmdline >>%s/arguments\necho "$*" >>%s/arguments\nexec /usr/bin/curl "$@"\n' "$PWD" "$PWD" >bin/curl
    chmod +x bin/curl
    pipeline "{name: a, type: notify, environment: {PATH: '$PWD/bin:/usr/bin:/bin'},
        config: {url: '\${HOOK}', message: hello}}, {name: b, command: 'echo \$HOOK'}"
    printf 'secrets: {HOOK: env}\n' >>p.yaml
    HOOK=http://127.0.0.1:$port/very-secret assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$(cat arguments)" "--config"
    assert_not_contains "$(cat arguments)$stdout$stderr" very-secret
    assert_eq '"/very-secret"' "$(requests '.[0].path')"
}

# --- custom, and what is wrong -------------------------------------------------------------------

test_custom() {
    custom() {
        pipeline "{name: a, $1 type: custom, command: 'env | grep ^PIPELINE_CONFIG_ | sort',
            config: {Some-key: '\${A} b', list: [1, {x: y}], none: '\${NOT_SET}', number: 1.20}}"
        assert_exit 0 "$RUNNER" exec p.yaml -e "A=it's"
        assert_eq "PIPELINE_CONFIG_LIST=[1,{\"x\":\"y\"}]
PIPELINE_CONFIG_NUMBER=1.20
PIPELINE_CONFIG_SOME_KEY=it's b" "$(sed 's/.*a\] //' <<<"$stdout")"
    }
    custom ''
    custom 'image: "busybox:1.36",'
}

test_what_tools_cannot_do() {
    cannot() { # STEP MESSAGE
        pipeline "{name: a, $1}"
        assert_exit 2 "$RUNNER" validate p.yaml
        assert_contains "$stdout$stderr" "$2"
    }
    cannot 'type: test, config: {tool: cmake, targets: x}' '"targets" means nothing to cmake; leave it out'
    cannot 'type: build, config: {tool: npm, targets: [x, y]}' 'npm takes one target at a time; make it two steps'
    cannot 'type: build, config: {tool: make, targets: -k}' '"targets" cannot begin with "-", as "-k" does; options are for "args"'
    cannot 'type: security_scan, config: {tool: gitleaks, severity: low}' '"severity" means nothing to gitleaks'
    cannot 'type: security_scan, config: {tool: bandit, image: x}' 'bandit cannot scan an "image"; that is what trivy does'
    cannot 'type: security_scan, config: {tool: trivy, image: x, path: y}' '"path" means nothing to trivy with an "image"'
    cannot 'type: deploy, config: {tool: copy, source: a, destination: b, delete: true}' '"delete" means nothing to cp'
    cannot 'type: deploy, config: {tool: copy, source: -a, destination: b}' '"source" cannot be "-a"'
    cannot "type: fetch_code, config: {repository: x, ref: '{{ nope }}'}" 'nope'
}

# To look at a file nobody needs its secrets.
test_validate_without_secrets() {
    pipeline "{name: a, type: notify, config: {url: '\${HOOK}', headers: {A: '\${HOOK}'}}},
        {name: b, type: fetch_code, config: {repository: '\${HOOK}', password: '\${HOOK}'}}"
    printf 'secrets: {HOOK: env}\n' >>p.yaml
    assert_exit 0 "$RUNNER" validate p.yaml
    assert_exit 0 "$RUNNER" plan p.yaml
    HOOK=nonsense assert_exit 2 "$RUNNER" exec p.yaml
    assert_contains "$stderr" '"url" must begin with http:// or https://'
    assert_contains "$stderr" '"password" is for repositories with http:// or https:// only'
    assert_not_contains "$stderr" nonsense
}

run_tests "$@"

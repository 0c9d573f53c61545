#!/usr/bin/env bash
# --report junit= and html=, by what reads them.
source "$(dirname "$0")/../lib.sh"

root=$(cd "$(dirname "$0")/.." && pwd)/..

# A pipeline with every state that a step can have, and hostile output.
hostile() {
    write p.yaml <<'YAML'
name: 'p <b>&"bold"</b> ]]> </title><script>bad()</script>'
stages:
  - name: one
    jobs:
      - name: 'job "x" <i>'
        steps:
          - {name: good, command: "printf '</div></script><script>bad()</script> <!-- & \"quoted\" \\001\\377 \\033[31mred\\033[0m \\033]0;title\\007tail\\n'"}
          - {name: allowed, command: "exit 3", allow_failure: true}
          - {name: again, command: "test -e flag || { touch flag; exit 9; }; echo second", retry: {attempts: 2}}
      - name: broken
        depends_on: {job: 'job "x" <i>', condition: completed}
        steps:
          - {name: fails, command: "echo out; echo '<oops>' >&2; exit 7"}
          - {name: never, command: "true"}
      - name: slow
        timeout: 200ms
        depends_on: {job: 'job "x" <i>', condition: completed}
        steps: [{name: sleeps, command: "sleep 60"}]
      - name: off
        depends_on: {job: 'job "x" <i>', condition: completed}
        if: "false"
        steps: [{name: not, command: "true"}]
YAML
}

# junit XPATH: its value in r.xml
junit() { xmllint --xpath "string($1)" r.xml; }

test_several_reports_at_once() {
    hostile
    assert_exit 1 "$RUNNER" exec --report html=r.html --report junit=r.xml --report=json=r.json p.yaml
    assert_eq failed "$(jq -r .status r.json)"
    [[ -s r.html && -s r.xml ]] || fail "a report is missing"
}

test_junit() {
    hostile
    assert_exit 1 "$RUNNER" exec --report junit=r.xml p.yaml
    run xmllint --noout --schema "$root/tests/data/junit.xsd" r.xml
    assert_eq 0 "$status" "the schema's verdict"
    assert_eq "7 2 0 3" "$(junit 'concat(//testsuites/@tests, " ", //testsuites/@failures, " ", //testsuites/@errors, " ", //testsuites/@skipped)')"
    assert_eq 'one.job "x" <i>' "$(junit '//testcase[@name="good"]/@classname')"
    assert_eq "exit code 7" "$(junit '//testcase[@name="fails"]/failure/@message')"
    assert_contains "$(junit '//testcase[@name="fails"]/failure')" "<oops>"
    assert_eq "out
<oops>" "$(junit '//testcase[@name="fails"]/system-out' | sort -r)"
    assert_contains "$(junit '//testcase[@name="sleeps"]/failure/@message')" 'timeout after 200 milliseconds'
    assert_eq timeout "$(junit '//testcase[@name="sleeps"]/failure/@type')"
    assert_eq "failed, which is allowed: exit code 3" "$(junit '//testcase[@name="allowed"]/skipped/@message')"
    assert_contains "$(junit '//testcase[@name="never"]/skipped/@message')" "skipped"
    assert_eq 2 "$(junit '//testcase[@name="again"]/properties/property[@name="attempts"]/@value')"
    assert_eq "exit code 9" "$(junit '//testcase[@name="again"]/properties/property[@name="attempt_1"]/@value')"
    assert_contains "$(junit '//testcase[@name="again"]/system-out')" "second"
    assert_eq '</div></script><script>bad()</script> <!-- & "quoted" '$'\xef\xbf\xbd'' red tail' \
        "$(junit '//testcase[@name="good"]/system-out')"
}

test_junit_of_what_fails_above_the_steps() {
    write p.yaml <<<'{name: p, workdir: /proc/none/here, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "true"}]}]}]}'
    assert_exit 1 "$RUNNER" exec --report junit=r.xml p.yaml
    run xmllint --noout --schema "$root/tests/data/junit.xsd" r.xml
    assert_eq 0 "$status" "the schema's verdict"
    assert_contains "$(junit '//testsuite[1]/testcase[@classname="pipeline"]/error/@message')" /proc/none
    assert_eq 1 "$(junit '//testsuites/@errors')"
}

# page: the page as a browser's parser sees it, one line for each element of interest.
page() {
    python3 - "$1" <<'PY'
import html.parser, re, sys

class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.text, self.step = [], "", None
    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag in ("script", "img", "iframe", "link", "b", "i", "object") and \
                not (tag == "i" and (a.get("class") or a.get("style"))) and tag != "b":
            print("element", tag, sorted(a))
        for name in a:
            if name in ("src", "srcset", "action", "formaction") or name.startswith("on"):
                print("attribute", tag, name)
            if name == "href" and not a[name].startswith("#"):
                print("link", a[name])
        if tag == "details" and "step" in a["class"].split():
            self.step = a["data-path"].split(" › ")[-1]
            print("step", self.step, a["data-state"], "open" if "open" in a else "closed")
        if tag not in ("meta", "input", "link"):
            self.open.append((tag, a.get("class") or ""))
            if tag == "div":
                self.text = ""
    def handle_data(self, data):
        self.text += data
    def handle_endtag(self, tag):
        top, cls = self.open.pop()
        assert top == tag, f"</{tag}> closes <{top}>"
        if tag == "div" and self.open and self.open[-1][1] == "log":
            print("line", self.step, cls or "o", repr(self.text))

text = open(sys.argv[1], encoding="utf-8").read()
p = Page()
p.feed(text)
print("unclosed", len(p.open) - 0 if p.open else 0)
print("urls", sorted(set(re.findall(r"(?:https?:)?//[a-z][^\s\"'<>]*|url\(|@import", re.sub(r"(?s)<div class=log>.*?</div></div>", "", text)))))
PY
}

test_html() {
    hostile
    assert_exit 1 "$RUNNER" exec --report html=r.html p.yaml
    local seen
    seen=$(page r.html)
    assert_eq "element script ['nonce']" "$(grep ^element <<<"$seen")" "elements"
    assert_not_contains "$seen" "attribute "
    assert_not_contains "$seen" "link "
    assert_contains "$seen" "unclosed 0"
    assert_contains "$seen" "urls []"
    assert_contains "$seen" "step good succeeded closed
line good o '</div></script><script>bad()</script> <!-- & \"quoted\" "$'\xef\xbf\xbd'" red tail'"
    assert_contains "$seen" "step fails failed open"
    assert_contains "$seen" "line fails e '<oops>'"
    assert_contains "$seen" "line again n 'attempt 1 failed: exit code 9; trying again'
line again o 'second'"
    assert_contains "$(cat r.html)" '<span class="f1 " style="">red</span>'
    assert_match "$(cat r.html)" "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-[0-9a-f]{32}'"
}

test_overwritten_lines_and_colours_across_lines() {
    write p.yaml <<'YAML'
{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "printf '10%%\\r\\033[32m20%%\\nstill\\033[0m not\\r\\n'"}]}]}]}
YAML
    assert_exit 0 "$RUNNER" exec --report html=r.html p.yaml
    assert_contains "$(cat r.html)" '<div class=log><div><span class="f2 " style="">20%</span></div><div><span class="f2 " style="">still</span> not</div></div>'
}

# 100 MB of output: the report stays small, says what it lacks, and memory does not grow with it.
test_large_output() {
    write p.yaml <<'YAML'
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps: [{name: a, command: "echo first line; yes 'a line <of> 0123456789' | head -c 100000000; echo; echo last line"}]
YAML
    run bash -c '/usr/bin/time -f %M -o memory "$RUNNER" exec --report html=r.html --report junit=r.xml p.yaml >/dev/null'
    assert_eq 0 "$status"
    local size seen
    size=$(stat -c %s r.html)
    ((size > 4000000 && size < 12000000)) || fail "the page has $size bytes"
    seen=$(page r.html | grep -e 'first line' -e 'last line' -e 'are not in this report')
    assert_match "$seen" "line a o 'first line'.*line a cut '[0-9.]+ MB of output are not in this report, which keeps the first 1 MiB and the last 3 MiB of each step'.*line a o 'last line'"
    assert_match "$(junit '//testcase[@name="a"]/system-out' | tail -n 2)" "last line"
    assert_match "$(junit '//testcase[@name="a"]/system-out' | head -n 1)" "only the last 64 KiB"
    [[ ${RUNNER_TEST_PRESET:-} == asan || ${RUNNER_TEST_PRESET:-} == tsan ]] ||
        (($(cat memory) < 40000)) || fail "it took $(cat memory) KiB of memory"
}

test_wrong_reports_are_found_beforehand() {
    write p.yaml <<<'{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "touch ran"}]}]}]}'
    local wrong
    for wrong in xml=a html junit= =a; do
        assert_exit 2 "$RUNNER" exec --report "$wrong" p.yaml
        assert_contains "$stderr" "runner exec: --report takes json=FILE, junit=FILE or html=FILE, not \"$wrong\""
    done
    assert_exit 2 "$RUNNER" exec --report html=a --report html=b p.yaml
    assert_contains "$stderr" "--report html=FILE is given twice"
    assert_exit 2 "$RUNNER" exec --report html=a --report json=a p.yaml
    assert_contains "$stderr" "two reports cannot be written to one file, a"
    assert_exit 2 "$RUNNER" exec --report json=a --report junit=no/dir p.yaml
    assert_contains "$stderr" "the report has no place: cannot create a file beside no/dir"
    [[ ! -e ran ]] || fail "it ran all the same"
}

declare -A case_timeout=([test_large_output]=120)
run_tests "$@"

#!/usr/bin/env python3
"""What people do with the console, in a real browser.

    tests/console.py SCENE URL SHOTS

SCENE is the name of a function below, URL the server, SHOTS a directory for screenshots. Exits 1 and
says what did not happen.
"""
import json
import pathlib
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from browser import Browser, BrowserError  # noqa: E402
from service import Service  # noqa: E402


def js(text):
    return json.dumps(text)


class Scene:
    def __init__(self, browser, url, shots):
        self.browser = browser
        self.url = url
        self.shots = pathlib.Path(shots)

    def open(self, address=""):
        return self.browser.open(f"{self.url}/console/{address}")

    def shot(self, page, name):
        page.screenshot(self.shots / f"{name}.png")

    def ask(self, path, body=None):
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data=None if body is None else json.dumps(body).encode(),
                                         headers={"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def submit(self, config, **more):
        return self.ask("/pipelines/run", {"config": config, "detach": True, **more})["id"]


def check(condition, what):
    if not condition:
        raise BrowserError(what)


def write_file(page, text):
    """Into the editor, in place of what is there."""
    page.wait("document.querySelector('.sheet textarea')")
    page.evaluate("document.querySelector('.sheet textarea').focus(), document.querySelector('.sheet textarea').select()")
    page.type(text)


def has_state(page, selector, state):
    return page.wait(f"document.querySelector({js(selector)})?.dataset.status == {js(state)}", f"{selector} is {state}")


# What waits does so until this is there.
GO = pathlib.Path.cwd() / "go"

SHIP = f"""name: ship it
stages:
- name: build
  jobs:
  - name: unit
    steps:
    - name: compile
      command: |
        printf 'a \\033[1;31mred\\033[0m word\\n'
        for i in 1 2 3; do echo "module $i"; done
        echo "careful" >&2
    - name: test
      command: seq 1 2000; echo "the needle"; seq 1 2000; until test -e {GO}; do sleep 0.1; done
  - name: lint
    steps:
    - name: look
      command: echo looked
- name: deploy
  jobs:
  - name: production
    steps:
    - name: upload
      command: echo "shipped $TO"
"""


def a_run_from_the_editor_to_its_end(scene):
    page = scene.open()
    page.wait("document.querySelector('.empty')?.innerText.includes('Nothing has run yet.')")
    page.press("n")
    write_file(page, SHIP.replace("command: echo looked", "comand: echo looked"))
    page.wait("document.querySelector('.verdict.bad')")
    line = SHIP[: SHIP.index("command: echo looked")].count("\n") + 1
    page.wait(f"document.querySelector('.gutter .error')?.textContent == '{line}'", "the mark is at the line of the mistake")
    check(f"unknown key \"comand\"" in page.text(".diagnostics"), page.text(".diagnostics"))
    scene.shot(page, "editor")
    write_file(page, SHIP)
    page.wait("document.querySelector('.verdict.good')?.innerText == '“ship it” can run.'")
    check(page.count(".gutter .error") == 0, "a mark is left")
    page.click("#env")
    page.type("TO=everybody")
    page.press("Enter", ctrl=True)
    page.wait("document.querySelector('h1')?.innerText == 'ship it'")
    has_state(page, ".run-title .sign-holder", "running")
    page.wait("document.querySelector('.facts .status')?.innerText == 'running'")
    scene.shot(page, "running")
    GO.touch()
    has_state(page, ".run-title .sign-holder", "succeeded")
    page.wait("[...document.querySelectorAll('.graph .sign-holder')].every((sign) => sign.dataset.status == 'succeeded')",
              "all of the graph has succeeded")
    page.wait("[...document.querySelectorAll('.line .txt')].at(-1)?.innerText == 'shipped everybody'", "the end of the log is there")
    # Colours.
    page.press("g")
    page.wait("document.querySelector('.f-c1.a-bold')?.innerText == 'red'")
    check(page.evaluate("[...document.querySelectorAll('.line.stderr .txt')].at(-1)?.innerText") == "careful",
          "the line of stderr is not marked")
    # A line among thousands.
    page.press("/")
    page.type("needle")
    page.wait("document.querySelector('.line.current mark')?.innerText == 'needle'")
    check(page.text(".found") == "1 of 1", page.text(".found"))
    scene.shot(page, "found")
    check(page.count(".line") < 200, f"{page.count('.line')} lines are elements")
    # The same again.
    page.press("Escape")
    before = page.evaluate("location.hash")
    page.press("r")
    page.wait(f"location.hash != {js(before)} && document.querySelector('h1')?.innerText == 'ship it'")
    has_state(page, ".run-title .sign-holder", "succeeded")


def steps_of_a_run(scene):
    GO.touch()
    run = scene.submit(SHIP)
    page = scene.open(f"#/runs/{run}")
    has_state(page, ".run-title .sign-holder", "succeeded")
    page.wait("document.querySelectorAll('.line').length > 10")
    page.click(".steps li:nth-child(1) .step")
    page.wait("[...document.querySelectorAll('.line .txt')].map((line) => line.innerText).join()"
              " == 'a red word,module 1,module 2,module 3,careful'", "only the lines of compile")
    check("compile" in page.text(".scope"), page.text(".scope"))
    page.press("j")
    page.wait("document.querySelector('.scope').innerText.includes('test')")
    page.press("Escape")
    page.wait("document.querySelector('.scope').hidden && document.querySelectorAll('.line').length > 10")
    page.press("t")
    page.wait("/^\\d\\d:\\d\\d:\\d\\d\\.\\d\\d\\d$/.test(document.querySelector('.times .line .at')?.innerText)", "times are shown")
    page.press("y")
    page.wait("document.querySelector('.yaml .y-key')?.innerText == 'name'")
    scene.shot(page, "file")
    page.press("Escape")
    page.wait("document.querySelector('h1')?.innerText == 'Runs'")


def cancelling_with_a_reason(scene):
    run = scene.submit("name: long\nstages: [{name: s, jobs: [{name: j, steps: [{name: wait, command: echo begun; sleep 300}]}]}]")
    page = scene.open(f"#/runs/{run}")
    page.wait("document.querySelector('.line .txt')?.innerText == 'begun'")
    page.press("c")
    page.wait("document.querySelector('dialog[open] #reason')")
    page.type("the wrong <b>branch</b>")
    scene.shot(page, "cancel")
    page.press("Enter")
    has_state(page, ".run-title .sign-holder", "cancelled")
    page.wait("document.querySelector('.trouble')?.innerText.includes('the wrong <b>branch</b>') ||"
              " document.querySelector('.log').innerText.includes('the wrong <b>branch</b>')", "the reason is shown")
    # One that waits, from the queue.
    busy = [scene.submit("name: busy\nstages: [{name: s, jobs: [{name: j, steps: [{name: wait, command: sleep 300}]}]}]") for _ in range(2)]
    scene.submit("name: patient\nstages: [{name: s, jobs: [{name: j, steps: [{name: wait, command: echo never}]}]}]")
    page.press("q")
    page.wait("document.querySelectorAll('.queue li').length == 3")
    page.wait("document.querySelector('.places-text')?.innerText == '2 of 2 places taken'")
    page.wait("document.querySelector('.queue li:nth-child(3)').innerText.includes('number 1')")
    scene.shot(page, "queue")
    page.click(".queue li:nth-child(3) button")
    page.wait("document.querySelector('dialog[open]')")
    page.press("Enter")
    page.wait("document.querySelectorAll('.queue li').length == 2")
    for each in busy:
        scene.ask(f"/pipelines/{each}/cancel", {"hurry": True})
    page.wait("document.querySelector('.empty')?.hidden === false")


def a_hundred_thousand_lines(scene):
    run = scene.submit("name: many\nstages: [{name: s, jobs: [{name: j, steps: [{name: count, command: seq 1 100000}]}]}]")
    page = scene.open(f"#/runs/{run}")
    page.wait("[...document.querySelectorAll('.line .txt')].at(-1)?.innerText == '100000'", "the last line is shown")
    check(page.count(".line") < 200, f"{page.count('.line')} lines are elements")
    page.press("/")
    page.type("77777")
    page.wait("document.querySelector('.line.current .txt')?.innerText == '77777'")
    page.press("Escape")
    page.press("g")
    page.wait("document.querySelector('.line .txt')?.innerText == '1'")
    # From one end to the other, a screen at a time: what is shown is what belongs there.
    wrong = page.evaluate("""(async () => {
        const log = document.querySelector('.log');
        for (let top = 0; top < log.scrollHeight; top += 111111) {
            log.scrollTop = top;
            await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            const box = log.getBoundingClientRect();
            const line = document.elementFromPoint(box.left + 300, box.top + 40)?.closest('.line');
            const expected = Math.floor((log.scrollTop + 40) / 20) + 1;
            if (line?.querySelector('.txt').innerText != expected) return `${line?.innerText} in place of ${expected}`;
        }
        return '';
    })()""")
    check(not wrong, wrong)
    scene.shot(page, "many")


def watch_it_die(scene, service):
    scene.url = f"http://127.0.0.1:{service.port}"
    run = scene.submit("name: steady\nstages: [{name: s, jobs: [{name: j, steps: [{name: count, command: "
                       f"\"for i in $(seq 1 40); do test $i -lt 40 || until test -e {GO}; do sleep 0.1; done; "
                       "echo line $i; sleep 0.1; done\"}]}]}]")
    page = scene.open(f"#/runs/{run}")
    page.wait("document.querySelectorAll('.line').length > 2")
    service.kill()
    page.wait("!document.querySelector('#connection').hidden", "it says that the server does not answer")
    scene.shot(page, "away")
    service.start()
    GO.touch()
    has_state(page, ".run-title .sign-holder", "succeeded")
    page.wait("[...document.querySelectorAll('.line .txt')].at(-1)?.innerText == 'line 40'")
    page.press("g")
    page.wait("[...document.querySelectorAll('.line .txt')].map((line) => line.innerText).slice(0, 40).join()"
              " == Array.from({length: 40}, (_, i) => `line ${i + 1}`).join()", "each line is there once")
    page.wait("document.querySelector('#connection').hidden")
    # What the browser says itself of a server that is away.
    page.errors = [error for error in page.errors if "ERR_CONNECTION" not in error and "ERR_INCOMPLETE" not in error]


def a_server_that_is_killed(scene):
    """`url` is the runner here: the server is the scene's own."""
    service = Service(scene.url, pathlib.Path.cwd(), max_concurrent=2)
    service.start()
    try:
        watch_it_die(scene, service)
    finally:
        service.process.terminate()
    check(service.process.wait() == 0, "the server did not end as it should")


def lists_keys_and_themes(scene):
    for number in range(1, 61):
        scene.submit(f"name: build {number}\nstages: [{{name: s, jobs: [{{name: j, steps: [{{name: x, command: {'exit 3' if number % 20 == 0 else 'true'}}}]}}]}}]")
    page = scene.open()
    page.wait("document.querySelector('.range')?.innerText == '1–50 of 60'")
    scene.browser.limit *= 2
    page.wait("document.querySelectorAll('.runs .sign.succeeded').length >= 45", "all have run")
    scene.shot(page, "runs")
    page.press("]")
    page.wait("document.querySelector('.range')?.innerText == '51–60 of 60'")
    page.press("[")
    page.wait("document.querySelector('.range')?.innerText == '1–50 of 60'")
    page.press("/")
    page.type("BUILD 4")
    page.wait("document.querySelector('.range')?.innerText == '1–11 of 11'")
    page.press("Enter")
    page.press("j")
    check(page.evaluate("document.activeElement == document.querySelectorAll('.runs a')[1]"), "j does not go to the second")
    page.press("Escape")
    page.wait("document.querySelector('.range')?.innerText == '1–50 of 60'")
    page.click(".chip:nth-child(4)")
    page.wait("document.querySelectorAll('.runs li').length == 3", "three have failed")
    page.press("?")
    page.wait("document.querySelector('dialog.keys')?.open")
    scene.shot(page, "keys")
    page.press("Escape")
    page.wait("!document.querySelector('dialog')")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.dark(True)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    check(light != dark, "the system's dark theme is not followed")
    scene.shot(page, "dark")
    page.press("d")
    page.wait(f"getComputedStyle(document.body).backgroundColor == {js(light)}", "d switches to the light one")
    page.resize(390, 800)
    scene.shot(page, "small")
    check(page.evaluate("document.documentElement.scrollWidth") <= 390, "a small screen has to be scrolled sideways")
    page.resize(1360, 860)
    page.evaluate("location.hash = '#/settings'")
    page.wait("document.querySelector('#max_concurrent')?.value == '2'")
    page.evaluate("document.querySelector('#max_concurrent').select()")
    page.click("#max_concurrent")
    page.evaluate("document.querySelector('#max_concurrent').select()")
    page.type("3")
    page.press("Enter")
    page.wait("document.querySelector('.toast')?.innerText.includes('Saved')")
    check(scene.ask("/settings")["max_concurrent"] == 3, "the setting is not the server's")
    scene.shot(page, "settings")
    # Everything that is pressed has a name, everything that is written in a label.
    page.evaluate("location.hash = '#/new'")
    page.wait("document.querySelector('.editor')")
    nameless = page.evaluate("""[...document.querySelectorAll('button, a, input, textarea')].filter((e) =>
        !(e.innerText || e.getAttribute('aria-label') || e.labels?.length || e.classList.contains('visually-hidden'))).map((e) => e.outerHTML)""")
    check(not nameless, f"without a name: {nameless}")


def main():
    name, url, shots = sys.argv[1:]
    pathlib.Path(shots).mkdir(parents=True, exist_ok=True)
    with Browser() as browser:
        try:
            globals()[name](Scene(browser, url, shots))
            errors = [error for page in browser.pages.values() for error in page.errors]
            check(not errors, f"errors in the page: {errors}")
        except BrowserError as error:
            for page in browser.pages.values():
                page.screenshot(pathlib.Path(shots) / f"failed-{name}.png")
            sys.exit(f"{name}: {error}")


main()

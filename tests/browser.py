"""A real browser without a screen, driven by its DevTools protocol over a pipe.

    with Browser() as browser:
        page = browser.open("http://127.0.0.1:8080/console/")
        page.wait("document.querySelector('h1')?.textContent == 'Runs'")
        page.press("?")
        page.screenshot("keys.png")

What a page throws, says as an error or breaks of its policy is collected in `page.errors`.
"""
import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

KEYS = {
    "Enter": ("Enter", "Enter", 13, "\r"),
    "Escape": ("Escape", "Escape", 27, ""),
    "Tab": ("Tab", "Tab", 9, ""),
    "ArrowDown": ("ArrowDown", "ArrowDown", 40, ""),
}


class BrowserError(Exception):
    pass


class Browser:
    """Starts the browser; closing it ends all of its processes."""

    def __init__(self, width=1360, height=860, limit=30):
        self.limit = limit * float(os.environ.get("RUNNER_TEST_TIMEOUT_FACTOR", "1"))
        self.size = (width, height)
        self.home = tempfile.mkdtemp(prefix="browser.")
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if not program:
            raise BrowserError("there is no chromium; install the package chromium")
        there, self.to = os.pipe()
        self.back, here = os.pipe()
        # It wants them as 3 and 4.
        def arrange():
            os.setsid()
            a, b = os.dup(there), os.dup(here)
            os.dup2(a, 3)
            os.dup2(b, 4)
            for fd in (a, b):
                if fd > 4:
                    os.close(fd)

        log = open(os.path.join(self.home, "log"), "wb")
        self.process = subprocess.Popen(
            [program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
             "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-proxy-server",
             f"--user-data-dir={self.home}/profile", f"--window-size={width},{height}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False, preexec_fn=arrange,
            env={**os.environ, "HOME": self.home, "TMPDIR": self.home})
        log.close()
        os.close(there)
        os.close(here)
        self.numbers = itertools.count(1)
        self.answers = {}
        self.pages = {}
        self.changed = threading.Condition()
        self.ended = False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.reader.join()
        os.close(self.to)
        os.close(self.back)
        shutil.rmtree(self.home, ignore_errors=True)

    def _read(self):
        rest = b""
        while True:
            data = os.read(self.back, 1 << 20)
            if not data:
                break
            *whole, rest = (rest + data).split(b"\0")
            with self.changed:
                for text in whole:
                    self._take(json.loads(text))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def _take(self, message):
        if "id" in message:
            self.answers[message["id"]] = message
            return
        page = self.pages.get(message.get("sessionId"))
        if page:
            page.take(message["method"], message["params"])

    def ask(self, method, parameters=None, session=None):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters or {}}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        end = time.monotonic() + self.limit
        with self.changed:
            while number not in self.answers:
                if self.ended:
                    raise BrowserError("the browser has ended")
                if not self.changed.wait(end - time.monotonic()):
                    raise BrowserError(f"{method} is not answered")
            answer = self.answers.pop(number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    def open(self, url):
        target = self.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, session)
        self.pages[session] = page
        for domain in ("Page", "Runtime", "Log"):
            page.ask(f"{domain}.enable")
        page.resize(*self.size)
        page.ask("Page.navigate", {"url": url})
        return page


class Page:
    def __init__(self, browser, session):
        self.browser = browser
        self.session = session
        self.errors = []

    def ask(self, method, parameters=None):
        return self.browser.ask(method, parameters, self.session)

    def take(self, method, parameters):
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            entry = parameters["entry"]
            self.errors.append(f"{entry['text']} ({entry.get('url', '')})")

    def evaluate(self, expression):
        result = self.ask("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def wait(self, expression, what=None):
        """Until it is true; returns its value."""
        end = time.monotonic() + self.browser.limit
        while True:
            value = self.evaluate(f"((value) => value instanceof Node || value)({expression})")
            if value:
                return value
            if time.monotonic() > end:
                raise BrowserError(f"never came true: {what or expression}\nerrors: {self.errors}\n"
                                   f"{self.evaluate('document.body.innerText')}")
            time.sleep(0.02)

    def text(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def count(self, selector):
        return self.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length")

    def click(self, selector):
        where = self.wait(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e) return null;"
            " e.scrollIntoView({block: 'nearest'}); const r = e.getBoundingClientRect();"
            " return r.width ? [r.x + r.width / 2, r.y + r.height / 2] : null; })()", f"{selector} can be seen")
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", {"type": kind, "x": where[0], "y": where[1], "button": "left", "clickCount": 1})

    def press(self, key, ctrl=False):
        name, code, number, text = KEYS.get(key, (key, "", ord(key[0].upper()), key))
        event = {"key": name, "code": code, "windowsVirtualKeyCode": number, "modifiers": 2 if ctrl else 0}
        self.ask("Input.dispatchKeyEvent", {"type": "keyDown", **event, **({"text": text} if text and not ctrl else {})})
        self.ask("Input.dispatchKeyEvent", {"type": "keyUp", **event})

    def type(self, text):
        self.ask("Input.insertText", {"text": text})

    def resize(self, width, height):
        self.ask("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def dark(self, on):
        self.ask("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]})

    def screenshot(self, path):
        # What was drawn last is on the screen two frames later.
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
        data = self.ask("Page.captureScreenshot", {"format": "png"})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

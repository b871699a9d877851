"""Firefox and WebKit as Debian has them, driven by the commands of WebDriver.

Playwright drives builds of its own of these two, or a Firefox newer than the long-term one; Selenium needs a program
beside Firefox that Debian does not have. What Debian has understands the commands, so a hundred lines do.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 15
"""Seconds in which what a test waits for has to come."""
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The name under which WebDriver tells of an element."""
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "Backspace": "\ue003"}
WATCH = """
window.complaints = [];
addEventListener("error", (event) => {
  if (event.target === window || event.target.src) complaints.push(event.message ?? `did not load ${event.target.src}`);
}, true);
addEventListener("unhandledrejection", ({ reason }) => complaints.push(String(reason)));
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  complaints.push(`${violatedDirective} ${blockedURI}`);
});
for (const level of ["error", "warn"]) console[level] = (...said) => complaints.push(said.join(" "));
"""

Send = Callable[[str, dict[str, Any]], Any]
"""Give a command with its parameters; return what came of it."""


class Window:
    """One window of a browser."""

    def __init__(self, browser: str, version: str, send: Send) -> None:
        self.browser = browser
        self.version = version
        self._send = send

    def go(self, address: str) -> None:
        """Go to a page, and from then on note what it has to complain about in ``complaints``."""
        self._send("Navigate", {"url": address})
        self.run(WATCH)

    def run(self, script: str, *arguments: object) -> Any:
        """Run the body of a function in the page; return what it returns."""
        return self._send("ExecuteScript", {"script": script, "args": list(arguments)})

    def until(self, expression: str) -> Any:
        """Wait until an expression is true in the page; return its value."""
        until = time.monotonic() + PATIENCE
        while not (value := self.run(f"return {expression}")):
            assert time.monotonic() < until, f"never: {expression}; {self.run('return document.body.innerText')}"
            time.sleep(0.03)
        return value

    def click(self, expression: str) -> None:
        """Press the element that an expression finds, as soon as it is there."""
        self._send("ElementClick", {"id": self.until(expression)[ELEMENT]})

    def type(self, expression: str, text: str) -> None:
        """Type into the element that an expression finds."""
        self._send("ElementSendKeys", {"id": self.until(expression)[ELEMENT], "text": text})

    def press(self, *keys: str) -> None:
        """Press keys, by name or as they are, one after another, wherever the focus is."""
        strokes = [{"type": way, "value": KEYS.get(key, key)} for key in keys for way in ("keyDown", "keyUp")]
        self._send("PerformActions", {"actions": [{"type": "key", "id": "keys", "actions": strokes}]})


@contextmanager
def firefox(profile: Path) -> Iterator[Window]:
    """Run Firefox, which takes commands by Marionette: JSON with its length before it."""
    (profile / "user.js").write_text('user_pref("marionette.port", 0);\n')
    command = [_program("firefox-esr", "firefox"), "--headless", "--marionette", "--no-remote", "--profile", profile]
    with _running(command):
        port = int(_soon((profile / "MarionetteActivePort").read_text))
        with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as answers:

            def read() -> Any:
                length = b""
                while (digit := answers.read(1)) != b":":
                    length += digit
                return json.loads(answers.read(int(length)))

            def send(name: str, parameters: dict[str, Any]) -> Any:
                message = json.dumps([0, 1, f"WebDriver:{name}", parameters]).encode()
                connection.sendall(b"%d:%s" % (len(message), message))
                _, _, error, result = read()
                assert error is None, error
                return result["value"] if result and "value" in result else result

            read()  # It introduces itself.
            session = send("NewSession", {"capabilities": {}})["capabilities"]
            yield Window(session["browserName"], session["browserVersion"], send)


@contextmanager
def webkit() -> Iterator[Window]:
    """Run WebKitGTK's small browser on a screen that nobody sees; its driver takes commands by HTTP."""
    paths = {
        "Navigate": "/url",
        "ExecuteScript": "/execute/sync",
        "ElementClick": "/element/{id}/click",
        "ElementSendKeys": "/element/{id}/value",
        "PerformActions": "/actions",
    }
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]

    def send(path: str, body: dict[str, Any] | None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/session{path}",
            json.dumps(body).encode() if body is not None else None,
            {"Content-Type": "application/json"},
            method="DELETE" if body is None else "POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    with _screen() as screen, _running([_program("WebKitWebDriver"), f"--port={port}"], DISPLAY=screen):
        _soon(lambda: socket.create_connection(("127.0.0.1", port), 1).close() or "there")
        session = send("", {"capabilities": {}})
        here = f"/{session['sessionId']}"
        said = session["capabilities"]
        try:
            yield Window("webkit", said["browserVersion"], lambda name, it: send(here + paths[name].format(**it), it))
        finally:
            send(here, None)


@contextmanager
def _screen() -> Iterator[str]:
    reading, writing = os.pipe()
    command = [_program("Xvfb"), "-displayfd", str(writing), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    with _running(command, pass_fds=[writing]), os.fdopen(reading) as told:
        os.close(writing)
        yield f":{told.readline().strip()}"


@contextmanager
def _running(command: list[Any], pass_fds: list[int] | None = None, **environment: str) -> Iterator[None]:
    with subprocess.Popen(
        command,
        env=os.environ | environment,
        pass_fds=pass_fds or (),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.terminate()


def _program(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if not found:
        raise LookupError(f"there is no {names[0]}")
    return found


def _soon(look: Callable[[], str]) -> str:
    """Return what is there as soon as it is."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            if found := look():
                return found
        except OSError:
            pass
        assert time.monotonic() < until, "it did not start"
        time.sleep(0.03)

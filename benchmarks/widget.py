"""What the widget costs a visitor with a slow phone and a slow network, in Chromium.

    script/server                                                   # in another window; test keys have to be known
    .venv/bin/python benchmarks/widget.py [--url http://127.0.0.1:8000] [--runs 5] [--bits 13]

A page on another origin carries the widget and nothing else. The processor is slowed down to a quarter, the network to
what Chromium's developer tools call slow 4G: 563 ms before each answer, 1.44 Mbit/s. Prints bytes on the wire with
their headers, for the script and its parts and for what one challenge adds; and medians over the runs, each with an
empty cache: until the button can be pressed, and from the press until the visitor can type. Then the proof of work of
one challenge on the slowed processor, without a worker, and the longest time for which the page did not answer.
Beside it stand the sizes that others state. A run takes about five seconds. Where the widget does not come within
thirty, it says so and ends.
"""

import argparse
import re
import shutil
import statistics
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

SLOWER = 4
SLOW_4G = {"offline": False, "latency": 562.5, "downloadThroughput": 180_000, "uploadThroughput": 84_375}
"""Milliseconds and bytes a second."""

VERSION = re.compile("/[0-9a-f]{12}/")
"""What the addresses of the widget's parts carry."""

OTHERS = {"ALTCHA": 34, "Turnstile": 85, "hCaptcha": 250, "reCAPTCHA": 300}
"""Kilobytes, as ALTCHA's makers state them on their pages; not measured here."""

PATIENCE = 30
"""Seconds after which the widget, or its picture, does not come any more."""

SHOWN = """(patience) => new Promise((resolve) => {
  setTimeout(resolve, 1000 * patience, null);
  const look = () => document.querySelector("dr-captcha").shadowRoot?.querySelector(".open")
    ? requestAnimationFrame(() => resolve(performance.now())) : setTimeout(look, 5);
  look();
})"""
"""Until the button can be pressed."""

TYPED = """(patience) => new Promise((resolve) => {
  setTimeout(resolve, 1000 * patience, null);
  const root = document.querySelector("dr-captcha").shadowRoot;
  const began = performance.now();
  root.querySelector(".open").click();
  const look = () => root.activeElement?.localName === "input"
    ? requestAnimationFrame(() => resolve(performance.now() - began)) : setTimeout(look, 5);
  look();
})"""
"""From the press until one can type."""

WORK = """async ([address, bits, count]) => {
  const { solve } = await import(address);
  let last = performance.now(), longest = 0, over = false;
  const tick = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!over) setTimeout(tick);
  };
  tick();
  const began = performance.now();
  await solve({ salt: Math.random().toString(36).padEnd(32, "x"), bits, count });
  const took = performance.now() - began;
  over = true;
  return [took, longest];
}"""
"""The work in a page whose policy lets no worker run, and the longest pause between two turns of the page."""


@contextmanager
def elsewhere(url: str) -> Iterator[str]:
    """Yield the address of a page on another origin that allows itself the widget and nothing else."""
    page = (
        '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>A form</title>'
        '<form><dr-captcha sitekey="test-passes"></dr-captcha></form>'
        f'<script src="{url}/widget/v1/api.js" async defer></script></html>'
    ).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/" else 204)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", f"default-src 'none'; script-src {url}; connect-src {url}")
            self.end_headers()
            self.wfile.write(page if self.path == "/" else b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def slowed(browser: Browser) -> tuple[Page, CDPSession]:
    """Open a window of a phone's size, with an empty cache, and slow it down."""
    page = browser.new_context(viewport={"width": 375, "height": 740}).new_page()
    chromium = page.context.new_cdp_session(page)
    chromium.send("Network.enable")
    chromium.send("Network.emulateNetworkConditions", SLOW_4G)
    chromium.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    return page, chromium


def weigh(chromium: CDPSession, url: str) -> Counter[str]:
    """Return a counter that fills with the bytes that come from ``url``, by path."""
    paths: dict[str, str] = {}
    bytes_of: Counter[str] = Counter()

    def begin(event: dict[str, Any]) -> None:
        request = event["request"]
        if request["url"].startswith(url) and request["method"] != "OPTIONS":
            paths[event["requestId"]] = VERSION.sub("/", urlsplit(request["url"]).path)

    def end(event: dict[str, Any]) -> None:
        path = paths.get(event["requestId"])
        if path:
            bytes_of[path] += int(event["encodedDataLength"])

    chromium.on("Network.requestWillBeSent", begin)
    chromium.on("Network.loadingFinished", end)
    return bytes_of


def visit(browser: Browser, address: str, url: str) -> tuple[Counter[str], float, float]:
    """Load the page and press the button; return bytes by path, ms until it was there, ms until one can type."""
    page, chromium = slowed(browser)
    bytes_of = weigh(chromium, url)
    page.goto(address)
    shown = page.evaluate(SHOWN, PATIENCE)
    if shown is None:
        sys.exit(f"The widget was not there after {PATIENCE} s. Does DrCaptcha answer at {url}?")
    typed = page.evaluate(TYPED, PATIENCE)
    if typed is None:
        sys.exit(f"There was nothing to type after {PATIENCE} s. Are the test keys known at {url}?")
    page.wait_for_timeout(1000)  # What is still on its way counts too.
    page.context.close()
    return bytes_of, shown, typed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bits", type=int, default=13, help="as DRCAPTCHA_WORK")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, elsewhere(options.url) as address:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        visits = [visit(browser, address, options.url) for _ in range(options.runs)]
        page, _ = slowed(browser)
        page.goto(address)
        work = f"{options.url}/widget/v1/work.js"
        worked = [page.evaluate(WORK, [work, options.bits, 8]) for _ in range(options.runs)]
        browser.close()
    parts, shown, typed = zip(*visits, strict=True)
    print("| part | bytes on the wire |\n| --- | ---: |")
    for path, size in sorted(parts[0].items()):
        print(f"| `{path}` | {size:,} |")
    script = sum(size for path, size in parts[0].items() if path.startswith("/widget/"))
    print(f"\n| | kB |\n| --- | ---: |\n| DrCaptcha, measured | {script / 1000:.1f} |")
    for name, stated in OTHERS.items():
        print(f"| {name}, as stated | {stated} |")
    print("\n| on a slow phone | ms |\n| --- | ---: |")
    print(f"| from the page's first byte until the button can be pressed | {statistics.median(shown):,.0f} |")
    print(f"| from the press until one can type | {statistics.median(typed):,.0f} |")
    took, longest = zip(*worked, strict=True)
    print(f"| proof of work ({options.bits} bits, 8 puzzles), without a worker | {statistics.median(took):,.0f} |")
    print(f"| meanwhile the page was silent for at most | {max(longest):,.0f} |")


if __name__ == "__main__":
    main()

"""A page with a form, and a small server that asks DrCaptcha whether its visitor has passed. Python alone is needed.

    python3 examples/plain/server.py

DRCAPTCHA_URL, DRCAPTCHA_SITEKEY and DRCAPTCHA_SECRET say which DrCaptcha and which site; without them it is one on this
machine and the test keys, with which anybody passes.
"""

import html
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode
from urllib.request import urlopen

URL = os.environ.get("DRCAPTCHA_URL", "http://127.0.0.1:8000")
SITEKEY = os.environ.get("DRCAPTCHA_SITEKEY", "test-passes")
SECRET = os.environ.get("DRCAPTCHA_SECRET", "test-secret-passes")
PAGE = Path(__file__).with_name("index.html").read_text()


def passed(response: str) -> bool:
    """Ask DrCaptcha whether a response was earned here. It says yes once; while it can't be reached, nobody passes."""
    fields = urlencode({"secret": SECRET, "response": response}).encode()
    try:
        with urlopen(f"{URL}/recaptcha/api/siteverify", fields, timeout=10) as answer:  # noqa: S310 -- Our own address.
            return bool(json.load(answer)["success"])
    except OSError:
        return False


class Form(BaseHTTPRequestHandler):
    """Shows the form, and takes what is sent."""

    def do_GET(self) -> None:
        """Show the form."""
        self.answer("")

    def do_POST(self) -> None:
        """Take the form, if a person has sent it."""
        sent = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        name, response = (sent.get(field, [""])[0] for field in ("name", "drcaptcha-response"))
        self.answer(f"Thank you, {name}." if passed(response) else "Please show that you are human.")

    def answer(self, said: str) -> None:
        """Send the page with a line of ours in it."""
        values = {"{url}": URL, "{sitekey}": html.escape(SITEKEY), "{said}": html.escape(said)}
        text = PAGE
        for place, value in values.items():
            text = text.replace(place, value)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", f"default-src 'none'; script-src {URL}; connect-src {URL}")
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8001"))
    print(f"http://localhost:{port}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Form).serve_forever()

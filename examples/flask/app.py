"""A form in Flask, protected by DrCaptcha.

    pip install flask && python examples/flask/app.py

DRCAPTCHA_URL, DRCAPTCHA_SITEKEY and DRCAPTCHA_SECRET say which DrCaptcha and which site; without them it is one on this
machine and the test keys, with which anybody passes.
"""

import json
import os
from urllib.parse import urlencode
from urllib.request import urlopen

from flask import Flask, render_template_string, request

URL = os.environ.get("DRCAPTCHA_URL", "http://127.0.0.1:8000")
SITEKEY = os.environ.get("DRCAPTCHA_SITEKEY", "test-passes")
SECRET = os.environ.get("DRCAPTCHA_SECRET", "test-secret-passes")
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Reading room</title>
<script src="{{ url }}/widget/v1/api.js" async defer></script>
<main>
  <h1>Reading room</h1>
  <p role="status">{{ said }}</p>
  <form method="post">
    <p><label>Your name <input name="name" required></label></p>
    <dr-captcha sitekey="{{ sitekey }}" data-action="book" required></dr-captcha>
    <p><button>Book a seat</button></p>
  </form>
</main>
</html>"""

app = Flask(__name__)


def passed(response: str) -> bool:
    """Ask DrCaptcha whether a response was earned here. It says yes once; while it can't be reached, nobody passes."""
    fields = urlencode({"secret": SECRET, "response": response}).encode()
    try:
        with urlopen(f"{URL}/turnstile/v0/siteverify", fields, timeout=10) as answer:  # noqa: S310 -- Our own address.
            return bool(json.load(answer)["success"])
    except OSError:
        return False


@app.route("/", methods=["GET", "POST"])
def book() -> str:
    """Show the form, and take it if a person has sent it."""
    said = ""
    if request.method == "POST":
        human = passed(request.form.get("drcaptcha-response", ""))
        said = f"Thank you, {request.form['name']}." if human else "Please show that you are human."
    return render_template_string(PAGE, url=URL, sitekey=SITEKEY, said=said)


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8002")))

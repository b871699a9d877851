"""The suite keeps its state in a folder of its own, so that it never touches an installation."""

import os
import tempfile

os.environ["DRCAPTCHA_STATE"] = tempfile.mkdtemp(prefix="drcaptcha-tests-")
os.environ.pop("DRCAPTCHA_SECRET_KEY", None)

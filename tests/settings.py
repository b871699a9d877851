"""The settings of an installation, but with a state of its own that is thrown away."""

import os
import tempfile

os.environ["DRCAPTCHA_STATE"] = tempfile.mkdtemp(prefix="drcaptcha-tests-")
os.environ.pop("DRCAPTCHA_SECRET_KEY", None)

from drcaptcha.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405
STATIC_ROOT.mkdir()  # noqa: F405
if "sqlite" in DATABASES["default"]["ENGINE"]:  # noqa: F405
    # A file, as in an installation: threads of one test meet in it as server processes do.
    DATABASES["default"]["TEST"] = {"NAME": STATE / "test.sqlite3"}  # noqa: F405
if REDIS_URL:  # noqa: F405
    # Processes that test at the same time do not meet in one Redis.
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    REDIS_URL = CACHES["default"]["LOCATION"] = f"{REDIS_URL}?db={number}"  # noqa: F405

# Whoever tests these sets them; the others come as often as they like and do no work.
DRCAPTCHA_RATE = DRCAPTCHA_SITE_RATE = DRCAPTCHA_WORK = 0

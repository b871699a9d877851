"""The WSGI application that a server loads as ``drcaptcha.wsgi:application``."""

import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "drcaptcha.settings")
# A thread that counts ballots gives way to visitors after a millisecond, not after five.
sys.setswitchinterval(0.001)
framework = get_wsgi_application()

from drcaptcha import observing  # noqa: E402 -- They can be imported only now.
from drcaptcha.api.direct import first  # noqa: E402

observing.hold_room()
application = first(framework)

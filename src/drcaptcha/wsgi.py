"""The WSGI application that a server loads as ``drcaptcha.wsgi:application``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "drcaptcha.settings")
application = get_wsgi_application()

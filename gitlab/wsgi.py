"""The WSGI application of every serving process; its role comes from the settings."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from gitlab.server import shortcut
from gitlab.server.databases import limits
from gitlab.server.requests import LegibleRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gitlab.settings")
limits.limit(settings.DATABASES, settings.DATABASE_TIMEOUT)
_handler = get_wsgi_application()
_handler.request_class = LegibleRequest
application = shortcut.before(_handler)

"""The WSGI application of every serving process; its role comes from the settings."""

import os

from django.core.wsgi import get_wsgi_application

from gitlab import shortcut

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gitlab.settings")
application = shortcut.before(get_wsgi_application())

"""An empty view with Berth's settings: what a request costs before anybody does anything."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.empty_settings"

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path


def _view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [path("", _view)]
application = get_wsgi_application()

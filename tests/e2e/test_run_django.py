# SPDX-License-Identifier: Apache-2.0
"""Is a Django project traced whose settings are named after Django was imported, as in every generated wsgi.py?"""

from __future__ import annotations

import pytest

from support.otlp import OtlpReceiver
from support.program import Place, lines_of_others

pytest.importorskip("django", reason="Django is not installed in this environment")

SETTINGS = """\
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
TIME_ZONE = "Europe/Paris"
"""
URLS = """\
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("hello/<name>", lambda request, name: HttpResponse(f"hello {name}"))]
"""
WSGI = """\
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project")
application = get_wsgi_application()
"""


@pytest.mark.parametrize("variables", [{}, {"DJANGO_SETTINGS_MODULE": "project"}], ids=["in wsgi.py", "environment"])
def test_projects_settings_hold(place: Place, receiver: OtlpReceiver, variables: dict[str, str]) -> None:
    """The project has its own settings, not empty ones, and each request one span."""
    place.write("project.py", SETTINGS)
    place.write("urls.py", URLS)
    place.write("wsgi.py", WSGI)
    place.write(
        "program.py",
        "from wsgi import application\nfrom django.conf import settings\nfrom django.test import Client\n"
        "print(settings.TIME_ZONE, [Client().get('/hello/ann').content for _ in range(2)])\n",
    )

    done = place.wrapped("python", "program.py", **variables)

    assert (done.returncode, done.stdout) == (0, "Europe/Paris [b'hello ann', b'hello ann']\n"), done.stderr
    assert lines_of_others(done.stderr) == []
    assert [span.name for span in receiver.spans()] == ["GET hello/<name>"] * 2


def test_management_command(place: Place) -> None:
    """A command that serves nothing runs as ever."""
    place.write("project.py", SETTINGS)
    place.write("urls.py", URLS)

    done = place.wrapped("django-admin", "check", DJANGO_SETTINGS_MODULE="project", PYTHONPATH=str(place.folder))

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout + done.stderr

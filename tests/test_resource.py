# SPDX-License-Identifier: Apache-2.0
"""Who does a process say that it is? Detected, given by the user, and after a fork."""

from __future__ import annotations

import os
import re
import uuid

import pytest

from tellwhy import resource
from tellwhy.project import Project
from tellwhy.resource import Identity
from tellwhy.settings import load


def _describe(environ: dict[str, str]) -> dict[str, object]:
    settings, _ = load(environ)
    return resource.describe(settings, Identity(settings, Project(["python", "app.py"], {}, "/")))


def test_detected_attributes() -> None:
    """Each attribute that is detected has the semantic conventions' name and a value of its type."""
    found = _describe({})

    assert found["service.name"] == "app"
    assert found["process.pid"] == os.getpid()
    assert found["telemetry.sdk.name"] == "opentelemetry"
    assert "service.version" not in found
    assert all(isinstance(value, (str, int)) for value in found.values())
    assert not [key for key in found if "command" in key]


def test_what_the_user_gives_wins() -> None:
    """``OTEL_RESOURCE_ATTRIBUTES`` wins over detection, ``OTEL_SERVICE_NAME`` over both."""
    wanted = {
        "host.name": "mine",
        "process.pid": "x",
        "service.name": "a",
        "service.version": "3",
        "service.instance.id": "i",
    }
    given = {"OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{key}={value}" for key, value in wanted.items())}

    found = _describe(given)

    assert {key: found[key] for key in wanted} == wanted
    assert _describe({**given, "OTEL_SERVICE_NAME": "b"})["service.name"] == "b"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ("app", "named after the program")),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a"}, ("a", "OTEL_RESOURCE_ATTRIBUTES")),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a", "OTEL_SERVICE_NAME": "b"}, ("b", "OTEL_SERVICE_NAME")),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name="}, ("app", "named after the program")),
    ],
)
def test_identity_says_where_it_is_from(environ: dict[str, str], expected: tuple[str, str]) -> None:
    """The name, and in words what it was taken from."""
    who = Identity(load(environ)[0], Project(["python", "app.py"], {}, "/"))

    assert (who.name, who.name_from) == expected


def test_instance_id_is_a_random_uuid() -> None:
    """Without a word from the user it is a UUID of version 4, another each time."""
    settings, _ = load({})
    one, two = (resource.instance_id(settings) for _ in range(2))

    assert one != two
    assert (str(uuid.UUID(one)), uuid.UUID(one).version, uuid.UUID(one).variant) == (one, 4, uuid.RFC_4122)


def test_instance_id_of_the_user_is_kept() -> None:
    """It stays as it is in the first process, and recognisable in forked ones."""
    settings, _ = load({"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=blue"})

    assert resource.instance_id(settings) == "blue"
    assert resource.after_fork(settings) == {"process.pid": os.getpid(), "service.instance.id": f"blue-{os.getpid()}"}


def test_kubernetes(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pod, its name is there."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("HOSTNAME", "checkout-7d9f8b6c5-x2x4z")

    assert _describe({})["k8s.pod.name"] == "checkout-7d9f8b6c5-x2x4z"


def test_container_id_is_one_or_absent() -> None:
    """What is taken for a container's id is 64 hexadecimal digits."""
    assert re.fullmatch("[0-9a-f]{64}|", str(_describe({}).get("container.id", "")))


def test_detectors_by_name() -> None:
    """An installed resource detector that the user names is asked; one that is not there is a problem."""
    settings, (problem,) = load({"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process,nowhere"})

    assert settings.experimental_resource_detectors == ("process",)
    assert "nowhere" in str(problem)
    found = resource.describe(settings, Identity(settings, Project(["python", "app.py"], {}, "/")))
    assert "process.parent_pid" in found

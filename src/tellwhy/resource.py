# SPDX-License-Identifier: Apache-2.0
"""
Who this process is: the attributes that stand on everything it sends.

Semantic conventions: https://opentelemetry.io/docs/specs/semconv/resource/.
Command-line arguments are left out on purpose: they often hold secrets.
"""

from __future__ import annotations

import os
import sys

from tellwhy import diagnostics
from tellwhy._version import __version__
from tellwhy.plugins import entry_points, load
from tellwhy.project import Project

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tellwhy.settings import Settings

INSTANCE_ID = "service.instance.id"


class Identity:
    """The service's name and version, and how they were found: ``from git``, ``from the program``."""

    __slots__ = ("name", "name_from", "version", "version_from")

    def __init__(self, settings: Settings, project: Project | None = None) -> None:
        project = project or Project()
        given = settings.resource_attributes
        if settings.service_name:
            self.name, self.name_from = settings.service_name, "OTEL_SERVICE_NAME"
        elif given.get("service.name"):
            self.name, self.name_from = given["service.name"], "OTEL_RESOURCE_ATTRIBUTES"
        else:
            self.name, self.name_from = project.service_name()
        if given.get("service.version"):
            self.version, self.version_from = given["service.version"], "OTEL_RESOURCE_ATTRIBUTES"
        else:
            self.version, self.version_from = project.service_version()


def describe(settings: Settings, identity: Identity) -> dict[str, Any]:
    """
    Return the resource attributes of this process.

    What the user sets with ``OTEL_RESOURCE_ATTRIBUTES`` wins over what is
    detected, and ``OTEL_SERVICE_NAME`` over both (specification).
    """
    found: dict[str, Any] = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": _api_version(),
        "telemetry.distro.name": "tellwhy",
        "telemetry.distro.version": __version__,
        **_host(),
        **_process(),
        **_container(),
        **_kubernetes(os.environ),
        **_detected(settings),
        **settings.resource_attributes,
        "service.name": identity.name,
    }
    if identity.version:
        found["service.version"] = identity.version
    found[INSTANCE_ID] = instance_id(settings)
    return found


def after_fork(settings: Settings) -> dict[str, str | int]:
    """Return the attributes that are others in a forked child: its process id and instance id."""
    return {"process.pid": os.getpid(), INSTANCE_ID: instance_id(settings, forked=True)}


def instance_id(settings: Settings, *, forked: bool = False) -> str:
    """
    Return an id that no other process has.

    One that the user set is kept as it is in the first process, and with the
    process id behind it in forked children, so that it stays recognisable and
    still names one process.
    """
    given = settings.resource_attributes.get(INSTANCE_ID)
    if given:
        return f"{given}-{os.getpid()}" if forked else given
    random = bytearray(os.urandom(16))
    random[6] = random[6] & 0x0F | 0x40  # UUID version 4, as the semantic conventions recommend,
    random[8] = random[8] & 0x3F | 0x80  # without the 10 ms that importing uuid costs
    text = random.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _api_version() -> str:
    # The API package carries the version of the release that it belongs to.
    from opentelemetry.version import __version__ as version

    return version


def _host() -> dict[str, str]:
    system = os.uname()
    return {"host.name": system.nodename, "host.arch": _architecture(system.machine), "os.type": sys.platform}


def _architecture(machine: str) -> str:
    return {"x86_64": "amd64", "aarch64": "arm64", "i686": "x86"}.get(machine, machine)


def _process() -> dict[str, str | int]:
    return {
        "process.pid": os.getpid(),
        "process.executable.name": os.path.basename(sys.executable or "python"),
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": ".".join(map(str, sys.version_info[:3])),
    }


def _container() -> dict[str, str]:
    """Return ``container.id``, which Docker, containerd and Podman leave in two files under /proc."""
    for path in ("/proc/self/cgroup", "/proc/self/mountinfo"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            continue
        for line in lines:
            if path.endswith("mountinfo") and "/hostname " not in line:
                continue
            for part in line.replace(".scope", "").replace("-", "/").split("/"):
                if len(part) == 64 and not part.strip("0123456789abcdef"):
                    return {"container.id": part}
    return {}


def _detected(settings: Settings) -> dict[str, Any]:
    """Return what the installed resource detectors find that the user named."""
    found: dict[str, Any] = {}
    for name in settings.experimental_resource_detectors:
        try:
            detector: Any = load(entry_points("opentelemetry_resource_detector")[name])
            found.update(detector().detect().attributes)
        except Exception as error:
            diagnostics.warn(f"resource detector {name}: {type(error).__name__}: {error}; going on without it")
    return found


def _kubernetes(environ: Mapping[str, str]) -> dict[str, str]:
    if "KUBERNETES_SERVICE_HOST" not in environ:
        return {}
    found = {}
    if environ.get("HOSTNAME"):
        found["k8s.pod.name"] = environ["HOSTNAME"]
    try:
        with open("/var/run/secrets/kubernetes.io/serviceaccount/namespace", encoding="utf-8") as file:
            found["k8s.namespace.name"] = file.read().strip()
    except OSError:  # no service account is mounted
        pass
    return found

# SPDX-License-Identifier: Apache-2.0
"""Who is a forked child, where the program has made the SDK's resource? What its detectors say in the child."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource


def generated_instance_id() -> str | None:
    """Return the ``service.instance.id`` that the SDK made for this process; None if it made none."""
    generated: str | None = getattr(sys.modules.get("opentelemetry.sdk.resources"), "_service_instance_id", None)
    return generated


def resource_of_this_process(resource: Resource, generated: str | None) -> Resource:
    """
    Return the resource with the attributes that the SDK detects anew in a forked child.

    As the SDK does, with two exceptions. A ``service.instance.id`` that the
    program set itself stays. And the detectors are asked one after the other on
    this thread: the SDK starts threads while the fork is still going on, which
    can wait for ever for a lock of ``concurrent.futures``.
    """
    from opentelemetry.sdk import resources

    mine = resource.attributes.get("service.instance.id")
    for detector in getattr(resources, "_build_resource_detectors", tuple)():
        if detector.is_process_dependent():
            resource = resource.merge(detector.detect())
    if mine in (None, generated):
        return resource
    return resource.merge(resources.Resource({"service.instance.id": mine}))

# SPDX-License-Identifier: Apache-2.0
"""Sending through the user's own ``requests.Session``, for those who authenticate that way."""

from __future__ import annotations

from time import monotonic

from tellwhy.delivery.otlp.transport import LONGEST_ANSWER, Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tellwhy.delivery.otlp.endpoint import Endpoint


class SessionTransport:
    """What ``Transport`` is, on a session that the user has made and keeps."""

    def __init__(self, endpoint: Endpoint, session: Any, certificates: Mapping[str, str | None]) -> None:
        self._url = endpoint.url
        self._session = session
        self._options: dict[str, Any] = {"allow_redirects": False}
        if certificates["certificate_file"]:
            self._options["verify"] = certificates["certificate_file"]
        if certificates["client_certificate_file"]:
            pair = (certificates["client_certificate_file"], certificates["client_key_file"])
            self._options["cert"] = pair if pair[1] else pair[0]

    def connect(self, deadline: float) -> bool:  # noqa: ARG002  # as in Transport
        """Do nothing: a session connects when it sends."""
        return True

    def post(self, body: bytes, headers: Mapping[str, str], deadline: float) -> Answer:
        """Send one request; ``requests`` raises descendants of OSError."""
        timeout = max(0.001, deadline - monotonic())
        response = self._session.post(self._url, data=body, headers=dict(headers), timeout=timeout, **self._options)
        return Answer(response.status_code, response.reason or "", response.headers, response.content[:LONGEST_ANSWER])

    def close(self) -> None:
        """Leave the session alone: it is the user's."""

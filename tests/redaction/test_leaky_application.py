# SPDX-License-Identifier: Apache-2.0
"""
The proof: a service with a real PostgreSQL and Redis that is careless in every way, and not a byte of it leaves.

Every secret is its own, so a leak names its kind. What leaves is everything that the receiver was sent (spans and log
records) and every line that tellwhy says. Beside the secrets, what people need is still there.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from redaction.programs import leaky
from support.otlp import OtlpReceiver
from support.program import Place, lines_of_ours
from support.servers import running_postgres, running_redis
from support.upstream import Upstream

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("leaky")]

# What comes in with a request: path and headers, with the secret in the place of {}.
INCOMING: dict[str, tuple[str, dict[str, str]]] = {
    "in_query": ("/in/x?page=2&access_token={}", {}),
    "in_query_of_oauth": ("/in/callback?code={}&state=abc", {}),
    "in_authorization": ("/in/x", {"Authorization": "Bearer {}"}),
    "in_cookie": ("/in/x", {"Cookie": "theme=dark; session={}"}),
    "in_api_key": ("/in/x", {"X-Api-Key": "{}", "X-Request-Id": "r-42"}),
    "in_referer": ("/in/x", {"Referer": "https://a.example/reset?token={}"}),
    "in_baggage": ("/in/x", {"Baggage": "session_token={},tenant=acme"}),
    "in_path_jwt": ("/in/reset/{}", {}),
    "in_response_cookie": ("/in/x?Set-Cookie=sid%3D{}", {}),
    "in_response_location": ("/in/x?Location=/y%3Ftoken%3D{}", {}),
    "in_user_agent": ("/in/x", {"User-Agent": "curl/8 (api_key={})"}),
    "in_forwarded_uri": ("/in/x", {"X-Original-Url": "/x?password={}"}),
}
ENVIRONMENT = {
    "resource_attribute": "OTEL_RESOURCE_ATTRIBUTES",
    "exporter_header": "OTEL_EXPORTER_OTLP_HEADERS",
    "command_line": "",
}
KINDS = [*leaky.LEAKS, *INCOMING, *ENVIRONMENT]
WINDOW = 7  # characters in a row


class Left:
    """Everything that has left the process."""

    def __init__(self, receiver: OtlpReceiver, stderr: str) -> None:
        self.spans = receiver.spans()
        self.bodies = b"\0".join(post.message.SerializeToString() for post in receiver.posts)
        self.said = "\n".join(lines_of_ours(stderr))
        self.stderr = stderr
        self.text = self.bodies.decode("utf-8", "replace") + self.said
        windows = {self.text[at : at + WINDOW] for at in range(len(self.text) - WINDOW + 1)}
        self.windows = windows

    def of(self, secret: str) -> set[str]:
        """The pieces of a secret that have left."""
        spellings = {secret, quote(secret, safe=""), secret.lower(), secret.upper()}
        pieces = {one[at : at + WINDOW] for one in spellings for at in range(len(one) - WINDOW + 1)}
        return pieces & self.windows


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    """Run the service once, ask for every kind, and keep what has left."""
    secret = leaky.secret_of
    with OtlpReceiver() as receiver, Upstream() as upstream, running_postgres() as dsn, running_redis() as redis_url:
        place = Place(
            tmp_path_factory.mktemp("leaky"),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_LOGS_EXPORTER="otlp",
            OTEL_BSP_MAX_QUEUE_SIZE="8192",
            OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST=".*",
            OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE=".*",
            OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST=".*",
            OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE=".*",
            OTEL_RESOURCE_ATTRIBUTES=f"deploy.api_key={secret('resource_attribute')},service.namespace=leaks",
            OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer {secret('exporter_header')}",
            TELLWHY_REDACT=r"/KD-(\w+)/",
            TELLWHY_DIAGNOSTICS="debug",
        )
        place.write("leaky.py", Path(leaky.__file__).read_text())
        words = (dsn, redis_url, upstream.url, "--db-password", secret("command_line"), "--port", "80")
        with place.start("tellwhy", "run", "python", "leaky.py", *words) as running:
            port = int(running.wait_for(r"Running on http://127.0.0.1:(\d+)"))
            for kind in leaky.LEAKS:
                running.get(f"/leak/{kind}", port)
            for kind, (path, headers) in INCOMING.items():
                word = leaky.jwt(secret(kind)) if "jwt" in kind else secret(kind)
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                connection.request("GET", path.format(word), headers={n: v.format(word) for n, v in headers.items()})
                assert connection.getresponse().status < 400
                connection.close()
            done = running.stop()
        yield Left(receiver, done.stderr)


@pytest.mark.parametrize("kind", KINDS)
def test_no_byte_of_a_secret_leaves(left: Left, kind: str) -> None:
    assert left.of(leaky.secret_of(kind)) == set()


def test_the_table_is_wide() -> None:
    secrets = [leaky.secret_of(kind) for kind in KINDS]
    assert len(set(secrets)) == len(KINDS) >= 100


def test_every_kind_was_really_done(left: Left) -> None:
    """Each request has a span, and the failures failed as meant: at the server, in the library."""
    entries = [span for span in left.spans if span.kind == "SERVER"]
    paths = {span.attributes["url.path"] for span in entries}
    assert {f"/leak/{kind}" for kind in leaky.LEAKS} <= paths
    failed = {
        span.attributes["url.path"].removeprefix("/leak/"): span.attributes.get("error.type", "")
        for span in entries
        if span.status == "ERROR"
    }
    errors = {kind for kind in leaky.LEAKS if re.search("^exception_|_error|dsn|refused|unknown|wrong|script", kind)}
    assert errors - failed.keys() == set()
    assert failed["sql_error_unique"] == "psycopg2.errors.UniqueViolation"
    assert failed["redis_wrong_password"].startswith("redis.exceptions.")
    succeeded = {"sql_string", "sql_values", "sql_copy", "redis_value", "url_parameter_token", "traced_argument"}
    assert failed.keys() & succeeded == set()


def test_what_people_need_is_still_there(left: Left) -> None:
    """Routes, verbs, tables, commands, hosts, ids, harmless parameters and headers, kinds of errors."""
    for useful in (
        "GET /leak/<kind>",
        "SELECT leaky_users",
        "SELECT id FROM leaky_users WHERE email = ?",
        "SELECT id FROM leaky_users WHERE email = %s",
        "INSERT INTO leaky_users (email, ssn) VALUES (?, ?)",
        "COPY leaky_users",
        "psycopg2.errors.UniqueViolation",
        "duplicate key value violates unique constraint",
        "leaky_unique_email_key",
        "redis",
        "GET",
        "NOSUCH",
        "page=2",
        "size=50",
        "access_token=REDACTED",
        "X-Amz-Signature=REDACTED",
        "r-17",
        "r-42",
        "user=bob",
        "'port': 5432",
        "ApiError",
        "for project 7",
        "--port",
        "leaks",
        "user.password",
        "[redacted]",
        "login with password=",
        "10.0.0.1",
        "of Rome",
        "127.0.0.1",
    ):
        assert useful in left.text, useful
    assert "KD-" in left.text

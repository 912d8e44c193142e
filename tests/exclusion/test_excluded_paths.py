# SPDX-License-Identifier: Apache-2.0
"""What is excluded goes whole: the request, what is done for it here, and what the next service is told."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.otlp import OtlpReceiver
from support.program import Place, Running, lines_of_ours
from support.upstream import Upstream
from tellwhy.patchers.paths import Paths, excluded
from tellwhy.settings.privacy import Privacy

COMMANDS = {
    "flask": "gunicorn --no-control-socket -w 1 --threads 2 --bind 127.0.0.1:0 probed:app",
    "fastapi": "uvicorn --port 0 --no-access-log probed:asgi",
}
TRACE = "1" * 32
CALLER = {"traceparent": f"00-{TRACE}-{'2' * 16}-01"}


class Probed:
    """The service, what arrived of it, and what the service behind it was sent."""

    def __init__(self, running: Running, port: str, receiver: OtlpReceiver, upstream: Upstream) -> None:
        self.running = running
        self.port = port
        self.receiver = receiver
        self.upstream = upstream

    def ask(self, path: str, headers: dict[str, str] | None = None) -> None:
        assert self.running.get(path, self.port, headers or {})[0] == 200, self.running.stderr

    def spans(self) -> list[str]:
        """End the service; what arrived in all, by name and path, ASGI's messages left out."""
        self.running.stop()
        return sorted(
            f"{span.name} {span.attributes.get('url.path', '')}".strip()
            for span in self.receiver.spans()
            if not span.name.endswith((" http send", " http receive"))
        )

    def logged(self) -> list[tuple[str, str, str]]:
        """Path, trace id and flags of each line."""
        lines = [line.split() for line in self.running.stderr.splitlines() if line.startswith("line ")]
        return [(path, trace_id, flags) for _, path, trace_id, flags in lines]


@pytest.fixture
def probed(tmp_path: Path) -> Callable[..., AbstractContextManager[Probed]]:
    @contextmanager
    def run(framework: str, **variables: str) -> Iterator[Probed]:
        with OtlpReceiver() as receiver, Upstream() as upstream:
            place = Place(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, BEHIND=upstream.url, **variables)
            shutil.copy(Path(__file__).parent / "programs" / "probed.py", place.folder)
            with place.start("tellwhy", "run", *COMMANDS[framework].split()) as running:
                port = running.wait_for(r"(?:Listening at:|running on) http://127.0.0.1:(\d+)")
                yield Probed(running, port, receiver, upstream)

    return run


def whole(path: str, framework: str) -> list[str]:
    route = "GET /<path:path>" if framework == "flask" else "GET /{path}"
    return [f"{route} /{path}", "GET", f"in thread {path}", f"query {path}"]


@pytest.mark.parametrize("sampler", ["parentbased_always_on", "always_on"])
@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_default(probed: Any, framework: str, sampler: str) -> None:
    """Probes are left out and their likes are not; nothing below a probe is a trace, whatever the sampler."""
    with probed(framework, OTEL_TRACES_SAMPLER=sampler) as service:
        service.ask("/healthz")
        service.ask("/readyz/", CALLER)
        service.ask("/api/healthy-recipes")
        service.ask("/healthzz")
        found = service.spans()
        flags = {seen.path.partition("?")[2]: seen.headers["traceparent"] for seen in service.upstream.seen}
    names = [name for name in found if "healthz " not in name]
    assert len(names) == 8, names
    assert not any("readyz" in name or name.endswith("/healthz") for name in names)
    assert {name for name in names if "recipes" in name} >= {
        "in thread api/healthy-recipes",
        "query api/healthy-recipes",
    }
    assert flags["healthz"].endswith("-00")
    assert flags["readyz/"].startswith(f"00-{TRACE}-")
    assert flags["readyz/"].endswith("-00")
    assert flags["api/healthy-recipes"].endswith(("-01", "-03"))
    logged = {path: (trace_id, flags) for path, trace_id, flags in service.logged()}
    assert logged["healthz"][1] == "00"
    assert logged["healthz"][0] == flags["healthz"].split("-")[1]
    assert logged["readyz/"] == (TRACE, "00")
    assert logged["api/healthy-recipes"][1] in ("01", "03")


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
@pytest.mark.parametrize(
    ("variables", "left"),
    [
        ({"TELLWHY_EXCLUDED_PATHS": "none"}, ["healthz", "internal/jobs", "internals"]),
        ({"TELLWHY_EXCLUDED_PATHS": "/internal/*"}, ["healthz", "internals"]),
        ({"TELLWHY_EXCLUDED_PATHS": "default,/internal/*"}, ["internals"]),
        ({"OTEL_PYTHON_EXCLUDED_URLS": "intern"}, []),
        ({"OTEL_PYTHON_EXCLUDED_URLS": "jobs$,127.0.0.1.*nals"}, []),
        ({"OTEL_PYTHON_EXCLUDED_URLS": "x", "OTEL_PYTHON_{}_EXCLUDED_URLS": "jobs"}, ["internals"]),
    ],
)
def test_settings(probed: Any, framework: str, variables: dict[str, str], left: list[str]) -> None:
    """Whole paths, and OpenTelemetry's variables with their search anywhere in the URL; none is left half."""
    variables = {name.format(framework.upper()): value for name, value in variables.items()}
    with probed(framework, **variables) as service:
        for path in ("healthz", "internal/jobs", "internals"):
            service.ask(f"/{path}")
        found = service.spans()
    assert {name.split()[-1] for name in found if name.startswith("query")} == set(left)
    assert len(found) == 4 * len(left)


def test_bad_pattern_is_said(probed: Any) -> None:
    with probed("flask", TELLWHY_EXCLUDED_PATHS="healthz,/jobs") as service:
        service.ask("/jobs")
        service.ask("/healthz")
        assert any("TELLWHY_EXCLUDED_PATHS" in line for line in lines_of_ours(service.running.stderr))
        assert len(service.spans()) == 4


# ------------------------------------------------------------------ patterns


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("/health", ["/health", "/health/"], ["/healthy", "/api/health", "/health/db", "/", ""]),
        ("/internal/*", ["/internal/a", "/internal/a/b"], ["/internal", "/internals/a", "/x/internal/a"]),
        ("*/ping", ["/ping", "/a/b/ping"], ["/pings", "/ping/a"]),
        ("/v?/live", ["/v1/live"], ["/v12/live", "/v/live"]),
        ("/a.b+(c)", ["/a.b+(c)"], ["/aXb+(c)", "/abc"]),
        ("/", ["/"], ["/a"]),
        ("*", ["/", "/a/b", ""], []),
        ("/static/*.js", ["/static/a/b.js", "/static/.js"], ["/static/a.css"]),
    ],
)
def test_patterns_are_anchored(pattern: str, inside: list[str], outside: list[str]) -> None:
    paths = Paths([pattern])
    assert [path for path in inside if path not in paths] == []
    assert [path for path in outside if path in paths] == []


@given(st.text("/ab", max_size=12), st.text("/*?ab", max_size=8))
def test_any_path_and_any_pattern(path: str, pattern: str) -> None:
    """As the standard library's fnmatch has it, for patterns and paths without a slash at the end."""
    path, pattern = path.rstrip("/") or "/", pattern.rstrip("/") or "/"
    assert (path in Paths([pattern])) == fnmatchcase(path, pattern)


@given(st.lists(st.sampled_from(["a*", "*a", "**", "*?"]), max_size=30).map("".join))
def test_patterns_take_no_time(pattern: str) -> None:
    """A star is no invitation to try every split of a long path."""
    assert ("/" + "a" * 200 + "b") not in Paths(["/" + pattern + "c"])


def test_default_list_has_no_wild_card() -> None:
    """One look into a set for every request of everybody."""
    check = excluded(Privacy.excluded_paths.default, "")
    assert check is not None
    assert Paths(Privacy.excluded_paths.default)._wild == []
    assert check({"PATH_INFO": "/healthz"})
    assert not check({"SCRIPT_NAME": "/app", "PATH_INFO": "/healthz"})


def test_official_engine_says_what_it_cannot(tmp_path: Path) -> None:
    """OpenTelemetry's own instrumentations know no paths: that is said, where somebody asked for them."""
    place = Place(tmp_path, OTEL_TRACES_EXPORTER="none", TELLWHY_ENGINE="sdk")
    place.copy("one_span.py")
    asked = place.wrapped("python", "one_span.py", TELLWHY_EXCLUDED_PATHS="/internal/*")
    plain = place.wrapped("python", "one_span.py")

    assert "TELLWHY_EXCLUDED_PATHS is ignored: TELLWHY_ENGINE=sdk cannot do that" in lines_of_ours(asked.stderr)
    assert not any("ignored" in line for line in lines_of_ours(plain.stderr))

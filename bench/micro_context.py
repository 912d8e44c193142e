# SPDX-License-Identifier: Apache-2.0
"""
What does it cost to leave a request out, to read a caller's context, and to take a context along?

``python bench/micro_context.py``: CPU time per operation, the least of several rounds that take turns.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import process_time_ns, thread_time_ns

import tellwhy
from tellwhy.engine.carried import Carried
from tellwhy.patchers.context import carrying
from tellwhy.patchers.options import Options
from tellwhy.patchers.server import Server
from tellwhy.patchers.spans import Spans
from tellwhy.settings.privacy import Privacy

ROUNDS = 15
ENVIRON = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/healthz",
    "HTTP_HOST": "shop:8000",
    "wsgi.url_scheme": "http",
    "HTTP_USER_AGENT": "kube-probe/1.30",
    "QUERY_STRING": "",
}
CALLER = {
    **ENVIRON,
    "PATH_INFO": "/orders/7",
    "HTTP_TRACEPARENT": f"00-{'1' * 32}-{'2' * 16}-01",
    "HTTP_TRACESTATE": "vendor=1,other=2",
}


def application(environ: dict[str, str], start_response: Callable[..., object]) -> list[bytes]:
    start_response("200 OK", [])
    return [b""]


def main() -> None:
    tracing = tellwhy.setup_tracing(traces_exporter="none", diagnostics="quiet")
    provider = tracing.provider
    spans = Spans("bench")
    options = Options.from_environment({"TELLWHY_EXCLUDED_PATHS": "default,/internal/*"})
    server = Server(spans, options, "")
    every = Server(spans, Options.from_environment({}), "")
    from opentelemetry.context.context import Context

    from tellwhy.patchers.propagation import extract
    from tellwhy.patchers.wsgi import serve

    tracer = provider.get_tracer("bench")
    assert "/healthz" in Privacy.excluded_paths.default

    def bare() -> None:
        application(dict(ENVIRON), lambda *_: None)

    def excluded() -> None:
        serve(server, application, dict(ENVIRON), lambda *_: None)

    def traced() -> None:
        serve(every, application, dict(CALLER), lambda *_: None)

    def incoming() -> None:
        extract(CALLER, Context())

    with tracer.start_as_current_span("parent") as parent:
        carried = Carried(parent)

        def taken() -> None:
            carrying.take(1)

        def child() -> None:
            tracer.start_span("child").end()

        from opentelemetry.trace import set_span_in_context

        there = set_span_in_context(carried)

        def child_there() -> None:
            tracer.start_span("child", there).end()

        pool = ThreadPoolExecutor(1)

        def submitted() -> None:
            pool.submit(int).result()

        start = threading.Thread.start

        def thread() -> None:
            new = threading.Thread(target=int)
            new.start()
            new.join()

        cases: list[tuple[str, Callable[[], None], int]] = [
            ("WSGI call, bare", bare, 5000),
            ("WSGI call, excluded", excluded, 5000),
            ("WSGI call, traced, with a caller", traced, 3000),
            ("traceparent and tracestate read", incoming, 5000),
            ("context taken along", taken, 10000),
            ("child span", child, 5000),
            ("child span below a carried one", child_there, 5000),
            ("executor.submit().result(), both threads", submitted, 1000),
            ("Thread start and join, both threads", thread, 300),
        ]
        least = dict.fromkeys([name for name, _, _ in cases], sys.float_info.max)
        for _ in range(ROUNDS):
            for name, work, times in cases:
                clock = process_time_ns if "both" in name else thread_time_ns
                begun = clock()
                for _ in range(times):
                    work()
                least[name] = min(least[name], (clock() - begun) / times / 1000)
        assert start is threading.Thread.start
    for name, took in least.items():
        print(f"{name:45} {took:8.2f} µs")
    print(f"{'an excluded request costs':45} {least['WSGI call, excluded'] - least['WSGI call, bare']:8.2f} µs")


if __name__ == "__main__":
    main()

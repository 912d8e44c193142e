# SPDX-License-Identifier: Apache-2.0
"""The demo from beginning to end: start everything, send requests, draw their traces, leave nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final, NoReturn, TextIO

from tellwhy.demo import expectations, goods, load
from tellwhy.demo.databases import Address, start_postgres, start_redis
from tellwhy.demo.processes import Child, DemoError, Processes, clean_environ
from tellwhy.demo.progress import Progress
from tellwhy.viewer.model import Trace
from tellwhy.viewer.receiver import Receiver
from tellwhy.viewer.store import TraceStore
from tellwhy.viewer.style import BOLD, DIM, RED, style_of
from tellwhy.viewer.terminal import draw, legend

_QUIET: Final = 3.0  # seconds without any span after which a trace that is not whole has something missing
_PATIENCE: Final = 20.0  # seconds after which it has, whatever else arrives
_PAUSE: Final = 5.0  # seconds between the requests of the gentle load
_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Options:
    """
    How the demo is run.

    ``once``: show the traces and end. ``port``: the shop's; 0 takes a free one. ``environ``: more environment
    variables for the shop and the bank, to try settings.
    """

    once: bool = False
    port: int = 0
    environ: Mapping[str, str] = field(default_factory=dict)


def run(options: Options, stream: TextIO) -> int:
    """
    Run the demo and return its exit status.

    Returns:

        0 if every expected span has arrived; 1 if one is missing or something could not be started; 130 if it
        was interrupted before that was known.
    """
    demo = _Demo(options, stream)
    with _signals_as_interrupts():
        try:
            return demo.run()
        except DemoError as error:
            print(f"tellwhy demo: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nclosed.", file=stream)
            return demo.status
        except BrokenPipeError:  # whoever was reading has seen enough; what is still buffered has nobody to go to
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            return 1


@dataclass(frozen=True, slots=True)
class _Service:
    child: Child
    url: str


class _Demo:
    """What the parts of one run have in common."""

    def __init__(self, options: Options, stream: TextIO) -> None:
        self.options = options
        self.stream = stream
        self.style = style_of(stream)
        self.store = TraceStore()
        self.status = _INTERRUPTED

    def run(self) -> int:
        with Processes() as processes, closing(Receiver(self.store.add, self._warn)) as receiver:
            with Progress(self.stream, self.style) as progress:
                services = self._start(processes, receiver.endpoint, progress)
            self._say(f"\n{legend(self.style)}\n")
            problems = self._show_visits(services["shop"].url)
            self._tell(problems, services)
            self.status = 1 if problems else 0
            if not self.options.once:
                self._serve(processes, services["shop"].url, receiver.endpoint)
        return self.status

    def _start(self, processes: Processes, endpoint: str, progress: Progress) -> dict[str, _Service]:
        """Start everything at once, and return the services when all of it answers."""
        environ = clean_environ(os.environ)
        postgres, redis = Address(), Address()
        traced = {
            **environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": load.REQUEST_ID,
            "OTEL_PYTHON_EXCLUDED_URLS": "healthz",
            **self.options.environ,
        }
        bank = self._start_service(processes, "bank", 0, traced)
        traced |= {"SHOP_BANK": bank.url, "SHOP_DATABASE": postgres.postgres_url, "SHOP_REDIS": redis.redis_url}
        shop = self._start_service(processes, "shop", self.options.port, traced)

        def start_database() -> None:
            with progress.step("PostgreSQL") as remarks:
                remarks.append(start_postgres(processes, environ, postgres))
                goods.fill(postgres.postgres_url)

        def start_cache() -> None:
            with progress.step("Redis") as remarks:
                remarks.append(start_redis(processes, environ, redis))

        def await_service(service: _Service) -> None:
            with progress.step(service.child.name) as remarks:
                if not load.is_open(service.url):
                    raise DemoError(f"{service.child.name} did not start:\n{service.child.tail()}")
                remarks.append(service.url)

        starters = ThreadPoolExecutor(4)
        try:
            futures = [starters.submit(start_database), starters.submit(start_cache)]
            futures += [starters.submit(await_service, bank), starters.submit(await_service, shop)]
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            processes.end()  # so that what waits for them ends too
            raise
        finally:
            starters.shutdown(cancel_futures=True)
        return {"bank": bank, "shop": shop}

    def _start_service(self, processes: Processes, name: str, port: int, environ: Mapping[str, str]) -> _Service:
        """Start the shop or the bank as a user would start a program, on a socket that already listens."""
        try:
            listener = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            raise DemoError(f"{name} cannot listen on port {port}: {os.strerror(error.errno or 0)}") from error
        with listener:
            child = processes.start(
                name,
                [sys.executable, "-m", "tellwhy", "run", "-m", f"tellwhy.demo.{name}"],
                {**environ, "OTEL_SERVICE_NAME": name, f"{name.upper()}_SOCKET": str(listener.fileno())},
                keep_fds=[listener.fileno()],
            )
            return _Service(child, f"http://127.0.0.1:{listener.getsockname()[1]}")

    def _show_visits(self, shop_url: str) -> list[str]:
        """Make one request of each kind, draw their traces, and say what is missing."""
        problems: list[str] = []
        drawn: list[Trace] = []
        first = load.send(shop_url, load.CHECKOUT)  # opens connections, loads code: not what is to be seen here
        for visit in expectations.TRACES:
            answer = load.send(shop_url, visit)
            trace = self._trace_of(visit, answer)
            self._say(self._heading(visit.name))
            if trace is not None:
                self._say(draw(trace, self.style))
                drawn.append(trace)
            problems += [f"{visit.name}: {what}" for what in expectations.missing(visit, answer, trace)]
        self._take(first)
        if not problems:
            count = sum(len(trace.spans) for trace in drawn)
            self._say(f"{len(drawn)} traces of {count} spans, none missing.")
        return problems

    def _tell(self, problems: list[str], services: Mapping[str, _Service]) -> None:
        """Say what is missing, and what the programs have said that should have sent it."""
        for problem in problems:
            self._say(self.style.spell(self.style.paint(f"{self.style.glyphs.error} {problem}", RED)))
        for service in services.values() if problems else ():
            self._say(f"\n{service.child.name} has said:\n{service.child.tail()}")

    def _trace_of(self, visit: load.Visit, answer: load.Answer) -> Trace | None:
        """Wait for the whole trace of a request; when it takes too long, return what there is."""

        def is_whole(trace: Trace) -> bool:
            return expectations.is_of(trace, answer) and not expectations.missing(visit, answer, trace)

        return self.store.wait_for(is_whole, _PATIENCE, quiet=_QUIET) or self._take(answer)

    def _take(self, answer: load.Answer) -> Trace | None:
        """Take what has arrived of a request's trace, if anything has: it is not drawn any more."""
        return self.store.wait_for(lambda trace: expectations.is_of(trace, answer), 0.0)

    def _serve(self, processes: Processes, shop_url: str, endpoint: str) -> NoReturn:
        """Keep the shop open under a gentle load and draw what happens there, until interrupted."""
        self._say(
            f"\n{self.style.paint('The shop is open until Ctrl-C; the trace of every request appears here.', BOLD)}\n"
            f"  browse  {shop_url}/products\n"
            f"  buy     curl -X POST -d card=foreign {shop_url}/checkout/7\n"
            f"  send spans of your own to OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}\n"
        )
        closing_time = threading.Event()
        threading.Thread(target=_keep_buying, args=(shop_url, closing_time), daemon=True).start()
        try:
            while True:
                trace = self.store.next_settled(0.5)
                if trace is not None:
                    self._say(draw(trace, self.style))
                ended = processes.ended()
                if ended is not None:
                    raise DemoError(f"{ended.name} has ended by itself:\n{ended.tail()}")
        finally:
            closing_time.set()

    def _heading(self, text: str) -> str:
        rule = self.style.glyphs.bar["--"] * max(0, self.style.columns - len(text) - 2)
        return self.style.spell(f"{text} {self.style.paint(rule, DIM)}")

    def _warn(self, message: str) -> None:
        self._say(self.style.paint(message, DIM))

    def _say(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


def _keep_buying(shop_url: str, closing_time: threading.Event) -> None:
    for visit in cycle(expectations.TRACES):
        if closing_time.wait(_PAUSE):
            return
        load.send(shop_url, visit)


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Let a request to end end the demo as Ctrl-C does: with everything that it has started."""

    def interrupt(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

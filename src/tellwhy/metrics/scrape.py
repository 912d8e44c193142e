# SPDX-License-Identifier: Apache-2.0
"""
How are metrics scraped, with any number of processes behind one port?

Each process writes what it has counted into the folder they have in common
(``commons.py``), every second and when it ends. The first to get the port
serves the sum of all; when it ends, another takes the port over. Its own numbers
are those of the moment, the others' at most a second old.
"""

from __future__ import annotations

import threading
from time import monotonic, perf_counter

from tellwhy import diagnostics
from tellwhy.delivery.leaving import fork
from tellwhy.delivery.signal import METRICS
from tellwhy.delivery.stats import empty
from tellwhy.delivery.worker import Worker
from tellwhy.metrics import openmetrics
from tellwhy.metrics.commons import hold
from tellwhy.metrics.serving import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from tellwhy.delivery.leaving.budget import Budget
    from tellwhy.delivery.stats import Snapshot
    from tellwhy.metrics.openmetrics import Family
    from tellwhy.metrics.reader import Reader

_PERIOD: Final = 1.0  # seconds
_SHARE: Final = 100  # a collection that takes long is made less often: never more than 1 % of the time


class Scrape:
    """
    This process's part in being scraped.

    Args:

        reader: Who gathers.

        resource: Returns who this process is, as the SDK's object.

        host: Where the port is.

        port: The port; 0 for any, which is then said.

        service: The service's name: its processes share the port, those of others do not.
    """

    signal = METRICS
    has_said_why = False
    when_started: Callable[[], None] | None = None

    def __init__(self, reader: Reader, resource: Callable[[], Any], host: str, port: int, service: str) -> None:
        self.reader = reader
        self._resource = resource
        self._address = host, port
        self._commons = hold(host, port, service)
        self._commons.join()
        self._server: Server | None = None
        self._reset()
        fork.register(self)

    def _reset(self) -> None:
        self._gathering = threading.Lock()
        self._written: list[Family] = []
        self._asked: list[threading.Event] = []
        self._is_over = False
        self._has_place = True
        self._has_complained = False
        self._ticker = Worker(self._tick)

    def start(self) -> None:
        """Serve, if the port is free, and begin to write."""
        self._take_port()
        self._ticker.call()
        if self.when_started is not None:
            self.when_started()

    def force_flush(self, timeout_millis: float | None = None) -> bool:
        """Write what has been counted until now; True if that was done in time."""
        asked = threading.Event()
        self._asked.append(asked)
        self._ticker.call()
        return asked.wait(30.0 if timeout_millis is None else timeout_millis / 1000)

    def leave(self, budget: Budget) -> None:
        """The process ends: leave the numbers to those who go on, and the port to the next."""
        with budget as deadline:
            self.shutdown_within(max(0.0, deadline - monotonic()))

    def shutdown(self) -> None:
        """Write for the last time and let the port go."""
        self.shutdown_within(2.0)

    def shutdown_within(self, seconds: float) -> None:
        """Do so, for no longer than this."""
        if self._is_over:
            return
        if self._ticker.is_running:
            self.force_flush(seconds * 1000)
        else:
            self._write()
        self._is_over = True
        self._ticker.call()
        if self._server is not None:
            self._server.close()
            self._server = None

    def stats(self) -> Snapshot:
        """Return nothing: whoever is scraped delivers nothing."""
        return empty()

    def after_fork_in_child(self) -> None:
        """Start afresh, with a place of this process's own; the parent's port is the parent's."""
        over = self._is_over
        if self._server is not None:
            self._server.close()
            self._server = None
        self._commons.after_fork_in_child()
        self._reset()
        self._is_over = over
        self._has_place = False
        if not over:
            self._ticker.call()

    def page(self, *, openmetrics_wanted: bool) -> str:
        """Return what is scraped."""
        families = openmetrics.add([(True, self._gather()), *self._commons.others()])
        labels = openmetrics.target(dict(self._resource().attributes))
        return openmetrics.render(families, labels, openmetrics=openmetrics_wanted)

    def _gather(self) -> list[Family]:
        with self._gathering:
            data = self.reader.gather()
        if data is None:
            return []
        return openmetrics.families(scope for one in data.resource_metrics for scope in one.scope_metrics)

    def _write(self) -> None:
        try:
            if not self._has_place:
                self._commons.join()
                self._has_place = True
            families = self._gather()
            if families and families != self._written:
                self._commons.write(families)
                self._written = families
        except Exception as error:
            diagnostics.fault("metrics: writing them for whoever is scraped", error)

    def _take_port(self) -> None:
        if self._server is not None:
            return
        try:
            self._server = Server(self._address, self.page)
            diagnostics.debug(f"metrics are served at http://{self._server.address}/metrics", key="metrics-served")
        except OSError as error:
            if not self._has_complained and not self._commons.has_company():
                self._has_complained = True
                host, port = self._address
                diagnostics.warn(f"metrics cannot be scraped at {host}:{port}: {error.strerror or error}; trying on")

    def _tick(self) -> None:
        pause = _PERIOD
        while not self._is_over:
            self._ticker.sleep(pause)
            asked, self._asked = self._asked, []
            started = perf_counter()
            self._write()
            pause = max(_PERIOD, _SHARE * (perf_counter() - started))
            if not self._is_over:
                self._take_port()
            for one in asked:
                one.set()

"""A clean ``logging`` around every test, and the tracers that the room is tested with."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.trace import Tracer

from tellwhy import diagnostics
from tellwhy.engine import TracerProvider as LeanTracerProvider
from tellwhy.logs import correlation


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Whatever a test installs is gone after it, and was gone before it."""
    factory = logging.getLogRecordFactory()
    logger_class = logging.getLoggerClass()
    standard = logging.Filterer.filter, logging.Handler.format
    yield
    correlation.uninstall()
    logging.setLogRecordFactory(factory)
    logging.setLoggerClass(logger_class)
    diagnostics.reset()
    assert (logging.Filterer.filter, logging.Handler.format) == standard


@pytest.fixture(params=["sdk", "lean"])
def tracer(request: pytest.FixtureRequest) -> Tracer:
    """A tracer of OpenTelemetry's SDK, and one of our own engine."""
    provider = SdkTracerProvider() if request.param == "sdk" else LeanTracerProvider()
    return provider.get_tracer("tests")


@pytest.fixture
def written() -> Iterator[tuple[Callable[..., logging.Logger], io.StringIO]]:
    """A function that makes a logger which writes into a text, and the text."""
    text = io.StringIO()
    made: list[logging.Logger] = []

    def make(format: str | None = None, formatter: logging.Formatter | None = None) -> logging.Logger:
        logger = logging.Logger(f"tests.{len(made)}")
        handler = logging.StreamHandler(text)
        handler.setFormatter(formatter or (logging.Formatter(format) if format else None))
        logger.addHandler(handler)
        made.append(logger)
        return logger

    yield make, text

"""
Programs that set logging up in the ways that programs do: ``python programs.py WHEN MODE SETUP``.

WHEN is when tellwhy is installed: ``never``, ``first`` (as under the wrapper) or
``last`` (as ``setup_tracing()`` on the last line). Every line that is logged
inside a span has the word "inside"; nothing in a line changes from run to run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

WHEN, MODE, SETUP = sys.argv[1:4]


def install(when: str) -> None:
    if when == WHEN and MODE == "export":
        import tellwhy

        exporting = {"logs_exporter": "otlp", "traces_exporter": "none", "python_disabled_instrumentations": "*"}
        tellwhy.setup_tracing(service_name="shop", **exporting)
    elif when == WHEN:
        from tellwhy.logs import correlation

        correlation.install(MODE, "shop")


install("first")

import logging  # noqa: E402
import logging.config  # noqa: E402
import logging.handlers  # noqa: E402

from opentelemetry import trace  # noqa: E402

SPAN = trace.NonRecordingSpan(trace.SpanContext(0xA11CE, 0xB0B, is_remote=False, trace_flags=trace.TraceFlags(1)))


def inside() -> AbstractContextManager[object]:
    return trace.use_span(SPAN)


def log(logger: logging.Logger) -> None:
    """Log what programs log: below and above the level, with arguments, extras and a traceback."""
    logger.debug("debug outside")
    logger.warning("first outside")
    with inside():
        logger.info("info %s", "inside")
        logger.warning("warning inside", extra={"user": "ann", "trace_id": "mine"})
        logger.getChild("child").error("child inside")
        try:
            raise KeyError("key")
        except KeyError:
            logger.exception("exception inside")
    logger.error("last outside\nwith a second line")


def bare() -> None:
    install("last")
    log(logging.getLogger("app"))


def basic_config() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s:%(name)s:%(message)s")
    install("last")
    log(logging.getLogger("app"))


def basic_config_late() -> None:
    logging.getLogger("app").warning("early outside")
    install("last")
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    log(logging.getLogger("app"))


def root_functions() -> None:
    install("last")
    with inside():
        logging.warning("root inside")  # calls basicConfig


def dict_config() -> None:
    old = logging.getLogger("old")
    logging.config.dictConfig(
        {
            "version": 1,
            "formatters": {"f": {"format": "{levelname} {message} {user}", "style": "{", "defaults": {"user": "-"}}}
            if sys.version_info >= (3, 12)
            else {"f": {"format": "{levelname} {message}", "style": "{"}},
            "handlers": {
                "out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "f"},
                "err": {"class": "logging.StreamHandler", "level": "ERROR"},
            },
            "loggers": {"app": {"handlers": ["out"], "level": "DEBUG"}},
            "root": {"handlers": ["err"]},
        }
    )
    install("last")
    log(logging.getLogger("app"))
    log(old)  # disabled by dictConfig


def file_config() -> None:
    import io

    logging.config.fileConfig(
        io.StringIO(
            "[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=f\n"
            "[logger_root]\nlevel=INFO\nhandlers=h\n"
            "[handler_h]\nclass=StreamHandler\nargs=(sys.stdout,)\nformatter=f\n"
            "[formatter_f]\nformat=%(name)s %(message)s\n"
        )
    )
    install("last")
    log(logging.getLogger("app"))


def record_factory() -> None:
    standard = logging.getLogRecordFactory()

    def factory(*args: object, **kwargs: object) -> logging.LogRecord:
        record = standard(*args, **kwargs)
        record.tenant = "acme"
        return record

    logging.setLogRecordFactory(factory)
    install("last")
    logging.basicConfig(format="%(tenant)s %(message)s")
    log(logging.getLogger("app"))


def record_factory_that_replaces() -> None:
    class Record(logging.LogRecord):
        def getMessage(self) -> str:
            return "own " + super().getMessage()

    install("last")
    logging.basicConfig(format="%(message)s")
    log(logging.getLogger("app"))
    logging.setLogRecordFactory(Record)
    log(logging.getLogger("app"))


def logger_class() -> None:
    class Logger(logging.Logger):
        def makeRecord(self, name, level, fn, lno, msg, args, exc_info, func=None, extra=None, sinfo=None):
            return logging.LogRecord(name, level, fn, lno, msg, args, exc_info, func, sinfo)

    logging.setLoggerClass(Logger)
    install("last")
    logging.basicConfig(format="%(name)s %(message)s")
    log(logging.getLogger("app"))


def filters_and_adapters() -> None:
    logger = logging.getLogger("app")
    logger.addFilter(lambda record: "outside" not in record.getMessage())
    install("last")
    logging.basicConfig(format="%(message)s")
    log(logger)
    with inside():
        logging.LoggerAdapter(logger, {"trace_id": "mine"}).warning("adapter inside")
    logging.disable(logging.CRITICAL)
    log(logger)


def queue_listener() -> None:
    import queue

    records: queue.Queue[logging.LogRecord] = queue.Queue()
    target = logging.StreamHandler(sys.stdout)
    target.setFormatter(logging.Formatter("<%(message)s>"))
    listener = logging.handlers.QueueListener(records, target)
    logger = logging.getLogger("app")
    logger.addHandler(logging.handlers.QueueHandler(records))
    listener.start()
    install("last")
    log(logger)
    listener.stop()


def memory_and_file() -> None:
    import tempfile

    with tempfile.NamedTemporaryFile("r") as file:
        target = logging.FileHandler(file.name)
        target.setFormatter(logging.Formatter("%(message)s"))
        logger = logging.getLogger("app")
        logger.addHandler(logging.handlers.MemoryHandler(100, logging.CRITICAL, target))
        install("last")
        log(logger)
        logging.shutdown()
        sys.stdout.write(file.read())


def warnings_captured() -> None:
    import warnings

    logging.captureWarnings(True)
    install("last")
    logging.basicConfig(format="%(message)s")
    text = " ".join(("warned", "inside"))
    with inside():
        warnings.warn(text, stacklevel=1)
    log(logging.getLogger("app"))


def flask() -> None:
    from flask import Flask

    app = Flask("app")

    @app.get("/")
    def index() -> str:
        with inside():
            app.logger.warning("view inside")
        app.logger.handlers[0].setFormatter(logging.Formatter("flask %(message)s"))
        log(app.logger)
        return "ok"

    install("last")
    app.test_client().get("/")


def celery() -> None:
    from celery import Celery

    app = Celery("app", set_as_current=False)
    app.conf.worker_log_format = "%(levelname)s/%(processName)s %(message)s"
    app.log.setup(loglevel="INFO", redirect_stdouts=True, redirect_level="WARNING", colorize=False)
    install("last")
    log(logging.getLogger("app"))
    with inside():
        sys.stdout.write("print inside\n")
        logging.getLogger("celery.task").warning("task inside")


def uvicorn() -> None:
    from uvicorn.config import LOGGING_CONFIG

    logging.config.dictConfig(LOGGING_CONFIG)
    install("last")
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    with inside():
        args = ("127.0.0.1:1", "GET", "/inside", "1.1", 200)
        logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', *args)
    log(logging.getLogger("app"))


SETUPS: dict[str, Callable[[], None]] = {
    setup.__name__: setup
    for setup in (
        bare,
        basic_config,
        basic_config_late,
        root_functions,
        dict_config,
        file_config,
        record_factory,
        record_factory_that_replaces,
        logger_class,
        filters_and_adapters,
        queue_listener,
        memory_and_file,
        warnings_captured,
        flask,
        celery,
        uvicorn,
    )
}

if __name__ == "__main__":
    SETUPS[SETUP]()

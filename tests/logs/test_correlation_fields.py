"""Every record has the ids of its span, whatever made the record and whatever handles it."""

from __future__ import annotations

import asyncio
import copy
import io
import logging
import logging.handlers
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, Tracer

from tellwhy import diagnostics
from tellwhy.logs import correlation, ids

Writer = tuple[Callable[..., logging.Logger], io.StringIO]

W3C = "%(trace_id)s/%(span_id)s/%(trace_flags)s"
OTEL = "%(otelTraceID)s/%(otelSpanID)s/%(otelTraceSampled)s/%(otelServiceName)s"


def w3c(span: Span) -> str:
    context = span.get_span_context()
    return f"{context.trace_id:032x}/{context.span_id:016x}/{context.trace_flags:02x}"


def otel(span: Span, service: str = "shop") -> str:
    context = span.get_span_context()
    return f"{context.trace_id:032x}/{context.span_id:016x}/{context.trace_flags.sampled}/{service}"


def test_ids_inside_a_span(tracer: Tracer, written: Writer) -> None:
    """Inside a span a record has its ids, under W3C's names and under OpenTelemetry's."""
    make, text = written
    correlation.install("fields", "shop")
    logger = make(f"{W3C} {OTEL}")

    with tracer.start_as_current_span("outer") as outer:
        logger.warning("first")
        with tracer.start_as_current_span("inner") as inner:
            logger.warning("second")
        logger.warning("third")

    expected = [f"{w3c(span)} {otel(span)}" for span in (outer, inner, outer)]
    assert expected == text.getvalue().splitlines()


def test_ids_outside_a_span(written: Writer) -> None:
    """Outside a span the ids are empty, or "0" as opentelemetry-instrumentation-logging has it."""
    make, text = written
    correlation.install("fields", "shop")

    make(f"{W3C} {OTEL}").warning("x")

    assert text.getvalue() == "// 0/0/False/shop\n"


@pytest.mark.parametrize("style, format", [("{", "{trace_id} {otelSpanID}"), ("$", "$trace_id $otelSpanID")])
def test_all_format_styles(tracer: Tracer, written: Writer, style: str, format: str) -> None:
    """The ids are attributes of the record, so every style of format finds them."""
    make, text = written
    correlation.install()
    with tracer.start_as_current_span("s") as span:
        make(formatter=logging.Formatter(format, style=style)).error("x")

    trace_id, span_id, _ = w3c(span).split("/")
    assert f"{trace_id} {span_id}\n" == text.getvalue()


def test_loggers_and_handlers_older_than_us(tracer: Tracer, written: Writer) -> None:
    """A logger that has been in use before the installation writes the ids from then on."""
    make, text = written
    logger = make("%(message)s")
    logger.warning("before")
    correlation.install()
    logger.handlers[0].setFormatter(logging.Formatter(W3C))

    with tracer.start_as_current_span("s") as span:
        logger.warning("after")

    assert ["before", w3c(span)] == text.getvalue().splitlines()


def test_unsampled_spans_have_ids(written: Writer) -> None:
    """A span that is not sampled, or came from another process, joins its lines all the same."""
    make, text = written
    correlation.install()
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=trace.TraceFlags(0))
    with trace.use_span(trace.NonRecordingSpan(context)):
        make(f"{W3C} %(otelTraceSampled)s").warning("x")

    assert f"{0xABC:032x}/{0xDEF:016x}/00 False\n" == text.getvalue()


def test_the_invalid_span_is_no_span(written: Writer) -> None:
    """The API's invalid span stands for "no span", also when it is the current one."""
    make, text = written
    correlation.install()
    with trace.use_span(trace.INVALID_SPAN):
        make(W3C).warning("x")

    assert text.getvalue() == "//\n"


def test_a_broken_span_costs_one_diagnostic_line(written: Writer) -> None:
    """A span class of the program's own that fails takes the ids from its lines, and nothing else."""

    class Broken:
        def get_span_context(self) -> object:
            raise RuntimeError("broken on purpose")

    make, text = written
    voice = io.StringIO()
    diagnostics.configure("normal", voice)
    correlation.install()
    logger = make(f"%(message)s {W3C}")
    for message in ("one", "two"):
        token = otel_context.attach(trace.set_span_in_context(Broken()))
        logger.warning(message)
        otel_context.detach(token)

    assert text.getvalue().splitlines() == ["one //", "two //"]
    assert voice.getvalue().count("broken on purpose") == 1


@pytest.mark.parametrize("order", ["factory before", "factory after"])
def test_record_factory_of_the_program(tracer: Tracer, written: Writer, order: str) -> None:
    """A record factory that replaces all others, set before us or after us, loses nobody's attributes."""

    class Record(logging.LogRecord):
        tenant = "acme"

    make, text = written
    if order == "factory before":
        logging.setLogRecordFactory(Record)
    correlation.install()
    if order == "factory after":
        logging.setLogRecordFactory(Record)

    with tracer.start_as_current_span("s") as span:
        make(formatter=Attributes("tenant", *ids.NAMES)).warning("x")

    assert f"acme/{w3c(span)}\n" == text.getvalue()
    assert logging.getLogRecordFactory() is Record


class Attributes(logging.Formatter):
    """Writes the named attributes, read as attributes."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def format(self, record: logging.LogRecord) -> str:
        return "/".join(str(getattr(record, name)) for name in self.names)


def test_extra_of_the_same_name_stays(tracer: Tracer, written: Writer) -> None:
    """``extra={"trace_id": …}`` raises nothing and is written as the program gave it."""
    make, text = written
    correlation.install()
    logger = make(f"{W3C} %(otelTraceID)s")
    with tracer.start_as_current_span("s") as span:
        logger.warning("x", extra={"trace_id": "mine"})

    trace_id, span_id, flags = w3c(span).split("/")
    assert f"mine/{span_id}/{flags} {trace_id}\n" == text.getvalue()


def test_other_extras_beside_the_ids(tracer: Tracer, written: Writer) -> None:
    """Extras of other names do not keep the ids away."""
    make, text = written
    correlation.install()
    with tracer.start_as_current_span("s") as span:
        make(f"%(user)s {W3C}").warning("x", extra={"user": "ann"})

    assert f"ann {w3c(span)}\n" == text.getvalue()


def test_attributes_of_the_factory_stay(tracer: Tracer, written: Writer) -> None:
    """A factory that sets ``otelTraceID`` (OpenTelemetry's own does) or ``trace_id`` keeps its values."""

    def factory(*args: object, **kwargs: object) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        record.otelTraceID = "theirs"
        return record

    make, text = written
    correlation.install()
    logging.setLogRecordFactory(factory)
    with tracer.start_as_current_span("s") as span:
        make(f"%(otelTraceID)s {W3C}").warning("x")

    assert f"theirs {w3c(span)}\n" == text.getvalue()


def test_logger_class_that_makes_records_its_own_way(tracer: Tracer, written: Writer) -> None:
    """A logger class whose ``makeRecord`` never calls the standard one still writes the ids."""

    class Logger(logging.Logger):
        def makeRecord(self, name, level, fn, lno, msg, args, exc_info, func=None, extra=None, sinfo=None):
            return logging.LogRecord(name, level, fn, lno, f"own {msg}", args, exc_info, func, sinfo)

    make, text = written
    correlation.install()
    logger = Logger("own")
    logger.handlers = make(f"%(message)s {W3C}").handlers
    with tracer.start_as_current_span("s") as span:
        logger.warning("x")

    assert f"own x {w3c(span)}\n" == text.getvalue()


def test_record_that_no_logger_has_seen(tracer: Tracer, written: Writer) -> None:
    """A record given to a handler directly (as loguru does) gets its ids there."""
    make, text = written
    correlation.install()
    handler = make(OTEL).handlers[0]
    with tracer.start_as_current_span("s") as span:
        handler.handle(logging.makeLogRecord({"msg": "x"}))

    assert f"{otel(span, '')}\n" == text.getvalue()


def test_record_from_another_process_keeps_its_ids(tracer: Tracer, written: Writer) -> None:
    """A record that came over a socket says the ids it was sent with, whatever is current here."""
    make, text = written
    correlation.install()
    sent = {"msg": "x", "levelno": logging.ERROR, "trace_id": "a" * 32, "span_id": "b" * 16, "trace_flags": "01"}
    with tracer.start_as_current_span("s"):
        make(W3C).handle(logging.makeLogRecord(sent))

    assert f"{'a' * 32}/{'b' * 16}/01\n" == text.getvalue()


def test_queue_handler_and_listener(tracer: Tracer, written: Writer) -> None:
    """A record written by a listener's thread has the ids of the thread that made it."""
    make, text = written
    correlation.install()
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    listener = logging.handlers.QueueListener(records, *make(f"%(message)s {W3C}").handlers)
    logger = logging.Logger("queued")
    logger.addHandler(logging.handlers.QueueHandler(records))
    listener.start()
    with tracer.start_as_current_span("s") as span:
        logger.warning("x")
    logger.warning("y")
    listener.stop()

    assert [f"x {w3c(span)}", "y //"] == text.getvalue().splitlines()


def test_records_can_be_copied_and_pickled(tracer: Tracer) -> None:
    """What is on the record is plain text and bool: any process can read it, with or without tellwhy."""
    correlation.install("fields", "shop")
    seen: list[logging.LogRecord] = []
    logger = logging.Logger("pickled")
    handler = logging.Handler()
    handler.emit = seen.append
    logger.addHandler(handler)
    with tracer.start_as_current_span("s") as span:
        logger.warning("x")

    names = ("trace_id", "span_id", "trace_flags", "otelTraceID", "otelSpanID", "otelServiceName")
    for record in (copy.copy(seen[0]), pickle.loads(pickle.dumps(seen[0]))):
        assert {str} == {type(getattr(record, name)) for name in names}
        assert record.otelTraceSampled is True
        assert w3c(span) == f"{record.trace_id}/{record.span_id}/{record.trace_flags}"


def test_threads_do_not_see_each_other(tracer: Tracer) -> None:
    """Records of threads that log at the same time have each their own thread's ids."""
    correlation.install()
    wrong: list[str] = []
    start = threading.Barrier(4)

    def work() -> None:
        logger = logging.Logger("thread")
        handler = logging.Handler()
        logger.addHandler(handler)
        seen: list[logging.LogRecord] = []
        handler.emit = seen.append
        start.wait()
        for _ in range(300):
            with tracer.start_as_current_span("s") as span:
                logger.warning("x")
                record = seen.pop()
                if w3c(span) != f"{record.trace_id}/{record.span_id}/{record.trace_flags}":
                    wrong.append(f"{w3c(span)} {record.__dict__}")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_tasks_do_not_see_each_other(tracer: Tracer, written: Writer) -> None:
    """Records of asyncio tasks that take turns have each their own task's ids."""
    make, text = written
    correlation.install()
    logger = make(f"%(message)s {W3C}")
    expected: set[str] = set()

    async def work(name: str) -> None:
        with tracer.start_as_current_span(name) as span:
            for turn in range(3):
                logger.warning(f"{name}{turn}")
                expected.add(f"{name}{turn} {w3c(span)}")
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(work(name) for name in "abc"))

    asyncio.run(main())

    assert expected == set(text.getvalue().splitlines())


def test_filters_run_as_they_did(written: Writer) -> None:
    """Filters see the ids, may change them, may drop the record, and return what they returned before."""
    make, text = written
    logger = make("%(message)s %(trace_id)s")
    record = logging.makeLogRecord({"msg": "x"})
    before = logger.filter(record)
    correlation.install()
    assert type(before) is type(logger.filter(record))

    def mark(record: logging.LogRecord) -> bool:
        record.trace_id = f"[{record.trace_id}]"
        return record.getMessage() != "dropped"

    logger.addFilter(mark)
    logger.warning("dropped")
    logger.warning("kept")

    assert not logger.filter(logging.makeLogRecord({"msg": "dropped"}))
    assert text.getvalue() == "kept []\n"


def test_filter_of_a_library_that_wrapped_first(written: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another library that has wrapped the same method before us is still called for every record."""
    make, text = written
    standard = logging.Filterer.filter
    seen: list[str] = []

    def theirs(self: logging.Filterer, record: logging.LogRecord) -> object:
        seen.append(type(self).__name__)
        return standard(self, record)

    monkeypatch.setattr(logging.Filterer, "filter", theirs)
    correlation.install()
    make("%(message)s%(trace_id)s").warning("x")
    correlation.uninstall()

    assert text.getvalue() == "x\n"
    assert seen == ["Logger", "StreamHandler"]
    assert logging.Filterer.filter is theirs


def test_second_install_changes_name_only(written: Writer) -> None:
    """Installing twice puts nothing in twice; the later service name is in force."""
    make, text = written
    correlation.install("fields", "first")
    ours = logging.Filterer.filter
    correlation.install("fields", "second")
    make("%(otelServiceName)s").warning("x")

    assert logging.Filterer.filter is ours
    assert text.getvalue() == "second\n"


def test_uninstall_restores_the_standard_library(written: Writer) -> None:
    """After the uninstallation records are bare again; a second call does nothing."""
    make, text = written
    standard = logging.Filterer.filter, logging.Handler.format
    uninstall = correlation.install("text")
    assert logging.Filterer.filter is not standard[0]
    uninstall()
    uninstall()
    make(formatter=Attributes("__dict__")).warning("x")

    assert (logging.Filterer.filter, logging.Handler.format) == standard
    assert "trace_id" not in text.getvalue()


def test_uninstall_under_a_wrapper_of_others(written: Writer) -> None:
    """What others wrapped around ours stays; ours passes through, and a new installation wakes it."""
    make, text = written
    standard = logging.Filterer.filter
    uninstall = correlation.install()
    ours = logging.Filterer.filter

    def theirs(self: logging.Filterer, record: logging.LogRecord) -> object:
        return ours(self, record)

    logging.Filterer.filter = theirs
    try:
        uninstall()
        assert logging.Filterer.filter is theirs
        logger = make(formatter=HasIds())
        logger.warning("asleep")
        logger.warning("asleep", extra={"user": "ann"})
        correlation.install()
        logger.warning("awake")
    finally:
        logging.Filterer.filter = ours
        correlation.uninstall()
    assert text.getvalue().splitlines() == ["False", "False", "True"]
    assert logging.Filterer.filter is standard


class HasIds(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return str("trace_id" in record.__dict__)


def test_off_installs_nothing_and_undoes() -> None:
    """Mode ``off`` leaves ``logging`` as it is, and as it was if something was installed."""
    standard = logging.Filterer.filter
    correlation.install("fields")
    correlation.install("off")

    assert logging.Filterer.filter is standard


def test_unknown_mode_is_refused() -> None:
    """A mode that is none of the four raises, and says which there are."""
    with pytest.raises(ValueError, match="fields, text, json or off"):
        correlation.install("jsno")


def test_nothing_heavy_is_imported() -> None:
    """Our module imports no ``logging``, and logging with ids imports no OpenTelemetry and no json."""
    program = (
        "import sys\n"
        "from tellwhy.logs import correlation\n"
        "assert 'logging' not in sys.modules\n"
        "correlation.install('text', 'shop')\n"
        "import logging\n"
        "logging.basicConfig(format='%(message)s [%(otelTraceID)s]')\n"
        "logging.warning('hello')\n"
        "print([n for n in ('opentelemetry', 'json', 'typing', 'loguru', 'structlog') if n in sys.modules])\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "with TracerProvider().get_tracer('t').start_as_current_span('s') as span:\n"
        "    logging.warning('inside')\n"
        "print(format(span.get_span_context().trace_id, '032x'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    imported, trace_id = done.stdout.splitlines()
    assert imported == "[]"
    assert ["hello [0]", f"inside [{trace_id}]"] == done.stderr.splitlines()


def test_context_runtime_of_another_kind(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context that is not kept in a ContextVar (OTEL_PYTHON_CONTEXT) is asked through its public method."""

    class Runtime:
        def get_current(self) -> object:
            return current

    with tracer.start_as_current_span("s") as span:
        current = otel_context.get_current()
    with monkeypatch.context() as patched:
        patched.setattr(otel_context, "_RUNTIME_CONTEXT", Runtime())
        patched.setattr(ids, "_context", ids._context_if_imported)
        fields = ids.current()

    assert f"{span.get_span_context().trace_id:032x}" == fields[0]


def test_api_without_the_private_names(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API that has renamed what we read directly is asked by ``get_current_span``."""
    span = tracer.start_span("s")
    monkeypatch.delattr("opentelemetry.trace.propagation._SPAN_KEY")
    monkeypatch.setattr(ids, "_context", ids._context_if_imported)
    monkeypatch.setattr(ids, "_span_key", "")
    monkeypatch.setattr("opentelemetry.trace.get_current_span", lambda: span)

    assert f"{span.get_span_context().span_id:016x}" == ids.current()[1]


def test_ids_in_a_copied_context(tracer: Tracer, written: Writer) -> None:
    """A callback that runs in a copied ``contextvars.Context`` logs with the span of that context."""
    make, text = written
    correlation.install()
    logger = make(W3C)
    with tracer.start_as_current_span("s") as span:
        context = copy_context()
    context.run(logger.warning, "x")

    assert f"{w3c(span)}\n" == text.getvalue()

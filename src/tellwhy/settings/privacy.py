# SPDX-License-Identifier: Apache-2.0
"""The rows of the table that say what is not recorded, whom to believe, and how far a trace follows the work."""

from __future__ import annotations

from tellwhy.settings import grammar as g
from tellwhy.settings.setting import Setting

_ON_OFF = g.Choice("on", "off")
_PROBES = (
    "/health,/healthz,/health/live,/health/ready,/healthcheck,/health-check,/_health,/livez,/liveness,/readyz,"
    "/readiness,/ready,/-/healthy,/-/ready,/__heartbeat__,/__lbheartbeat__,/metrics,/favicon.ico"
)


def _mask_headers(rules: tuple[str, ...]) -> str:
    return ",".join(rule.partition("=")[0] + "=****" if "=" in rule else rule for rule in rules)


class Privacy:
    """These rows; see ``Table``."""

    __slots__ = ()

    # ------------------------------------------------------------------ privacy
    redact: Setting[str | None] = Setting(
        "TELLWHY_REDACT",
        g.text,
        None,
        "Key patterns and `/regular expressions/` to redact beside the built-in lists, which always apply.",
    )
    sql = Setting(
        "TELLWHY_SQL",
        g.Choice("scrubbed", "raw", "off"),
        "scrubbed",
        "SQL in spans: literals replaced, as it is, or not at all.",
    )
    sql_parameters: Setting[tuple[str, ...]] = Setting(
        "TELLWHY_SQL_PARAMETERS",
        g.words,
        (),
        "Parameters of statements to record, by name or by position from 0: `order_id,0`. None unless named.",
    )
    excluded_paths: Setting[tuple[str, ...]] = Setting(
        "TELLWHY_EXCLUDED_PATHS",
        g.Checked(
            "patterns of whole paths like /healthz or /internal/*, `default`, or `none`",
            g.is_path_glob,
            {"default": tuple(_PROBES.split(",")), "none": ()},
        ),
        tuple(_PROBES.split(",")),
        "Paths of requests to leave untraced, with all that is done for them: `/healthz`, `/internal/*`."
        " `default` in a list stands for this list, and `none` alone is no path.",
    )
    trust_incoming: Setting[tuple[str, ...]] = Setting(
        "TELLWHY_TRUST_INCOMING",
        g.Checked(
            "`always`, `never`, or a list of addresses like 10.0.0.0/8 and headers like header:x-gateway=value",
            g.is_trust_rule,
            safe="never",
        ),
        ("always",),
        "Whose `traceparent` and `baggage` are believed; others begin a trace of their own, linked to theirs.",
        secret=True,
        mask=_mask_headers,
    )

    # ------------------------------------------------------------------- context
    context_threads = Setting(
        "TELLWHY_CONTEXT_THREADS",
        _ON_OFF,
        "on",
        "Whether threads and timers know the span that was current where they were started.",
    )
    context_executors = Setting(
        "TELLWHY_CONTEXT_EXECUTORS",
        _ON_OFF,
        "on",
        "Whether calls in executors and pools, of threads or processes, know the span of whoever asked for them.",
    )
    context_processes = Setting(
        "TELLWHY_CONTEXT_PROCESSES",
        _ON_OFF,
        "on",
        "Whether processes of multiprocessing that are spawned know the span that they were started in.",
    )
    context_greenlets = Setting(
        "TELLWHY_CONTEXT_GREENLETS",
        _ON_OFF,
        "on",
        "Whether greenlets of gevent and eventlet know the span that they were spawned in.",
    )
    context_link_after = Setting(
        "TELLWHY_CONTEXT_LINK_AFTER",
        g.milliseconds,
        5000,
        "After so long, and after the end of the span that was carried there, spans in a thread, task or greenlet"
        " are roots with a link to it and no longer its children; in milliseconds.",
    )

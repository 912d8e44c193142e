# SPDX-License-Identifier: Apache-2.0
"""What is a kind of secret, and through which door does a sample of it go?

Keys with an issuer's prefix are put together in these files, so that no scanner takes them for a leak.
"""

from __future__ import annotations

from typing import NamedTuple

from tellwhy import redaction

W = "hunter2Zq9"  # a password that is in no dictionary
JWT = "ey" + "JhbGciOiJIUzI1NiJ9." + "ey" + "JzdWIiOiJib2IiLCJpYXQiOjF9." + "dBjftJeZ4CVPmB92K27uhbUJU1p1r"
PEM = (
    "-----BEGIN "
    + "PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7\n-----END PRIVATE KEY-----"
)


class Kind(NamedTuple):
    """One kind: its group, what it is, through which door it comes, as what, the secrets, and what must stay."""

    group: str
    name: str
    door: str
    sample: object
    secrets: tuple[str, ...]
    stays: tuple[str, ...] = ()


class Readable(NamedTuple):
    """What must pass as it is, since people need it to find out why."""

    name: str
    door: str
    sample: object


def leaves(kind: Kind | Readable) -> object:
    """Return what leaves the process of a sample."""
    door, _, argument = kind.door.partition(" ")
    sample = kind.sample
    if door == "sql":
        return redaction.scrub_sql(sample, argument or "postgresql")
    if door == "url":
        return redaction.redact_url(sample)
    if door == "query":
        return redaction.redact_query(sample)
    if door == "header":
        return redaction.redact_header(argument, sample)
    if door == "attribute":
        return redaction.redact_value(argument, sample)
    if door == "text":
        return redaction.redact_text(sample)
    if door == "database":
        return redaction.scrub_db_error(sample)
    if door == "setting":
        return {"headers": redaction.mask_headers, "dsn": redaction.mask_dsn}[argument](sample)
    raise ValueError(kind.door)

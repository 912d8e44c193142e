# SPDX-License-Identifier: Apache-2.0
"""The declared table of kinds: no byte of a secret survives, and what is useful does."""

from __future__ import annotations

from pathlib import Path

import pytest

from redaction.kind import Kind, Readable, leaves
from redaction.kinds import KINDS, READABLE, markdown

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "redaction.md"


def pieces(secret: str, size: int = 5) -> set[str]:
    """Every run of some characters of a secret: none of them may survive, not only the whole."""
    return {secret[start : start + size] for start in range(max(1, len(secret) - size + 1))}


@pytest.mark.parametrize("kind", KINDS, ids=[f"{kind.group}: {kind.name}" for kind in KINDS])
def test_no_piece_of_a_secret_leaves_and_its_surroundings_do(kind: Kind) -> None:
    """A secret disappears to the last five characters; the key, the verb, the host beside it stay."""
    left = str(leaves(kind))

    survived = {piece for secret in kind.secrets for piece in pieces(secret) if piece in left}
    lost = [stay for stay in kind.stays if stay not in left]

    assert (set(), []) == (survived, lost), left


@pytest.mark.parametrize("kind", KINDS, ids=[f"{kind.group}: {kind.name}" for kind in KINDS])
def test_what_was_redacted_passes_a_second_time_unchanged(kind: Kind) -> None:
    """A span of ours is redacted where values enter and once more at export."""
    once = leaves(kind)

    assert once == leaves(kind._replace(sample=once))


@pytest.mark.parametrize("readable", READABLE, ids=[f"{readable.door}: {readable.name}" for readable in READABLE])
def test_what_is_useful_passes_as_it_is(readable: Readable) -> None:
    """A false positive is a defect: routes, ids, hosts, hashes and harmless parameters are the answer to why."""
    assert readable.sample == leaves(readable)


def test_the_table_is_wide() -> None:
    """At least sixty kinds of secrets, each once."""
    names = [(kind.group, kind.name) for kind in KINDS]

    assert len(names) == len(set(names)) >= 60


def test_the_page_shows_the_table() -> None:
    """The documentation's tables are these; ``PYTHONPATH=tests python -m redaction.kinds`` writes them anew."""
    assert markdown() in PAGE.read_text("utf-8")

# SPDX-License-Identifier: Apache-2.0
"""Which arguments of a command are secrets, when they come as a list?"""

from __future__ import annotations

from tellwhy.redaction.text import redact_text
from tellwhy.redaction.words import REDACTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tellwhy.redaction.keys import Keys

# The short options of well-known programs that take a password as the next argument or directly behind.
_NEXT: Final = {"redis-cli": "-a", "valkey-cli": "-a", "sshpass": "-p"}
_GLUED: Final = {"mysql": "-p", "mysqldump": "-p", "mysqladmin": "-p", "mariadb": "-p", "sshpass": "-p"}


def redact_arguments(arguments: list[str], keys: Keys) -> list[str]:
    """Return the arguments without secrets: those behind ``--password`` and the like, and those inside."""
    program = arguments[0].rpartition("/")[2] if arguments else ""
    taken = _NEXT.get(program)
    glued = _GLUED.get(program)
    out: list[str] = []
    before = ""
    for argument in arguments:
        if before and (before == taken or (before[0] == "-" and before != argument and _is_secret(before, keys))):
            out.append(REDACTED if argument[:1] != "-" or before == taken else redact_text(argument, keys))
        elif before == "-u" and program == "curl" and ":" in argument:
            out.append(f"{argument.partition(':')[0]}:{REDACTED}")
        elif glued and argument.startswith(glued) and len(argument) > len(glued):
            out.append(glued + REDACTED)
        else:
            out.append(redact_text(argument, keys))
        before = argument
    return out


def _is_secret(option: str, keys: Keys) -> bool:
    name = option.lstrip("-")
    return "=" not in name and len(name) > 1 and keys.name(name)

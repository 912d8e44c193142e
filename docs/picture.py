# SPDX-License-Identifier: Apache-2.0
"""
Makes the README's picture from a real run of the demo: ``pip install ".[demo]" rich && python docs/picture.py``.

The demo draws on a pseudo-terminal of 100 columns; what it draws becomes an SVG.
"""

from __future__ import annotations

import io
import os
import pty
import struct
import sys
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

from rich.console import Console
from rich.text import Text

WIDTH = 100
TARGET = Path(__file__).parent / "images" / "trace.svg"
# Rich's template without its web fonts: the picture must not load anything.
TEMPLATE = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>{lines}</defs>
<rect fill="#1b1f27" width="{width}" height="{height}" rx="8"/>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g></g></svg>
"""


def run_demo() -> str:
    """Return what the demo draws on a terminal, with its colours."""
    child, terminal = pty.fork()
    if child == 0:
        ioctl(1, TIOCSWINSZ, struct.pack("HHHH", 60, WIDTH, 0, 0))
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
        os.execv(sys.executable, [sys.executable, "-m", "tellwhy", "demo", "--once"])
    output = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        output += chunk
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise SystemExit("the demo has failed")
    return output.decode()


def last_trace(text: str) -> str:
    """Return the legend and the trace that failed, the most telling one."""
    lines = text.replace("\r\n", "\n").split("\n")
    start = next(number for number, line in enumerate(lines) if "foreign card" in Text.from_ansi(line).plain)
    end = next(number for number in range(start + 1, len(lines)) if "none missing" in lines[number])
    return "\n".join(lines[start + 1 : end]).rstrip()


def main() -> None:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(last_trace(run_demo())))
    TARGET.write_text(console.export_svg(title="", code_format=TEMPLATE, unique_id="trace"), encoding="utf-8")
    print(TARGET)


if __name__ == "__main__":
    main()

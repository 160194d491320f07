"""A program on a real terminal, and what can be read on its screen."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte

COLUMNS, LINES = 80, 24
ROOT = Path(__file__).parents[3]
PATHS = ("api", "client", "operator", "runner", "gateway")
WAIT_SECONDS = 120.0


class Terminal:
    """`t2v` with these words."""

    def __init__(self, *words: str, columns: int = COLUMNS) -> None:
        paths = os.pathsep.join(str(ROOT / each) for each in PATHS)
        environment = os.environ | {"TERM": "xterm-256color", "PYTHONPATH": paths}
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            environment.pop(name, None)
        self.screen = pyte.HistoryScreen(columns, LINES, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self._process: pexpect.spawn[bytes] = pexpect.spawn(
            sys.executable,
            ["-m", "t2v_operator", *words],
            env=environment,
            dimensions=(LINES, columns),
            timeout=WAIT_SECONDS,
            preexec_fn=_heed_ctrl_c,
        )
        self.written = b""

    def read(self, until: Callable[[list[str]], bool] = lambda _: False) -> list[str]:
        """The screen's lines once they are so, or once the program has ended."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            try:
                some = self._process.read_nonblocking(65536, timeout=1)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                break
            self.written += some
            self._stream.feed(some)
            if until(self.lines):
                break
        return self.lines

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    @property
    def everything(self) -> list[str]:
        """With what has scrolled away."""
        above = [
            "".join(line[column].data for column in range(self.screen.columns)).rstrip()
            for line in self.screen.history.top
        ]
        return [each for each in (*above, *self.lines) if each]

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self._process.sendintr()

    @property
    def code(self) -> int | None:
        self._process.close()
        return self._process.exitstatus


def _heed_ctrl_c() -> None:
    """As a shell has it: what a script runs in the background is deaf, and so are its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

"""Start programs that outlive this one, and end exactly those."""

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError


@dataclass(frozen=True)
class Daemons:
    """The programs whose process ids and logs lie in one folder."""

    folder: Path

    def start(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str], cwd: Path
    ) -> None:
        """Start `command` in a session of its own, with nothing in its environment but this one.

        Not with subprocess: its objects complain when a program is meant to outlive them.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawnp(
            "env",
            ["env", "-C", str(cwd), *(str(word) for word in command)],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log(name)), append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        self._pid_file(name).write_text(f"{pid} {_start_time(pid)}\n")

    def is_alive(self, name: str) -> bool:
        return self._pid(name) is not None

    def names(self) -> list[str]:
        return sorted(file.stem for file in self.folder.glob("*.pid"))

    def stop(self, name: str, timeout_seconds: float = 10) -> None:
        """Ask it to end, then make it. Nothing happens when it is gone already."""
        for request, patience in ((signal.SIGTERM, timeout_seconds), (signal.SIGKILL, 5.0)):
            pid = self._pid(name)
            if pid is None:
                break
            with suppress(ProcessLookupError):
                os.kill(pid, request)
            self._wait_for_end(name, patience)
        else:
            if self.is_alive(name):
                raise HarnessError(f"{name} does not end; its log is {self.log(name)}")
        self._pid_file(name).unlink(missing_ok=True)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """The program does nothing until the block ends, and knows nothing of it."""
        pid = self._pid(name)
        assert pid, f"{name} does not run"
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _pid_file(self, name: str) -> Path:
        return self.folder / f"{name}.pid"

    def _pid(self, name: str) -> int | None:
        """Its process id while it runs. The start time tells it from a later one of that number."""
        try:
            pid, started = self._pid_file(name).read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if _start_time(int(pid)) == started else None

    def _wait_for_end(self, name: str, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        while self.is_alive(name) and time.monotonic() < deadline:
            time.sleep(0.05)


def _start_time(pid: int) -> str | None:
    """The kernel's start time of a running process; None for one that is gone or a zombie."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, start_time = fields[0], fields[19]
    return None if state in "ZX" else start_time

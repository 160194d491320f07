"""Put finished files under their final names, all together at the end or not at all."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from t2v_api.delivery import RECORD_FILE
from t2v_api.result import GenerationResult, read_outcome

from t2v_runner.errors import StorageFailed

WORKING = ".making-"
"""Begins the name of a working folder."""
LOCK = "lock"
"""In a working folder: locked as long as the process that works there lives."""


class Publication:
    """A working folder beside the final files; gone when the block ends.

    A killed process leaves its own behind; the next one takes it away.

    The record is the last to appear: whoever finds it finds the video too.
    """

    def __init__(self, output_dir: Path) -> None:
        self._output_dir = output_dir
        self._made_output_dir = False
        self._working: Path | None = None
        self._lock = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._made_output_dir = not self._output_dir.exists()
            self._output_dir.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(self._output_dir)
            self._working = Path(tempfile.mkdtemp(prefix=WORKING, dir=self._output_dir))
            self._lock.enter_context(_claimed(self._working))
        except OSError as error:
            raise _storage_failed(error, self._output_dir) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._working:
            shutil.rmtree(self._working, ignore_errors=True)
        self._lock.close()
        if error is not None and self._made_output_dir and not any(self._output_dir.iterdir()):
            self._output_dir.rmdir()

    def path(self, name: str) -> Path:
        """Where to write the file that will be called `name`."""
        assert self._working  # set on entering
        return self._working / name

    def publish(self, result: GenerationResult) -> None:
        """Move the files that `result` names to their final names, then the record."""
        self.path(RECORD_FILE).write_text(result.model_dump_json(by_alias=True, indent=2) + "\n")
        for name in (*result.output, RECORD_FILE):
            _flush(self.path(name))
        (self._output_dir / RECORD_FILE).unlink(missing_ok=True)
        for name in (*result.output, RECORD_FILE):
            self.path(name).replace(self._output_dir / name)


def left_behind(output_dir: Path) -> GenerationResult | None:
    """What an earlier run of the same request published here, if it is still there, whole."""
    try:
        record = read_outcome((output_dir / RECORD_FILE).read_text())
        if not isinstance(record, GenerationResult):
            return None
        with (output_dir / record.output[0]).open("rb") as video:
            is_whole = hashlib.file_digest(video, "sha256").hexdigest() == record.video.sha256
        is_whole = is_whole and all((output_dir / name).is_file() for name in record.output)
    except (OSError, ValueError):
        return None
    return record if is_whole else None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file's lock until the block ends. Raises OSError where another process holds it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Mark the folder as one in use; where the file system has no locks, do without.

    The lock has its name only when it is held, so that nobody takes it in between.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(_locked(folder / f".{LOCK}"))
            (folder / f".{LOCK}").rename(folder / LOCK)
        yield


def _remove_leftovers(output_dir: Path) -> None:
    """Remove the working folders whose process is dead: nobody holds their lock any more."""
    for folder in output_dir.glob(f"{WORKING}*"):
        if (folder / LOCK).exists():
            with contextlib.suppress(OSError), _locked(folder / LOCK):
                shutil.rmtree(folder, ignore_errors=True)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _storage_failed(error: OSError, output_dir: Path) -> StorageFailed:
    return StorageFailed(f"cannot write to {output_dir}: {error.strerror}")

"""What every test needs that makes videos in its own process, and where a run's time goes."""

import gc
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from _pytest.terminal import TerminalReporter

LONGEST = 12


@pytest.fixture(autouse=True)
def the_process_goes_on() -> Iterator[None]:
    """A runner process ends with its video and never looks for garbage in what it has loaded."""
    yield
    gc.unfreeze()


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """The seconds of each folder, and of the files that took longest."""
    files: Counter[str] = Counter()
    folders: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                path = PurePosixPath(report.location[0])
                files[str(path)] += report.duration
                folders[str(path.parent)] += report.duration
    terminalreporter.section("seconds by folder and file")
    for name, seconds in [*folders.most_common(LONGEST), *files.most_common(LONGEST)]:
        terminalreporter.write_line(f"{seconds:8.1f}  {name}")

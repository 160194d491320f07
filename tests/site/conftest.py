"""The site, built once, as `make docs` builds it."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.site.pages import ROOT


@dataclass(frozen=True)
class BuiltSite:
    """Its folder, and what the builder said."""

    folder: Path
    said: str

    @property
    def pages(self) -> list[Path]:
        return sorted(self.folder.rglob("*.html"))


@pytest.fixture(scope="session")
def site() -> BuiltSite:
    ended = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs_site.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0, said
    return BuiltSite(ROOT / "build" / "site", said)

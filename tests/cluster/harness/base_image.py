"""The base image `localhost/python:bookworm`: Debian's Python, without an image registry.

It stands in for the official python image: `python`, `python3` and `pip` are on the path.
"""

import os
import shutil
import tempfile
from pathlib import Path

from harness import buildah
from harness.commands import GENTLY, Words, run
from harness.layout import CACHE
from harness.stopwatch import step

BASE_IMAGE = "localhost/python:bookworm"
# Debian bookworm's.
BASE_PYTHON = (3, 11)

_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
_ARCHIVE = CACHE / "base-image.tar"
_DOCKERFILE = f'FROM scratch\nADD {_ARCHIVE.name} /\nCMD ["python3"]\n'
_NOT_NEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale")


def ensure_base_image() -> None:
    """Make the base image unless the build storage has it."""
    if buildah.image_id(BASE_IMAGE):
        return
    if not _ARCHIVE.exists():
        with step("bootstrap the base image"):
            _bootstrap()
    with step("import the base image"), tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        context = Path(scratch)
        (context / "Dockerfile").write_text(_DOCKERFILE)
        os.link(_ARCHIVE, context / _ARCHIVE.name)
        buildah.build(context / "Dockerfile", BASE_IMAGE, {}, context)


def _bootstrap() -> None:
    """Write the root file system as a tar archive."""
    root = Path(tempfile.mkdtemp(prefix="debootstrap-", dir=CACHE))
    try:
        options = ["--variant=minbase", f"--include={_PACKAGES}"]
        command: Words = [*GENTLY, "debootstrap", *options, "bookworm", root]
        run(command, environment={"LC_ALL": "C"}, timeout_seconds=1800)
        _finish(root)
        unfinished = _ARCHIVE.with_suffix(f".{os.getpid()}")
        run([*GENTLY, "tar", "-C", root, "--numeric-owner", "-cf", unfinished, "."])
        unfinished.rename(_ARCHIVE)
    finally:
        shutil.rmtree(root)


def _finish(root: Path) -> None:
    for folder in _NOT_NEEDED:
        shutil.rmtree(root / folder, ignore_errors=True)
    (root / "etc/resolv.conf").write_text("")
    (root / "etc/hostname").write_text("")
    # A mount point for the build's pip configuration, so that mounting it leaves nothing behind.
    (root / "etc/pip.conf").write_text("")
    # `pip install` works as in the official image.
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")

"""A folder of installed Python packages (torch, diffusers) that pods mount read-only.

It saves an image of 6 GB. A pod of the base image mounts the folder anywhere and names it in
PYTHONPATH. A folder like this fits Debian bookworm's Python 3.11 only.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from harness import buildah
from harness.base_image import BASE_IMAGE, BASE_PYTHON, ensure_base_image
from harness.layout import CACHE, locked
from harness.stopwatch import step


def runner_environment(requirements: Path) -> Path:
    """The folder of packages: this Python's own where it fits, else one made and kept in the cache.

    The first making downloads whatever `requirements` names: gigabytes, for torch.
    """
    return _own_packages(requirements) or _made_packages(requirements)


def _own_packages(requirements: Path) -> Path | None:
    """This interpreter's packages, when pods' Python can use them and no requirement is missing."""
    if sys.version_info[:2] != BASE_PYTHON:
        return None
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index"]
    ended = subprocess.run(
        [*command, "--quiet", "--requirement", str(requirements)],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0 or "Would install" in ended.stdout:
        return None
    return Path(sysconfig.get_path("platlib"))


def _made_packages(requirements: Path) -> Path:
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = CACHE.parent / "runner-env" / digest
    with locked():
        if folder.exists():
            return folder
        ensure_base_image()
        with step("install the runner's packages"):
            unfinished = folder.with_name(f".{digest}.{os.getpid()}")
            (unfinished / "tmp").mkdir(parents=True)
            shutil.copy2(requirements, unfinished / "requirements.txt")
            _install(unfinished)
            (unfinished / "packages").rename(folder)
            shutil.rmtree(unfinished)
    return folder


def _install(folder: Path) -> None:
    """Let the base image's own pip install, so that the packages fit its Python."""
    container = buildah.buildah("from", BASE_IMAGE).strip()
    try:
        volumes = [f"{folder}:/mnt:rw", *buildah.machine_volumes()]
        pip = ["python3", "-m", "pip", "install", "--quiet", "--target", "/mnt/packages"]
        buildah.buildah(
            *("run", "--isolation=chroot", "--network=host", "--env=TMPDIR=/mnt/tmp"),
            *(f"--volume={volume}" for volume in volumes),
            *(container, "--", *pip, "--requirement", "/mnt/requirements.txt"),
        )
    finally:
        buildah.buildah("rm", container)

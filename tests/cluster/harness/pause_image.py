"""The image of a pod's first container, made from this repository instead of a registry."""

import shutil
import tempfile
from pathlib import Path

from harness import buildah
from harness.go_programs import go_program
from harness.layout import CACHE
from harness.settings import PAUSE_IMAGE
from harness.stopwatch import step

_DOCKERFILE = 'FROM scratch\nCOPY pause /pause\nUSER 65535\nENTRYPOINT ["/pause"]\n'


def pause_archive() -> Path:
    """The archive of the image, built when there is none for this version of the program."""
    program = go_program("pause")
    archive = program.with_name("pause-image.tar")
    if archive.exists():
        return archive
    with step("build the pause image"), tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        context = Path(scratch)
        (context / "Dockerfile").write_text(_DOCKERFILE)
        shutil.copy2(program, context / "pause")
        buildah.build(context / "Dockerfile", PAUSE_IMAGE, {}, context)
        buildah.save(PAUSE_IMAGE, archive)
    return archive

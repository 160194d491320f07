"""The version before this one: its packaged chart, and its operator's image from the history.

At a release both constants are set to it (`scripts/release` says so).
"""

import io
import tarfile
from pathlib import Path

from harness.cluster import Cluster
from harness.commands import run
from harness.errors import CommandError
from installation import OPERATOR_IMAGE, ROOT

COMMIT = "c5fcf09"
CHART_BEFORE = Path(__file__).parent / "earlier" / "text-to-video-operator-0.2.0.tgz"
IMAGE_BEFORE = "localhost/text-to-video-operator:before"


def image_before(cluster: Cluster, folder: Path) -> str:
    """The earlier operator's image, built from the history; today's where there is no history."""
    try:
        archive = folder / "before.tar"
        run(["git", "archive", "--output", archive, COMMIT], cwd=ROOT)
    except (CommandError, FileNotFoundError):
        return OPERATOR_IMAGE
    context = folder / "before"
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as sources:
        sources.extractall(context, filter="data")
    cluster.build_image(context / "operator" / "Dockerfile", IMAGE_BEFORE, context=context)
    cluster.load_image(IMAGE_BEFORE)
    return IMAGE_BEFORE

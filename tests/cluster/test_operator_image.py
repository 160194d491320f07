"""The operator's image itself: its size, and that it holds all that its processes import."""

import json
from pathlib import Path

import pytest
from harness import buildah
from harness.base_image import BASE_IMAGE
from harness.cluster import Cluster
from harness.one_node import OneNodeCluster
from installation import OPERATOR_IMAGE

ROOT = Path(__file__).parents[2]

WHOLE_MB = 200
SLIM_MB = 130
"""python:3.12-slim, unpacked, is said to be 125 to 130; the upper one. Not measured here."""
SLIM_LACKS_MB = 6
"""The standard library's bytecode: the slim image has none, so the build adds what is imported."""


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    if not isinstance(cluster, OneNodeCluster):
        pytest.skip("only the harness's own build storage can be asked")
    dockerfile = ROOT / "operator" / "Dockerfile"
    return cluster.build_image(dockerfile, OPERATOR_IMAGE, context=ROOT)


def test_what_the_image_adds_to_its_base_leaves_it_under_200_mb(image: str) -> None:
    assert _mb(image) - _mb(BASE_IMAGE) <= WHOLE_MB - SLIM_MB - SLIM_LACKS_MB


def test_all_that_may_be_imported_is_there_and_compiled(image: str) -> None:
    container = buildah.buildah("from", image).strip()
    try:
        script = (
            "python /app/import_all.py 2>&1; "
            "find /app -name '*.py' ! -name __main__.py ! -name import_all.py | wc -l; "
            "find /app -name '*.pyc' | wc -l"
        )
        words = ("--isolation=chroot", "--user=65532:65532", container, "--", "sh", "-c", script)
        said, files, compiled = buildah.buildah("run", *words).splitlines()[-3:]
    finally:
        buildah.buildah("rm", container)
    assert said.endswith("modules can be imported")
    assert int(compiled) == int(files) > 0


def _mb(tag: str) -> float:
    """Unpacked, all layers."""
    images = json.loads(buildah.buildah("images", "--json"))
    (size,) = (image["size"] for image in images if tag in (image["names"] or []))
    number, unit = size.split()
    assert unit == "MB", size
    return float(number)

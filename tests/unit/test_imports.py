"""What the processes of the operator's image import: all of it is there, and no more is."""

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / "api", ROOT / "client", ROOT / "operator", ROOT / "gateway"]
ON_DEMAND = {"obstore", "google", "requests", "urllib3", "rich", "torch", "diffusers", "t2v_runner"}
"""Stores, traces and videos on this machine: imported by who has them configured."""


def installed_elsewhere() -> set[str]:
    """Top-level modules of this environment that no package of the image brings."""
    text = (ROOT / "operator" / "requirements.txt").read_text()
    wanted = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
    ours = {"text_to_video_operator", "t2v_api", "t2v_client", "t2v_operator", "t2v_gateway"}
    return {
        module
        for module, packages in packages_distributions().items()
        if module not in ours
        and not {re.sub(r"[-_.]+", "-", each).lower() for each in packages} & wanted
    }


def imported_by(statements: str) -> set[str]:
    """The top-level modules that are there afterwards, in an interpreter with the image's alone."""
    program = f"""
import json, sys
for path in {[str(folder) for folder in FOLDERS]}:
    sys.path.insert(0, path)
for module in {sorted(installed_elsewhere())}:
    sys.modules[module] = None
{statements}
there = {{name.partition(".")[0] for name, module in sys.modules.items() if module}}
print(json.dumps(sorted(there)))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stdout.splitlines()[-1]))


def test_all_that_the_code_imports_is_in_the_images_requirements() -> None:
    imported_by(
        "from pathlib import Path; from import_all import PROGRAMS, import_all\n"
        "for folder in map(Path, sys.path[:4]):\n"
        "    for name in PROGRAMS:\n"
        "        import_all(folder / name)"
    )


@pytest.mark.parametrize(
    ("statements", "unwanted"),
    [
        (
            "import t2v_operator.cli.main",
            ON_DEMAND | {"aiohttp", "kopf", "cryptography", "starlette", "uvicorn", "fastapi"},
        ),
        (
            "import t2v_operator.cluster.controller",
            ON_DEMAND | {"opentelemetry", "fastapi", "t2v_gateway"},
        ),
        ("import t2v_gateway.main", ON_DEMAND),
    ],
    ids=["t2v", "operator", "gateway"],
)
def test_a_process_imports_at_its_start_only_what_it_always_needs(
    statements: str, unwanted: set[str]
) -> None:
    assert not imported_by(statements) & unwanted

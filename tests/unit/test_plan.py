"""`t2v plan`: from a profile's sizes, or from a folder that the runner measures."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from t2v_api.reasons import ExitCode
from t2v_operator.cli.main import main

from tests.unit.builders import a_config
from tests.unit.test_memory import some_sizes

ROOT = Path(__file__).parents[2]
HUB = {"hub": "owner/name", "revision": "main"}


def plan(folder: Path, *options: str, spec: Any = None, **model: Any) -> int:
    """Exit code of the command for one resource and a configuration with that model."""
    model = {"family": "Wan", "limits": {"maxWidth": 832, "maxFrames": 81}} | model
    model.setdefault("resources", {"memory": "64Gi"})
    defaults = a_config().document()["models"][0]["defaults"]
    model["defaults"] = defaults | {"scheduler": "UniPCMultistepScheduler", "numFrames": 17}
    document = a_config(**model).document()
    config, manifest = folder / "config.yaml", folder / "manifest.yaml"
    config.write_text(yaml.safe_dump(document))
    manifest.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "textto.video/v1alpha1",
                "kind": "TextToVideoJob",
                "metadata": {"name": "red-circle"},
                "spec": {"modelId": "tiny-shapes", "prompt": "a red circle", **(spec or {})},
            }
        )
    )
    return main(["plan", "--config", str(config), "-f", str(manifest), *options])


LARGE = {"width": 832, "height": 480, "numFrames": 81}


def test_sizes_of_a_profile_tell_download_plan_and_peak(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = some_sizes().document() | {"download": 80 * 1024**3}
    assert plan(tmp_path, spec=LARGE, source=HUB, sizes=sizes) == ExitCode.DONE
    said = capsys.readouterr().out
    assert "80.0 GiB from owner/name" in said
    assert "plan:      GroupOffload\n" in said
    assert "host:      36.0 GiB" in said
    assert "then:      GroupOffload+Tiling" in said


def test_the_gpu_s_memory_decides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = some_sizes().document()
    assert plan(tmp_path, "--gpu-memory", "80Gi", spec=LARGE, source=HUB, sizes=sizes) == 0
    assert "plan:      AllOnGpu" in capsys.readouterr().out
    assert plan(tmp_path, "--gpu-memory", "4Gi", spec=LARGE, source=HUB, sizes=sizes) == 4
    assert "are missing" in capsys.readouterr().err


def test_a_hub_model_without_sizes_says_where_they_come_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(tmp_path, source=HUB) == ExitCode.MODEL_REFUSED
    assert "its profile has no `sizes`; see docs/memory.md" in capsys.readouterr().err


def test_both_of_two_sources_have_to_be_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = {"family": "AnimateDiff", "source": {"path": "base"}, "motionAdapter": HUB}
    assert plan(tmp_path, **two) == ExitCode.MODEL_REFUSED
    assert "is owner/name, and its profile has no `sizes`" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = plan(tmp_path, "--models-dir", str(tmp_path), source={"path": "nothing"})
    assert code == ExitCode.MODEL_REFUSED
    assert f"{tmp_path}/nothing/model_index.json" in capsys.readouterr().err


def test_a_request_that_is_refused_is_not_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(tmp_path, spec={"numFrames": 18}, source=HUB) == ExitCode.REQUEST_REFUSED
    assert "numFrames is 18" in capsys.readouterr().err


def test_a_wrong_quantity_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        plan(tmp_path, "--gpu-memory", "24 gigs", source=HUB)
    assert "'24 gigs' is no quantity; write 24Gi" in capsys.readouterr().err


def test_the_example_is_planned_from_its_folder_without_torch() -> None:
    code = (
        "import sys; from t2v_operator.cli.main import main;"
        "code = main(['plan', '-f', 'examples/red-circle.yaml']);"
        "sys.exit(code or 'torch' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "download:  nothing" in told
    assert "plan:      AllOnGpu" in told

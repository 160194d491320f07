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
from tests.unit.test_earlier_runs import a_video
from tests.unit.test_memory import some_sizes

ROOT = Path(__file__).parents[2]
HUB = {"hub": "owner/name", "revision": "main"}


def plan(
    folder: Path,
    *options: str,
    spec: Any = None,
    pools: Any = None,
    loras: Any = (),
    **model: Any,
) -> int:
    """Exit code of the command for one resource and a configuration with that model."""
    model = {"family": "Wan", "limits": {"maxWidth": 832, "maxFrames": 81}} | model
    model.setdefault("resources", {"memory": "64Gi"})
    defaults = a_config().document()["models"][0]["defaults"]
    model["defaults"] = defaults | {"scheduler": "UniPCMultistepScheduler", "numFrames": 17}
    document = a_config(**model).document() | ({"pools": pools} if pools else {})
    document["loras"] = list(loras)
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


def test_what_loras_add_to_the_download_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"hub": "owner/lora", "revision": "c" * 40}
    loras = [
        {"name": "known", "family": "Wan", "source": source, "download": 2 * 1024**3},
        {"name": "unknown", "family": "Wan", "source": source},
    ]
    sizes = some_sizes().document()
    for name, said in (("known", "2.0 GiB"), ("unknown", "the list does not say how much")):
        spec = LARGE | {"loras": [{"source": name}]}
        assert plan(tmp_path, spec=spec, loras=loras, source=HUB, sizes=sizes) == ExitCode.DONE
        assert f"LoRAs:     {name}; to download: {said}\n" in capsys.readouterr().out


def test_the_gpu_s_memory_decides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = some_sizes().document()
    assert plan(tmp_path, "--gpu-memory", "80Gi", spec=LARGE, source=HUB, sizes=sizes) == 0
    assert "plan:      AllOnGpu" in capsys.readouterr().out
    assert plan(tmp_path, "--gpu-memory", "4Gi", spec=LARGE, source=HUB, sizes=sizes) == 4
    assert "are missing" in capsys.readouterr().err


POOLS = [
    {"name": "tiny", "gpuMemory": "6Gi"},
    {"name": "large", "gpuMemory": "80Gi"},
    {"name": "small", "gpuMemory": "24Gi"},
]


@pytest.mark.parametrize(
    ("options", "spec", "pool", "expected"),
    [
        ((), {}, "large, a GPU with 80Gi", "AllOnGpu"),
        (("--pool", "small"), {}, "small, a GPU with 24Gi", "GroupOffload"),
        ((), {"pool": "small"}, "small, a GPU with 24Gi", "GroupOffload"),
        (("--gpu-memory", "48Gi"), {}, "tiny, a GPU with 48Gi", "EncoderFirst"),
    ],
    ids=["the one that the operator takes", "an option", "the resource's", "another GPU"],
)
def test_the_pool_s_gpu_is_the_one_that_is_planned_for(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    spec: dict[str, Any],
    pool: str,
    expected: str,
) -> None:
    sizes = some_sizes().document()
    assert plan(tmp_path, *options, spec=LARGE | spec, pools=POOLS, source=HUB, sizes=sizes) == 0
    said = capsys.readouterr().out
    assert f"pool:      {pool}\n" in said
    assert f"plan:      {expected}\n" in said


def test_a_pool_that_is_too_small_or_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = some_sizes().document()

    def planned(pool: str) -> int:
        return plan(tmp_path, "--pool", pool, spec=LARGE, pools=POOLS, source=HUB, sizes=sizes)

    assert planned("tiny") == ExitCode.OUT_OF_MEMORY
    assert "OutOfMemory: pool tiny has GPUs of 6Gi; 832x480 with" in capsys.readouterr().err
    assert planned("larg") == ExitCode.REQUEST_REFUSED
    assert "did you mean 'large'?" in capsys.readouterr().err


def test_validate_says_as_well_that_no_pool_holds_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = some_sizes().document()
    plan(tmp_path, spec=LARGE, pools=POOLS[:1], source=HUB, sizes=sizes)
    config, manifest = str(tmp_path / "config.yaml"), str(tmp_path / "manifest.yaml")
    capsys.readouterr()
    assert main(["validate", "--config", config, "-f", manifest]) == ExitCode.REQUEST_REFUSED
    assert "OutOfMemory: pool tiny has GPUs of 6Gi; " in capsys.readouterr().err


def test_the_profile_says_what_plans_there_are_and_fp8_adds_to_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = {"source": HUB, "sizes": some_sizes().document(), "spec": LARGE}
    offload = {"execution": {"placement": "ModelOffload", "tiling": False}} | model
    assert plan(tmp_path, "--gpu-memory", "24Gi", **offload) == ExitCode.OUT_OF_MEMORY
    assert "(ModelOffload)" in capsys.readouterr().err
    assert plan(tmp_path, "--gpu-memory", "24Gi", "--fp8", **offload) == ExitCode.DONE
    assert "plan:      ModelOffload+Fp8\n" in capsys.readouterr().out


def test_earlier_videos_tell_the_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = {"source": HUB, "sizes": some_sizes().document(), "spec": LARGE}
    like_it = {"model_id": "tiny-shapes", "guidance_scale": 2.0, "num_inference_steps": 25}
    one, other = a_video(**like_it), a_video(**like_it | {"model_id": "other"})
    finished = tmp_path / "finished.yaml"
    for document, expected in (
        ({"kind": "List", "items": [one, other]}, "time:      131 s, by an earlier video\n"),
        (one, "time:      131 s, by an earlier video\n"),
        (other, "no earlier video of this model in pool default is like it\n"),
    ):
        finished.write_text(yaml.safe_dump(document))
        assert plan(tmp_path, "--earlier", str(finished), **model) == 0
        assert expected in capsys.readouterr().out
    assert plan(tmp_path, **model) == 0
    assert "time:      not known; `--earlier FILE`" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"items": [{"spec": {}}]}, "no resource with a status; give what `kubectl get t2v"),
        ("text", "no resource with a status"),
        ({"status": {"phase": "Done"}}, "finished.yaml: status.phase: "),
    ],
)
def test_a_file_that_tells_of_no_earlier_video_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: Any, message: str
) -> None:
    finished = tmp_path / "finished.yaml"
    finished.write_text(yaml.safe_dump(document))
    assert plan(tmp_path, "--earlier", str(finished), source=HUB) == ExitCode.REQUEST_REFUSED
    assert message in capsys.readouterr().err


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
    assert "'24 gigs' is no quantity; write it like 24Gi" in capsys.readouterr().err


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


IMAGE = {"image": "registry.example.com/wan:2.1"}


def test_an_image_is_planned_by_the_sizes_in_its_profile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(tmp_path, source=IMAGE, sizes=some_sizes().document()) == ExitCode.DONE
    assert "nothing: the model is registry.example.com/wan:2.1" in capsys.readouterr().out
    assert plan(tmp_path, source=IMAGE) != ExitCode.DONE
    assert "tells those of a copy" in capsys.readouterr().err


def test_an_image_is_not_drawn_with_on_a_machine_without_a_kubelet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan(tmp_path, source=IMAGE, sizes=some_sizes().document())
    files = ("--config", str(tmp_path / "config.yaml"), "-f", str(tmp_path / "manifest.yaml"))
    code = main(["run", *files, "-o", str(tmp_path / "out")])
    assert code == ExitCode.MODEL_REFUSED
    assert "which only a cluster mounts: unpack it" in capsys.readouterr().err

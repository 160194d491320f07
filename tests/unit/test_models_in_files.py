"""VideoModels in files: what `t2v validate`, `plan` and `models` make of them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from t2v_api.reasons import ExitCode
from t2v_operator.cli.catalogue import read_models
from t2v_operator.cli.main import main

from tests.unit.model_observations import DESCRIPTION, a_config_with_a_cache
from tests.unit.test_memory import some_sizes

ROOT = Path(__file__).parents[2]
HUB = {"hub": "owner/name", "revision": "main"}


def a_model(name: str = "shapes", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "textto.video/v1alpha1",
        "kind": "VideoModel",
        "metadata": {"name": name},
        "spec": {**DESCRIPTION, "source": HUB, "prefetch": {}, **spec},
    }


def a_video(model: str = "shapes", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "textto.video/v1alpha1",
        "kind": "TextToVideoJob",
        "metadata": {"name": "red-circle"},
        "spec": {"modelId": model, "prompt": "a red circle", **spec},
    }


def written(file: Path, *documents: Any) -> str:
    file.write_text(yaml.safe_dump_all(documents))
    return str(file)


def test_a_file_may_hold_a_model_and_its_videos_in_any_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = written(tmp_path / "both.yaml", a_video(), a_model())
    assert main(["validate", "-f", both]) == ExitCode.DONE
    assert capsys.readouterr().out == "red-circle: valid\nVideoModel shapes: valid\n"


def test_a_video_is_checked_against_its_models_limits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    too_long = a_video(numFrames=100)
    both = written(tmp_path / "both.yaml", too_long, a_model())
    assert main(["validate", "-f", both]) == ExitCode.REQUEST_REFUSED
    said = capsys.readouterr()
    assert said.out == "VideoModel shapes: valid\n"
    assert said.err.startswith("red-circle: InvalidRequest: numFrames is 100")


def test_a_folder_of_models_is_known_and_what_else_is_there_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = written(tmp_path / "video.yaml", a_video())
    assert main(["validate", "-f", video]) == ExitCode.REQUEST_REFUSED
    assert "ModelNotFound" in capsys.readouterr().err
    folder = tmp_path / "models"
    (folder / "more").mkdir(parents=True)
    written(folder / "kustomization.yaml", {"resources": ["more"]})
    (folder / "README.md").write_text("# Models: [")
    written(folder / "more" / "shapes.yml", a_model(), a_video())
    for place in (folder, folder / "more" / "shapes.yml"):
        assert main(["validate", "-f", video, "--models", str(place)]) == ExitCode.DONE
        assert capsys.readouterr().out == "red-circle: valid\n"


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (a_model(limits={"maxFrames": 1}), "defaults.numFrames"),
        (a_model(family="Sora"), "spec.family"),
        (a_model(source={"path": "a"}), "'prefetch' goes with a source from a hub"),
        (a_model(name="a" * 64), "at most 63 characters"),
        (a_model(name="tiny-shapes"), "NameTaken"),
        ({**a_model(), "kind": "VideoModels"}, "kind is 'VideoModels'"),
    ],
    ids=[
        "beyond its limits",
        "a family that nobody knows",
        "a rule of the CRD",
        "a long name",
        "the configuration's name",
        "a kind that nobody knows",
    ],
)
def test_a_model_that_the_cluster_would_not_take_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: dict[str, Any], problem: str
) -> None:
    file = written(tmp_path / "model.yaml", model)
    assert main(["validate", "-f", file]) == ExitCode.REQUEST_REFUSED
    assert problem in capsys.readouterr().err


def test_a_cache_that_is_missing_is_one_of_an_operators_own_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = written(tmp_path / "model.yaml", a_model())
    assert main(["validate", "-f", model]) == ExitCode.DONE
    config = a_config_with_a_cache().document()
    with_a_cache = written(tmp_path / "with.yaml", config)
    assert main(["validate", "--config", with_a_cache, "-f", model]) == ExitCode.DONE
    elsewhere = written(tmp_path / "elsewhere.yaml", a_model(prefetch={"pools": ["defualt"]}))
    assert main(["validate", "--config", with_a_cache, "-f", elsewhere]) == 2
    assert "InvalidSpec: prefetch.pools: 'defualt'" in capsys.readouterr().err
    del config["modelCache"]
    without = written(tmp_path / "without.yaml", config)
    capsys.readouterr()
    assert main(["validate", "--config", without, "-f", model]) == ExitCode.REQUEST_REFUSED
    assert "NoModelCache" in capsys.readouterr().err


def test_one_name_for_two_models_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = written(tmp_path / "same.yaml", a_model(), a_model())
    assert main(["validate", "-f", same]) == ExitCode.DONE
    other = written(tmp_path / "other.yaml", a_model(), a_model(description="another"))
    assert main(["validate", "-f", other]) == ExitCode.REQUEST_REFUSED
    assert "VideoModel shapes stands twice, and differs" in capsys.readouterr().err


def test_a_plan_is_made_for_a_model_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"sizes": some_sizes().document() | {"download": 80 * 1024**3}}
    memory = {"resources": {"gpus": 1, "memory": "64Gi"}}
    defaults = {**DESCRIPTION["defaults"], "scheduler": "UniPCMultistepScheduler", "numFrames": 17}
    model = a_model(family="Wan", defaults=defaults, **known, **memory)
    both = written(tmp_path / "both.yaml", a_video(), model)
    assert main(["plan", "-f", both]) == ExitCode.DONE
    assert "80.0 GiB from owner/name, once, into the model cache" in capsys.readouterr().out
    model["spec"]["prefetch"] = None
    both = written(tmp_path / "both.yaml", a_video(), model)
    assert main(["plan", "-f", both]) == ExitCode.DONE
    assert "80.0 GiB from owner/name\n" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["plan", "run"])
def test_models_alone_are_no_video(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    file = written(tmp_path / "model.yaml", a_model())
    assert main([command, "-f", file]) == ExitCode.REQUEST_REFUSED
    assert "no TextToVideoJob in it" in capsys.readouterr().err


def test_models_of_files_are_listed_after_the_configurations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "m.yaml", a_model(), a_model("tiny-shapes"))
    assert main(["models", "--models", file]) == ExitCode.DONE
    first, second, third = capsys.readouterr().out.splitlines()
    assert [each.split()[0] for each in (first, second, third)] == [
        "tiny-shapes",
        "shapes",
        "tiny-shapes",
    ]
    assert third.endswith("goes before this")
    assert "goes before" not in second


def test_the_catalogue_of_this_repository_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    folder = ROOT / "models" / "catalogue"
    names = [model.metadata.name for model in read_models([str(folder)])]
    assert len(names) == len(list(folder.glob("*.yaml")))
    files = [word for file in sorted(folder.glob("*.yaml")) for word in ("-f", str(file))]
    assert main(["validate", *files]) == ExitCode.DONE
    assert capsys.readouterr().out.count(": valid") == len(names)

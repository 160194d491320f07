"""What of a model folder is loaded, and what is refused before anything is."""

import contextlib
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from t2v_api.profile import ModelProfile, ModelSource
from t2v_operator.config import load_config
from t2v_runner.device import Device, choose_device
from t2v_runner.errors import ModelNotLoadable
from t2v_runner.model import (
    check_model_folder,
    check_safetensors,
    load_pipeline,
    locate_model,
    weights_at_hand,
)

from tests.runner.drawing import Loader
from tests.runner.tiny_models import a_profile

PROFILE = load_config(None).catalogue["tiny-shapes"]


def safetensors(size: int = 8) -> bytes:
    header = {"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(size)


def a_model_folder(folder: Path, **index: Any) -> Path:
    """A folder whose unet has whole weights; `index` changes model_index.json."""
    document = {
        "_class_name": "AnimateDiffPipeline",
        "unet": ["diffusers", "UNetMotionModel"],
        "motion_adapter": [None, None],
        **index,
    }
    unet = folder / "unet"
    unet.mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps(document))
    (unet / "config.json").write_text("{}")
    (unet / "diffusion_pytorch_model.safetensors").write_bytes(safetensors())
    return folder


def refusal(folder: Path, profile: ModelProfile = PROFILE) -> str:
    with pytest.raises(ModelNotLoadable) as error:
        check_model_folder(folder, profile)
    return str(error.value)


def test_a_whole_folder_passes(tmp_path: Path) -> None:
    check_model_folder(a_model_folder(tmp_path / "m"), PROFILE)


def test_an_adapter_within_a_model_is_refused(tmp_path: Path) -> None:
    """transformers would load it, whatever it is."""
    folder = a_model_folder(tmp_path / "m")
    (folder / "unet" / "adapter_config.json").write_text("{}")
    assert "adapter_config.json would add other weights" in refusal(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoadable, match="tiny-shapes: no such folder"):
        locate_model(PROFILE, tmp_path)


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    assert "no model_index.json in it" in refusal(tmp_path)


def test_a_broken_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{")
    assert "not readable as JSON" in refusal(tmp_path)


def test_another_pipeline_than_the_family_s_is_refused(tmp_path: Path) -> None:
    said = refusal(a_model_folder(tmp_path / "m", _class_name="WanPipeline"))
    assert "'WanPipeline'" in said
    assert "'AnimateDiffPipeline'" in said


def test_a_model_s_own_code_is_never_run(tmp_path: Path) -> None:
    said = refusal(a_model_folder(tmp_path / "m", unet=["my_unet", "MyUnet"]))
    assert "never a model's own code" in said


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    folder = a_model_folder(tmp_path / "m")
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    assert "unet: no weights" in refusal(folder)


@pytest.mark.parametrize("variant", ["", ".fp16"], ids=["the default", "a variant"])
def test_a_shard_that_is_a_pickle_is_refused(tmp_path: Path, variant: str) -> None:
    folder = a_model_folder(tmp_path / "m")
    index = folder / "unet" / f"diffusion_pytorch_model.safetensors.index{variant}.json"
    shards = {"v": "diffusion_pytorch_model.safetensors", "w": "b.bin"}
    index.write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    assert refusal(folder) == (
        f"{index} names 'b.bin', which is no .safetensors file, and nothing else is loaded: "
        "convert it, or take a repository with safetensors alone"
    )


def test_an_index_s_empty_component_is_refused(tmp_path: Path) -> None:
    assert "has [] for 'vae', which is neither" in refusal(a_model_folder(tmp_path / "m", vae=[]))


def test_pickle_weights_are_named_and_refused(tmp_path: Path) -> None:
    folder = a_model_folder(tmp_path / "m")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    said = refusal(folder)
    assert "diffusion_pytorch_model.bin" in said
    assert "convert them to safetensors" in said


@pytest.mark.parametrize("length", [0, 7, 8, 20, -1])
def test_truncated_weights_are_named(tmp_path: Path, length: int) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(safetensors()[:length])
    with pytest.raises(ModelNotLoadable, match=r"w\.safetensors: truncated"):
        check_safetensors(file)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(struct.pack("<Q", 2**60) + b"{}", id="a header longer than the file"),
        pytest.param(struct.pack("<Q", 2) + b"[]", id="a list as header"),
        pytest.param(struct.pack("<Q", 4) + b"\xff\xff\xff\xff", id="bytes as header"),
        pytest.param(struct.pack("<Q", 9) + b'{"w": {}}', id="a tensor without offsets"),
        pytest.param(b"PK\x03\x04" + bytes(100), id="a zip file"),
    ],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(ModelNotLoadable, match=r"w\.safetensors"):
        check_safetensors(tmp_path / "w.safetensors")


@pytest.mark.parametrize("code", ["ltx2.py", "__init__.py"])
def test_code_beside_a_part_of_ltx2_is_not_run(tmp_path: Path, load: Loader, code: str) -> None:
    """Its index names a room of diffusers where other models name a library."""
    tiny = load("LTX2")
    folder = tmp_path / "model"
    shutil.copytree(tiny.folder, folder)
    (folder / "connectors" / code).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    profile = a_profile(tiny.family, folder)
    with contextlib.suppress(ModelNotLoadable):
        load_pipeline(locate_model(profile, tmp_path), profile, choose_device(0))
    assert not (tmp_path / "ran").exists()


def test_weights_at_hand_are_those_that_will_be_loaded(tmp_path: Path) -> None:
    loaded = (
        "model/text_encoder/model-00001-of-00001.safetensors",
        "model/unet/diffusion_pytorch_model.safetensors",
        "motion/diffusion_pytorch_model.safetensors",
    )
    others = (
        "model/another-9b.safetensors",
        "model/unet/diffusion_pytorch_model.fp16.safetensors",
        "model/unet/config.json",
    )
    for name in (*loaded, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    profile = PROFILE.model_copy(
        update={
            "source": ModelSource(path="model"),
            "motion_adapter": ModelSource(path="motion"),
        }
    )
    assert weights_at_hand(profile, tmp_path) == [tmp_path / name for name in loaded]


def test_an_image_is_a_folder_where_the_pod_mounts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("t2v_api.profile.IMAGES_DIR", str(tmp_path))
    source = ModelSource(image="registry.example.com/shapes:1")
    profile = PROFILE.model_copy(update={"source": source})
    assert source.folder
    with pytest.raises(ModelNotLoadable, match="no such folder"):
        locate_model(profile, Path("/models"))
    folder = a_model_folder(Path(source.folder))
    assert locate_model(profile, Path("/models")) == folder
    assert weights_at_hand(profile, Path("/models"))


def test_weights_in_their_own_format_are_not_copied(load: Loader) -> None:
    """As the kernel tells: their files are mapped into this process."""
    unet = load("AnimateDiff").folder / "unet" / "diffusion_pytorch_model.safetensors"
    assert str(unet) in Path("/proc/self/maps").read_text()


def test_one_of_several_devices_is_a_device_too(load: Loader) -> None:
    tiny = load("Wan")
    profile = a_profile(tiny.family, tiny.folder)
    second = Device("cpu:0", torch.float32)
    assert load_pipeline(tiny.folder, profile, second).device.type == "cpu"

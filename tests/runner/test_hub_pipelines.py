"""What is fetched of a hub repository is what diffusers loads, with the weights that were there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from t2v_api.family import ModelFamily
from t2v_api.lora import AppliedLora, LoraSource
from t2v_api.profile import ModelProfile, ModelSource
from t2v_api.progress import Progress, Stage
from t2v_runner.device import Device
from t2v_runner.errors import StorageFailed
from t2v_runner.families.animatediff import LEFT_OUT
from t2v_runner.generate import generate
from t2v_runner.hub.cache import Cache
from t2v_runner.hub.store import ModelStore
from t2v_runner.model import load_pipeline, locate_model, locate_motion_adapter
from t2v_runner.order import read_order
from t2v_runner.reporter import Reporter
from t2v_runner.stop import StopSignal

from tests.runner.drawing import a_request
from tests.runner.hub_server import COMMIT, Hub, Repository, serving
from tests.runner.test_hub_store import point_at
from tests.runner.test_two_sources import a_base, a_motion_adapter
from tests.runner.tiny_models import a_profile, a_wan

CPU = Device("cpu", torch.float32)
IN_SHARDS: dict[str, Any] = {"max_shard_size": "20KB"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(Hub({})) as hub:
        point_at(hub.url, monkeypatch)
        yield hub


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def of_hub(family: ModelFamily, name: str, motion_adapter: str | None = None) -> ModelProfile:
    sources = {"source": ModelSource(hub=name, revision=COMMIT)}
    if motion_adapter:
        sources["motion_adapter"] = ModelSource(hub=motion_adapter, revision=COMMIT)
    return a_profile(family, Path()).model_copy(update=sources)


def loaded(profile: ModelProfile, root: Path) -> Any:
    with ModelStore(Cache(root), lambda count, total: None) as store:
        folder = locate_model(profile, Path(), store)
        return load_pipeline(folder, profile, CPU, locate_motion_adapter(profile, Path(), store))


def check_same_weights(pipeline: Any, original: Any, dtype: torch.dtype = torch.float32) -> None:
    for name, component in original.components.items():
        if isinstance(component, torch.nn.Module):
            there = getattr(pipeline, name).state_dict()
            for tensor, value in component.state_dict().items():
                assert torch.equal(there[tensor], value.to(dtype).float()), f"{name}.{tensor}"


@pytest.mark.parametrize(
    ("saved", "dtype"),
    [
        pytest.param({}, torch.float32, id="whole"),
        pytest.param(IN_SHARDS, torch.float32, id="in shards"),
        pytest.param({"variant": "fp16"}, torch.float16, id="a variant alone"),
        pytest.param({"variant": "bf16", **IN_SHARDS}, torch.bfloat16, id="its shards"),
    ],
)
def test_a_pipeline_is_loaded_as_it_was_published(
    hub: Hub, tmp_path: Path, saved: dict[str, Any], dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    original = a_wan().to(dtype)
    original.save_pretrained(str(tmp_path / "made"), **saved)
    files = files_of(tmp_path / "made")
    decoys = {
        "wan-loose.safetensors": b"loose",
        "transformer/diffusion_pytorch_model.bin": b"pickle",
        "transformer/diffusion_pytorch_model.fp8.safetensors": b"another variant",
    }
    hub.repositories["owner/wan"] = Repository(files | decoys)
    pipeline = loaded(of_hub(ModelFamily.WAN, "owner/wan"), tmp_path / "store")
    check_same_weights(pipeline, original, dtype)
    assert hub.paths_sent == set(files)


def test_a_base_model_and_a_motion_adapter_come_from_two_repositories(
    hub: Hub, tmp_path: Path
) -> None:
    a_base().save_pretrained(str(tmp_path / "base"))
    a_motion_adapter().save_pretrained(str(tmp_path / "motion"))
    base = files_of(tmp_path / "base")
    assert "safety_checker/model.safetensors" in base
    hub.repositories["owner/base"] = Repository(base)
    motion = files_of(tmp_path / "motion")
    hub.repositories["owner/motion"] = Repository(motion | {"mm_sd_v15.ckpt": b"pickle"})
    profile = of_hub(ModelFamily.ANIMATEDIFF, "owner/base", "owner/motion")
    pipeline = loaded(profile, tmp_path / "store")
    assert type(pipeline).__name__ == "AnimateDiffPipeline"
    needed = {path for path in base if path.split("/")[0] not in LEFT_OUT}
    assert hub.paths_sent == {*needed, *motion}


def test_a_video_of_a_hub_model_tells_of_its_download_and_keeps_it_in_the_cache(
    hub: Hub, tmp_path: Path
) -> None:
    a_wan().save_pretrained(str(tmp_path / "made"))
    files = files_of(tmp_path / "made")
    hub.repositories["owner/wan"] = Repository(files)
    profile = of_hub(ModelFamily.WAN, "owner/wan")
    environment = {
        "T2V_REQUEST": a_request(ModelFamily.WAN).json_line(),
        "T2V_MODEL": profile.json_line(),
        "T2V_OUTPUT_DIR": str(tmp_path / "output"),
        "T2V_MODELS_CACHE": str(tmp_path / "cache"),
        "HF_HOME": str(tmp_path / "scratch"),
    }
    told: list[Progress] = []
    generate(read_order(environment), Reporter(told.append, StopSignal()))
    total = sum(map(len, files.values()))
    downloads = [each for each in told if each.total_bytes]
    assert {each.stage for each in downloads} == {Stage.DOWNLOAD}
    assert [each.bytes for each in (downloads[0], downloads[-1])] == [0, total]
    assert (tmp_path / "cache" / "models" / "owner--wan" / COMMIT).is_dir()
    assert not (tmp_path / "scratch").exists()

    told.clear()
    generate(read_order(environment), Reporter(told.append, StopSignal()))
    assert not [each for each in told if each.total_bytes], "the next has nothing to download"


def test_a_lora_that_finds_no_room_does_not_take_its_own_models(hub: Hub, tmp_path: Path) -> None:
    a_wan().save_pretrained(str(tmp_path / "made"))
    files = files_of(tmp_path / "made")
    total = sum(map(len, files.values()))
    hub.repositories["owner/wan"] = Repository(files)
    hub.repositories["owner/lora"] = Repository({"a.safetensors": bytes(total // 2)})
    source = LoraSource(hub="owner/lora", revision=COMMIT)
    lora = AppliedLora(name="a", source=source, weight=1.0)
    request = a_request(ModelFamily.WAN).model_copy(update={"loras": (lora,)})
    environment = {
        "T2V_REQUEST": request.json_line(),
        "T2V_MODEL": of_hub(ModelFamily.WAN, "owner/wan").json_line(),
        "T2V_OUTPUT_DIR": str(tmp_path / "output"),
        "T2V_MODELS_CACHE": str(tmp_path / "cache"),
        "T2V_MODELS_CACHE_BYTES": str(total * 5 // 4),
    }
    with pytest.raises(StorageFailed, match="what else is there is in use"):
        generate(read_order(environment), Reporter(lambda told: None, StopSignal()))
    assert (tmp_path / "cache" / "models" / "owner--wan" / COMMIT).is_dir()


def test_without_a_cache_models_are_kept_in_the_scratch() -> None:
    environment = {
        "T2V_REQUEST": a_request(ModelFamily.WAN).json_line(),
        "T2V_MODEL": of_hub(ModelFamily.WAN, "owner/wan").json_line(),
        "HF_HOME": "/scratch/huggingface",
    }
    assert read_order(environment).cache.root == Path("/scratch/huggingface/models")

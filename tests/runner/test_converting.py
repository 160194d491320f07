"""Converted weights load as the very tensors that the original ones load as."""

import json
import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from t2v_api.family import ModelFamily
from t2v_api.prefetch import PrefetchResult
from t2v_api.profile import ModelProfile
from t2v_api.reasons import ExitCode
from t2v_api.result import GenerationFailure
from t2v_runner.device import Device
from t2v_runner.errors import Stopped
from t2v_runner.families import adapter_of
from t2v_runner.hub import converting
from t2v_runner.hub.cache import Cache
from t2v_runner.hub.converting import Conversion, conversion_of
from t2v_runner.hub.needs import pipeline_needs
from t2v_runner.hub.place import bytes_below
from t2v_runner.hub.store import ModelStore
from t2v_runner.model import check_model_folder, load_pipeline

from tests.runner.hub_server import COMMIT, Hub, Refusal, Repository, serving
from tests.runner.prefetching import WAN, prefetched, sha256_of, the_files_of_a_wan
from tests.runner.test_hub_pipelines import files_of, of_hub
from tests.runner.test_hub_store import a_process, point_at, until_it_reads
from tests.runner.test_two_sources import a_base, a_motion_adapter
from tests.runner.tiny_models import a_profile, a_wan
from tests.runner.tiny_variants import TINY_MODELS

BF16, FP16 = Device("cpu", torch.bfloat16), Device("cpu", torch.float16)
CONVERT = {"T2V_MODELS_CONVERT": "1"}


def nothing() -> None:
    pass


def conversion(family: ModelFamily, folder: Path, device: Device = BF16) -> Conversion:
    found = conversion_of(folder, adapter_of(family).dtypes(folder, device.dtype))
    assert found
    return found


def converted(family: ModelFamily, folder: Path, target: Path, device: Device = BF16) -> Path:
    conversion(family, folder, device).write(target, nothing)
    return target


def tensors_of(pipeline: Any) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{tensor}": value
        for name, component in pipeline.components.items()
        if isinstance(component, torch.nn.Module)
        for tensor, value in component.state_dict().items()
    }


def check_same_tensors(one: Any, other: Any) -> None:
    expected, there = tensors_of(one), tensors_of(other)
    assert there.keys() == expected.keys()
    for name, value in expected.items():
        assert there[name].dtype is value.dtype, name
        assert torch.equal(there[name], value), name


@pytest.mark.parametrize("device", [BF16, FP16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("name", TINY_MODELS)
def test_what_is_loaded_is_the_same(name: str, tmp_path: Path, device: Device) -> None:
    family, build = TINY_MODELS[name]
    torch.manual_seed(0)
    build().save_pretrained(str(tmp_path / "made"))
    target = converted(family, tmp_path / "made", tmp_path / "converted", device)
    profile = a_profile(family, target)
    check_model_folder(target, profile)
    original = load_pipeline(tmp_path / "made", profile, device)
    check_same_tensors(original, load_pipeline(target, profile, device))
    stored = {
        f"{file.parent.name}.{each}": tensors.get_slice(each).get_dtype()
        for file in target.rglob("*.safetensors")
        for tensors in [safe_open(str(file), "pt")]
        for each in tensors.keys()  # noqa: SIM118
    }
    for each, value in tensors_of(original).items():
        if value.dtype is torch.float32 and each in stored:
            assert stored[each] == "F32", "what is loaded in float32 is kept in it"
    assert bytes_below(target) < 0.95 * bytes_below(tmp_path / "made")


def test_a_motion_adapter_is_converted_as_well(tmp_path: Path) -> None:
    torch.manual_seed(0)
    a_base().save_pretrained(str(tmp_path / "base"))
    a_motion_adapter().save_pretrained(str(tmp_path / "motion"))
    profile = a_profile(ModelFamily.ANIMATEDIFF, Path())
    original = load_pipeline(tmp_path / "base", profile, BF16, tmp_path / "motion")
    dtypes = adapter_of(profile.family).dtypes(tmp_path / "base", torch.bfloat16)
    for name in ("base", "motion"):
        found = conversion_of(tmp_path / name, dtypes)
        assert found
        assert found.name == "fp16"
        found.write(tmp_path / f"{name}-fp16", nothing)
    there = load_pipeline(tmp_path / "base-fp16", profile, BF16, tmp_path / "motion-fp16")
    check_same_tensors(original, there)


def test_shards_stay_shards_and_a_tensor_is_never_whole_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "PIECE_BYTES", 64)
    torch.manual_seed(0)
    a_wan().save_pretrained(str(tmp_path / "made"), max_shard_size="20KB")
    target = converted(ModelFamily.WAN, tmp_path / "made", tmp_path / "converted")
    assert files_of(target).keys() == files_of(tmp_path / "made").keys()
    index = next((target / "transformer").glob("*.index.json"))
    shards = [*(target / "transformer").glob("*.safetensors")]
    assert len(shards) > 1
    told = json.loads(index.read_text())["metadata"]["total_size"]
    headers = [struct.unpack("<Q", shard.read_bytes()[:8])[0] + 8 for shard in shards]
    assert told == sum(shard.stat().st_size for shard in shards) - sum(headers)
    profile = a_profile(ModelFamily.WAN, target)
    original = load_pipeline(tmp_path / "made", profile, BF16)
    check_same_tensors(original, load_pipeline(target, profile, BF16))


def test_the_bytes_are_known_before(tmp_path: Path) -> None:
    a_wan().save_pretrained(str(tmp_path / "made"))
    found = conversion(ModelFamily.WAN, tmp_path / "made")
    found.write(tmp_path / "converted", nothing)
    there = bytes_below(tmp_path / "converted")
    assert found.bytes == pytest.approx(there, rel=0.01)


def test_what_is_narrow_already_is_not_converted(tmp_path: Path) -> None:
    a_wan().to(torch.bfloat16).save_pretrained(str(tmp_path / "made"))
    dtypes = {"default": torch.bfloat16}
    assert conversion_of(tmp_path / "made", dtypes) is None


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return the_files_of_a_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture
def hub(wan: dict[str, bytes]) -> Iterator[Hub]:
    with serving(Hub({WAN: Repository(dict(wan))})) as hub:
        yield hub


@pytest.fixture
def profile() -> ModelProfile:
    return of_hub(ModelFamily.WAN, WAN)


def places_of(folder: Path) -> set[str]:
    root = folder / "cache" / "models" / "owner--wan"
    return {path.name for path in root.iterdir() if path.is_dir()}


def test_a_prefetch_leaves_the_converted_model_alone(
    hub: Hub, tmp_path: Path, profile: ModelProfile, wan: dict[str, bytes]
) -> None:
    code, _, record = prefetched(hub, tmp_path, profile, **CONVERT)
    assert code == ExitCode.DONE
    assert places_of(tmp_path) == {f"{COMMIT}-bf16"}
    there = files_of(tmp_path / "cache" / "models" / "owner--wan" / f"{COMMIT}-bf16")
    assert there.keys() == wan.keys()
    size = sum(map(len, there.values()))
    assert record == PrefetchResult(
        commit=COMMIT,
        bytes=size,
        fetched_bytes=sum(map(len, wan.values())),
        sha256=sha256_of(there),
        converted_to="bf16",
    )
    hub.refusals[""] = Refusal(500)
    again = record.model_copy(update={"fetched_bytes": 0})
    assert prefetched(hub, tmp_path, profile, **CONVERT) == (code, [], again)
    assert prefetched(hub, tmp_path, profile) == (code, [], again)


def test_a_conversion_that_ends_early_leaves_the_original_and_the_next_begins_anew(
    hub: Hub, tmp_path: Path, profile: ModelProfile
) -> None:
    prefetched(hub, tmp_path, profile)
    root = tmp_path / "cache" / "models"
    folder = root / "owner--wan" / COMMIT
    tries = iter(range(3))

    def stop() -> None:
        if next(tries) == 2:
            raise Stopped("asked to")

    found = conversion(ModelFamily.WAN, folder)
    source = profile.source
    with ModelStore(Cache(root), lambda *told: None) as store:
        store.folder_of(source, pipeline_needs)
        with pytest.raises(Stopped):
            store.convert(folder, found, stop)
        assert store.folder_of(source, pipeline_needs) == folder
        (folder.with_name(f"{COMMIT}-bf16.part") / "left").touch()
        there = store.convert(folder, found, nothing)
        assert store.folder_of(source, pipeline_needs) == there
    assert places_of(tmp_path) == {f"{COMMIT}-bf16"}
    assert not (there / "left").exists()


def test_a_converted_model_that_has_less_than_the_original_is_made_anew(
    hub: Hub,
    tmp_path: Path,
    profile: ModelProfile,
    wan: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    point_at(hub.url, monkeypatch)
    root = tmp_path / "cache" / "models"
    for choose in (partial(pipeline_needs, left_out=["vae"]), pipeline_needs):
        with ModelStore(Cache(root), lambda *told: None) as store:
            folder = store.folder_of(profile.source, choose)
            found = conversion_of(folder, {"default": torch.bfloat16})
            assert found
            there = store.convert(folder, found, nothing)
    assert files_of(there).keys() == wan.keys()
    assert places_of(tmp_path) == {there.name}


def test_what_was_put_there_by_hand_stays_as_it_is(
    hub: Hub, tmp_path: Path, profile: ModelProfile, wan: dict[str, bytes]
) -> None:
    folder = tmp_path / "cache" / "models" / "owner--wan" / COMMIT
    for path, content in wan.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    _, _, record = prefetched(hub, tmp_path, profile, **CONVERT)
    assert record == PrefetchResult(
        commit=COMMIT, bytes=sum(map(len, wan.values())), fetched_bytes=0, sha256=sha256_of(wan)
    )
    assert places_of(tmp_path) == {COMMIT}


def test_a_cache_that_does_not_hold_both_keeps_the_original(
    hub: Hub, tmp_path: Path, profile: ModelProfile, wan: dict[str, bytes]
) -> None:
    limit = str(sum(map(len, wan.values())) + 10_000)
    code, _, record = prefetched(hub, tmp_path, profile, T2V_MODELS_CACHE_BYTES=limit, **CONVERT)
    assert code == ExitCode.STORAGE_OR_NETWORK
    assert isinstance(record, GenerationFailure)
    assert "-bf16: " in record.message
    assert places_of(tmp_path) == {COMMIT}


def test_the_original_stays_while_somebody_reads_it(
    hub: Hub, tmp_path: Path, profile: ModelProfile
) -> None:
    prefetched(hub, tmp_path, profile)
    original = tmp_path / "cache" / "models" / "owner--wan" / COMMIT
    with a_process(hub, tmp_path / "cache", WAN, T2V_MODELS_READ_ONLY="1") as reader:
        until_it_reads(reader, original)
        code, _, record = prefetched(hub, tmp_path, profile, **CONVERT)
        assert code == ExitCode.DONE
        assert isinstance(record, PrefetchResult)
        assert record.converted_to == "bf16"
        assert places_of(tmp_path) == {COMMIT, f"{COMMIT}-bf16"}
        reader.communicate()
    prefetched(hub, tmp_path, profile, **CONVERT)
    assert places_of(tmp_path) == {f"{COMMIT}-bf16"}

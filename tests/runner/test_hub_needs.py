"""Which files of a repository are fetched, from lists of files alone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from huggingface_hub import constants
from t2v_runner.errors import ModelNotLoadable
from t2v_runner.families.animatediff import LEFT_OUT
from t2v_runner.hub.needs import MAX_FILE_BYTES, component_needs, pipeline_needs, total_bytes

from tests.runner.hub_listings import (
    DIT,
    HALF_ALONE,
    HALF_DIT,
    HALF_TEXT,
    LTX,
    LTX_NEEDED,
    SD_NEEDED,
    SHARDED_AND_WHOLE,
    STABLE_DIFFUSION,
    TWICE_DIT,
    WAN_1_3B,
    WAN_1_3B_NEEDED,
    WAN_A14B,
    WAN_A14B_NEEDED,
    Published,
    wan_index,
)


def kept(published: Published, left_out: tuple[str, ...] = ()) -> dict[str, int]:
    """What is fetched: sizes by the names under which it is kept."""
    needs = pipeline_needs(published.listing, published.read, left_out)
    assert len({need.name for need in needs}) == len(needs)
    return {need.name: need.file.size for need in needs}


def without(published: Published, *paths: str) -> Published:
    sizes = {path: size for path, size in published.sizes.items() if path not in paths}
    return replace(published, sizes=sizes)


def refusal(published: Published) -> str:
    with pytest.raises(ModelNotLoadable) as error:
        pipeline_needs(published.listing, published.read)
    assert "owner/name at 0fad780a534b6463e45facd96134c9f345acfa5b" in str(error.value)
    return str(error.value)


def test_an_adapter_within_a_component_stays_where_it_is() -> None:
    adapter = {"text_encoder/adapter_config.json": 700}
    assert kept(replace(WAN_1_3B, sizes=WAN_1_3B.sizes | adapter)) == WAN_1_3B_NEEDED


@pytest.mark.parametrize(
    ("published", "needed", "count"),
    [
        pytest.param(WAN_1_3B, WAN_1_3B_NEEDED, 28_928_887_859, id="Wan2.1 1.3B as published"),
        pytest.param(WAN_A14B, WAN_A14B_NEEDED, 126_200_000_000, id="Wan2.2 A14B as published"),
        pytest.param(LTX, LTX_NEEDED, 24_600_000_000, id="loose checkpoints at the root"),
    ],
)
def test_what_diffusers_loads_is_fetched_and_nothing_else(
    published: Published, needed: Mapping[str, int], count: int
) -> None:
    needs = pipeline_needs(published.listing, published.read)
    assert {need.file.path: need.file.size for need in needs} == needed
    assert all(need.name == need.file.path for need in needs)
    assert total_bytes(needs) == pytest.approx(count, rel=0.001)


def test_a_base_model_comes_once_without_what_no_video_needs() -> None:
    assert kept(STABLE_DIFFUSION, LEFT_OUT) == SD_NEEDED


def test_a_variant_that_is_alone_is_kept_under_the_default_s_names() -> None:
    found = kept(HALF_ALONE)
    for shard in (*HALF_TEXT, *HALF_DIT):
        assert found[shard] == HALF_ALONE.sizes[shard], "shards keep the names that an index says"
    assert found["text_encoder/model.safetensors.index.json"] == 20_000
    assert found[f"transformer/{DIT}.safetensors.index.json"] == 30_000
    assert found[f"vae/{DIT}.safetensors"] == 1_840_000_000, "the default goes before variants"
    assert found["tokenizer/chat_template.jinja"] == 4_000
    assert len(found) == len(HALF_ALONE.sizes) - 3, "neither a variant more nor a pickle's index"


def test_of_shards_and_one_file_the_library_s_own_choice_is_fetched() -> None:
    found = kept(SHARDED_AND_WHOLE)
    assert {name for name in found if name.startswith("text_encoder/")} == {
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
    }
    assert {name for name in found if name.startswith("transformer/")} == {
        "transformer/config.json",
        f"transformer/{DIT}.safetensors.index.json",
        *TWICE_DIT,
    }


@pytest.mark.parametrize("kind", ["T5TokenizerFast", "T5Tokenizer", "AutoTokenizer"])
def test_a_config_beside_a_tokenizer_makes_no_model_of_it(kind: str) -> None:
    copied = {"tokenizer/config.json": 700}
    index = wan_index(tokenizer=["transformers", kind])
    found = kept(replace(WAN_1_3B, sizes=WAN_1_3B.sizes | copied, index=index))
    assert found == WAN_1_3B_NEEDED


def test_a_motion_adapter_is_its_configuration_and_its_weights() -> None:
    sizes = {
        "config.json": 500,
        "README.md": 1_000,
        f"{DIT}.safetensors": 1_800_000_000,
        f"{DIT}.fp16.safetensors": 900_000_000,
        f"{DIT}.bin": 1_800_000_000,
        "mm_sd_v15_v2.ckpt": 1_800_000_000,
        "examples/workflow.json": 3_000,
    }
    published = Published(sizes, {})
    needs = component_needs(published.listing, published.read)
    assert [need.name for need in needs] == ["config.json", f"{DIT}.safetensors"]


@pytest.mark.parametrize(
    ("published", "said"),
    [
        pytest.param(
            without(WAN_1_3B, "model_index.json"), "named …-Diffusers", id="another format"
        ),
        pytest.param(
            without(WAN_1_3B, "vae/config.json", f"vae/{DIT}.safetensors"),
            "names the component 'vae', and there is no such folder",
            id="a component that is missing",
        ),
        pytest.param(
            without(
                STABLE_DIFFUSION,
                "text_encoder/model.safetensors",
                "text_encoder/model.fp16.safetensors",
            ),
            "text_encoder: only pickle weights (pytorch_model.bin)",
            id="pickles alone",
        ),
        pytest.param(
            without(WAN_1_3B, f"vae/{DIT}.safetensors"),
            f"vae: no weights: expected {DIT}.safetensors",
            id="no weights",
        ),
        pytest.param(
            without(LTX, "text_encoder/model-00002-of-00002.safetensors"),
            "names 'model-00002-of-00002.safetensors', and there is no such file",
            id="a shard that is missing",
        ),
        pytest.param(
            replace(WAN_1_3B, index=wan_index(vae=["my_vae", "MyVae"])),
            "component 'vae' wants the library 'my_vae'",
            id="a model's own code",
        ),
    ],
)
def test_what_cannot_be_loaded_is_refused_before_it_is_fetched(
    published: Published, said: str
) -> None:
    index = {name: value for name, value in published.index.items() if name != "safety_checker"}
    assert said in refusal(replace(published, index=index))


@pytest.mark.parametrize("named", [None, {}, ["model.safetensors"]])
def test_an_index_without_weights_is_refused(named: Any) -> None:
    path = f"transformer/{DIT}.safetensors.index.json"
    maps = {**WAN_1_3B.weight_maps, path: named}
    assert f"{path} has no weight_map" in refusal(replace(WAN_1_3B, weight_maps=maps))


def test_an_index_does_not_reach_out_of_its_folder() -> None:
    path = f"transformer/{DIT}.safetensors.index.json"
    maps = {**WAN_1_3B.weight_maps, path: {"w": f"../vae/{DIT}.safetensors"}}
    assert "there is no such file beside it" in refusal(replace(WAN_1_3B, weight_maps=maps))


@pytest.mark.parametrize(
    ("shard", "said"),
    [
        pytest.param("b.bin", "names 'b.bin', which is no .safetensors file", id="a pickle"),
        pytest.param(["b"], "names ['b'] where a file's name should be", id="no name"),
    ],
)
def test_a_shard_that_is_no_safetensors_file_is_refused(shard: Any, said: str) -> None:
    path = f"transformer/{DIT}.safetensors.index.json"
    sizes = {**WAN_1_3B.sizes, "transformer/a.safetensors": 1_000, "transformer/b.bin": 1_000}
    maps = {**WAN_1_3B.weight_maps, path: {"v": "a.safetensors", "w": shard}}
    assert f"{path} {said}" in refusal(replace(WAN_1_3B, sizes=sizes, weight_maps=maps))


@pytest.mark.parametrize(
    "value", [[], ["diffusers"], [["diffusers"], "Vae"], ["diffusers", 1]], ids=str
)
def test_a_component_that_is_none_is_refused(value: Any) -> None:
    said = refusal(replace(WAN_1_3B, index=wan_index(vae=value)))
    assert f"model_index.json has {value!r} for 'vae', which is neither a library and" in said


def test_a_file_that_no_hub_serves_is_refused() -> None:
    path = f"vae/{DIT}.safetensors"
    assert MAX_FILE_BYTES == constants.MAX_HTTP_DOWNLOAD_SIZE
    sizes = {**WAN_1_3B.sizes, path: MAX_FILE_BYTES + 1}
    assert f"{path} has 50.00 GB, and a hub serves none above 50 GB: take a repository with" in (
        refusal(replace(WAN_1_3B, sizes=sizes))
    )
    adapter = Published({"config.json": 1, f"{DIT}.safetensors": MAX_FILE_BYTES + 1}, {})
    with pytest.raises(ModelNotLoadable, match="serves none above 50 GB"):
        component_needs(adapter.listing, adapter.read)


def test_other_variants_are_named() -> None:
    sizes = {
        f"vae/{DIT}.fp8.safetensors" if path == f"vae/{DIT}.safetensors" else path: size
        for path, size in WAN_1_3B.sizes.items()
    }
    assert f"there are {DIT}.fp8.safetensors" in refusal(replace(WAN_1_3B, sizes=sizes))

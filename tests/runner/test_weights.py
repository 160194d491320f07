"""Sizes from safetensors headers are those of the pipeline that is loaded from them."""

import json
import shutil
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from diffusers.hooks import apply_group_offloading
from t2v_api.family import ModelFamily
from t2v_api.sizes import ModelSizes, Role, role_of
from t2v_runner.errors import ModelNotLoadable
from t2v_runner.weights import KEPT_IN_SINGLE, KEPT_IN_SINGLE_FROM_FLOAT16, measure

from tests.runner.tiny_variants import TINY_MODELS

FAMILIES = pytest.mark.parametrize("family", list(ModelFamily), ids=str)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[ModelFamily, Path]:
    made = {family: tmp_path_factory.mktemp(family.value) for family in ModelFamily}
    for family, folder in made.items():
        torch.manual_seed(0)
        _, build = TINY_MODELS[family.value]
        build().save_pretrained(str(folder))
    return made


def weights_of(module: torch.nn.Module) -> int:
    """Bytes of all that a file of it holds; what is shared counts once."""
    stored = {each.data_ptr(): each for each in module.state_dict().values()}
    return sum(each.numel() * each.element_size() for each in stored.values())


@FAMILIES
def test_the_loaded_weights_have_the_measured_bytes(
    folders: dict[ModelFamily, Path], family: ModelFamily
) -> None:
    sizes = measure(folders[family])
    is_half = family in (ModelFamily.ANIMATEDIFF, ModelFamily.TEXT_TO_VIDEO_SD)
    dtypes = {"default": torch.float16 if is_half else torch.bfloat16}
    if family is ModelFamily.WAN:
        dtypes["vae"] = torch.float32
    pipeline = getattr(diffusers, family.traits.text_to_video).from_pretrained(
        str(folders[family]), dtype=dtypes
    )
    loaded = {
        name: weights_of(part)
        for name, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
    }
    assert {name: size.weights for name, size in sizes.components.items()} == loaded


@FAMILIES
def test_blocks_are_those_that_diffusers_moves_one_by_one(
    folders: dict[ModelFamily, Path], family: ModelFamily
) -> None:
    sizes = measure(folders[family])
    name = next(name for name in sizes.components if role_of(name) is Role.DENOISER)
    pipeline = getattr(diffusers, family.traits.text_to_video).from_pretrained(
        str(folders[family]), dtype=torch.bfloat16
    )
    denoiser = pipeline.components[name]
    lists = [each for each in denoiser.children() if isinstance(each, torch.nn.ModuleList)]
    blocks = [weights_of(block) for each in lists for block in each]
    size = sizes.components[name]
    assert size.largest_block == max(blocks)
    assert size.outside_blocks == weights_of(denoiser) - sum(blocks)


def test_diffusers_still_moves_the_members_of_a_module_s_own_lists(
    folders: dict[ModelFamily, Path],
) -> None:
    transformer = diffusers.WanTransformer3DModel.from_pretrained(
        str(folders[ModelFamily.WAN] / "transformer")
    )
    cpu = torch.device("cpu")
    apply_group_offloading(
        transformer, cpu, cpu, offload_type="block_level", num_blocks_per_group=1
    )
    hooked = [
        name for name, each in transformer.named_modules() if hasattr(each, "_diffusers_hook")
    ]
    assert [name for name in hooked if name.startswith("blocks.")] == ["blocks.0"]


def test_what_a_class_keeps_in_float32_is_known() -> None:
    for name, kept in KEPT_IN_SINGLE.items():
        named = set(getattr(diffusers, name)._keep_in_fp32_modules) - {"rope"}  # it has no weights
        assert named == set(kept)
    for name, kept in KEPT_IN_SINGLE_FROM_FLOAT16.items():
        assert tuple(getattr(transformers, name)._keep_in_fp32_modules) == kept


def test_variants_beside_the_weights_are_not_counted(
    folders: dict[ModelFamily, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(folders[ModelFamily.LTX], tmp_path / "ltx")
    before = measure(folder)
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    shutil.copy(weights, weights.with_suffix(".fp16.safetensors"))
    assert measure(folder) == before


def test_shards_are_counted_together(folders: dict[ModelFamily, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders[ModelFamily.LTX], tmp_path / "ltx")
    before = measure(folder)
    transformer = diffusers.LTXVideoTransformer3DModel.from_pretrained(str(folder / "transformer"))
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    transformer.save_pretrained(str(folder / "transformer"), max_shard_size="2KB")
    assert len(list((folder / "transformer").glob("*.safetensors"))) > 1
    assert measure(folder) == before


def test_what_it_writes_is_a_profile_s_sizes(folders: dict[ModelFamily, Path]) -> None:
    sizes = measure(folders[ModelFamily.HUNYUAN_VIDEO])
    assert ModelSizes.parse(json.loads(sizes.json_line())) == sizes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"transformer": None}, "its memory is not known", id="no denoiser"),
        pytest.param(
            {"transformer": ["diffusers", "MyTransformer"]},
            "no measured law for MyTransformer",
            id="an unknown class",
        ),
    ],
)
def test_a_folder_whose_memory_is_not_known_is_refused(
    folders: dict[ModelFamily, Path], tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    folder = shutil.copytree(folders[ModelFamily.LTX], tmp_path / "ltx")
    index = json.loads((folder / "model_index.json").read_text()) | change
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelNotLoadable, match=said):
        measure(folder)

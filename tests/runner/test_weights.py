"""Sizes from safetensors headers are those of the pipeline that is loaded from them."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from diffusers.hooks import apply_group_offloading
from t2v_api.sizes import ModelSizes, Role, role_of
from t2v_api.start import Start
from t2v_runner.errors import ModelNotLoadable
from t2v_runner.families.reversible import wrapped
from t2v_runner.weights import KEPT_IN_SINGLE, KEPT_IN_SINGLE_FROM_FLOAT16, main, measure

from tests.runner.drawing import Tiny, a_tiny, asked, drawn
from tests.runner.test_two_sources import a_base, a_motion_adapter
from tests.runner.test_two_sources import loaded as loaded_of_two
from tests.runner.tiny_variants import STARTS, TINY_MODELS

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
EACH = pytest.mark.parametrize("name", list(TINY_MODELS))
SMALL = 4096
"""Bytes of what a tiny model computes and no file holds: frequencies, places."""
Folders = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Tiny models by their names, each written once."""
    base = tmp_path_factory.mktemp("models")

    def folder_of(name: str) -> Path:
        folder = base / name
        if not folder.exists():
            torch.manual_seed(0)
            _, build = TINY_MODELS[name]
            build().save_pretrained(str(folder))
        return folder

    return folder_of


def weights_of(module: torch.nn.Module) -> int:
    """Bytes of all that it holds but for small tables; what is shared counts once."""
    stored = dict(module.named_parameters()) | module.state_dict()
    tables = [each for name, each in module.named_buffers() if name not in stored]
    return bytes_of([*stored.values(), *(each for each in tables if each.nbytes > SMALL)])


def bytes_of(tensors: Iterable[torch.Tensor]) -> int:
    stored = {each.data_ptr(): each for each in tensors if each.numel()}
    return sum(each.numel() * each.element_size() for each in stored.values())


def parts_of(pipeline: Any) -> dict[str, torch.nn.Module]:
    parts = pipeline.components.items()
    return {name: part for name, part in parts if isinstance(part, torch.nn.Module)}


@EACH
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_loaded_weights_have_the_measured_bytes(
    folder_of: Folders, name: str, dtype: torch.dtype
) -> None:
    sizes = measure(folder_of(name), dtype)
    pipeline = a_tiny(name, folder_of(name), dtype).pipeline
    loaded = {part: weights_of(module) for part, module in parts_of(pipeline).items()}
    assert {part: size.weights for part, size in sizes.components.items()} == loaded
    assert sizes.decoder.number_bytes == pipeline.vae.dtype.itemsize


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_loaded_weights_of_two_sources_have_the_measured_bytes(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    a_base().save_pretrained(str(tmp_path / "base"))
    a_motion_adapter().save_pretrained(str(tmp_path / "motion"))
    sizes = measure(tmp_path / "base", dtype, tmp_path / "motion")
    parts = parts_of(loaded_of_two(tmp_path, dtype).pipeline)
    assert {part: size.weights for part, size in sizes.components.items()} == {
        name: weights_of(module) for name, module in parts.items()
    }
    blocks = blocks_of(parts["unet"])
    assert sizes.components["unet"].largest_block == max(blocks)
    assert sizes.denoiser.kind == "UNetMotionModel"


def test_a_command_tells_the_sizes_of_two_sources(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_base().save_pretrained(str(tmp_path / "base"))
    a_motion_adapter().save_pretrained(str(tmp_path / "motion"))
    capsys.readouterr()
    main(str(tmp_path / "base"), str(tmp_path / "motion"))
    told = ModelSizes.parse_json(capsys.readouterr().out)
    assert told == measure(tmp_path / "base", torch.bfloat16, tmp_path / "motion")


@EACH
def test_the_vae_encodes_in_the_measured_format(folder_of: Folders, name: str) -> None:
    tiny = a_tiny(name, folder_of(name), torch.bfloat16)
    sizes = measure(folder_of(name), torch.bfloat16)
    starts = [start for start in STARTS[name] if start is not Start.TEXT]
    assert sizes.encoder or not starts
    for start in starts:
        assert sizes.encoder
        assert format_encoded_in(tiny, start) == sizes.encoder.number_bytes


def format_encoded_in(tiny: Tiny, start: Start) -> int:
    """Bytes of the VAE's numbers when a request that starts so has it encode."""
    seen: set[int] = set()

    class Encoding(Exception):
        pass

    def encode(real: Any, *arguments: Any, **named: Any) -> Any:
        seen.add(tiny.pipeline.vae.dtype.itemsize)
        raise Encoding

    with wrapped(tiny.pipeline.vae, "encode", encode), pytest.raises(Encoding):
        drawn(tiny, *asked(tiny.family, start))
    (number_bytes,) = seen
    return number_bytes


def blocks_of(module: torch.nn.Module) -> list[int]:
    lists = [each for each in module.children() if isinstance(each, torch.nn.ModuleList)]
    return [weights_of(block) for each in lists for block in each]


@EACH
def test_blocks_are_those_that_diffusers_moves_one_by_one(folder_of: Folders, name: str) -> None:
    components = measure(folder_of(name), torch.bfloat16).components
    for part, module in parts_of(a_tiny(name, folder_of(name), torch.bfloat16).pipeline).items():
        if role_of(part) is not Role.DENOISER:
            continue
        size, blocks = components[part], sorted(blocks_of(module), reverse=True)
        assert [size.largest_block, size.next_block] == [*blocks, 0][:2]
        assert size.outside_blocks == weights_of(module) - sum(blocks)


@EACH
def test_layers_are_those_that_diffusers_moves_one_by_one(folder_of: Folders, name: str) -> None:
    components = measure(folder_of(name), torch.bfloat16).components
    for part, module in parts_of(a_tiny(name, folder_of(name), torch.bfloat16).pipeline).items():
        if role_of(part) is Role.TEXT_ENCODER:
            assert components[part].largest_block == max(largest_groups(module))
            assert components[part].outside_blocks == 0


def largest_groups(encoder: torch.nn.Module) -> Iterator[int]:
    """Bytes of what moves together at the leaf level: by diffusers' own hooks."""
    cpu = torch.device("cpu")
    apply_group_offloading(encoder, cpu, cpu, offload_type="leaf_level")
    for each in encoder.modules():
        hook = getattr(each, "_diffusers_hook", None)
        if hook and (offloading := hook.get_hook("group_offloading")):
            group = offloading.group
            stored = [tensor for module in group.modules for tensor in module.parameters()]
            yield bytes_of([*stored, *group.parameters])


def test_diffusers_still_moves_the_members_of_a_module_s_own_lists(
    folder_of: Folders,
) -> None:
    transformer = diffusers.WanTransformer3DModel.from_pretrained(
        str(folder_of("Wan") / "transformer")
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


def test_variants_beside_the_weights_are_not_counted(folder_of: Folders, tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of("LTX"), tmp_path / "ltx")
    before = measure(folder, torch.bfloat16)
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    shutil.copy(weights, weights.with_suffix(".fp16.safetensors"))
    assert measure(folder, torch.bfloat16) == before


def test_shards_are_counted_together(folder_of: Folders, tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of("LTX"), tmp_path / "ltx")
    before = measure(folder, torch.bfloat16)
    transformer = diffusers.LTXVideoTransformer3DModel.from_pretrained(str(folder / "transformer"))
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    transformer.save_pretrained(str(folder / "transformer"), max_shard_size="2KB")
    assert len(list((folder / "transformer").glob("*.safetensors"))) > 1
    assert measure(folder, torch.bfloat16) == before


def test_what_it_writes_is_a_profile_s_sizes(folder_of: Folders) -> None:
    sizes = measure(folder_of("HunyuanVideo"), torch.bfloat16)
    assert ModelSizes.parse(json.loads(sizes.json_line())) == sizes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"transformer": None}, "its memory is not known", id="no denoiser"),
        pytest.param(
            {"_class_name": "MyPipeline"}, "no family has the pipeline 'MyPipeline'", id="no family"
        ),
        pytest.param(
            {"transformer": ["diffusers", "MyTransformer"]},
            "no measured law for MyTransformer",
            id="an unknown class",
        ),
    ],
)
def test_a_folder_whose_memory_is_not_known_is_refused(
    folder_of: Folders, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    folder = shutil.copytree(folder_of("LTX"), tmp_path / "ltx")
    index = json.loads((folder / "model_index.json").read_text()) | change
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelNotLoadable, match=said):
        measure(folder, torch.bfloat16)

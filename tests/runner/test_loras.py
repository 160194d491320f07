"""LoRAs change what a model draws, as far as they fit it, and nothing else of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from t2v_api.execution import Placement, Plan
from t2v_api.lora import AppliedLora, Expert, LoraSource
from t2v_api.reasons import ExitCode
from t2v_api.start import Start
from t2v_runner.denoise import denoise, denoisers
from t2v_runner.device import Device
from t2v_runner.errors import ModelNotLoadable, RequestRefused
from t2v_runner.families import adapter_of
from t2v_runner.hub.cache import Cache, read_cache, read_cache_of_loras
from t2v_runner.hub.place import place_of
from t2v_runner.hub.store import ModelStore
from t2v_runner.model import locate_loras
from t2v_runner.placing import Weights, placed
from t2v_runner.reporter import Reporter
from t2v_runner.stop import StopSignal

from tests.runner.drawing import Frames, Loader, Tiny, asked, draw
from tests.runner.hub_server import COMMIT, Hub, Repository, serving
from tests.runner.test_generate import MODELS, make, sha
from tests.runner.test_hub_store import point_at
from tests.runner.test_ranks import a_drawing, drawn
from tests.runner.test_tiny_shapes import checker, seen
from tests.runner.tiny_models import a_profile
from tests.runner.tiny_variants import STARTS, TINY_MODELS

__all__ = ["checker"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast")

BARS = "tiny-shapes-bars"
FILE = "pytorch_lora_weights.safetensors"
WITH_LORAS = [name for name, (family, _) in TINY_MODELS.items() if family.traits.takes_loras]
PLACEMENTS = pytest.mark.parametrize("placement", list(Placement)[1:], ids=str)


def a_lora(folder: Path, tiny: Tiny, layer: str = "to_q", seed: int = 0) -> Path:
    """The folder of one for the first denoiser of a tiny model, trained on nothing at all."""
    pipeline, name = tiny.pipeline, denoiser_name(tiny.pipeline)
    denoiser = getattr(pipeline, name)
    denoiser.add_adapter(LoraConfig(r=2, lora_alpha=4, target_modules=[layer]))
    layers, config = get_peft_model_state_dict(denoiser), denoiser.peft_config["default"].to_dict()
    denoiser.unload_lora()
    generator = torch.Generator().manual_seed(seed)
    for key, tensor in layers.items():
        layers[key] = torch.randn(tensor.shape, generator=generator)
    type(pipeline).save_lora_weights(
        folder, **{f"{name}_lora_layers": layers, f"{name}_lora_adapter_metadata": config}
    )
    return folder


def denoiser_name(pipeline: Any) -> str:
    return "unet" if hasattr(pipeline, "unet") else "transformer"


def applied(folder: Path, weight: float = 1.0, **source: Any) -> AppliedLora:
    return AppliedLora(
        name=folder.name, source=LoraSource(path=str(folder), **source), weight=weight
    )


def nowhere(folder: Path) -> ModelStore:
    """A store that is not asked."""
    return ModelStore(Cache(folder / "no store"), lambda count, total: None)


def draw_with(
    tiny: Tiny,
    *loras: AppliedLora,
    plan: Plan = Plan(Placement.ALL_ON_GPU),  # noqa: B008
) -> Frames:
    located = locate_loras(loras, Path(), nowhere(tiny.folder))
    weights = Weights(a_profile(tiny.family, tiny.folder), tiny.folder, loras=located)
    reporter = Reporter(lambda progress: None, StopSignal())
    with placed(weights, plan, Device("cpu", torch.float32), reporter) as pipeline:
        wanted = asked(tiny.family, Start.TEXT)
        return denoise(pipeline, adapter_of(tiny.family), *wanted, reporter).frames


@pytest.mark.parametrize("name", [each for each in WITH_LORAS if Start.TEXT in STARTS[each]])
def test_one_is_added_in_each_family_and_taken_off_again(
    load: Loader, tmp_path: Path, name: str
) -> None:
    tiny = load(name)
    lora = a_lora(tmp_path / "lora", tiny)
    plain, _ = draw(tiny, *asked(tiny.family, Start.TEXT))
    whole, half, none = (draw_with(tiny, applied(lora, weight)) for weight in (1.0, 0.5, 0.0))
    assert none.tobytes() == plain.tobytes()
    assert len({plain.tobytes(), half.tobytes(), whole.tobytes()}) == 3
    again, _ = draw(tiny, *asked(tiny.family, Start.TEXT))
    assert again.tobytes() == plain.tobytes()


@pytest.mark.parametrize("name", TINY_MODELS)
def test_the_operator_knows_which_families_take_them(load: Loader, name: str) -> None:
    tiny = load(name)
    reads_files = hasattr(tiny.pipeline, "lora_state_dict")
    takes_them = all(hasattr(each, "load_lora_adapter") for each in denoisers(tiny.pipeline))
    assert (reads_files and takes_them) is tiny.family.traits.takes_loras


@PLACEMENTS
@pytest.mark.parametrize("name", ["AnimateDiff", "Wan 2.2 A14B", "LTX2"])
def test_wherever_the_model_is_the_frames_are_the_same(
    load: Loader, tmp_path: Path, name: str, placement: Placement
) -> None:
    tiny = load(name)
    lora = applied(a_lora(tmp_path / "lora", tiny))
    expected = draw_with(tiny, lora)
    assert draw_with(tiny, lora, plan=Plan(placement)).tobytes() == expected.tobytes()


def test_weights_become_8_bits_after_it_is_added(load: Loader, tmp_path: Path) -> None:
    tiny = load("Wan")
    lora = applied(a_lora(tmp_path / "lora", tiny))
    in_8_bits = [Plan(each, fp8=True) for each in (Placement.ALL_ON_GPU, Placement.ENCODER_FIRST)]
    one, other = (draw_with(tiny, lora, plan=plan) for plan in in_8_bits)
    assert one.tobytes() == other.tobytes()
    assert one.tobytes() != draw_with(tiny, plan=in_8_bits[0]).tobytes()


def test_two_are_added_one_after_the_other(load: Loader, tmp_path: Path) -> None:
    tiny = load("Wan")
    first, second = (a_lora(tmp_path / str(seed), tiny, seed=seed) for seed in (1, 2))
    both = draw_with(tiny, applied(first), applied(second, -0.5))
    drawn = [both, draw_with(tiny, applied(first)), draw_with(tiny, applied(second, -0.5))]
    assert len({each.tobytes() for each in drawn}) == 3


def test_several_gpus_all_have_it(load: Loader, tmp_path: Path) -> None:
    lora = applied(a_lora(tmp_path / "lora", load("Wan")))
    located = locate_loras([lora], Path(), nowhere(tmp_path))
    drawing = replace(a_drawing(load, "Wan"), loras=located)
    difference = np.abs(drawn(drawing).frames.astype(int) - draw_with(load("Wan"), lora))
    assert difference.max() <= 1


def test_what_is_added_is_the_product_of_its_matrices(load: Loader, tmp_path: Path) -> None:
    """By hand: weight times alpha over rank times B A."""
    tiny = load("Wan")
    folder = a_lora(tmp_path / "lora", tiny)
    located = locate_loras([applied(folder, 0.5)], Path(), nowhere(tmp_path))
    weights = Weights(a_profile(tiny.family, tiny.folder), tiny.folder, loras=located)
    tensors = load_file(folder / FILE)
    layer = "blocks.0.attn1.to_q"
    changed = weights.load(Device("cpu", torch.float32)).transformer
    own = tiny.pipeline.transformer.get_submodule(layer).weight
    up, down = (tensors[f"transformer.{layer}.lora_{which}.weight"] for which in "BA")
    torch.testing.assert_close(changed.get_submodule(layer).weight, own + 0.5 * 4 / 2 * up @ down)
    names = [name for name, _ in changed.named_modules()]
    assert names == [name for name, _ in tiny.pipeline.transformer.named_modules()]


OF_WAN_ITSELF = {
    "attn1": ("self_attn", {"to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "o"}),
    "attn2": ("cross_attn", {"to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "o"}),
    "ffn": ("ffn", {"net.0.proj": "0", "net.2": "2"}),
}
"""Where diffusers has other names than the model's authors."""


def test_one_in_the_names_of_the_models_authors_is_read(load: Loader, tmp_path: Path) -> None:
    tiny, tensors = load("Wan"), {}
    generator = torch.Generator().manual_seed(0)
    for number, block in enumerate(tiny.pipeline.transformer.blocks):
        for own, (their, layers) in OF_WAN_ITSELF.items():
            for layer, name in layers.items():
                outer, inner = block.get_submodule(f"{own}.{layer}").weight.shape
                start = f"diffusion_model.blocks.{number}.{their}.{name}"
                down, up = (
                    torch.randn(each, generator=generator) for each in ((2, inner), (outer, 2))
                )
                tensors |= {f"{start}.lora_down.weight": down, f"{start}.lora_up.weight": up}
                tensors[f"{start}.alpha"] = torch.tensor(1.0)
    folder = tmp_path / "theirs"
    folder.mkdir()
    save_file(tensors, folder / FILE)
    located = locate_loras([applied(folder)], Path(), nowhere(tmp_path))
    weights = Weights(a_profile(tiny.family, tiny.folder), tiny.folder, loras=located)
    changed = weights.load(Device("cpu", torch.float32)).transformer
    start = "diffusion_model.blocks.0.cross_attn.o"
    product = tensors[f"{start}.lora_up.weight"] @ tensors[f"{start}.lora_down.weight"]
    own = tiny.pipeline.transformer.get_submodule("blocks.0.attn2.to_out.0").weight
    layer = changed.get_submodule("blocks.0.attn2.to_out.0")
    torch.testing.assert_close(layer.weight, own + product / 2)


@pytest.mark.parametrize(
    ("expert", "changed"),
    [
        (None, [True, True]),
        (Expert.MUCH_NOISE, [True, False]),
        (Expert.LITTLE_NOISE, [False, True]),
    ],
    ids=str,
)
def test_one_is_for_both_experts_or_for_the_one_that_it_names(
    load: Loader, tmp_path: Path, expert: Expert | None, changed: list[bool]
) -> None:
    tiny = load("Wan 2.2 A14B")
    lora = applied(a_lora(tmp_path / "lora", tiny), expert=expert)
    located = locate_loras([lora], Path(), nowhere(tmp_path))
    weights = Weights(a_profile(tiny.family, tiny.folder), tiny.folder, loras=located)
    pipeline = weights.load(Device("cpu", torch.float32))
    layer = "blocks.0.attn1.to_q"
    differ = [
        not torch.equal(one.get_submodule(layer).weight, own.get_submodule(layer).weight)
        for one, own in zip(denoisers(pipeline), denoisers(tiny.pipeline), strict=True)
    ]
    assert differ == changed


def test_the_words_of_a_text_encoder_can_change_too(load: Loader, tmp_path: Path) -> None:
    """In the names that trainers of Stable Diffusion write."""
    tiny, generator = load("AnimateDiff"), torch.Generator().manual_seed(0)
    encoder = tiny.pipeline.text_encoder
    width, attention = encoder.config.hidden_size, "encoder.layers.0.self_attn"
    tensors = {}
    for layer in ("q_proj", "out_proj"):
        name = f"lora_te_text_model_{attention.replace('.', '_')}_{layer}"
        tensors[f"{name}.lora_down.weight"] = torch.randn(2, width, generator=generator)
        tensors[f"{name}.lora_up.weight"] = torch.randn(width, 2, generator=generator)
        tensors[f"{name}.alpha"] = torch.tensor(4.0)
    folder = tmp_path / "words"
    folder.mkdir()
    save_file(tensors, folder / "words.safetensors")
    located = locate_loras([applied(folder), applied(folder)], Path(), nowhere(tmp_path))
    weights = Weights(a_profile(tiny.family, tiny.folder), tiny.folder, loras=located)
    changed = weights.load(Device("cpu", torch.float32)).text_encoder
    name = f"lora_te_text_model_{attention.replace('.', '_')}_q_proj"
    product = tensors[f"{name}.lora_up.weight"] @ tensors[f"{name}.lora_down.weight"]
    layer = f"{'text_model.' if hasattr(encoder, 'text_model') else ''}{attention}.q_proj"
    expected = encoder.get_submodule(layer).weight + 2 * 4 / 2 * product
    torch.testing.assert_close(changed.get_submodule(layer).weight, expected)


@pytest.mark.parametrize("placement", list(Placement), ids=str)
def test_one_of_another_family_is_refused_with_the_layers_that_differ(
    load: Loader, tmp_path: Path, placement: Placement
) -> None:
    lora = applied(a_lora(tmp_path / "of-ltx", load("LTX")))
    with pytest.raises(RequestRefused) as refusal:
        draw_with(load("AnimateDiff"), lora, plan=Plan(placement))
    message = str(refusal.value)
    assert message.startswith(f"LoRA of-ltx ({FILE}) does not fit this model (AnimateDiffPipeline)")
    assert "transformer.transformer_blocks.0.attn1.to_q is not there" in message


def test_one_of_a_larger_model_is_refused_with_both_sizes(load: Loader, tmp_path: Path) -> None:
    tiny = load("Wan")
    folder = a_lora(tmp_path / "of-14B", tiny)
    tensors = load_file(folder / FILE)
    width = tiny.pipeline.transformer.get_submodule("blocks.0.attn1.to_q").weight.shape[1]
    for key in tensors:
        if "lora_A" in key and "blocks.0.attn1" in key:
            tensors[key] = torch.zeros(2, 2 * width)
    save_file(tensors, folder / FILE)
    with pytest.raises(RequestRefused) as refusal:
        draw_with(tiny, applied(folder, 0.0))
    assert (
        f"of its layers 1 differ: transformer.blocks.0.attn1.to_q takes {2 * width}, not {width}"
        in str(refusal.value)
    )


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        pytest.param({"blocks.0.weight": (4, 4)}, "blocks.0.weight", id="whole weights"),
        pytest.param({}, "has no layers", id="nothing"),
        pytest.param(
            {"diffusion_model.blocks.0.strange.lora_A.weight": (2, 4)},
            "is none that WanPipeline can read",
            id="names that diffusers cannot translate",
        ),
    ],
)
def test_what_is_no_lora_is_refused(
    load: Loader, tmp_path: Path, tensors: dict[str, tuple[int, ...]], message: str
) -> None:
    folder = tmp_path / "no-lora"
    folder.mkdir()
    save_file({name: torch.zeros(shape) for name, shape in tensors.items()}, folder / FILE)
    with pytest.raises(RequestRefused, match="no-lora") as refusal:
        draw_with(load("Wan"), applied(folder))
    assert message in str(refusal.value)


def test_what_is_no_number_is_told(load: Loader, tmp_path: Path) -> None:
    tiny = load("Wan")
    folder = a_lora(tmp_path / "lora", tiny)
    tensors = {name: tensor * torch.nan for name, tensor in load_file(folder / FILE).items()}
    save_file(tensors, folder / FILE)
    with pytest.raises(ModelNotLoadable, match="NaN"):
        draw_with(tiny, applied(folder))


@pytest.mark.parametrize(
    ("files", "source", "message"),
    [
        pytest.param({}, {}, "has not one .safetensors file, but none", id="no folder"),
        pytest.param({"a.bin": b"pickle"}, {}, "but none", id="a pickle"),
        pytest.param(
            {"a.safetensors": b"", "b.safetensors": b""},
            {},
            "but a.safetensors, b.safetensors; its source can name one as `file`",
            id="two",
        ),
        pytest.param({}, {"file": "a.safetensors"}, "No such file", id="not there"),
        pytest.param({"a.safetensors": b"\x00" * 4}, {}, "truncated", id="cut"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_told(
    tmp_path: Path, files: dict[str, bytes], source: dict[str, str], message: str
) -> None:
    folder = tmp_path / "lora"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with pytest.raises(ModelNotLoadable) as refusal:
        locate_loras([applied(folder, **source)], tmp_path, nowhere(tmp_path))
    assert message in str(refusal.value)


def test_a_dora_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "dora"
    folder.mkdir()
    save_file({"unet.a.dora_scale": torch.zeros(1)}, folder / FILE)
    with pytest.raises(ModelNotLoadable, match="is a DoRA"):
        locate_loras([applied(folder)], tmp_path, nowhere(tmp_path))


def test_of_a_hubs_repository_the_one_file_comes(
    load: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (a_lora(tmp_path / "lora", load("Wan")) / FILE).read_bytes()
    files = {"high/a.safetensors": content, "low/a.safetensors": content, "model.bin": b"pickle"}
    with serving(Hub({"owner/name": Repository(files)})) as hub:
        point_at(hub.url, monkeypatch)
        store = ModelStore(Cache(tmp_path / "store"), lambda count, total: None, look_seconds=0.01)
        for name in ("high/a.safetensors", "low/a.safetensors"):
            source = LoraSource(hub="owner/name", revision=COMMIT, file=name)
            lora = AppliedLora(name="hub", source=source, weight=1.0)
            (located,) = locate_loras([lora], Path(), store)
            assert located.file.read_bytes() == content
            assert located.file.parts[-2:] == tuple(name.split("/"))
            assert place_of(located.file.parents[1]).name in store.held
        assert hub.paths_sent == {"high/a.safetensors", "low/a.safetensors"}
        without = AppliedLora(
            name="hub", source=LoraSource(hub="owner/name", revision=COMMIT), weight=1.0
        )
        with pytest.raises(ModelNotLoadable, match="name one as `file`"):
            locate_loras([without], Path(), store)


@pytest.mark.parametrize(
    ("environment", "is_that_of_models"),
    [
        ({"HF_HOME": "/scratch"}, True),
        ({"HF_HOME": "/scratch", "T2V_MODELS_CACHE": "/cache"}, True),
        (
            {"HF_HOME": "/scratch", "T2V_MODELS_CACHE": "/cache", "T2V_MODELS_READ_ONLY": "1"},
            False,
        ),
    ],
    ids=["a scratch", "a cache", "a cache that is filled by others"],
)
def test_where_nothing_is_fetched_for_models_a_lora_comes_to_the_scratch(
    environment: dict[str, str], is_that_of_models: bool
) -> None:
    cache = read_cache_of_loras(environment)
    assert (cache == read_cache(environment)) is is_that_of_models
    assert is_that_of_models or (cache.root, cache.is_read_only) == (Path("/scratch/models"), False)


def test_the_models_own_files_stay_as_they_are(load: Loader, tmp_path: Path) -> None:
    """On the CPU weights may be the files' own pages."""
    tiny = load("Wan")
    file = tiny.folder / "transformer" / "diffusion_pytorch_model.safetensors"
    before = file.read_bytes()
    draw_with(tiny, applied(a_lora(tmp_path / "lora", tiny)))
    assert file.read_bytes() == before


def test_weight_0_draws_the_very_frames_of_the_model_alone(tmp_path: Path) -> None:
    loras = [[], [{"source": BARS, "weight": 0.0}], [{"source": BARS}]]
    without, none, whole = (
        sha(tmp_path / str(n), loras=each, prompt="a red bar") for n, each in enumerate(loras)
    )
    assert without == none != whole


PROMPTS = {
    "a large red bar moving right": ("red", "bar", "right"),
    "a small blue bar moving left on a white background": ("blue", "bar", "left"),
    "a green bar moving up": ("green", "bar", "up"),
}
KNOWN = {"a large red circle moving right": ("red", "circle", "right")}


def test_with_its_lora_tiny_shapes_draws_a_shape_that_it_does_not_know(
    tmp_path: Path, checker: Any
) -> None:
    def judged(weight: float, prompts: dict[str, Any]) -> list[tuple[str, str, str]]:
        spec = {"numInferenceSteps": 25, "loras": [{"source": BARS, "weight": weight}]}
        frames: list[NDArray[np.uint8]] = [
            make(tmp_path / f"{weight} {number}", prompt=prompt, **spec)[1]
            for number, prompt in enumerate(prompts)
        ]
        return [seen(checker, each) for each in frames]

    assert judged(1.0, PROMPTS | KNOWN) == [*PROMPTS.values(), *KNOWN.values()]
    assert all(shape != "bar" for _, shape, _ in judged(0.0, PROMPTS))


def test_the_file_that_comes_along_is_small_and_of_one_family() -> None:
    file = MODELS / BARS / FILE
    assert file.stat().st_size < 1_000_000
    assert all(name.startswith("unet.") for name in load_file(file))


def test_a_misfit_ends_as_a_refused_request() -> None:
    from t2v_api.reasons import EXIT_CODES

    assert EXIT_CODES[RequestRefused.reason] is ExitCode.REQUEST_REFUSED

"""How a pipeline is tuned once it is loaded: by its profile, or not at all."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from t2v_api.attention import Attention
from t2v_api.execution import ModelExecution
from t2v_api.family import ModelFamily
from t2v_api.speed import Speed
from t2v_runner.compiling import CACHE, cache_folder
from t2v_runner.denoise import denoisers
from t2v_runner.device import Device
from t2v_runner.errors import ModelNotLoadable
from t2v_runner.tuning import tuned
from torch._inductor import config as inductor

from tests.runner.drawing import Loader, Tiny, a_request, a_tiny, drawn
from tests.runner.test_speed import a_deep
from tests.runner.tiny_variants import STARTS, TINY_MODELS

CPU = Device("cpu", torch.float32)
CHOOSING = tuple(family for family in ModelFamily if family.traits.attention)


@pytest.fixture(autouse=True)
def the_choice_ends_with_the_test() -> Iterator[None]:
    """Diffusers has one for the process, too."""
    yield
    _AttentionBackendRegistry.set_active_backend(AttentionBackendName.NATIVE)


def a_tuned(name: str, folder: Path, **execution: object) -> Tiny:
    tiny = a_tiny(name, folder)
    tuned(tiny.pipeline, ModelExecution.parse(execution), folder, CPU)
    return tiny


def backends(tiny: Tiny) -> set[str | None]:
    return {
        getattr(processor._attention_backend, "value", None)
        for denoiser in denoisers(tiny.pipeline)
        for processor in denoiser.attn_processors.values()
        if hasattr(processor, "_attention_backend")
    }


def test_the_back_ends_are_those_of_diffusers_without_the_hubs() -> None:
    known = {each.value for each in AttentionBackendName}
    assert {each.value for each in Attention} < known
    assert not any("hub" in each.value for each in Attention)


@pytest.mark.parametrize("name", [*(each.value for each in CHOOSING), "Wan 2.2 A14B"])
def test_a_back_end_is_every_denoisers_and_draws_the_same(
    load: Loader, tmp_path: Path, name: str
) -> None:
    family, _ = TINY_MODELS[name]
    request = a_request(family)
    assert STARTS[name][0] == "Text"
    plain = load(name)
    expected = drawn(plain, request).frames.astype(int)
    other = a_tuned(name, plain.folder, attention="native")
    assert backends(plain) == {None}
    assert backends(other) == {"native"}
    assert abs(drawn(other, request).frames.astype(int) - expected).max() <= 1


def test_a_mask_is_never_given_to_a_back_end_that_takes_none(
    load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which masks each family's denoiser really has: none, tokens, or numbers to add."""
    native = _AttentionBackendRegistry._backends[AttentionBackendName.NATIVE]
    masks: set[object] = set()

    def attend(query: torch.Tensor, *tensors: torch.Tensor, **named: object) -> torch.Tensor:
        mask = named.get("attn_mask")
        masks.add(mask.dtype if isinstance(mask, torch.Tensor) else None)
        return native(query, *tensors, **named)

    monkeypatch.setitem(_AttentionBackendRegistry._backends, AttentionBackendName.NATIVE, attend)
    for family in CHOOSING:
        masks.clear()
        drawn(load(family.value), a_request(family))
        takes_none = Attention.FLASH in family.traits.attention
        takes_tokens = Attention.FLASH_VARLEN in family.traits.attention
        assert takes_none == (masks == {None}), family
        assert takes_tokens == (masks <= {None, torch.bool}), family


@pytest.mark.parametrize(
    ("attention", "why"),
    [
        pytest.param("flash", "Please install `flash-attn", id="not installed"),
        pytest.param("_native_cudnn", "does not work here on cpu in torch.float32", id="no GPU"),
    ],
)
def test_a_back_end_that_does_not_work_here_is_an_error_at_load(
    load: Loader, attention: str, why: str
) -> None:
    folder = load("Wan").folder
    with pytest.raises(ModelNotLoadable) as refusal:
        a_tuned("Wan", folder, attention=attention)
    assert f"execution.attention is {attention}" in str(refusal.value)
    assert why in str(refusal.value)


def test_a_profile_that_says_nothing_changes_nothing(load: Loader, tmp_path: Path) -> None:
    tiny = load("Wan")
    before = list(tiny.folder.iterdir())
    assert tuned(tiny.pipeline, ModelExecution(), tiny.folder, CPU) is tiny.pipeline
    assert list(tiny.folder.iterdir()) == before
    assert backends(tiny) == {None}


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_compiled_blocks_draw_the_same_at_every_speed_and_are_kept_beside_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # as it was, afterwards
    monkeypatch.setattr(inductor, "compile_threads", 1)
    monkeypatch.setattr(inductor.cpp, "simdlen", 1)  # to try what the CPU has takes longer
    tiny = a_deep("Wan")
    exact = a_request(tiny.family, num_inference_steps=8)
    requests = (exact, exact.model_copy(update={"speed": Speed.FAST}), exact)
    expected = [drawn(tiny, request).frames.astype(int) for request in requests]
    tuned(tiny.pipeline, ModelExecution(compile=True), tmp_path, CPU)
    for request, frames in zip(requests, expected, strict=True):
        assert abs(drawn(tiny, request).frames.astype(int) - frames).max() <= 1
    assert any((tmp_path / CACHE).rglob("*.so"))


def test_without_a_compiler_a_model_that_wants_one_is_not_loaded(
    tmp_path: Path, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelNotLoadable, match=r"no g\+\+ or clang\+\+ here"):
        tuned(load("Wan").pipeline, ModelExecution(compile=True), tmp_path, CPU)
    monkeypatch.setenv("CXX", "my-compiler")
    with pytest.raises(ModelNotLoadable, match="no my-compiler here"):
        tuned(load("Wan").pipeline, ModelExecution(compile=True), tmp_path, CPU)


def test_what_is_compiled_stays_with_the_model(tmp_path: Path) -> None:
    assert cache_folder(tmp_path) == cache_folder(tmp_path) == tmp_path / CACHE
    assert (tmp_path / CACHE).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_what_others_can_write_to_is_not_run(tmp_path: Path, mode: int) -> None:
    (tmp_path / CACHE).mkdir()
    (tmp_path / CACHE).chmod(mode)
    other = cache_folder(tmp_path)
    assert other.parent != tmp_path
    assert other.stat().st_mode & 0o777 == 0o700
    other.rmdir()


def test_a_link_in_the_models_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / CACHE).symlink_to(tmp_path / "elsewhere")
    other = cache_folder(tmp_path)
    assert other.resolve() != tmp_path / "elsewhere"
    other.rmdir()


def test_where_no_folder_can_be_made_it_is_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "model").touch()
    other = cache_folder(tmp_path / "model")
    assert list(other.iterdir()) == []
    other.rmdir()

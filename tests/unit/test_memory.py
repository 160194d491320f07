"""Which memory plan is chosen, by sizes and free memory alone."""

from typing import Any

import pytest
from t2v_api.base import ContractError
from t2v_api.execution import Placement, Plan, ladder
from t2v_api.grid import Grid
from t2v_api.memory import (
    GIB,
    NoPlanFits,
    PlanChoice,
    choose,
    expected_peak,
    usable_bytes,
)
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler
from t2v_api.sizes import ComponentSize, DecoderShape, DenoiserShape, ModelSizes

WAN = Grid(16, frames=4, offset=1)


def a_component(gib: float, block: float | None = None, outside: float = 0) -> ComponentSize:
    return ComponentSize(
        weights=int(gib * GIB),
        largest_block=None if block is None else int(block * GIB),
        outside_blocks=int(outside * GIB),
    )


def some_sizes(**components: ComponentSize) -> ModelSizes:
    """Of a model like Wan 14B: 10 GiB of encoder, 26 of denoiser, half a GiB of VAE."""
    return ModelSizes(
        components={
            "text_encoder": a_component(10, block=2),
            "transformer": a_component(26, block=0.6, outside=0.2),
            "vae": a_component(0.5),
            **components,
        },
        denoiser=DenoiserShape(
            kind="WanTransformer3DModel", hidden=5120, feed_forward=13824, pixels=16, frames=4
        ),
        decoder=DecoderShape(kind="AutoencoderKLWan", channels=96),
    )


def a_request(**changes: Any) -> GenerationRequest:
    values: dict[str, Any] = {
        "model_id": "any",
        "prompt": "a red circle",
        "width": 832,
        "height": 480,
        "num_frames": 81,
        "fps": 16,
        "scheduler": Scheduler.UNIPC_MULTISTEP,
        "num_inference_steps": 50,
        "guidance_scale": 5.0,
        "seed": 1,
    }
    return GenerationRequest(**(values | changes))


def chosen(gpu_gib: float, host_gib: float = 64, **changes: Any) -> PlanChoice:
    return choose(
        changes.pop("sizes", some_sizes()),
        a_request(**changes),
        int(gpu_gib * GIB),
        int(host_gib * GIB),
        ladder(changes.pop("fp8", False)),
        WAN,
    )


@pytest.mark.parametrize(
    ("gpu_gib", "expected"),
    [
        (80, "AllOnGpu"),
        (40, "EncoderFirst"),
        (32, "ModelOffload"),
        (16, "GroupOffload"),
        (9, "GroupOffload+Tiling"),
    ],
)
def test_the_first_plan_that_fits_is_chosen(gpu_gib: float, expected: str) -> None:
    choice = chosen(gpu_gib)
    assert str(choice.plan) == expected
    assert choice.peak.gpu <= usable_bytes(int(gpu_gib * GIB))


def test_a_plan_without_the_host_s_memory_is_passed_over() -> None:
    two = some_sizes(transformer_2=a_component(26, block=0.6, outside=0.2))
    assert chosen(48, host_gib=64, sizes=two).plan.placement is Placement.MODEL_OFFLOAD
    with pytest.raises(NoPlanFits, match=r"of the host's memory it needs 62\.0 GiB, 32\.0 GiB"):
        chosen(48, host_gib=32, sizes=two)


def test_eight_bits_are_used_only_where_they_are_allowed() -> None:
    assert not chosen(20).plan.fp8
    choice = choose(some_sizes(), a_request(), 20 * GIB, 64 * GIB, ladder(fp8=True), WAN)
    assert choice.plan.fp8


def test_a_forced_plan_is_the_only_one_allowed() -> None:
    forced = Plan(Placement.MODEL_OFFLOAD, tiling=True)
    choice = choose(some_sizes(), a_request(), 80 * GIB, 64 * GIB, (forced,), WAN)
    assert (choice.plan, choice.rest) == (forced, ())


def test_the_rest_of_the_ladder_needs_less_and_less() -> None:
    choice = chosen(80)
    peaks = [expected_peak(some_sizes(), a_request(), plan).gpu for plan in choice.rest]
    assert peaks
    assert [choice.peak.gpu, *peaks] == sorted({choice.peak.gpu, *peaks}, reverse=True)


def test_who_runs_out_of_memory_falls_back_to_what_the_host_can_hold() -> None:
    placements = {plan.placement for plan in chosen(80, host_gib=8).rest}
    assert placements == {Placement.ENCODER_FIRST}


def test_what_does_not_fit_is_told_with_what_would() -> None:
    with pytest.raises(NoPlanFits) as misfit:
        chosen(8, width=1280, height=720)
    said = str(misfit.value)
    assert "1280x720 with 81 frames needs" in said
    assert "GiB are missing" in said
    assert "a GPU with 12 GiB would fit" in said
    frames = int(said.split(" frames, or")[0].split()[-1])
    assert frames % 4 == 1
    assert chosen(8, width=1280, height=720, num_frames=frames)


@pytest.mark.parametrize("axis", ["width", "height", "num_frames"])
def test_more_of_anything_needs_more(axis: str) -> None:
    plan = Plan(Placement.ALL_ON_GPU)
    small, large = a_request(), a_request(**{axis: 961 if axis == "num_frames" else 1600})
    before, after = (expected_peak(some_sizes(), each, plan) for each in (small, large))
    assert after.denoising > before.denoising
    assert after.decoding > before.decoding


def test_guidance_doubles_what_asks_for_both_at_once() -> None:
    shape = DenoiserShape(
        kind="CogVideoXTransformer3DModel", hidden=3072, feed_forward=12288, pixels=16, frames=4
    )
    sizes = some_sizes().model_copy(update={"denoiser": shape})
    plan = Plan(Placement.MODEL_OFFLOAD)
    held = int(26 * GIB)
    with_it = expected_peak(sizes, a_request(), plan).denoising - held
    without = expected_peak(sizes, a_request(guidance_scale=1.0), plan).denoising - held
    assert with_it == pytest.approx(2 * without, abs=2)


def test_only_one_of_two_experts_is_on_the_gpu_when_models_are_offloaded() -> None:
    two = some_sizes(transformer_2=a_component(26, block=0.6))
    plan = Plan(Placement.MODEL_OFFLOAD)
    one, both = (expected_peak(each, a_request(), plan) for each in (some_sizes(), two))
    assert one.gpu == both.gpu
    assert both.host == one.host + 26 * GIB


@pytest.mark.parametrize(
    ("document", "said"),
    [
        pytest.param({"components": {"vae": {"weights": 1}}}, "none is named", id="no denoiser"),
        pytest.param(
            {"denoiser": {"kind": "WanTransformer", "hidden": 1, "feedForward": 1}},
            "did you mean 'WanTransformer3DModel'",
            id="an unknown class",
        ),
    ],
)
def test_sizes_that_say_nothing_are_refused(document: dict[str, Any], said: str) -> None:
    whole = some_sizes().document()
    if "denoiser" in document:
        document["denoiser"] = whole["denoiser"] | document["denoiser"]
    with pytest.raises(ContractError, match=said):
        ModelSizes.parse(whole | document)

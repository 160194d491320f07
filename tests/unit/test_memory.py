"""Which memory plan is chosen, by sizes and free memory alone."""

from typing import Any

import pytest
from t2v_api.base import ContractError
from t2v_api.execution import Placement, Plan, ladder
from t2v_api.grid import Grid
from t2v_api.memory import (
    ENCODING,
    GIB,
    NoPlanFits,
    PlanChoice,
    choose,
    denoising_bytes,
    expected_peak,
    init_media_bytes,
    usable_bytes,
)
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler
from t2v_api.sizes import (
    ComponentSize,
    DecoderShape,
    DenoiserShape,
    EncoderShape,
    ModelSizes,
)

WAN = Grid(16, frames=4, offset=1)


def a_component(gib: float, block: float | None = None, outside: float = 0) -> ComponentSize:
    return ComponentSize(
        weights=int(gib * GIB),
        largest_block=None if block is None else int(block * GIB),
        outside_blocks=int(outside * GIB),
    )


def some_sizes(**components: ComponentSize) -> ModelSizes:
    """Of a model like Wan 2.2's: 10 GiB of encoder, 26 of denoiser, half a GiB of VAE."""
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
        decoder=DecoderShape(kind="AutoencoderKLWan", channels=96, number_bytes=4),
    )


def given_media(kind: str = "AutoencoderKLWan", decoding_in: int = 2) -> ModelSizes:
    """The same of a model that can be given init media, with a VAE of that class."""
    decoder = DecoderShape(kind=kind, channels=96, number_bytes=decoding_in)
    encoder = EncoderShape(kind=kind, channels=96, number_bytes=4)
    return some_sizes().model_copy(update={"decoder": decoder, "encoder": encoder})


VIDEO = {"init_video": "file:///any.mp4", "strength": 0.5}
IMAGE = {"init_image": "file:///any.png"}


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


def test_all_text_encoders_leave_when_models_are_offloaded() -> None:
    two = some_sizes(text_encoder_2=a_component(1))
    plan = Plan(Placement.MODEL_OFFLOAD)
    one, both = (expected_peak(each, a_request(), plan) for each in (some_sizes(), two))
    assert (both.encoding - one.encoding, both.denoising - one.denoising) == (GIB, 0)


def test_text_encoders_and_denoisers_are_never_there_together_in_encoder_first() -> None:
    sizes = some_sizes(image_encoder=a_component(2))
    peak = expected_peak(sizes, a_request(), Plan(Placement.ENCODER_FIRST))
    beside = int(2.5 * GIB)  # the VAE, and what sees images
    assert peak.encoding == 10 * GIB + beside + ENCODING
    assert peak.denoising == 26 * GIB + beside + denoising_bytes(sizes, a_request())


@pytest.mark.parametrize("placement", list(Placement))
def test_init_media_are_encoded_before_anything_is_denoised(placement: Placement) -> None:
    sizes, plan = given_media(), Plan(placement)
    before = expected_peak(sizes, a_request(), plan)
    after = expected_peak(sizes, a_request(**VIDEO), plan)
    assert after.encoding > before.encoding + 4 * GIB
    assert after.decoding == before.decoding


def test_init_media_of_a_model_that_takes_none_need_nothing() -> None:
    assert init_media_bytes(some_sizes(), a_request(**VIDEO), is_tiled=False) == 0


def test_tiles_are_encoded_in_less() -> None:
    whole, tiled = (
        init_media_bytes(given_media(), a_request(**VIDEO), is_tiled) for is_tiled in (False, True)
    )
    assert tiled < whole / 3


def test_an_image_is_encoded_alone_but_where_it_is_filled_up_to_a_video() -> None:
    for kind, is_filled_up in (("AutoencoderKLWan", True), ("AutoencoderKLLTXVideo", False)):
        video, image = (
            init_media_bytes(given_media(kind), a_request(**media), is_tiled=False)
            for media in (VIDEO, IMAGE)
        )
        assert (video == image) is is_filled_up, kind


def test_a_vae_that_is_widened_to_encode_is_counted_so_until_it_decodes() -> None:
    plan = Plan(Placement.ALL_ON_GPU)
    narrow, wide = (given_media(decoding_in=number_bytes) for number_bytes in (2, 4))
    before, after = (expected_peak(each, a_request(**IMAGE), plan) for each in (wide, narrow))
    widened = int(0.5 * GIB)
    assert after.encoding - before.encoding == widened
    assert after.denoising - before.denoising == widened


def test_one_block_computes_while_the_next_arrives() -> None:
    size = ComponentSize(weights=100, largest_block=40, next_block=10, outside_blocks=5)
    assert size.streamed == 55
    assert size.model_copy(update={"next_block": None}).streamed == 85


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

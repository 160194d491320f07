"""Official configurations, built without memory: their sizes, and what the formulas say of them."""

from itertools import islice

import pytest
from t2v_api.sizes import ModelSizes

from benchmarks import memory_formula, memory_plans
from tests.runner.real_models import (
    ALL,
    ANIMATEDIFF,
    COGVIDEOX_5B,
    HUNYUAN_VIDEO,
    HUNYUAN_VIDEO_15,
    LISTED,
    LTX_2,
    LTX_2B,
    LTX_13B,
    MOCHI,
    MODELSCOPE,
    REAL_MODELS,
    WAN_21_1_3B,
    WAN_22_5B,
    RealModel,
)
from tests.runner.test_recorded_listings import RECORDED

EACH = pytest.mark.parametrize("model", REAL_MODELS, ids=lambda model: model.name)
pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast")


def number(sizes: ModelSizes, model: RealModel, component: str) -> float:
    """Weights of a component, or bytes of the whole repository."""
    if component == ALL:
        assert sizes.download
        return sizes.download
    return sum(each.numel() for each in model.parts[component].build().parameters())


@EACH
def test_a_configuration_has_the_published_number_of_weights(model: RealModel) -> None:
    sizes = model.sizes()
    for component, published in model.published.items():
        assert number(sizes, model, component) == pytest.approx(published, rel=0.02), component


@EACH
def test_what_a_model_computes_for_itself_is_counted_or_small(model: RealModel) -> None:
    components = model.sizes().components
    for name, part in model.parts.items():
        module = part.build()
        stored = module.state_dict()
        tables = [each for table, each in module.named_buffers() if table not in stored]
        large = sum(each.nbytes for each in tables if each.nbytes > 8 * 1024**2)
        if large:
            numbers = sum(each.numel() for each in module.parameters())
            assert components[name].weights == 2 * numbers + large


LISTINGS = {
    "guoyww/animatediff-motion-adapter-v1-5-3": (
        "runwayml/stable-diffusion-v1-5",
        "circulus/animatediff-motion-adapter-v1-5-3",
    ),
}
"""Of two repositories that make one model, one of them a copy."""


@EACH
def test_a_download_is_that_of_the_listing_where_there_is_one(model: RealModel) -> None:
    recorded = {each["repository"]: each["bytes"] for each in RECORDED}
    sources = LISTINGS.get(model.repository, (model.repository,))
    listed = [recorded.get(source) for source in sources]
    assert all(listed) is (model.download_by == LISTED)
    if not all(listed):
        return
    assert model.sizes().download == pytest.approx(sum(filter(None, listed)), rel=0.001)


def test_float32_encoders_lie_in_as_many_shards_as_were_seen() -> None:
    """At most 5 GB each, as transformers writes them: eleven of LTX-2's, four of LTX-Video's."""
    for model, shards in ((LTX_2, 11), (LTX_13B, 4)):
        part = model.parts["text_encoder"]
        stored = part.stored_bytes * sum(each.numel() for each in part.build().parameters())
        assert shards - 1.5 <= stored / 5e9 <= shards, model.name


def test_the_document_is_current() -> None:
    text = memory_plans.FILE.read_text()
    assert text == memory_plans.document(), "run: python -m benchmarks.memory_plans"


@EACH
def test_the_formula_bounds_what_the_denoiser_needs(model: RealModel) -> None:
    for case in islice(memory_formula.denoisers(model), 2):
        assert 1 <= case.ratio <= 1.5, case


@pytest.mark.parametrize(
    "model",
    (ANIMATEDIFF, COGVIDEOX_5B, WAN_21_1_3B, LTX_2B, LTX_2, HUNYUAN_VIDEO, HUNYUAN_VIDEO_15, MOCHI),
    ids=lambda model: model.parts["vae"].name,
)
def test_the_formula_bounds_what_decoding_needs(model: RealModel) -> None:
    for case in islice(memory_formula.decoders(model, is_tiled=False), 1):
        assert 1 <= case.ratio <= 1.5, case


@pytest.mark.parametrize(
    "model",
    (
        ANIMATEDIFF,
        COGVIDEOX_5B,
        WAN_21_1_3B,
        WAN_22_5B,
        LTX_2B,
        LTX_2,
        HUNYUAN_VIDEO_15,
        MODELSCOPE,
    ),
    ids=lambda model: model.name,
)
@pytest.mark.parametrize("is_tiled", (False, True), ids=("whole", "tiled"))
def test_the_formula_bounds_what_encoding_needs(model: RealModel, is_tiled: bool) -> None:
    for case in islice(memory_formula.encoders(model, is_tiled), 2):
        assert 1 <= case.ratio <= 1.5, case


def test_tiles_are_bounded_too() -> None:
    for case in memory_formula.decoders(LTX_2B, is_tiled=True):
        assert 1 <= case.ratio <= 1.5, case

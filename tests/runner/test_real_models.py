"""Official configurations, built without memory: their sizes, and what the formulas say of them."""

import warnings
from collections.abc import Iterator

import pytest
from t2v_api.sizes import ModelSizes

from benchmarks import memory_formula, memory_plans
from tests.runner.real_models import ALL, MOCHI, REAL_MODELS, RealModel

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


def test_the_document_is_current() -> None:
    text = memory_plans.FILE.read_text()
    assert text == memory_plans.document(), "run: python -m benchmarks.memory_plans"


def cases(model: RealModel) -> Iterator[memory_formula.Measured]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from memory_formula.denoisers(model)
        yield from memory_formula.decoders(model, is_tiled=False)


@EACH
def test_the_formula_bounds_what_the_class_needs(model: RealModel) -> None:
    for case in cases(model):
        assert 1 <= case.ratio <= 1.5, case


def test_tiles_are_bounded_too() -> None:
    for case in memory_formula.decoders(MOCHI, is_tiled=True):
        assert 1 <= case.ratio <= 1.5, case

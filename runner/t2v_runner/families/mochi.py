"""Mochi."""

from typing import Any

from t2v_api.family import ModelFamily
from t2v_api.speed import Speed

from t2v_runner.families.base import Adapter
from t2v_runner.families.step_cache import FirstBlock, StepCache


class Mochi(Adapter):
    """As every family is."""

    family = ModelFamily.MOCHI

    def caches(self, pipeline: Any) -> dict[Speed, StepCache]:
        """ParaAttention's defaults for it: an earlier one, and the last."""
        return {Speed.BALANCED: FirstBlock(0.035), Speed.FAST: FirstBlock(0.06)}

"""Draw one request faster than exactly: its denoisers use answers of earlier steps again.

Which answers, and how far that may go, the family says (`Adapter.caches`).
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from t2v_api.request import GenerationRequest
from t2v_api.speed import steps_left

from t2v_runner.families.base import Adapter
from t2v_runner.families.step_cache import StepCache


def cache_of(adapter: Adapter, pipeline: Any, request: GenerationRequest) -> StepCache | None:
    """What is used again for this request: None where it is drawn exactly."""
    return adapter.caches(pipeline)[request.speed] if request.speed else None


@contextmanager
def sped_up(
    adapter: Adapter, pipeline: Any, request: GenerationRequest, denoisers: list[Any]
) -> Iterator[None]:
    """Each denoiser has a cache of its own, which goes with the block and all that is in it.

    The pipelines themselves keep the answers with and without the prompt apart (`cache_context`).
    """
    cache = cache_of(adapter, pipeline, request)
    with ExitStack() as changes:
        if cache is not None:
            steps = steps_left(request.num_inference_steps, request.strength)
            for denoiser in denoisers:
                denoiser.enable_cache(cache.config(steps))
                changes.callback(denoiser.disable_cache)
        yield

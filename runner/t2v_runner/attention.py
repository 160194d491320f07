"""Set the attention back end that a model's profile names. One that does not work here is an error.

Which back ends fit a family's masks, the contract says.
"""

from typing import Any

from t2v_api.attention import Attention

from t2v_runner.denoise import denoisers
from t2v_runner.device import Device
from t2v_runner.errors import ModelNotLoadable

TOKENS = 64
"""Of the attention that is tried."""


def set_attention(pipeline: Any, attention: Attention, device: Device) -> None:
    """All denoisers of the pipeline attend by it. Raises ModelNotLoadable."""
    for denoiser in denoisers(pipeline):
        try:
            denoiser.set_attention_backend(attention.value)
            _try(attention, denoiser, device)
        except (RuntimeError, ValueError, NotImplementedError, AssertionError, TypeError) as error:
            raise ModelNotLoadable(
                f"execution.attention is {attention}, which does not work here on {device.name} in "
                f"{denoiser.dtype}: {_first_line(error)} Choose another one, or take an image of "
                "the runner that has its package"
            ) from error


def _try(attention: Attention, denoiser: Any, device: Device) -> None:
    """Attend once, by heads as the denoiser's: what is missing shows before the first step."""
    import torch
    from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

    config = denoiser.config
    shape = (1, TOKENS, config.num_attention_heads, config.attention_head_dim)
    tokens = torch.zeros(shape, dtype=denoiser.dtype, device=device.name)
    with torch.inference_mode():
        dispatch_attention_fn(tokens, tokens, tokens, backend=AttentionBackendName(attention.value))


def _first_line(error: Exception) -> str:
    line = str(error).strip().partition("\n")[0].rstrip(".")
    return f"{line or type(error).__name__}."

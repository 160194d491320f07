"""Models whose classes or settings differ within a family, as tiny as those of `tiny_models`."""

from collections.abc import Callable
from typing import Any

import diffusers
import transformers
from t2v_api.family import ModelFamily

from tests.runner.tiny_hunyuan_video_15 import a_distilled_hunyuan_video_15, a_hunyuan_video_15
from tests.runner.tiny_ltx2 import an_ltx2, an_ltx2_3, an_ltx2_with_conditions
from tests.runner.tiny_models import (
    BUILDERS,
    TEXT_SIZE,
    a_cogvideox,
    a_t5,
    a_t5_config,
    a_t5_tokenizer,
    a_wan,
    an_ltx,
)

TI2V_CHANNELS = 48


def a_wan_a14b() -> Any:
    """Wan 2.2 with an expert for much noise and one for little."""
    pipeline = a_wan()
    return diffusers.WanPipeline(
        **pipeline.components | {"transformer_2": a_wan().transformer}, boundary_ratio=0.875
    )


def a_wan_ti2v() -> Any:
    """Wan 2.2 with a VAE that shrinks 16 times, and a time for each token."""
    return diffusers.WanPipeline(
        tokenizer=a_t5_tokenizer(),
        text_encoder=transformers.UMT5EncoderModel(a_t5_config(transformers.UMT5Config)).eval(),
        vae=diffusers.AutoencoderKLWan(
            base_dim=4,
            z_dim=TI2V_CHANNELS,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            latents_mean=[0.1] * TI2V_CHANNELS,
            latents_std=[1.5] * TI2V_CHANNELS,
            is_residual=True,
            in_channels=12,
            out_channels=12,
            patch_size=2,
            scale_factor_spatial=16,
        ),
        scheduler=diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
        ),
        transformer=diffusers.WanTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=TI2V_CHANNELS,
            out_channels=TI2V_CHANNELS,
            text_dim=TEXT_SIZE,
            ffn_dim=32,
            num_layers=1,
            rope_max_seq_len=32,
        ),
        expand_timesteps=True,
    )


def an_ltx_0_9_7() -> Any:
    """LTX whose index names another pipeline, and whose decoder denoises once more."""
    pipeline = an_ltx()
    return diffusers.LTXConditionPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=diffusers.AutoencoderKLLTXVideo(
            latent_channels=8,
            block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            layers_per_block=(1, 1, 1, 1, 1),
            decoder_layers_per_block=(1, 1, 1, 1, 1),
            timestep_conditioning=True,
        ),
        text_encoder=a_t5(),
        tokenizer=a_t5_tokenizer(),
        transformer=pipeline.transformer,
    )


def an_ltx_for_images() -> Any:
    """LTX whose index names the pipeline for a first frame."""
    return diffusers.LTXImageToVideoPipeline(**an_ltx().components)


def a_cogvideox_2b() -> Any:
    """The small CogVideoX: without rotary embeddings."""
    pipeline = a_cogvideox()
    config = {**pipeline.transformer.config, "use_rotary_positional_embeddings": False}
    transformer = diffusers.CogVideoXTransformer3DModel.from_config(config)
    return diffusers.CogVideoXPipeline(**pipeline.components | {"transformer": transformer})


VARIANTS: dict[str, tuple[ModelFamily, Callable[[], Any]]] = {
    "Wan 2.2 A14B": (ModelFamily.WAN, a_wan_a14b),
    "Wan 2.2 TI2V-5B": (ModelFamily.WAN, a_wan_ti2v),
    "LTX 0.9.7": (ModelFamily.LTX, an_ltx_0_9_7),
    "LTX for images": (ModelFamily.LTX, an_ltx_for_images),
    "CogVideoX-2b": (ModelFamily.COGVIDEOX, a_cogvideox_2b),
    "LTX-2.3": (ModelFamily.LTX2, an_ltx2_3),
    "LTX-2 with conditions": (ModelFamily.LTX2, an_ltx2_with_conditions),
    "HunyuanVideo-1.5 distilled": (ModelFamily.HUNYUAN_VIDEO_15, a_distilled_hunyuan_video_15),
}
FAMILIES = BUILDERS | {
    ModelFamily.LTX2: an_ltx2,
    ModelFamily.HUNYUAN_VIDEO_15: a_hunyuan_video_15,
}
TINY_MODELS = {family.value: (family, build) for family, build in FAMILIES.items()} | VARIANTS
"""Every tiny model by its name."""

"""A Wan pipeline of a gigabyte of random weights: most of it the text encoder, as in the real ones.

It draws noise, and little of it, so that a measured run is mostly its start.
"""

from pathlib import Path

import diffusers
import torch
import transformers
from t2v_api.family import ModelFamily
from t2v_api.profile import ModelDefaults, ModelLimits, ModelProfile, ModelResources, ModelSource
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler

from tests.runner.tiny_models import a_t5_tokenizer, a_wan

FOLDER = "random-wan"
TEXT_SIZE = 1024
SHARD_SIZE = "200MB"
"""Several files for each component, as the real ones have."""


def write_random_wan(models: Path) -> None:
    """Write it to `models`, unless it is there."""
    folder = models / FOLDER
    if (folder / "model_index.json").exists():
        return
    torch.manual_seed(0)
    pipeline = a_wan()
    text_encoder = transformers.UMT5EncoderModel(
        transformers.UMT5Config(
            vocab_size=120_000,
            d_model=TEXT_SIZE,
            d_kv=64,
            d_ff=2816,
            num_layers=3,
            num_heads=16,
            feed_forward_proj="gated-gelu",
        )
    )
    transformer = diffusers.WanTransformer3DModel(
        num_attention_heads=6,
        attention_head_dim=128,
        text_dim=TEXT_SIZE,
        ffn_dim=3072,
        num_layers=8,
        rope_max_seq_len=32,
    )
    diffusers.WanPipeline(
        tokenizer=a_t5_tokenizer(),
        text_encoder=text_encoder.eval(),
        transformer=transformer,
        vae=pipeline.vae,
        scheduler=pipeline.scheduler,
    ).save_pretrained(str(folder), max_shard_size=SHARD_SIZE)


def its_profile() -> ModelProfile:
    return ModelProfile(
        id=FOLDER,
        source=ModelSource(path=FOLDER),
        family=ModelFamily.WAN,
        defaults=ModelDefaults(
            width=64,
            height=64,
            num_frames=5,
            fps=8,
            num_inference_steps=2,
            guidance_scale=2.0,
            scheduler=Scheduler.UNIPC_MULTISTEP,
        ),
        limits=ModelLimits(max_frames=32),
        resources=ModelResources(gpus=0),
    )


def its_request() -> GenerationRequest:
    defaults = its_profile().defaults
    return GenerationRequest(
        model_id=FOLDER,
        prompt="a large red circle moving right",
        width=defaults.width,
        height=defaults.height,
        num_frames=defaults.num_frames,
        fps=defaults.fps,
        scheduler=defaults.scheduler,
        num_inference_steps=defaults.num_inference_steps,
        guidance_scale=defaults.guidance_scale,
        seed=7,
    )

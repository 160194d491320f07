"""A Wan pipeline of a gigabyte of random weights: most of it the text encoder, as in the real ones.

It draws noise, and little of it, so that a measured run is mostly its start.
"""

from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from t2v_api.family import ModelFamily
from t2v_api.profile import ModelDefaults, ModelProfile
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler

from tests.runner.tiny_models import a_profile, a_t5_tokenizer, a_wan

FOLDER = "random-wan"
PROMPT = "a large red circle moving right"
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
    profile = a_profile(ModelFamily.WAN, Path(FOLDER))
    defaults = profile.defaults.model_copy(update={"scheduler": Scheduler.UNIPC_MULTISTEP})
    return profile.model_copy(update={"id": FOLDER, "defaults": defaults})


def its_request() -> GenerationRequest:
    return request_of(its_profile().defaults, FOLDER, seed=7)


def request_of(defaults: ModelDefaults, model_id: str, **values: Any) -> GenerationRequest:
    """What a model draws where nothing is asked for; `values` go over that."""
    asked = {
        "model_id": model_id,
        "prompt": PROMPT,
        "width": defaults.width,
        "height": defaults.height,
        "num_frames": defaults.num_frames,
        "fps": defaults.fps,
        "scheduler": defaults.scheduler,
        "num_inference_steps": defaults.num_inference_steps,
        "guidance_scale": defaults.guidance_scale,
    }
    return GenerationRequest(**asked | values)

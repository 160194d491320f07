"""A tiny HunyuanVideo-1.5, as tiny as those of `tiny_models`."""

import inspect
from typing import Any

import diffusers
import transformers
from transformers.convert_slow_tokenizer import bytes_to_unicode

from tests.runner.tiny_models import TEXT_SIZE, in_pieces

LATENT_CHANNELS = 4
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""As Qwen2.5-VL's, where there are words alone."""


IMAGE_SIZE, IMAGE_WIDTH = 28, 12
"""Pixels that SigLIP is shown, and the width of what it makes of them."""


def a_hunyuan_video_15(guidance_scale: float = 6.0, **transformer: Any) -> Any:
    return diffusers.HunyuanVideo15Pipeline(
        text_encoder=a_qwen(),
        tokenizer=a_qwen_tokenizer(),
        transformer=diffusers.HunyuanVideo15Transformer3DModel(
            in_channels=2 * LATENT_CHANNELS + 1,
            out_channels=LATENT_CHANNELS,
            num_attention_heads=2,
            attention_head_dim=8,
            num_layers=1,
            num_refiner_layers=1,
            text_embed_dim=TEXT_SIZE,
            text_embed_2_dim=TEXT_SIZE,
            image_embed_dim=IMAGE_WIDTH,
            rope_axes_dim=(2, 2, 4),
            **{"task_type": "t2v"} | transformer,
        ),
        vae=diffusers.AutoencoderKLHunyuanVideo15(
            latent_channels=LATENT_CHANNELS,
            block_out_channels=(32, 32, 32, 32, 32),
            layers_per_block=1,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=5.0),
        text_encoder_2=a_byt5(),
        tokenizer_2=transformers.ByT5Tokenizer(),
        guider=diffusers.ClassifierFreeGuidance(guidance_scale=guidance_scale),
    )


def a_distilled_hunyuan_video_15() -> Any:
    """Its guidance is distilled into the model, and its guider saved without any."""
    return a_hunyuan_video_15(guidance_scale=1.0)


def a_hunyuan_video_15_i2v(**transformer: Any) -> Any:
    """Its weights are for a first frame: as latents, and as SigLIP sees it."""
    pipeline = a_hunyuan_video_15(**{"task_type": "i2v"} | transformer)
    encoder = transformers.SiglipVisionModel(
        transformers.SiglipVisionConfig(
            hidden_size=IMAGE_WIDTH,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=IMAGE_SIZE,
            patch_size=IMAGE_SIZE // 2,
        )
    )
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    return diffusers.HunyuanVideo15ImageToVideoPipeline(
        **pipeline.components,
        image_encoder=encoder.eval(),
        feature_extractor=transformers.SiglipImageProcessor(size=size),
    )


def a_step_distilled_hunyuan_video_15_i2v() -> Any:
    """Drawn in few steps: it is told where each of them ends."""
    return a_hunyuan_video_15_i2v(guidance_scale=1.0, use_meanflow=True)


def a_qwen() -> Any:
    tokenizer = a_qwen_tokenizer()
    config = transformers.Qwen2_5_VLTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_SIZE,
        intermediate_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=2,
        rope_parameters={
            "rope_type": "default",
            "mrope_section": [2, 3, 3],
            "rope_theta": 1000000.0,
        },
        pad_token_id=tokenizer.pad_token_id,
    )
    return transformers.Qwen2_5_VLTextModel(config).eval()


def a_qwen_tokenizer() -> Any:
    """What stands before a prompt has as many tokens as the pipeline cuts off."""
    vocabulary = {piece: index for index, piece in enumerate(bytes_to_unicode().values())}
    tokenizer = transformers.Qwen2Tokenizer(vocab=vocabulary, merges=[], chat_template=TEMPLATE)
    told = inspect.signature(diffusers.HunyuanVideo15Pipeline._get_mllm_prompt_embeds).parameters
    messages = [
        {"role": "system", "content": told["system_message"].default},
        {"role": "user", "content": "{}"},
    ]
    whole = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    before, after = whole.split("{}")
    tokenizer.add_tokens([*in_pieces(before, told["crop_start"].default), after])
    return tokenizer


def a_byt5() -> Any:
    config = transformers.T5Config(
        vocab_size=384,
        d_model=TEXT_SIZE,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    return transformers.T5EncoderModel(config).eval()

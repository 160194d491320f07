"""Build a tiny pipeline of each family with random weights. It draws noise, through real code.

The compression factors are the real ones, because the pipelines' rules for sizes and numbers of
frames hang on them; everything else is as small as the classes allow.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import transformers
from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE
from t2v_api.family import ModelFamily
from t2v_api.profile import ModelDefaults, ModelLimits, ModelProfile, ModelResources, ModelSource
from t2v_api.schedulers import Scheduler
from t2v_api.start import Start

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:|<>_()-"
TEXT_SIZE = 32
FRAMES = {
    ModelFamily.ANIMATEDIFF: 4,
    ModelFamily.COGVIDEOX: 9,
    ModelFamily.WAN: 5,
    ModelFamily.LTX: 9,
    ModelFamily.LTX2: 9,
    ModelFamily.HUNYUAN_VIDEO: 5,
    ModelFamily.HUNYUAN_VIDEO_15: 5,
    ModelFamily.MOCHI: 7,
    ModelFamily.LATTE: 4,
    ModelFamily.TEXT_TO_VIDEO_SD: 4,
}
"""A number of frames that each family can draw, more than one latent frame. CogVideoX can draw
8n+1, not 4n+1: from an even number of latent frames its VAE decodes other numbers."""


def a_profile(
    family: ModelFamily, folder: Path, starts: tuple[Start, ...] | None = None
) -> ModelProfile:
    return ModelProfile(
        id=f"tiny-{family.value}",
        source=ModelSource(path=str(folder)),
        family=family,
        starts=starts,
        defaults=ModelDefaults(
            width=64,
            height=64,
            num_frames=FRAMES[family],
            fps=8,
            num_inference_steps=2,
            guidance_scale=2.0,
            scheduler=Scheduler.DDIM,
        ),
        limits=ModelLimits(max_frames=32),
        resources=ModelResources(gpus=0),
    )


def an_animatediff() -> Any:
    unet = diffusers.UNetMotionModel(
        sample_size=8,
        block_out_channels=(8, 8),
        down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"),
        up_block_types=("UpBlockMotion", "CrossAttnUpBlockMotion"),
        layers_per_block=1,
        norm_num_groups=2,
        cross_attention_dim=TEXT_SIZE,
        num_attention_heads=2,
        motion_num_attention_heads=2,
    )
    return diffusers.AnimateDiffPipeline(
        vae=an_image_vae(),
        text_encoder=a_clip(),
        tokenizer=a_clip_tokenizer(),
        unet=unet,
        motion_adapter=None,
        scheduler=diffusers.DDIMScheduler(
            beta_schedule="linear", clip_sample=False, prediction_type="v_prediction"
        ),
    )


def a_cogvideox() -> Any:
    return diffusers.CogVideoXPipeline(
        tokenizer=a_t5_tokenizer(),
        text_encoder=a_t5(),
        vae=diffusers.AutoencoderKLCogVideoX(
            block_out_channels=(8, 8, 8, 8),
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=2,
        ),
        transformer=diffusers.CogVideoXTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=16,
            in_channels=4,
            out_channels=4,
            time_embed_dim=4,
            text_embed_dim=TEXT_SIZE,
            num_layers=1,
            sample_width=8,
            sample_height=8,
            sample_frames=5,
            use_rotary_positional_embeddings=True,
        ),
        scheduler=diffusers.CogVideoXDDIMScheduler(
            prediction_type="v_prediction",
            rescale_betas_zero_snr=True,
            snr_shift_scale=1.0,
            timestep_spacing="trailing",
        ),
    )


def a_wan() -> Any:
    return diffusers.WanPipeline(
        tokenizer=a_t5_tokenizer(),
        text_encoder=transformers.UMT5EncoderModel(a_t5_config(transformers.UMT5Config)).eval(),
        vae=diffusers.AutoencoderKLWan(
            base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1
        ),
        scheduler=diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        transformer=diffusers.WanTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=12,
            text_dim=TEXT_SIZE,
            ffn_dim=32,
            num_layers=1,
            rope_max_seq_len=32,
        ),
    )


def an_ltx() -> Any:
    return diffusers.LTXPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05, shift_terminal=0.1
        ),
        vae=diffusers.AutoencoderKLLTXVideo(
            latent_channels=8,
            block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            layers_per_block=(1, 1, 1, 1, 1),
            decoder_layers_per_block=(1, 1, 1, 1, 1),
        ),
        text_encoder=a_t5(),
        tokenizer=a_t5_tokenizer(),
        transformer=diffusers.LTXVideoTransformer3DModel(
            in_channels=8,
            out_channels=8,
            num_attention_heads=2,
            attention_head_dim=8,
            cross_attention_dim=16,
            num_layers=1,
            caption_channels=TEXT_SIZE,
        ),
    )


def a_hunyuan_video() -> Any:
    tokenizer = a_llama_tokenizer()
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_SIZE,
        intermediate_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    return diffusers.HunyuanVideoPipeline(
        text_encoder=transformers.LlamaModel(config).eval(),
        tokenizer=tokenizer,
        transformer=diffusers.HunyuanVideoTransformer3DModel(
            in_channels=4,
            out_channels=4,
            num_attention_heads=2,
            attention_head_dim=10,
            num_layers=1,
            num_single_layers=1,
            num_refiner_layers=1,
            text_embed_dim=TEXT_SIZE,
            pooled_projection_dim=TEXT_SIZE,
            rope_axes_dim=(2, 4, 4),
        ),
        vae=diffusers.AutoencoderKLHunyuanVideo(
            latent_channels=4,
            block_out_channels=(8, 8, 8, 8),
            layers_per_block=1,
            norm_num_groups=4,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder_2=a_clip(),
        tokenizer_2=a_clip_tokenizer(),
    )


def a_mochi() -> Any:
    return diffusers.MochiPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True),
        vae=diffusers.AutoencoderKLMochi(
            encoder_block_out_channels=(32, 32, 32, 32),
            decoder_block_out_channels=(32, 32, 32, 32),
            layers_per_block=(1, 1, 1, 1, 1),
        ),
        text_encoder=a_t5(),
        tokenizer=a_t5_tokenizer(),
        transformer=diffusers.MochiTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            num_layers=2,
            pooled_projection_dim=16,
            text_embed_dim=TEXT_SIZE,
            time_embed_dim=4,
        ),
    )


def a_latte() -> Any:
    return diffusers.LattePipeline(
        tokenizer=a_t5_tokenizer(),
        text_encoder=a_t5(),
        vae=an_image_vae(),
        transformer=diffusers.LatteTransformer3DModel(
            sample_size=8,
            num_layers=1,
            patch_size=2,
            attention_head_dim=8,
            num_attention_heads=2,
            caption_channels=TEXT_SIZE,
            in_channels=4,
            out_channels=8,
            cross_attention_dim=16,
            attention_bias=True,
            activation_fn="gelu-approximate",
            num_embeds_ada_norm=1000,
            norm_type="ada_norm_single",
            norm_elementwise_affine=False,
            video_length=FRAMES[ModelFamily.LATTE],
        ),
        scheduler=diffusers.DDIMScheduler(clip_sample=False),
    )


def a_text_to_video_sd() -> Any:
    return diffusers.TextToVideoSDPipeline(
        vae=an_image_vae(),
        text_encoder=a_clip(),
        tokenizer=a_clip_tokenizer(),
        unet=diffusers.UNet3DConditionModel(
            sample_size=8,
            block_out_channels=(4, 8),
            down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
            up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
            layers_per_block=1,
            norm_num_groups=2,
            cross_attention_dim=TEXT_SIZE,
            attention_head_dim=4,
        ),
        scheduler=diffusers.DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False),
    )


def an_image_vae() -> Any:
    return diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        norm_num_groups=2,
    )


def a_clip() -> Any:
    tokenizer = a_clip_tokenizer()
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_SIZE,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return transformers.CLIPTextModel(config).eval()


def a_clip_tokenizer() -> Any:
    pieces = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>"]
    vocabulary = {piece: index for index, piece in enumerate([*pieces, "<|endoftext|>"])}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def a_t5() -> Any:
    return transformers.T5EncoderModel(a_t5_config(transformers.T5Config)).eval()


def a_t5_config(kind: Callable[..., Any]) -> Any:
    return kind(
        vocab_size=len(a_t5_tokenizer()),
        d_model=TEXT_SIZE,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )


def a_t5_tokenizer() -> Any:
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    vocabulary += [(letter, -3.0) for letter in LETTERS]
    return transformers.T5Tokenizer(vocab=vocabulary, extra_ids=0)


def a_llama_tokenizer() -> Any:
    """The template that the pipeline puts before a prompt has as many tokens as it cuts off."""
    pieces = ["<unk>", "<s>", "</s>", "<pad>", "▁", *LETTERS]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = transformers.LlamaTokenizerFast(vocab=vocabulary, merges=[], pad_token="<pad>")
    before, after = DEFAULT_PROMPT_TEMPLATE["template"].split("{}")
    tokenizer.add_tokens([*in_pieces(before, DEFAULT_PROMPT_TEMPLATE["crop_start"]), after])
    return tokenizer


def in_pieces(text: str, count: int) -> list[str]:
    """All but the first of one length, so that no other ones are found in it."""
    length = len(text) // count
    first = len(text) - (count - 1) * length
    return [text[:first], *(text[at : at + length] for at in range(first, len(text), length))]


BUILDERS: dict[ModelFamily, Callable[[], Any]] = {
    ModelFamily.ANIMATEDIFF: an_animatediff,
    ModelFamily.COGVIDEOX: a_cogvideox,
    ModelFamily.WAN: a_wan,
    ModelFamily.LTX: an_ltx,
    ModelFamily.HUNYUAN_VIDEO: a_hunyuan_video,
    ModelFamily.MOCHI: a_mochi,
    ModelFamily.LATTE: a_latte,
    ModelFamily.TEXT_TO_VIDEO_SD: a_text_to_video_sd,
}

"""A tiny LTX-2, as tiny as those of `tiny_models`: frames and sound."""

from typing import Any

import diffusers
import transformers
from diffusers.pipelines.ltx2 import LTX2TextConnectors, LTX2Vocoder, LTX2VocoderWithBWE

from tests.runner.tiny_models import LETTERS, TEXT_SIZE

LAYERS = 2
MEL_BINS = 16
AUDIO_CHANNELS = 2 * MEL_BINS // 4
"""What an audio latent has for each moment: its two channels times a quarter of the bins."""
STEREO = 2


def an_ltx2() -> Any:
    return diffusers.LTX2Pipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05, shift_terminal=0.1
        ),
        vae=a_vae(),
        audio_vae=diffusers.AutoencoderKLLTX2Audio(
            base_channels=AUDIO_CHANNELS,
            latent_channels=2,
            ch_mult=(1, 1, 1),
            num_res_blocks=1,
            mel_bins=MEL_BINS,
        ),
        text_encoder=a_gemma(),
        tokenizer=a_gemma_tokenizer(),
        connectors=LTX2TextConnectors(
            caption_channels=TEXT_SIZE,
            text_proj_in_factor=LAYERS + 1,
            video_connector_num_attention_heads=2,
            video_connector_attention_head_dim=TEXT_SIZE // 2,
            video_connector_num_layers=1,
            video_connector_num_learnable_registers=8,
            audio_connector_num_attention_heads=2,
            audio_connector_attention_head_dim=TEXT_SIZE // 2,
            audio_connector_num_layers=1,
            audio_connector_num_learnable_registers=8,
        ),
        transformer=diffusers.LTX2VideoTransformer3DModel(
            in_channels=8,
            out_channels=8,
            num_attention_heads=2,
            attention_head_dim=16,
            cross_attention_dim=32,
            audio_in_channels=AUDIO_CHANNELS,
            audio_out_channels=AUDIO_CHANNELS,
            audio_num_attention_heads=2,
            audio_attention_head_dim=8,
            audio_cross_attention_dim=16,
            num_layers=1,
            caption_channels=TEXT_SIZE,
        ),
        vocoder=LTX2Vocoder(
            in_channels=STEREO * MEL_BINS,
            hidden_channels=64,
            resnet_kernel_sizes=[3],
            resnet_dilations=[[1]],
        ),
    )


def an_ltx2_3() -> Any:
    """LTX-2.3: its vocoder widens the band to 48 kHz, its decoder denoises once more."""
    parts = an_ltx2().components | {
        "vae": a_vae(timestep_conditioning=True),
        "vocoder": LTX2VocoderWithBWE(
            in_channels=STEREO * MEL_BINS,
            hidden_channels=64,
            resnet_kernel_sizes=[3],
            resnet_dilations=[[1]],
            bwe_hidden_channels=64,
            bwe_resnet_kernel_sizes=[3],
            bwe_resnet_dilations=[[1]],
        ),
    }
    return diffusers.LTX2Pipeline(**parts)


def an_ltx2_with_conditions() -> Any:
    """Its index names the pipeline for conditions, with a scheduler of the sound's own."""
    parts = an_ltx2().components
    sounding = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    return diffusers.LTX2ConditionPipeline(**parts, audio_scheduler=sounding)


def a_vae(**changes: Any) -> Any:
    return diffusers.AutoencoderKLLTX2Video(
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 16, 32),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
        **changes,
    )


def a_gemma() -> Any:
    tokenizer = a_gemma_tokenizer()
    text = transformers.Gemma3TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_SIZE,
        intermediate_size=16,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        pad_token_id=tokenizer.pad_token_id,
    )
    vision = transformers.SiglipVisionConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        image_size=28,
        patch_size=14,
    )
    config = transformers.Gemma3Config(
        text_config=text.to_dict(), vision_config=vision.to_dict(), mm_tokens_per_image=4
    )
    return transformers.Gemma3ForConditionalGeneration(config).eval()


def a_gemma_tokenizer() -> Any:
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *LETTERS]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    return transformers.GemmaTokenizerFast(vocab=vocabulary, merges=[], model_max_length=1024)

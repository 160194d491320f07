"""The official configurations of models that people run, built on torch's meta device: no memory.

Where each comes from: V read in a source (diffusers' scripts/convert_*_to_diffusers.py, the class's
own defaults, the model's repository), D documentation, J judgment. Keys that change no weight and
no activation (latents_mean, rope_theta …) are left out.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import diffusers
import torch
import transformers
from diffusers.pipelines import ltx2
from t2v_api.sizes import ModelSizes
from t2v_runner.families import adapter_of
from t2v_runner.weights import family_of, sizes_of

Config = Mapping[str, Any]
ALL = "all"
"""In place of a component: bytes of the whole repository."""


LISTED, COMPUTED = "listed", "computed"
"""Of a download: recorded/listings.yaml has it, or it is computed from weights in the number
formats that the sources tell."""


@dataclass(frozen=True)
class Part:
    """One component: its class, its configuration, where that was read."""

    name: str
    config: Config
    source: str
    stored_bytes: int = 2
    """A weight's bytes in the official repository."""

    def build(self) -> torch.nn.Module:
        """The very class, with weights that have shapes and no memory."""
        with torch.device("meta"):
            return _build(self.name, dict(self.config)).eval()


@dataclass(frozen=True)
class RealModel:
    """A model as its official repository has it, and what it is usually asked for."""

    name: str
    repository: str
    pipeline: str
    parts: Mapping[str, Part]
    width: int
    height: int
    num_frames: int
    guidance_scale: float
    published: Mapping[str, float]
    """Published numbers of weights, by component, or bytes of all; `said` tells where."""
    said: str
    download_by: str = COMPUTED
    """How the bytes of its files are known."""
    settings: Config = field(default_factory=dict)
    """What model_index.json says beside the components."""

    def dtypes(self) -> dict[str, torch.dtype]:
        """What its adapter loads each component as, on a GPU with bfloat16."""
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "model_index.json").write_text(json.dumps(self.settings))
            for component, part in self.parts.items():
                (folder / component).mkdir()
                (folder / component / "config.json").write_text(json.dumps(part.config))
            return adapter_of(family_of(self.pipeline)).dtypes(folder, torch.bfloat16)

    def sizes(self) -> ModelSizes:
        """As the runner would measure a folder of it."""
        built = {name: part.build() for name, part in self.parts.items()}
        tensors = {name: dict(_header(module)) for name, module in built.items()}
        sizes = sizes_of(
            {name: part.name for name, part in self.parts.items()},
            {name: _config(module) for name, module in built.items()},
            tensors,
            self.dtypes(),
        )
        download = sum(
            part.stored_bytes * math.prod(entry["shape"])
            for name, part in self.parts.items()
            for entry in tensors[name].values()
        )
        return sizes.model_copy(update={"download": download})


def _header(module: torch.nn.Module) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a safetensors file says of its weights; what is shared stands there once."""
    stored = module.state_dict()
    for name, weight in chain(module.named_parameters(), module.named_buffers()):
        if name in stored:
            yield name, {"dtype": "F32", "shape": tuple(weight.shape)}


def _config(module: Any) -> Mapping[str, Any]:
    return dict(module.config) if isinstance(module.config, Mapping) else module.config.to_dict()


def _is_of_diffusers(name: str) -> bool:
    return hasattr(diffusers, name) or hasattr(ltx2, name)


def _build(name: str, config: dict[str, Any]) -> Any:
    if _is_of_diffusers(name):
        kind = getattr(diffusers, name, None) or getattr(ltx2, name)
        return kind(**config)
    kind = getattr(transformers, name, None)
    if kind is None:  # a part of a model that transformers does not name at its top
        from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextModel as kind
    return kind(kind.config_class(**config))


UMT5_XXL = Part(
    "UMT5EncoderModel",
    {"vocab_size": 256384, "d_model": 4096, "d_kv": 64, "d_ff": 10240}
    | {"num_layers": 24, "num_heads": 64, "feed_forward_proj": "gated-gelu"},
    "V Wan2.1 wan/modules/t5.py umt5_xxl",
)
UMT5_XXL_FP32 = Part(UMT5_XXL.name, UMT5_XXL.config, UMT5_XXL.source, stored_bytes=4)
T5_XXL = Part(
    "T5EncoderModel",
    {"vocab_size": 32128, "d_model": 4096, "d_kv": 64, "d_ff": 10240}
    | {"num_layers": 24, "num_heads": 64, "feed_forward_proj": "gated-gelu"},
    "D google/t5-v1_1-xxl, which the conversion scripts name (V)",
)
T5_XXL_FP32 = Part(T5_XXL.name, T5_XXL.config, T5_XXL.source, stored_bytes=4)
CLIP_L = Part(
    "CLIPTextModel",
    {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
    | {"num_hidden_layers": 12, "projection_dim": 768},
    "D openai/clip-vit-large-patch14",
)
CLIP_L_FP32 = Part(CLIP_L.name, CLIP_L.config, CLIP_L.source, stored_bytes=4)
LLAMA_3_8B = Part(
    "LlamaModel",
    {"vocab_size": 128320, "hidden_size": 4096, "intermediate_size": 14336}
    | {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8},
    "V copies of the text_encoder's config.json of hunyuanvideo-community/HunyuanVideo",
)
QWEN_2_5_VL_7B = Part(
    "Qwen2_5_VLTextModel",
    {"vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944}
    | {"num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4},
    "V copies of Qwen2.5-VL-7B-Instruct's config.json; its language model alone (V conversion)",
)
BYT5_SMALL_FP32 = Part(
    "T5EncoderModel",
    {"vocab_size": 1510, "d_model": 1472, "d_kv": 64, "d_ff": 3584}
    | {"num_layers": 12, "num_heads": 6, "feed_forward_proj": "gated-gelu"},
    "D google/byt5-small; J its vocabulary with Glyph-SDXL-v2's tokens (3 MB of it)",
    stored_bytes=4,
)
GEMMA_3_12B_FP32 = Part(
    "Gemma3ForConditionalGeneration",
    {
        "text_config": {"vocab_size": 262208, "hidden_size": 3840, "intermediate_size": 15360}
        | {"num_hidden_layers": 48, "num_attention_heads": 16, "num_key_value_heads": 8}
        | {"head_dim": 256, "sliding_window": 1024},
        "vision_config": {"hidden_size": 1152, "intermediate_size": 4304}
        | {"num_hidden_layers": 27, "num_attention_heads": 16, "patch_size": 14}
        | {"image_size": 896, "vision_use_head": False},
    },
    "V copies of google/gemma-3-12b-it's config.json; D its vision part; J eleven shards, which "
    "have at most 5 GB, are float32",
    stored_bytes=4,
)

SD_VAE = Part(
    "AutoencoderKL",
    {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4}
    | {"down_block_types": ("DownEncoderBlock2D",) * 4}
    | {"up_block_types": ("UpDecoderBlock2D",) * 4, "sample_size": 512},
    "D stable-diffusion-v1-5 vae/config.json",
)
SD_VAE_FP32 = Part(SD_VAE.name, SD_VAE.config, SD_VAE.source, stored_bytes=4)
WAN_21_VAE = Part("AutoencoderKLWan", {}, "V the class's defaults (conversion)", stored_bytes=4)
WAN_22_VAE = Part(
    "AutoencoderKLWan",
    {"base_dim": 160, "z_dim": 48, "is_residual": True, "in_channels": 12, "out_channels": 12}
    | {"decoder_base_dim": 256, "scale_factor_temporal": 4, "scale_factor_spatial": 16}
    | {"patch_size": 2, "latents_mean": [0.0] * 48, "latents_std": [1.0] * 48},
    "V convert_wan vae22_diffusers_config",
    stored_bytes=4,
)
COGVIDEOX_VAE = Part("AutoencoderKLCogVideoX", {}, "V the class's defaults (conversion)", 4)

LTX_095_VAE = Part(
    "AutoencoderKLLTXVideo",
    {"block_out_channels": (128, 256, 512, 1024, 2048)}
    | {"down_block_types": ("LTXVideo095DownBlock3D",) * 4}
    | {"decoder_block_out_channels": (256, 512, 1024), "layers_per_block": (4, 6, 6, 2, 2)}
    | {"decoder_layers_per_block": (5, 5, 5, 5), "spatio_temporal_scaling": (True,) * 4}
    | {"decoder_spatio_temporal_scaling": (True,) * 3, "decoder_inject_noise": (False,) * 4}
    | {"downsample_type": ("spatial", "temporal", "spatiotemporal", "spatiotemporal")}
    | {"upsample_residual": (True,) * 3, "upsample_factor": (2, 2, 2)}
    | {"timestep_conditioning": True, "decoder_causal": False}
    | {"spatial_compression_ratio": 32, "temporal_compression_ratio": 8},
    "V convert_ltx get_vae_config 0.9.5 and 0.9.7",
)
LTX_090_VAE = Part("AutoencoderKLLTXVideo", {}, "V the class's defaults are 0.9.0's", 4)
LTX_2_VAE = Part(
    "AutoencoderKLLTX2Video",
    {"block_out_channels": (256, 512, 1024, 2048)}
    | {"down_block_types": ("LTX2VideoDownBlock3D",) * 4}
    | {"decoder_block_out_channels": (256, 512, 1024), "layers_per_block": (4, 6, 6, 2, 2)}
    | {"decoder_layers_per_block": (5, 5, 5, 5), "spatio_temporal_scaling": (True,) * 4}
    | {"decoder_spatio_temporal_scaling": (True,) * 3, "decoder_inject_noise": (False,) * 4}
    | {"downsample_type": ("spatial", "temporal", "spatiotemporal", "spatiotemporal")}
    | {"upsample_type": ("spatiotemporal",) * 3, "upsample_residual": (True,) * 3}
    | {"upsample_factor": (2, 2, 2), "timestep_conditioning": False, "decoder_causal": False}
    | {"decoder_spatial_padding_mode": "reflect"}
    | {"spatial_compression_ratio": 32, "temporal_compression_ratio": 8},
    "V convert_ltx2 get_ltx2_video_vae_config 2.0",
)
LTX_2_AUDIO_VAE = Part(
    "AutoencoderKLLTX2Audio",
    {"base_channels": 128, "ch_mult": (1, 2, 4), "num_res_blocks": 2, "latent_channels": 8},
    "V convert_ltx2 get_ltx2_audio_vae_config 2.0",
)
LTX_2_CONNECTORS = Part(
    "LTX2TextConnectors",
    {"caption_channels": 3840, "text_proj_in_factor": 49, "rope_type": "split"}
    | {"video_connector_num_attention_heads": 30, "video_connector_attention_head_dim": 128}
    | {"video_connector_num_layers": 2, "video_connector_num_learnable_registers": 128}
    | {"audio_connector_num_attention_heads": 30, "audio_connector_attention_head_dim": 128}
    | {"audio_connector_num_layers": 2, "audio_connector_num_learnable_registers": 128},
    "V convert_ltx2 get_ltx2_connectors_config 2.0",
)
LTX_2_VOCODER = Part("LTX2Vocoder", {}, "V the class's defaults are 2.0's (conversion)")


def _wan(heads: int, feed_forward: int, layers: int, channels: int, stored: int) -> Part:
    return Part(
        "WanTransformer3DModel",
        {"attention_head_dim": 128, "num_attention_heads": heads, "ffn_dim": feed_forward}
        | {"num_layers": layers, "in_channels": channels, "out_channels": channels}
        | {"text_dim": 4096},
        "V convert_wan get_transformer_config",
        stored,
    )


def _cogvideox(heads: int, layers: int, rotary: bool) -> Part:
    return Part(
        "CogVideoXTransformer3DModel",
        {"num_attention_heads": heads, "num_layers": layers, "sample_width": 90}
        | {"sample_height": 60, "sample_frames": 49, "use_rotary_positional_embeddings": rotary},
        "V convert_cogvideox",
    )


def _ltx(head_size: int, layers: int, stored: int = 2) -> Part:
    return Part(
        "LTXVideoTransformer3DModel",
        {"attention_head_dim": head_size, "num_layers": layers, "caption_channels": 4096}
        | {"cross_attention_dim": 32 * head_size, "num_attention_heads": 32},
        "V convert_ltx get_transformer_config",
        stored,
    )


_UNET_BLOCKS = (320, 640, 1280, 1280)

ANIMATEDIFF = RealModel(
    "AnimateDiff v1.5.3 with Stable Diffusion 1.5",
    "guoyww/animatediff-motion-adapter-v1-5-3",
    "AnimateDiffPipeline",
    {
        "text_encoder": CLIP_L_FP32,
        "unet": Part(
            "UNetMotionModel",
            {"block_out_channels": _UNET_BLOCKS, "cross_attention_dim": 768}
            | {"num_attention_heads": 8, "use_motion_mid_block": False},
            "D stable-diffusion-v1-5 unet/config.json; V the adapter's config.json",
            stored_bytes=4,
        ),
        "motion_adapter": Part(
            "MotionAdapter",
            {"use_motion_mid_block": False},
            "V a copy of its config.json",
            stored_bytes=0,  # the UNet's weights above are its own as well
        ),
        "vae": SD_VAE_FP32,
    },
    width=512,
    height=512,
    num_frames=16,
    guidance_scale=7.5,
    published={"text_encoder": 123e6, "unet": 860e6 + 417e6},
    said="D READMEs of Stable Diffusion (860M UNet, 123M encoder) and AnimateDiff (417M)",
    download_by=LISTED,
)
COGVIDEOX_2B = RealModel(
    "CogVideoX-2b",
    "zai-org/CogVideoX-2b",
    "CogVideoXPipeline",
    {"text_encoder": T5_XXL, "transformer": _cogvideox(30, 30, False), "vae": COGVIDEOX_VAE},
    width=720,
    height=480,
    num_frames=49,
    guidance_scale=6.0,
    published={"transformer": 1693783872},
    said="V the hub's count of weights beside the listing",
    download_by=LISTED,
)
COGVIDEOX_5B = RealModel(
    "CogVideoX-5b",
    "zai-org/CogVideoX-5b",
    "CogVideoXPipeline",
    {"text_encoder": T5_XXL, "transformer": _cogvideox(48, 42, True), "vae": COGVIDEOX_VAE},
    width=720,
    height=480,
    num_frames=49,
    guidance_scale=6.0,
    published={"transformer": 5570283072},
    said="V the hub's count of weights beside the listing",
    download_by=LISTED,
)
WAN_21_1_3B = RealModel(
    "Wan2.1-T2V-1.3B",
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
    "WanPipeline",
    {"text_encoder": UMT5_XXL_FP32, "transformer": _wan(12, 8960, 30, 16, 4), "vae": WAN_21_VAE},
    width=832,
    height=480,
    num_frames=81,
    guidance_scale=5.0,
    published={
        "text_encoder": 11361920418 / 2,
        "transformer": 5676070424 / 4,
        "vae": 507609880 / 4,
    },
    said="V bytes of Wan-AI/Wan2.1-T2V-1.3B's files in public manifests; its name rounds them",
    download_by=LISTED,
)
WAN_21_14B = RealModel(
    "Wan2.1-T2V-14B",
    "Wan-AI/Wan2.1-T2V-14B-Diffusers",
    "WanPipeline",
    {"text_encoder": UMT5_XXL_FP32, "transformer": _wan(40, 13824, 40, 16, 4), "vae": WAN_21_VAE},
    width=1280,
    height=720,
    num_frames=81,
    guidance_scale=5.0,
    published={ALL: 80e9},
    said="D bytes of the repository",
    download_by=LISTED,
)
WAN_22_A14B = RealModel(
    "Wan2.2-T2V-A14B",
    "Wan-AI/Wan2.2-T2V-A14B-Diffusers",
    "WanPipeline",
    {
        "text_encoder": UMT5_XXL,
        "transformer": _wan(40, 13824, 40, 16, 4),
        "transformer_2": _wan(40, 13824, 40, 16, 4),
        "vae": WAN_21_VAE,
    },
    width=1280,
    height=720,
    num_frames=81,
    guidance_scale=4.0,
    published={ALL: 126e9},
    said="D bytes of the repository",
    download_by=LISTED,
    settings={"boundary_ratio": 0.875},
)
WAN_22_5B = RealModel(
    "Wan2.2-TI2V-5B",
    "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
    "WanPipeline",
    {"text_encoder": UMT5_XXL, "transformer": _wan(24, 14336, 30, 48, 4), "vae": WAN_22_VAE},
    width=1280,
    height=704,
    num_frames=121,
    guidance_scale=5.0,
    published={"transformer": 5e9},
    said="D its name",
    download_by=LISTED,
    settings={"expand_timesteps": True},
)
LTX_2B = RealModel(
    "LTX-Video 2B 0.9.0",
    "Lightricks/LTX-Video",
    "LTXPipeline",
    {"text_encoder": T5_XXL_FP32, "transformer": _ltx(64, 28, 4), "vae": LTX_090_VAE},
    width=704,
    height=512,
    num_frames=161,
    guidance_scale=3.0,
    published={"transformer": 1923385472},
    said="V the hub's count of weights beside the listing",
    download_by=LISTED,
)
LTX_13B = RealModel(
    "LTX-Video 13B 0.9.8",
    "Lightricks/LTX-Video-0.9.8-dev",
    "LTXConditionPipeline",
    {"text_encoder": T5_XXL_FP32, "transformer": _ltx(128, 48), "vae": LTX_095_VAE},
    width=1216,
    height=704,
    num_frames=121,
    guidance_scale=5.0,
    published={"transformer": 13e9},
    said="D diffusers' documentation",
)
HUNYUAN_VIDEO = RealModel(
    "HunyuanVideo",
    "hunyuanvideo-community/HunyuanVideo",
    "HunyuanVideoPipeline",
    {
        "text_encoder": LLAMA_3_8B,
        "text_encoder_2": CLIP_L,
        "transformer": Part(
            "HunyuanVideoTransformer3DModel",
            {"rope_axes_dim": (16, 56, 56)},
            "V convert_hunyuan_video HYVideo-T/2-cfgdistill: the class's defaults",
        ),
        "vae": Part("AutoencoderKLHunyuanVideo", {}, "V the class's defaults (conversion)", 4),
    },
    width=1280,
    height=720,
    num_frames=129,
    guidance_scale=6.0,
    published={"transformer": 13e9, "text_encoder": 7.5e9},
    said="D diffusers' documentation; J Llama-3-8B (8.03B) without its head",
    download_by=LISTED,
)
HUNYUAN_VIDEO_15 = RealModel(
    "HunyuanVideo-1.5 720p",
    "hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-720p_t2v",
    "HunyuanVideo15Pipeline",
    {
        "text_encoder": QWEN_2_5_VL_7B,
        "text_encoder_2": BYT5_SMALL_FP32,
        "transformer": Part(
            "HunyuanVideo15Transformer3DModel",
            {"target_size": 960, "task_type": "t2v"},
            "V convert_hunyuan_video1_5 TRANSFORMER_CONFIGS: the class's defaults",
            stored_bytes=4,
        ),
        "vae": Part("AutoencoderKLHunyuanVideo15", {}, "V the class's defaults (conversion)", 4),
    },
    width=1280,
    height=720,
    num_frames=121,
    guidance_scale=6.0,
    published={"transformer": 8.3e9},
    said="D diffusers' documentation",
    download_by=LISTED,
)
MOCHI = RealModel(
    "Mochi-1",
    "genmo/mochi-1-preview",
    "MochiPipeline",
    {
        "text_encoder": T5_XXL_FP32,
        "transformer": Part("MochiTransformer3DModel", {}, "V the class's defaults", 4),
        "vae": Part("AutoencoderKLMochi", {"latent_channels": 12}, "V convert_mochi", 4),
    },
    width=848,
    height=480,
    num_frames=85,
    guidance_scale=4.5,
    published={"transformer": 10e9},
    said="D diffusers' documentation",
    download_by=LISTED,
)
LATTE = RealModel(
    "Latte-1",
    "maxin-cn/Latte-1",
    "LattePipeline",
    {
        "text_encoder": T5_XXL_FP32,
        "transformer": Part(
            "LatteTransformer3DModel",
            {"num_attention_heads": 16, "attention_head_dim": 72, "in_channels": 4}
            | {"out_channels": 8, "num_layers": 28, "cross_attention_dim": 1152}
            | {"attention_bias": True, "sample_size": 64, "patch_size": 2}
            | {"activation_fn": "gelu-approximate", "num_embeds_ada_norm": 1000}
            | {"norm_type": "ada_norm_single", "norm_elementwise_affine": False}
            | {"caption_channels": 4096, "video_length": 16},
            "D the model's transformer/config.json",
            stored_bytes=4,
        ),
        "vae": SD_VAE_FP32,
    },
    width=512,
    height=512,
    num_frames=16,
    guidance_scale=7.5,
    published={"transformer": 1057738400},
    said="V the count of weights beside the listing",
    download_by=LISTED,
)
MODELSCOPE = RealModel(
    "ModelScope text-to-video 1.7B",
    "ali-vilab/text-to-video-ms-1.7b",
    "TextToVideoSDPipeline",
    {
        "text_encoder": Part(
            "CLIPTextModel",
            {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16}
            | {"num_hidden_layers": 23, "projection_dim": 512},
            "D stabilityai/stable-diffusion-2 text_encoder/config.json, the same encoder",
            stored_bytes=4,
        ),
        "unet": Part(
            "UNet3DConditionModel",
            {"block_out_channels": _UNET_BLOCKS, "cross_attention_dim": 1024}
            | {"attention_head_dim": 64, "sample_size": 32},
            "V the class's defaults; D the model's unet/config.json",
            stored_bytes=4,
        ),
        "vae": SD_VAE_FP32,
    },
    width=256,
    height=256,
    num_frames=16,
    guidance_scale=9.0,
    published={ALL: 4 * 1.83e9},
    said="J 1.7B by its name (without the VAE's 0.08B), in float32",
)
LTX_2 = RealModel(
    "LTX-2",
    "Lightricks/LTX-2",
    "LTX2Pipeline",
    {
        "text_encoder": GEMMA_3_12B_FP32,
        "connectors": LTX_2_CONNECTORS,
        "transformer": Part(
            "LTX2VideoTransformer3DModel",
            {"rope_type": "split"},
            "V convert_ltx2 get_ltx2_transformer_config 2.0: the class's defaults",
        ),
        "vae": LTX_2_VAE,
        "audio_vae": LTX_2_AUDIO_VAE,
        "vocoder": LTX_2_VOCODER,
    },
    width=768,
    height=512,
    num_frames=121,
    guidance_scale=4.0,
    published={"text_encoder": 12.2e9, "transformer": 19e9},
    said="D articles (14B video and 5B sound); D Gemma 3 12B's model card",
)

REAL_MODELS = (
    ANIMATEDIFF,
    COGVIDEOX_2B,
    COGVIDEOX_5B,
    WAN_21_1_3B,
    WAN_21_14B,
    WAN_22_5B,
    WAN_22_A14B,
    LTX_2B,
    LTX_13B,
    LTX_2,
    HUNYUAN_VIDEO,
    HUNYUAN_VIDEO_15,
    MOCHI,
    LATTE,
    MODELSCOPE,
)

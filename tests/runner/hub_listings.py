"""File lists of repositories: two as they are published, others built with the traps of real ones.

Of Wan-AI/Wan2.1-T2V-1.3B-Diffusers what is needed has the sizes of commit 0fad780a53, of
Wan-AI/Wan2.2-T2V-A14B-Diffusers the weights have those of a copy. All else is made up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from t2v_runner.hub.listing import HubFile, Listing

COMMIT = "0fad780a534b6463e45facd96134c9f345acfa5b"
DIT, MODEL = "diffusion_pytorch_model", "model"


@dataclass(frozen=True)
class Published:
    """A repository: sizes by paths, and what its JSON files say."""

    sizes: Mapping[str, int]
    index: Mapping[str, Any]
    weight_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def listing(self) -> Listing:
        files = {path: HubFile(path, size, "0" * 40) for path, size in self.sizes.items()}
        return Listing("owner/name", COMMIT, files)

    def read(self, file: HubFile) -> dict[str, Any]:
        if file.path == "model_index.json":
            return dict(self.index)
        return {"metadata": {}, "weight_map": self.weight_maps[file.path]}


def shards(stem: str, *sizes: int) -> dict[str, int]:
    count = len(sizes)
    return {
        f"{stem}-{number:05}-of-{count:05}.safetensors": size
        for number, size in enumerate(sizes, 1)
    }


def weight_map(files: Mapping[str, int]) -> dict[str, str]:
    """Two tensors in each shard."""
    names = [path.rsplit("/", 1)[1] for path in files]
    return {f"{name}.{tensor}": name for name in names for tensor in ("weight", "bias")}


def wan_index(**more: Any) -> dict[str, Any]:
    return {
        "_class_name": "WanPipeline",
        "_diffusers_version": "0.33.0.dev0",
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "WanTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLWan"],
        **more,
    }


WAN_1_3B_TEXT = shards(
    "text_encoder/model", 4972389712, 4899225672, 4966309504, 4999880704, 2885866152
)
WAN_1_3B_DIT = shards(f"transformer/{DIT}", 4998781576, 677289072)
WAN_1_3B_NEEDED = {
    "model_index.json": 400,
    "scheduler/scheduler_config.json": 751,
    "text_encoder/config.json": 854,
    **WAN_1_3B_TEXT,
    "text_encoder/model.safetensors.index.json": 22476,
    "tokenizer/special_tokens_map.json": 7079,
    "tokenizer/spiece.model": 4548313,
    "tokenizer/tokenizer.json": 16837459,
    "tokenizer/tokenizer_config.json": 61758,
    "transformer/config.json": 465,
    **WAN_1_3B_DIT,
    f"transformer/{DIT}.safetensors.index.json": 73296,
    "vae/config.json": 724,
    f"vae/{DIT}.safetensors": 507591892,
}
WAN_1_3B = Published(
    sizes={**WAN_1_3B_NEEDED, "README.md": 20000, ".gitattributes": 1600, "assets/logo.png": 56322},
    index=wan_index(),
    weight_maps={
        "text_encoder/model.safetensors.index.json": weight_map(WAN_1_3B_TEXT),
        f"transformer/{DIT}.safetensors.index.json": weight_map(WAN_1_3B_DIT),
    },
)

A14B_SHARDS = (
    4863171808,
    4919594456,
    4919465128,
    4919594536,
    *(4919465224, 4919594552) * 3,
    4919465224,
    3095607280,
)
WAN_A14B_TEXT = shards("text_encoder/model", 4935812536, 4983103192, 1442935480)
WAN_A14B_HIGH = shards(f"transformer/{DIT}", *A14B_SHARDS)
WAN_A14B_LOW = shards(f"transformer_2/{DIT}", *A14B_SHARDS)
WAN_A14B_NEEDED = {
    "model_index.json": 500,
    "scheduler/scheduler_config.json": 751,
    "text_encoder/config.json": 854,
    **WAN_A14B_TEXT,
    "text_encoder/model.safetensors.index.json": 22000,
    "tokenizer/tokenizer.json": 16837459,
    "tokenizer/spiece.model": 4548313,
    "transformer/config.json": 500,
    **WAN_A14B_HIGH,
    f"transformer/{DIT}.safetensors.index.json": 90000,
    "transformer_2/config.json": 500,
    **WAN_A14B_LOW,
    f"transformer_2/{DIT}.safetensors.index.json": 90000,
    "vae/config.json": 724,
    f"vae/{DIT}.safetensors": 507591892,
}
WAN_A14B = Published(
    sizes={**WAN_A14B_NEEDED, "README.md": 20000},
    index=wan_index(
        transformer_2=["diffusers", "WanTransformer3DModel"],
        boundary_ratio=0.875,
        image_encoder=[None, None],
    ),
    weight_maps={
        "text_encoder/model.safetensors.index.json": weight_map(WAN_A14B_TEXT),
        f"transformer/{DIT}.safetensors.index.json": weight_map(WAN_A14B_HIGH),
        f"transformer_2/{DIT}.safetensors.index.json": weight_map(WAN_A14B_LOW),
    },
)

LTX_TEXT = shards("text_encoder/model", 9_900_000_000, 9_200_000_000)
LTX_NEEDED = {
    "model_index.json": 500,
    "scheduler/scheduler_config.json": 500,
    "text_encoder/config.json": 800,
    **LTX_TEXT,
    "text_encoder/model.safetensors.index.json": 20_000,
    "tokenizer/added_tokens.json": 2_500,
    "tokenizer/special_tokens_map.json": 2_500,
    "tokenizer/spiece.model": 800_000,
    "tokenizer/tokenizer_config.json": 21_000,
    "transformer/config.json": 500,
    f"transformer/{DIT}.safetensors": 3_800_000_000,
    "vae/config.json": 1_000,
    f"vae/{DIT}.safetensors": 1_700_000_000,
}
LTX = Published(
    sizes={
        **LTX_NEEDED,
        "ltx-video-2b-v0.9.safetensors": 9_400_000_000,
        "ltx-video-2b-v0.9.1.safetensors": 5_700_000_000,
        "unet/diffusion_pytorch_model.safetensors": 5_000_000_000,
        "media/trailer.mp4": 9_000_000,
        "text_encoder/extra/model.safetensors": 19_000_000_000,
        "ltx.json": 40,
    },
    index={
        "_class_name": "LTXPipeline",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "T5Tokenizer"],
        "transformer": ["diffusers", "LTXVideoTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLLTXVideo"],
    },
    weight_maps={"text_encoder/model.safetensors.index.json": weight_map(LTX_TEXT)},
)
"""Loose checkpoints at its root, a folder that no component names, a folder in a component."""

SD_NEEDED = {
    "model_index.json": 500,
    "scheduler/scheduler_config.json": 300,
    "text_encoder/config.json": 600,
    "text_encoder/model.safetensors": 492_000_000,
    "tokenizer/merges.txt": 525_000,
    "tokenizer/vocab.json": 1_060_000,
    "unet/config.json": 750,
    f"unet/{DIT}.safetensors": 3_440_000_000,
    "vae/config.json": 550,
    f"vae/{DIT}.safetensors": 335_000_000,
}
STABLE_DIFFUSION = Published(
    sizes={
        **SD_NEEDED,
        "v1-5-pruned.ckpt": 7_700_000_000,
        "v1-5-pruned-emaonly.safetensors": 4_270_000_000,
        "text_encoder/model.fp16.safetensors": 246_000_000,
        "text_encoder/pytorch_model.bin": 492_000_000,
        f"unet/{DIT}.fp16.safetensors": 1_720_000_000,
        f"unet/{DIT}.non_ema.safetensors": 3_440_000_000,
        f"unet/{DIT}.bin": 3_440_000_000,
        f"vae/{DIT}.fp16.safetensors": 167_000_000,
        "feature_extractor/preprocessor_config.json": 340,
        "safety_checker/config.json": 4_700,
        "safety_checker/model.safetensors": 1_220_000_000,
    },
    index={
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    },
)
"""Everything once more: as pickles, in half precision, without averaging."""

HALF_DIT = shards(f"transformer/{DIT}.bf16", 9_900_000_000, 9_900_000_000, 200_000_000)
HALF_TEXT = shards("text_encoder/model.fp16", 4_900_000_000, 4_600_000_000)
HALF_ALONE = Published(
    sizes={
        "model_index.json": 500,
        "scheduler/scheduler_config.json": 300,
        "text_encoder/config.json": 600,
        **HALF_TEXT,
        "text_encoder/model.safetensors.index.fp16.json": 20_000,
        "text_encoder/pytorch_model.bin.index.json": 20_000,
        "tokenizer/tokenizer.json": 2_400_000,
        "tokenizer/chat_template.jinja": 4_000,
        "transformer/config.json": 600,
        **HALF_DIT,
        f"transformer/{DIT}.safetensors.index.bf16.json": 30_000,
        f"transformer/{DIT}.fp16.safetensors": 20_000_000_000,
        "vae/config.json": 600,
        f"vae/{DIT}.safetensors": 1_840_000_000,
        f"vae/{DIT}.bf16.safetensors": 920_000_000,
    },
    index={
        "_class_name": "MochiPipeline",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "T5Tokenizer"],
        "transformer": ["diffusers", "MochiTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLMochi"],
    },
    weight_maps={
        "text_encoder/model.safetensors.index.fp16.json": weight_map(HALF_TEXT),
        f"transformer/{DIT}.safetensors.index.bf16.json": weight_map(HALF_DIT),
    },
)
"""The transformer in bf16 shards and one fp16 file, the text encoder in fp16, the VAE as well."""

TWICE_TEXT = shards("text_encoder/model", 2_000, 1_000)
TWICE_DIT = shards(f"transformer/{DIT}", 600, 500, 400)
SHARDED_AND_WHOLE = Published(
    sizes={
        "model_index.json": 500,
        "scheduler/scheduler_config.json": 300,
        "text_encoder/config.json": 600,
        "text_encoder/model.safetensors": 3_000,
        "text_encoder/model.safetensors.index.json": 20,
        **TWICE_TEXT,
        "tokenizer/tokenizer.json": 2_400,
        "transformer/config.json": 600,
        f"transformer/{DIT}.safetensors": 1_500,
        f"transformer/{DIT}.safetensors.index.json": 30,
        **TWICE_DIT,
        **shards(f"transformer/{DIT}", 900, 600),
        "vae/config.json": 600,
        f"vae/{DIT}.safetensors": 10,
    },
    index=wan_index(),
    weight_maps={
        "text_encoder/model.safetensors.index.json": weight_map(TWICE_TEXT),
        f"transformer/{DIT}.safetensors.index.json": weight_map(TWICE_DIT),
    },
)
"""Weights in shards and in one file, and the shards of an earlier upload."""

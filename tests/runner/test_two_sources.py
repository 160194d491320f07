"""AnimateDiff of a Stable Diffusion model and a motion adapter, each from a source of its own."""

import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from t2v_api.family import ModelFamily
from t2v_api.profile import ModelProfile, ModelSource
from t2v_runner.device import Device
from t2v_runner.errors import ModelNotLoadable
from t2v_runner.generate import generate
from t2v_runner.model import (
    load_pipeline,
    locate_model,
    locate_motion_adapter,
)
from t2v_runner.order import MediaRules, Order
from t2v_runner.reporter import Reporter
from t2v_runner.stop import StopSignal

from tests.runner.drawing import Loader, Tiny, a_request, check_frames, drawn, from_video
from tests.runner.tiny_models import (
    TEXT_SIZE,
    a_clip,
    a_clip_tokenizer,
    a_profile,
    an_image_vae,
)


def a_base() -> Any:
    """Stable Diffusion as it is published: with a safety checker that brings its own library."""
    vision = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "image_size": 28}
    vision |= {"num_attention_heads": 1, "patch_size": 14}
    config = transformers.CLIPConfig(vision_config=vision, projection_dim=8)
    return diffusers.StableDiffusionPipeline(
        vae=an_image_vae(),
        text_encoder=a_clip(),
        tokenizer=a_clip_tokenizer(),
        unet=diffusers.UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 8),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            norm_num_groups=2,
            cross_attention_dim=TEXT_SIZE,
            attention_head_dim=2,
        ),
        scheduler=diffusers.PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True),
        safety_checker=StableDiffusionSafetyChecker(config),
        feature_extractor=transformers.CLIPImageProcessor(),
    )


def a_motion_adapter() -> Any:
    return diffusers.MotionAdapter(
        block_out_channels=(8, 8),
        motion_layers_per_block=1,
        motion_mid_block_layers_per_block=1,
        motion_num_attention_heads=2,
        motion_norm_num_groups=2,
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With `base` and `motion` in it."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    a_base().save_pretrained(str(folder / "base"))
    a_motion_adapter().save_pretrained(str(folder / "motion"))
    return folder


def of_two(source: str = "base", motion_adapter: str = "motion") -> ModelProfile:
    profile = a_profile(ModelFamily.ANIMATEDIFF, Path(source))
    return profile.model_copy(update={"motion_adapter": ModelSource(path=motion_adapter)})


def loaded(folders: Path, dtype: torch.dtype = torch.float32) -> Tiny:
    profile = of_two()
    base, motion = locate_model(profile, folders), locate_motion_adapter(profile, folders)
    pipeline = load_pipeline(base, profile, Device("cpu", dtype), motion)
    return Tiny(profile.family, base, pipeline)


def test_a_base_model_is_set_in_motion(folders: Path) -> None:
    tiny = loaded(folders)
    assert type(tiny.pipeline).__name__ == "AnimateDiffPipeline"
    assert type(tiny.pipeline.unet).__name__ == "UNetMotionModel"
    for request, start in (a_request(tiny.family), None), from_video(tiny.family):
        check_frames(drawn(tiny, request, start).frames, request)


def test_the_motion_is_the_adapter_s(folders: Path) -> None:
    tiny = loaded(folders)
    name = "down_blocks.0.motion_modules.0.proj_in.weight"
    adapter = diffusers.MotionAdapter.from_pretrained(str(folders / "motion"))
    assert torch.equal(tiny.pipeline.unet.state_dict()[name], adapter.state_dict()[name])


def test_betas_are_those_that_adapters_were_trained_with(folders: Path) -> None:
    config = loaded(folders).pipeline.scheduler.config
    assert config.beta_schedule == "linear"


def test_both_are_loaded_in_what_they_were_trained_in(folders: Path) -> None:
    tiny = loaded(folders, torch.bfloat16)
    assert {each.dtype for each in tiny.pipeline.unet.parameters()} == {torch.float16}
    request = a_request(tiny.family)
    check_frames(drawn(tiny, request).frames, request)


def test_the_record_names_both(folders: Path, tmp_path: Path) -> None:
    profile = of_two()
    order = Order(a_request(profile.family), profile, tmp_path, folders, MediaRules(folder=None))
    result = generate(order, Reporter(lambda progress: None, StopSignal()))
    assert result.model_revision == "path:base+path:motion"


def refusal(folders: Path, profile: ModelProfile) -> str:
    with pytest.raises(ModelNotLoadable) as error:
        locate_model(profile, folders)
        locate_motion_adapter(profile, folders)
    return str(error.value)


def test_a_base_model_alone_does_not_move(folders: Path) -> None:
    said = refusal(folders, a_profile(ModelFamily.ANIMATEDIFF, Path("base")))
    assert "names the pipeline 'StableDiffusionPipeline'" in said
    assert "needs 'AnimateDiffPipeline', or 'StableDiffusionPipeline' and a motionAdapter" in said


def test_a_model_with_motion_of_its_own_takes_no_other(folders: Path, load: Loader) -> None:
    said = refusal(folders, of_two(source=str(load("AnimateDiff").folder)))
    assert "needs 'StableDiffusionPipeline' beside its motionAdapter" in said


def test_what_is_no_motion_adapter_is_refused(folders: Path) -> None:
    assert "of 'UNet2DConditionModel', not of 'MotionAdapter'" in refusal(
        folders, of_two(motion_adapter="base/unet")
    )
    assert "absent: no such folder" in refusal(folders, of_two(motion_adapter="absent"))


def test_a_motion_adapter_has_whole_safetensors(folders: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "MotionAdapter"}))
    (tmp_path / "diffusion_pytorch_model.bin").write_bytes(b"")
    said = refusal(folders, of_two(motion_adapter=str(tmp_path)))
    assert "only pickle weights" in said

"""One adapter for each model family."""

from t2v_api.family import ModelFamily

from t2v_runner.families.animatediff import AnimateDiff
from t2v_runner.families.base import Adapter
from t2v_runner.families.cogvideox import CogVideoX
from t2v_runner.families.hunyuan_video import HunyuanVideo
from t2v_runner.families.hunyuan_video_15 import HunyuanVideo15
from t2v_runner.families.latte import Latte
from t2v_runner.families.ltx import LTX
from t2v_runner.families.ltx2 import LTX2
from t2v_runner.families.mochi import Mochi
from t2v_runner.families.text_to_video_sd import TextToVideoSD
from t2v_runner.families.wan import Wan

_ADAPTERS: dict[ModelFamily, Adapter] = {
    each.family: each()
    for each in (
        AnimateDiff,
        CogVideoX,
        Wan,
        LTX,
        LTX2,
        HunyuanVideo,
        HunyuanVideo15,
        Mochi,
        Latte,
        TextToVideoSD,
    )
}


def adapter_of(family: ModelFamily) -> Adapter:
    """What only this family knows."""
    return _ADAPTERS[family]

"""ModelScope's text-to-video and its kin."""

from typing import TYPE_CHECKING, Any

from t2v_api.family import ModelFamily
from t2v_api.request import GenerationRequest

from t2v_runner.families.base import Adapter, restyled, words

if TYPE_CHECKING:
    from t2v_runner.families.base import Frames


class TextToVideoSD(Adapter):
    """From a video it draws that one's size, which is the request's."""

    family = ModelFamily.TEXT_TO_VIDEO_SD

    def from_video(
        self, pipeline: Any, request: GenerationRequest, init_frames: "Frames"
    ) -> dict[str, Any]:
        return words(request) | restyled(request, init_frames)

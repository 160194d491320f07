"""What a video is drawn from: what the user gave, as far as the model can use it. No I/O."""

from dataclasses import dataclass

from t2v_api.profile import ModelProfile
from t2v_api.reasons import Reason
from t2v_api.resource import TextToVideoJobSpec
from t2v_api.start import InitMode, Start, start_of

from t2v_operator.errors import RequestRefused

DEFAULT_STRENGTH = 0.7


@dataclass(frozen=True)
class Beginning:
    """How the run starts, and what the user must know of it."""

    start: Start
    strength: float | None
    """Of what is restyled. None: images are frames of the video."""
    notices: tuple[str, ...] = ()


def begin(spec: TextToVideoJobSpec, profile: ModelProfile) -> Beginning:
    """Decide what the images are for this model. Raises RequestRefused."""
    is_restyled = _is_restyled(spec, profile)
    strength = (spec.strength or DEFAULT_STRENGTH) if is_restyled else None
    start = start_of(spec.init_image, spec.end_image, strength)
    # What strength 1.0 destroys is taken by a model that could use it.
    problem = profile.problem_with(Start.VIDEO if is_restyled else start)
    if problem:
        raise RequestRefused(Reason.INIT_MEDIA_NOT_SUPPORTED, problem)
    if spec.strength is None or is_restyled:
        return Beginning(start, strength)
    return Beginning(start, strength, ("strength has no effect: the image is the first frame",))


def _is_restyled(spec: TextToVideoJobSpec, profile: ModelProfile) -> bool:
    """In mode Auto whoever names a strength means just that, where the model can do it."""
    if spec.init_video or spec.mode is InitMode.RESTYLE:
        return True
    is_frame = spec.end_image or spec.mode is InitMode.FIRST_FRAME
    if spec.init_image is None or is_frame or Start.VIDEO not in profile.all_starts:
        return False
    return spec.strength is not None or Start.FIRST_FRAME not in profile.all_starts

"""What a video is drawn from, beside its prompt. Knows nothing of any model."""

from enum import StrEnum


class Start(StrEnum):
    """What a model is given to begin with."""

    TEXT = "Text"
    """The prompt alone."""
    FIRST_FRAME = "FirstFrame"
    """An image that the video goes on from."""
    LAST_FRAME = "LastFrame"
    """An image that the video leads up to."""
    BOTH_FRAMES = "BothFrames"
    """An image for each end of the video."""
    VIDEO = "Video"
    """A video, or a still in every frame, that is noised by `strength` and drawn anew."""

    @property
    def described(self) -> str:
        """In words, with the fields that ask for it."""
        return _DESCRIBED[self]

    @property
    def source(self) -> str:
        """What a sampler has to do with."""
        match self:
            case Start.TEXT:
                return "noise"
            case Start.VIDEO:
                return "an init image or video"
            case _:
                return "frames of the video"


_DESCRIBED = {
    Start.TEXT: "from the prompt alone",
    Start.FIRST_FRAME: "on from a first frame ('initImage')",
    Start.LAST_FRAME: "up to a last frame ('endImage' alone)",
    Start.BOTH_FRAMES: "between two frames ('initImage' and 'endImage')",
    Start.VIDEO: "from a noised image or video ('initVideo', or 'initImage' in mode Restyle)",
}


def start_of(image: str | None, end_image: str | None, strength: float | None) -> Start:
    """How a request with these images starts; a `strength` is that of whatever it restyles.

    Strength 1.0 destroys all that its init media show: then noise is the start.
    """
    if strength is not None:
        return Start.TEXT if strength == 1.0 else Start.VIDEO
    if image:
        return Start.BOTH_FRAMES if end_image else Start.FIRST_FRAME
    return Start.LAST_FRAME if end_image else Start.TEXT


class InitMode(StrEnum):
    """What becomes of an init image."""

    AUTO = "Auto"
    FIRST_FRAME = "FirstFrame"
    RESTYLE = "Restyle"

"""The sound of a video: as long as its frames, AAC in its MP4."""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from t2v_api.result import Audio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CODEC = "aac"
BIT_RATE = 192_000
"""Of stereo, where listeners hear no difference."""
LAYOUTS = {1: "mono", 2: "stereo"}


@dataclass(frozen=True)
class Sound:
    """What is heard."""

    samples: "NDArray[np.float32]"
    """Of shape (channels, samples), in -1..1."""
    rate: int
    """Samples a second."""


def describe(sound: Sound) -> Audio:
    """As the record has it."""
    return Audio(codec=CODEC, sample_rate=sound.rate, channels=len(sound.samples))


def lasting(sound: Sound, seconds: Fraction) -> Sound:
    """The sound, cut or with silence at its end: a model makes it in steps of its own."""
    import numpy as np

    if not np.isfinite(sound.samples).all():
        raise FloatingPointError("the model made a sound of values that are not numbers")
    count = round(seconds * sound.rate)
    missing = max(0, count - sound.samples.shape[1])
    return Sound(np.pad(sound.samples[:, :count], ((0, 0), (0, missing))), sound.rate)


class Track:
    """A stream of the sound in a container that is being written."""

    def __init__(self, container: Any, sound: Sound) -> None:
        self._container, self._sound, self._done = container, sound, 0
        layout = LAYOUTS[len(sound.samples)]
        self._stream = container.add_stream(CODEC, rate=sound.rate, layout=layout)
        self._stream.bit_rate = BIT_RATE

    def write(self, until: Fraction) -> None:
        """What is heard from where it was written to until the second `until`."""
        import av
        import numpy as np

        rate, end = self._sound.rate, round(until * self._sound.rate)
        part = np.ascontiguousarray(self._sound.samples[:, self._done : end])
        heard = av.AudioFrame.from_ndarray(part, format="fltp", layout=self._stream.layout.name)
        heard.sample_rate, heard.pts, heard.time_base = rate, self._done, Fraction(1, rate)
        self._done = end
        self._container.mux(self._stream.encode(heard))

    def end(self) -> None:
        """What the encoder has kept."""
        self._container.mux(self._stream.encode())

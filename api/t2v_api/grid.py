"""Which sizes and numbers of frames a pipeline can draw at all. Pure arithmetic."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import lcm


@dataclass(frozen=True)
class Grid:
    """Width and height are multiples of `size`; frames are `frames` × n + `offset`."""

    size: int = 8
    """Pixels: the VAE's compression times the denoiser's patches."""
    frames: int = 1
    """The VAE's compression in time; 4n+1 for Wan, for instance."""
    offset: int = 0

    def within(self, other: "Grid") -> "Grid | None":
        """What fits both; None where no number of frames does, or where `other` says another one.

        A model may be narrower than its family: then every number that it can draw is one of the
        family's.
        """
        size = lcm(self.size, other.size)
        if (self.frames, self.offset) == (1, 0):
            return Grid(size, other.frames, other.offset)
        is_wider = self.frames % other.frames or (self.offset - other.offset) % other.frames
        return None if is_wider else Grid(size, self.frames, self.offset)

    def problems(self, **values: int) -> Iterator[str]:
        """What is wrong with each of width, height and numFrames, and a value that would do."""
        for name, value in values.items():
            multiple, offset = (self.frames, self.offset) if name == "numFrames" else (self.size, 0)
            if (value - offset) % multiple:
                below = (value - offset) // multiple * multiple + offset
                advice = below if below > 0 else below + multiple
                rule = f"{multiple}n+{offset}" if offset else f"a multiple of {multiple}"
                yield f"{name} is {value}; this model needs {rule}, try {advice}"

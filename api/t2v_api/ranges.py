"""The values that a request may have at all; a model's own limits are narrower."""

from pydantic import Field

MAX_SEED = 2**63 - 1

WIDTH_HEIGHT = Field(ge=64, le=4096, multiple_of=8)
STEPS = Field(ge=1, le=200)
GUIDANCE = Field(ge=1, le=20)
STRENGTH = Field(gt=0, le=1)
SEED = Field(ge=0, le=MAX_SEED)
FRAMES = Field(ge=1, le=1024)
FPS = Field(ge=1, le=60)

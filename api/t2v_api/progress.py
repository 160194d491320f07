"""How far a video is. The runner writes one such record a line to standard output."""

from enum import StrEnum

from pydantic import AwareDatetime, Field

from t2v_api.base import ContractModel


class Stage(StrEnum):
    """What the runner does, in this order."""

    START = "start"
    DOWNLOAD = "download"
    LOAD = "load"
    ENCODE_PROMPT = "encode-prompt"
    DENOISE = "denoise"
    DECODE = "decode"
    ENCODE = "encode"
    UPLOAD = "upload"


class Progress(ContractModel):
    """One point on the way. `step` of `steps` counts the denoiser's evaluations."""

    stage: Stage
    step: int = Field(ge=0)
    """Evaluations done; 0 outside of denoising."""
    steps: int = Field(ge=0)
    """0 until the pipeline has told how many there are."""
    percent: int = Field(ge=0, le=100)
    """Of the whole way. Where a model has to be downloaded, that is the first half of it; where it
    is prefetched, all of it."""
    eta_seconds: float | None = Field(default=None, ge=0)
    """Seconds until the video is delivered, from the pace so far; null before the second step.
    While a model is downloaded: until that is there."""
    bytes: int | None = Field(default=None, ge=0)
    """Of the model, that are there; null outside of its download."""
    total_bytes: int | None = Field(default=None, ge=0)
    """Of the whole model."""
    updated_time: AwareDatetime
    """When the runner said so."""

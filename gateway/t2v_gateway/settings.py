"""What the gateway is told, besides the operator's configuration, which it reads as well."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import Field, model_validator
from t2v_api.base import ContractError, ContractModel
from t2v_operator.config import ConfigurationError

from t2v_gateway.memory import COPIES, LARGE_SHARE

MEBIBYTE = 2**20


class ErrorForm(StrEnum):
    """How the endpoint's own addresses tell an error."""

    AS_DOCUMENTED = "AsDocumented"
    """With status 200 and `"status": "error"` in the body, as its clients expect."""
    HTTP_STATUS = "HttpStatus"
    """With the same body and a status of 400 and above."""


class ContentForm(StrEnum):
    """How /v1/videos/ID/content gives a file."""

    REDIRECT = "Redirect"
    """By a redirect to a fresh link of the store: no video goes through the gateway."""
    STREAM = "Stream"
    """Through the gateway, for clients that cannot reach the store. Not from a volume."""


class GatewaySettings(ContractModel):
    """How the gateway behaves."""

    port: int = Field(default=8000, ge=1, le=65535)
    """Where requests come in."""
    health_port: int = Field(default=8080, ge=1, le=65535)
    """Where /healthz, /readyz and /metrics are served."""
    wait_seconds: float = Field(default=60, ge=0, le=3600)
    """How long an answer waits for the video before it says that it is on its way."""
    repeat_seconds: int = Field(default=24 * 3600, ge=0)
    """The same body with the same track_id, or Idempotency-Key, is the same video for that long;
    0: a video of its own each time."""
    errors: ErrorForm = ErrorForm.AS_DOCUMENTED
    """How the endpoint's own addresses tell an error. AsDocumented: with status 200 and
    `"status": "error"` in the body, as its clients expect. HttpStatus: with the same body and a
    status of 400 and above."""
    body_bytes: int = Field(default=MEBIBYTE, ge=1024)
    """Of a request with its key as a bearer token; without one 128 KiB are the most."""
    upload_bytes: int = Field(default=50 * MEBIBYTE, ge=1024)
    """Of an image or video to start from."""
    memory_bytes: int = Field(default=256 * MEBIBYTE, ge=MEBIBYTE)
    """What all bodies together may take of the memory; one takes up to three times its size."""
    uploads_per_day_bytes: int = Field(default=10 * 1024 * MEBIBYTE, ge=1024)
    """Of one key, in one replica."""
    waits_per_key: int = Field(default=600, ge=1)
    """Requests of one key that wait for their videos at a time, in one replica; more are answered
    at once that their videos are on their way."""
    content: ContentForm = ContentForm.REDIRECT
    """How /v1/videos/ID/content gives a file. Redirect: by a fresh link of the store. Stream:
    through the gateway, for clients that cannot reach the store; not from a volume."""
    public_url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+[^\s?#/]$")] | None = None
    """What clients reach it by, for links in answers. Null: the address that was asked."""
    cors_origins: tuple[str, ...] = ()
    """Whose pages may ask: `https://app.example.com`, or `*`."""
    page: bool = True
    """Whether / is a page for people."""

    @property
    def upload_body_bytes(self) -> int:
        """Of a body with a file in it: base64 takes four letters for three bytes."""
        return self.upload_bytes * 4 // 3 + self.body_bytes

    @model_validator(mode="after")
    def _one_upload_fits(self) -> Self:
        least = int(self.upload_body_bytes * COPIES / LARGE_SHARE) + 1
        if self.memory_bytes < least:
            raise ValueError(
                f"memoryBytes is {self.memory_bytes}; uploadBytes and bodyBytes need {least}"
            )
        return self


def load_settings(path: Path | None) -> GatewaySettings:
    """The settings in a YAML file; without one, the defaults. Raises ConfigurationError."""
    if path is None:
        return GatewaySettings()
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: {' '.join(str(error).split())}") from None
    try:
        return GatewaySettings.parse(document or {})
    except ContractError as error:
        raise ConfigurationError(f"{path}: {error}") from None

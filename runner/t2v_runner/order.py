"""What this process is asked to do: the runner's environment, read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from t2v_api.base import ContractError
from t2v_api.delivery import TOKEN_FILE, TOKEN_FOLDER
from t2v_api.profile import ModelProfile
from t2v_api.request import GenerationRequest
from t2v_api.web_address import AllowedAddresses

from t2v_runner.errors import RequestRefused
from t2v_runner.hub.cache import Cache, read_cache, read_cache_of_loras
from t2v_runner.report_server import ReportAddress

PUBLIC_ALONE = AllowedAddresses()
USUAL_CACHE = Cache()


@dataclass(frozen=True)
class MediaRules:
    """Where init media may come from."""

    folder: Path | None
    """file:// URLs must stand below it; None refuses them all."""
    allowed: AllowedAddresses = PUBLIC_ALONE
    """Addresses besides the public internet's."""


@dataclass(frozen=True)
class Order:
    """The request, the model, and where to put the video."""

    request: GenerationRequest
    profile: ModelProfile
    output_dir: Path
    models_dir: Path
    media: MediaRules
    device: str | None = None
    """The device to draw on, whatever the profile says."""
    cache: Cache = USUAL_CACHE
    """Where hub models are kept."""
    cache_of_loras: Cache = USUAL_CACHE
    """The same, unless nothing may be fetched there."""
    uploads: bool = False
    """Whether the files go on from `output_dir` to a store."""
    checkpoint_seconds: float = 600.0
    """Between two checkpoints; 0: there are none."""


def read_order(environment: Mapping[str, str]) -> Order:
    """Parse the environment. Raises RequestRefused."""
    media_dir = environment.get("T2V_MEDIA_DIR")
    try:
        request = GenerationRequest.parse_json(_required("T2V_REQUEST", environment))
        profile = ModelProfile.parse_json(_required("T2V_MODEL", environment))
        allowed = AllowedAddresses.parse_json(environment.get("T2V_ALLOWED_ADDRESSES") or "{}")
    except ContractError as error:
        raise RequestRefused(f"the request does not fit the contract: {error}") from None
    return Order(
        request=request,
        profile=profile,
        output_dir=Path(environment.get("T2V_OUTPUT_DIR", "/output")),
        uploads=environment.get("T2V_UPLOAD") == "1",
        checkpoint_seconds=60 * _checkpoint_minutes(profile, environment),
        models_dir=read_models_dir(environment),
        cache=read_cache(environment),
        cache_of_loras=read_cache_of_loras(environment),
        device=environment.get("T2V_DEVICE") or None,
        media=MediaRules(
            folder=Path(media_dir) if media_dir else None,
            allowed=allowed,
        ),
    )


def read_models_dir(environment: Mapping[str, str]) -> Path:
    """Where models that are no hub's stand."""
    return Path(environment.get("T2V_MODELS_DIR", "/models"))


def read_report_address(environment: Mapping[str, str]) -> ReportAddress | None:
    """Where the report server is; None where there is none, as on a user's own machine."""
    url = environment.get("T2V_REPORT_URL")
    if not url:
        return None
    folder = Path(environment.get("T2V_TOKEN_DIR", TOKEN_FOLDER))
    authority = environment.get("T2V_REPORT_CA", "")
    return ReportAddress(url, certificate_authority=authority, token_file=folder / TOKEN_FILE)


def _checkpoint_minutes(profile: ModelProfile, environment: Mapping[str, str]) -> float:
    """The model's own, or those of the environment."""
    own = profile.execution.checkpoint_every_minutes
    return float(environment.get("T2V_CHECKPOINT_MINUTES", "10")) if own is None else own


def _required(name: str, environment: Mapping[str, str]) -> str:
    try:
        return environment[name]
    except KeyError:
        raise RequestRefused(f"the environment variable {name} is not set") from None

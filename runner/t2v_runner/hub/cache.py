"""The folder that hub models are kept in, and what may be done there, as the environment says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from t2v_runner.errors import RequestRefused

FOLDER, MODELS = Path("/cache"), "models"
"""Of a container, and the part of it that is a store."""


@dataclass(frozen=True)
class Cache:
    """Several runners may share it."""

    root: Path = FOLDER / MODELS
    is_read_only: bool = False
    """What is not there is not fetched, and nothing is written."""
    limit: int | None = None
    """Bytes. To keep it, the models that were not used for longest go. None: none ever goes."""
    in_use: frozenset[str] = frozenset()
    """ "OWNER--NAME/COMMIT" of models that may not go, beside those that are being read."""
    wait_seconds: float = 0
    """So long a read-only cache is watched for a model that is on its way into it."""


def read_cache(environment: Mapping[str, str]) -> Cache:
    """Without T2V_MODELS_CACHE it is in HF_HOME, the scratch of a pod. Raises RequestRefused."""
    folder = environment.get("T2V_MODELS_CACHE") or _scratch(environment)
    in_use = environment.get("T2V_MODELS_IN_USE", "").split(",")
    return Cache(
        root=Path(folder) / MODELS,
        is_read_only=environment.get("T2V_MODELS_READ_ONLY") == "1",
        limit=_number("T2V_MODELS_CACHE_BYTES", environment),
        in_use=frozenset(name.strip() for name in in_use if name.strip()),
        wait_seconds=_number("T2V_MODELS_WAIT_SECONDS", environment) or 0,
    )


def read_cache_of_loras(environment: Mapping[str, str]) -> Cache:
    """Where nothing may be fetched into that of models, it is the scratch. Raises RequestRefused.

    A VideoModel is prefetched; what is added to it for one request is not.
    """
    cache = read_cache(environment)
    return Cache(_scratch(environment) / MODELS) if cache.is_read_only else cache


def _scratch(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HF_HOME") or FOLDER)


def _number(name: str, environment: Mapping[str, str]) -> int | None:
    text = environment.get(name, "")
    if not text:
        return None
    if not text.isdecimal():
        unit = "seconds" if name.endswith("SECONDS") else "bytes"
        raise RequestRefused(f"{name} is {text!r}; it is a number of {unit}")
    return int(text)

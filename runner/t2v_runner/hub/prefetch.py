"""Fill the cache ahead of videos: fetch one model, check it, say what came. Needs no GPU."""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from t2v_api.base import ContractError
from t2v_api.prefetch import PrefetchResult
from t2v_api.profile import ModelProfile
from t2v_api.progress import Progress, Stage
from t2v_api.reasons import ExitCode
from t2v_api.result import GenerationFailure

from t2v_runner import program
from t2v_runner.errors import RequestRefused, Stopped
from t2v_runner.families import adapter_of
from t2v_runner.hub.cache import read_cache
from t2v_runner.hub.converting import conversion_of
from t2v_runner.hub.place import Place, bytes_below, place_of
from t2v_runner.hub.store import ModelStore
from t2v_runner.hub.sums import read_sums
from t2v_runner.model import locate_model, locate_motion_adapter
from t2v_runner.order import read_models_dir
from t2v_runner.pace import Pace
from t2v_runner.program import Outside
from t2v_runner.starts import check_starts
from t2v_runner.stop import WORDS, Interrupted, StopSignal

if TYPE_CHECKING:
    import torch


def main() -> int:
    """Fetch the model that the environment names; returns the process's exit code."""
    record = program.run(_prefetch)
    return ExitCode.DONE if isinstance(record, PrefetchResult) else record.exit_code


def _prefetch(outside: Outside) -> PrefetchResult | GenerationFailure:
    try:
        # A hub may keep the main thread waiting, too: for its list, or because of 429.
        with outside.stop.breaking_in():
            return prefetch(os.environ, Told(outside.tell, outside.stop))
    except (Exception, Interrupted) as error:
        why = Stopped(WORDS) if outside.stop.is_asked else error
        return program.failure(why, Stage.DOWNLOAD)


class Told:
    """Tells how much of a model is there; a chance to stop, too."""

    def __init__(self, tell: Callable[[Progress], None], stop: StopSignal) -> None:
        self._tell = tell
        self._stop = stop
        self._pace: Pace | None = None
        self._total = self._last = self.fetched_bytes = 0
        """The latter: what has come so far of all that was fetched, by whichever process."""

    def check(self) -> None:
        """Raises Stopped if somebody asked."""
        self._stop.check()

    def __call__(self, count: int, total: int) -> None:
        """`count` of `total` bytes are there. Raises Stopped."""
        self._stop.check()
        if self._total == total:
            self.fetched_bytes += max(0, count - self._last)
        self._total, self._last = total, count
        now = time.monotonic()
        if self._pace is None or self._pace.total != total:
            self._pace = Pace(now, count, total)
        self._tell(
            Progress(
                stage=Stage.DOWNLOAD,
                step=0,
                steps=0,
                percent=100 * count // max(total, 1),
                eta_seconds=self._pace.eta(now, count),
                bytes=count,
                total_bytes=total,
                updated_time=datetime.now(UTC),
            )
        )


def prefetch(environment: Mapping[str, str], told: Told) -> PrefetchResult:
    """Whatever of the model in T2V_MODEL is a hub's is in the cache, and can be loaded.

    With T2V_MODELS_CONVERT it is there in the number formats that a GPU loads it in. Raises
    RunnerError.
    """
    profile = _read_profile(environment)
    models_dir = read_models_dir(environment)
    with ModelStore(read_cache(environment), told) as store:
        source = locate_model(profile, models_dir, store)
        motion_adapter = locate_motion_adapter(profile, models_dir, store)
        check_starts(source, profile)
        of_source = place_of(source) if profile.source.hub else None
        of_adapter = (
            place_of(motion_adapter)
            if motion_adapter and profile.motion_adapter and profile.motion_adapter.hub
            else None
        )
        if environment.get("T2V_MODELS_CONVERT") == "1":
            dtypes = _dtypes(profile, source)
            of_source = of_source and _converted(store, of_source, dtypes, told)
            of_adapter = of_adapter and _converted(store, of_adapter, dtypes, told)
        return _result(of_source, of_adapter, told.fetched_bytes)


def _dtypes(profile: ModelProfile, folder: Path) -> "dict[str, torch.dtype]":
    """What a GPU of the day loads its components as."""
    import torch

    return adapter_of(profile.family).dtypes(folder, torch.bfloat16)


def _converted(
    store: ModelStore, place: Place, dtypes: "dict[str, torch.dtype]", told: Told
) -> Place:
    if place.converted_to or not place.lock.exists():
        return place  # what was put there by hand stays as it is
    conversion = conversion_of(place.folder, dtypes)
    if conversion is None:
        return place
    return place_of(store.convert(place.folder, conversion, told.check))


def _read_profile(environment: Mapping[str, str]) -> ModelProfile:
    try:
        profile = ModelProfile.parse_json(environment.get("T2V_MODEL", ""))
    except ContractError as error:
        raise RequestRefused(f"T2V_MODEL does not fit the contract: {error}") from None
    if not any(each and each.hub for each in (profile.source, profile.motion_adapter)):
        raise RequestRefused(
            f"model {profile.id} is at {profile.source.folder}: there is nothing to prefetch"
        )
    return profile


def _result(
    source: Place | None, motion_adapter: Place | None, fetched_bytes: int
) -> PrefetchResult:
    places = [place for place in (source, motion_adapter) if place]
    return PrefetchResult(
        commit=source.commit if source else None,
        motion_adapter_commit=motion_adapter.commit if motion_adapter else None,
        bytes=sum(bytes_below(place.folder) for place in places),
        fetched_bytes=fetched_bytes,
        sha256=hashlib.sha256("".join(map(read_sums, places)).encode()).hexdigest(),
        converted_to=next((each.converted_to for each in places if each.converted_to), None),
    )

"""The models that a command knows: the configuration's, and VideoModels that stand in files.

Knows no cluster: a VideoModel is taken as ready, whatever has been fetched of it anywhere.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from t2v_api.reasons import ModelReason
from t2v_api.resource import Condition
from t2v_api.video_model import VideoModel, VideoModelStatus

from t2v_operator.cli.manifest import ManifestError, Resource, read_manifests
from t2v_operator.cli.output import read_text
from t2v_operator.config import OperatorConfig
from t2v_operator.core.catalogue import Catalogue
from t2v_operator.core.models.decide import decide_model
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.models.situation import ModelSituation

SUFFIXES = (".yaml", ".yml")


def takes_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models",
        action="append",
        default=[],
        metavar="FILE_OR_FOLDER",
        help="VideoModels to know beside the configuration's models and those of the manifests; "
        "may be given several times",
    )


def read_models(places: Sequence[str]) -> list[VideoModel]:
    """The VideoModels of files and folders; what else stands there is passed over.

    Raises ManifestError.
    """
    models = [
        resource
        for place in places
        for file in _files(place)
        for resource in read_manifests(*read_text(file), only=VideoModel)
    ]
    return [each for each in models if isinstance(each, VideoModel)]


def catalogue(
    config: OperatorConfig, models: Iterable[Resource], is_fetched_here: bool = False
) -> Catalogue:
    """What requests may name. `is_fetched_here`: no model cache is at hand, whatever they say.

    Raises ManifestError where a name stands for two models.
    """
    found: dict[str, VideoModel] = {}
    for model in models:
        if not isinstance(model, VideoModel):
            continue
        if found.setdefault(model.metadata.name, model).spec != model.spec:
            raise ManifestError(f"VideoModel {model.metadata.name} stands twice, and differs")
    ready = (_ready(model, is_fetched_here) for model in found.values())
    return Catalogue(config, {each.name: each for each in ready})


def problem_with(model: VideoModel, config: OperatorConfig, knows_the_cache: bool) -> str:
    """Why the operator would not make it ready; empty where it would, or would fetch it.

    `knows_the_cache`: the configuration is that of an operator, so a cache that is missing is one.
    """
    status = decide_model(ModelSituation(_observed(model), config, datetime.now(UTC))).status
    assert status
    reason = status.conditions[0].reason
    if reason == ModelReason.NO_MODEL_CACHE and not knows_the_cache:
        return ""
    is_stalled = any(each.type == "Stalled" and each.status == "True" for each in status.conditions)
    return f"{reason}: {status.message}" if is_stalled else ""


def _files(place: str) -> list[str]:
    folder = Path(place)
    if not folder.is_dir():
        return [place]
    return [str(each) for each in sorted(folder.rglob("*")) if each.suffix in SUFFIXES]


def _observed(model: VideoModel) -> ObservedModel:
    return ObservedModel(
        metadata=model.metadata,
        spec=model.spec,
        complaint="",
        status=None,
        is_being_deleted=False,
        has_finalizer=False,
    )


def _ready(model: VideoModel, is_fetched_here: bool) -> ObservedModel:
    observed = _observed(model)
    if is_fetched_here:
        changed = {"prefetch": None, "token_secret_ref": None}
        observed = replace(observed, spec=model.spec.model_copy(update=changed))
    generation = model.metadata.generation
    condition = Condition(
        type="Ready",
        status="True",
        reason=ModelReason.AVAILABLE,
        message="",
        last_transition_time=datetime.now(UTC),
        observed_generation=generation,
    )
    status = VideoModelStatus(observed_generation=generation, conditions=(condition,))
    return replace(observed, status=status)

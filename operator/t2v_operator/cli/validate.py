"""`t2v validate`."""

import argparse

from t2v_api.reasons import ExitCode
from t2v_api.video_model import VideoModel

from t2v_operator.cli.catalogue import catalogue, problem_with, read_models, takes_models
from t2v_operator.cli.manifest import Resource
from t2v_operator.cli.output import (
    complain,
    read_all,
    say,
    takes_config,
    takes_manifests,
    with_uid,
)
from t2v_operator.config import OperatorConfig, load_config
from t2v_operator.core.catalogue import Catalogue
from t2v_operator.core.keys import assumed_key
from t2v_operator.core.pools import placed
from t2v_operator.core.request import resolve
from t2v_operator.errors import RequestRefused


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_config(parser)
    takes_manifests(parser)
    takes_models(parser)


def perform(options: argparse.Namespace) -> int:
    """Check manifests as the cluster would; make nothing."""
    config = load_config(options.config)
    resources = read_all(options.filename)
    known = catalogue(config, [*resources, *read_models(options.models)])
    refused = False
    for resource in resources:
        is_model = isinstance(resource, VideoModel)
        name = f"{resource.kind} {resource.metadata.name}" if is_model else resource.metadata.name
        problem = _problem(resource, config, known, options.config is not None)
        if problem:
            complain(f"{name}: {problem}")
            refused = True
        else:
            say(f"{name}: valid")
    return ExitCode.REQUEST_REFUSED if refused else ExitCode.DONE


def _problem(
    resource: Resource, config: OperatorConfig, known: Catalogue, is_an_operators: bool
) -> str:
    """Why it is refused, with the reason; empty where it is not."""
    if isinstance(resource, VideoModel):
        return problem_with(resource, config, knows_the_cache=is_an_operators)
    try:
        key = assumed_key(resource, config)
        placed(resolve(with_uid(resource), config, catalogue=known, key=key), config)
    except RequestRefused as refusal:
        return f"{refusal.reason}: {refusal.message}"
    return ""

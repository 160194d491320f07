"""`t2v models`."""

import argparse

from t2v_api.profile import ModelProfile
from t2v_api.reasons import ExitCode

from t2v_operator.cli.catalogue import read_models, takes_models
from t2v_operator.cli.output import Format, say, say_documents, takes_config, takes_format
from t2v_operator.config import load_config


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_config(parser)
    takes_models(parser)
    takes_format(parser)


def perform(options: argparse.Namespace) -> int:
    """List the model catalogue, and VideoModels of files."""
    config = load_config(options.config)
    added = read_models(options.models)
    if options.output != Format.TABLE:
        named = {each.metadata.name: each.spec.profile(each.metadata.name) for each in added}
        known = named | {each.id: each for each in config.models}
        say_documents([each.document() for each in known.values()], options.output)
        return ExitCode.DONE
    for profile in config.models:
        say(_line(profile))
    for model in added:
        name = model.metadata.name
        taken = "; the configuration has a model of this name, which goes before this"
        say(_line(model.spec.profile(name)) + (taken if name in config.catalogue else ""))
    return ExitCode.DONE


def _line(profile: ModelProfile) -> str:
    defaults = profile.defaults
    return (
        f"{profile.id:20} {profile.family:14} {defaults.width}x{defaults.height} "
        f"{defaults.num_frames} frames  {defaults.scheduler}  {profile.description}"
    )

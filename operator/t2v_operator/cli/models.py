"""`t2v models`."""

import argparse

from t2v_api.reasons import ExitCode

from t2v_operator.cli.output import say, takes_config
from t2v_operator.config import load_config

arguments = takes_config


def models(options: argparse.Namespace) -> int:
    """List the model catalogue."""
    for profile in load_config(options.config).models:
        defaults = profile.defaults
        say(
            f"{profile.id:20} {profile.family:14} {defaults.width}x{defaults.height} "
            f"{defaults.num_frames} frames  {defaults.scheduler}  {profile.description}"
        )
    return ExitCode.DONE

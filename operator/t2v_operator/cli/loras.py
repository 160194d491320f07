"""`t2v loras`."""

import argparse

from t2v_api.reasons import ExitCode

from t2v_operator.cli.output import say, takes_config
from t2v_operator.config import load_config

arguments = takes_config


def perform(options: argparse.Namespace) -> int:
    """List the LoRAs that requests may name."""
    for lora in load_config(options.config).loras:
        models = ", ".join(lora.models) or "all"
        say(f"{lora.name:20} {lora.family:14} {models}  {lora.description}")
    return ExitCode.DONE

"""`t2v crd`."""

import argparse

from t2v_api.reasons import ExitCode

from t2v_operator.cli.output import say, takes_config
from t2v_operator.crd import CUSTOM_KINDS, custom_resource_definition_yaml

arguments = takes_config


def perform(options: argparse.Namespace) -> int:
    """Print the CustomResourceDefinitions."""
    say("\n---\n".join(custom_resource_definition_yaml(of).rstrip() for of in CUSTOM_KINDS))
    return ExitCode.DONE

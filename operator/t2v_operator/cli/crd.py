"""`t2v crd`."""

import argparse

from t2v_api.reasons import ExitCode

from t2v_operator.cli.output import say, takes_config
from t2v_operator.crd import custom_resource_definition_yaml

arguments = takes_config


def crd(options: argparse.Namespace) -> int:
    """Print the CustomResourceDefinition."""
    say(custom_resource_definition_yaml().rstrip())
    return ExitCode.DONE

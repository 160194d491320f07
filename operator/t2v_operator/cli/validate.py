"""`t2v validate`."""

import argparse

from t2v_api.reasons import ExitCode

from t2v_operator.cli.output import (
    complain,
    read_all,
    say,
    takes_config,
    takes_manifests,
    with_uid,
)
from t2v_operator.config import load_config
from t2v_operator.core.keys import assumed_key
from t2v_operator.core.pools import placed
from t2v_operator.core.request import resolve
from t2v_operator.errors import RequestRefused


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_config(parser)
    takes_manifests(parser)


def validate(options: argparse.Namespace) -> int:
    """Check manifests as the cluster would; make nothing."""
    config = load_config(options.config)
    refused = False
    for resource in read_all(options.filename):
        try:
            placed(resolve(with_uid(resource), config, key=assumed_key(resource, config)), config)
        except RequestRefused as refusal:
            complain(f"{resource.metadata.name}: {refusal.reason}: {refusal.message}")
            refused = True
        else:
            say(f"{resource.metadata.name}: valid")
    return ExitCode.REQUEST_REFUSED if refused else ExitCode.DONE

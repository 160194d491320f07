"""`t2v cancel`."""

import argparse

from t2v_operator.cli.cluster import for_each, takes_cluster, takes_names


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_cluster(parser)
    takes_names(parser)


def perform(options: argparse.Namespace) -> int:
    """End videos, whatever they are at. Their resources stay, as Failed with reason Cancelled."""
    return for_each(options, lambda client, name: client.cancel(name), "cancelled")

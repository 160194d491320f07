"""`t2v delete`."""

import argparse

from t2v_operator.cli.cluster import for_each, takes_cluster, takes_names


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_cluster(parser)
    takes_names(parser)


def perform(options: argparse.Namespace) -> int:
    """Delete videos' resources; `spec.outputPolicy` says what becomes of the files."""
    return for_each(options, lambda client, name: client.delete(name), "deleted")

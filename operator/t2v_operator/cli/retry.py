"""`t2v retry`."""

import argparse

from t2v_operator.cli.cluster import for_each, takes_cluster, takes_names


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_cluster(parser)
    takes_names(parser)


def perform(options: argparse.Namespace) -> int:
    """Run failed or cancelled videos again, with the same request."""
    return for_each(options, lambda client, name: client.retry(name), "runs again")

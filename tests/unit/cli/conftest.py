"""A cluster of a few lines that the commands ask."""

from tests.unit.client.conftest import cluster

__all__ = ["cluster"]

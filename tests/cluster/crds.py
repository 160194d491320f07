"""Definitions that other programs bring, for as long as a test needs them."""

import json
from collections.abc import Sequence
from pathlib import Path

from harness.cluster import Cluster
from harness.waiting import wait_until


def apply_crds(cluster: Cluster, files: Sequence[Path]) -> None:
    """Apply the definitions and wait until the API server serves them.

    Not with `kubectl wait`: it fails where the API server has not looked at one yet.
    """
    words = named(files)
    cluster.kubectl("apply", "--server-side", *words)
    wait_until(lambda: _are_established(cluster, words), "the CRDs are established", 60)


def delete_crds(cluster: Cluster, files: Sequence[Path]) -> None:
    cluster.kubectl("delete", *named(files))


def named(files: Sequence[Path]) -> list[str]:
    """As kubectl takes them."""
    return [word for file in files for word in ("-f", str(file))]


def _are_established(cluster: Cluster, words: Sequence[str]) -> bool:
    found = json.loads(cluster.kubectl("get", *words, "-o", "json"))
    return all(
        any(
            (condition["type"], condition["status"]) == ("Established", "True")
            for condition in each.get("status", {}).get("conditions") or ()
        )
        for each in found.get("items", [found])
    )

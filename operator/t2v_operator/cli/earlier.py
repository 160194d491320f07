"""Read how long earlier videos took: from what `kubectl get t2v -o yaml` or `t2v run` prints."""

from collections.abc import Iterator
from typing import Any

from t2v_api.base import ContractError
from t2v_api.resource import TextToVideoJobStatus

from t2v_operator.cli.manifest import ManifestError, documents
from t2v_operator.cli.output import read_text
from t2v_operator.core.earlier_runs import EarlierRuns


def read_earlier(source: str) -> EarlierRuns:
    """What the resources of a file tell. Raises ManifestError."""
    runs = EarlierRuns()
    for resource in _resources(*read_text(source)):
        runs.take(resource)
    return runs


def _resources(text: str, source: str) -> Iterator[dict[str, Any]]:
    for document in documents(text, source):
        items = document.get("items", [document]) if isinstance(document, dict) else [document]
        for each in items:
            if not isinstance(each, dict) or "status" not in each:
                raise ManifestError(
                    f"{source}: no resource with a status; give what `kubectl get t2v -o yaml` or "
                    "`t2v run` prints"
                )
            try:
                TextToVideoJobStatus.parse(each["status"], at="status")
            except ContractError as error:
                lines = str(error).splitlines()
                raise ManifestError("\n".join(f"{source}: {line}" for line in lines)) from None
            yield each

"""Check the CustomResourceDefinitions: are they there, and do they know what this program knows?"""

from collections.abc import Sequence
from typing import Any

from t2v_api.resource import GROUP, PLURAL

from t2v_operator.cli.doctor.finding import Finding, fault, ok, warning
from t2v_operator.cli.doctor.installation import Installation
from t2v_operator.crd import CUSTOM_KINDS, custom_resource_definition

PLACE = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
APPLY = "`t2v crd | kubectl apply --server-side -f -`, or upgrade the chart"


async def crd(installation: Installation) -> Sequence[Finding]:
    """Compares the fields of those in the cluster with those of this program."""
    findings: list[Finding] = []
    for kind in CUSTOM_KINDS:
        wanted = custom_resource_definition(kind)
        name = wanted["metadata"]["name"]
        if name != f"{PLURAL}.{GROUP}" and not installation.config.video_models:
            continue
        found = await installation.find(f"{PLACE}/{name}")
        findings += _compared(name, found, wanted)
    return findings or [ok("crd", "all are there, with every field that this t2v knows")]


def _compared(name: str, found: Any, wanted: Any) -> list[Finding]:
    if found is None:
        return [fault("crd", f"{name} is not installed", APPLY)]
    here, ours = _fields(found), _fields(wanted)
    if missing := sorted(ours - here):
        told = f"{name} is older than this t2v: it lacks {', '.join(missing[:4])}"
        return [fault("crd", told, APPLY)]
    if more := sorted(here - ours):
        told = f"{name} is newer than this t2v: {', '.join(more[:4])} is unknown here"
        return [warning("crd", told, "upgrade this program")]
    conditions = (found.get("status") or {}).get("conditions") or ()
    refused = [c for c in conditions if c["type"] == "Established" and c["status"] != "True"]
    if refused:
        told = f"{name} is not served: {refused[0].get('message', '')}"
        return [fault("crd", told, f"`kubectl describe crd {name}`")]
    return []


def _fields(definition: Any) -> set[str]:
    """The names of all fields of spec and status."""
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return {
        f"{part}.{name}"
        for part in ("spec", "status")
        for name in schema["properties"].get(part, {}).get("properties", {})
    }

"""Check the pools: are there nodes with GPUs, and the runtime class that their pods name?"""

from collections.abc import Sequence

from t2v_api.quantity import bytes_of

from t2v_operator.cli.doctor.finding import Finding, fault, ok, warning
from t2v_operator.cli.doctor.installation import Document, Installation
from t2v_operator.config import GpuPool

RUNTIME_CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"


async def gpus(installation: Installation) -> Sequence[Finding]:
    """That ready nodes of each pool offer its GPU resource, which a device plugin does."""
    if all(each.resources.gpus == 0 for each in installation.config.models):
        told = "no model of the configuration asks for one"
        if not installation.config.video_models:
            return [ok("gpus", told)]
        models = await installation.items("/apis/textto.video/v1alpha1/videomodels")
        if not any((each["spec"].get("resources") or {}).get("gpus", 1) for each in models):
            return [ok("gpus", told)]
    nodes = await installation.items("/api/v1/nodes")
    return [_of_pool(pool, nodes) for pool in installation.config.pools]


async def runtime_class(installation: Installation) -> Sequence[Finding]:
    """That the RuntimeClasses are there which pools name."""
    pools = [each for each in installation.config.pools if each.runtime_class_name]
    findings = []
    for pool in pools:
        name = pool.runtime_class_name
        if await installation.find(f"{RUNTIME_CLASSES}/{name}") is None:
            told = f"pool {pool.name} names the RuntimeClass {name}, which is not there"
            to_do = "install the GPU operator that brings it, or change pools[].runtimeClassName"
            findings.append(fault("runtime-class", told, to_do))
    names = ", ".join(sorted({str(each.runtime_class_name) for each in pools}))
    told = f"{names} is there" if names else "no pool names one"
    return findings or [ok("runtime-class", told)]


def _of_pool(pool: GpuPool, nodes: "list[Document]") -> Finding:
    wanted = pool.node_selector.items()
    chosen = [each for each in nodes if wanted <= (each["metadata"].get("labels") or {}).items()]
    if not chosen:
        selector = ", ".join(f"{name}={value}" for name, value in wanted)
        told = f"pool {pool.name}: no node has the labels {selector}"
        return fault("gpus", told, "label the nodes, or change pools[].nodeSelector")
    offering = [each for each in chosen if _count(each, pool.gpu_resource)]
    if not offering:
        told = f"pool {pool.name}: {len(chosen)} nodes, none offers {pool.gpu_resource}"
        to_do = "does the device plugin run on them? `kubectl describe node` shows Allocatable"
        return fault("gpus", told, to_do)
    usable = [each for each in offering if _is_usable(each)]
    number = sum(_count(each, pool.gpu_resource) for each in usable)
    told = f"pool {pool.name}: {number} {pool.gpu_resource} on {len(usable)} nodes"
    if not usable:
        to_do = "`kubectl get nodes`: are they NotReady or cordoned?"
        return fault("gpus", f"{told} that take pods", to_do)
    if len(usable) < len(offering):
        return warning("gpus", f"{told}; {len(offering) - len(usable)} more take no pods")
    return ok("gpus", told)


def _count(node: Document, resource: str) -> int:
    return int(bytes_of(str((node["status"].get("allocatable") or {}).get(resource, "0"))))


def _is_usable(node: Document) -> bool:
    conditions = node["status"].get("conditions") or ()
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return is_ready and not node["spec"].get("unschedulable")

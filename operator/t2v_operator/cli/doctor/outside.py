"""Check what is beside the operator: those whom it tells, and Kueue."""

from collections.abc import Sequence

from t2v_api.resource import API_VERSION, PLURAL
from t2v_client import NotFound, Video

from t2v_operator.cli.doctor.finding import Finding, fault, ok, warning
from t2v_operator.cli.doctor.installation import Document, Installation

KUEUE = "/apis/kueue.x-k8s.io/v1beta2"


async def webhooks(installation: Installation) -> Sequence[Finding]:
    """What became of the webhooks of the namespace's videos: does anything get out?"""
    namespace = installation.client.namespace
    documents = await installation.items(f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}")
    tried = [
        video
        for video in map(Video, documents)
        if (video.status.get("webhook") or {}).get("attempts")
    ]
    delivered = [each for each in tried if each.status["webhook"].get("deliveredTime")]
    failed = [each for each in tried if not each.status["webhook"].get("deliveredTime")]
    unanswered = [each for each in failed if not each.status["webhook"].get("lastStatusCode")]
    if not tried:
        return [ok("webhooks", f"none was tried in {namespace}")]
    if unanswered:
        told = (
            f"{len(unanswered)} of {len(tried)} reach nobody, such as that of {unanswered[0].name}"
        )
        to_do = "may the operator's pod get out (NetworkPolicy, proxy, DNS)? Is the address right?"
        return [(warning if delivered else fault)("webhooks", told, to_do)]
    if failed:
        code = failed[0].status["webhook"]["lastStatusCode"]
        told = f"{len(failed)} of {len(tried)} are refused: {failed[0].name} got {code}"
        return [warning("webhooks", told, "the receiver's log says why")]
    return [ok("webhooks", f"all {len(tried)} of {namespace} were delivered")]


async def kueue(installation: Installation) -> Sequence[Finding]:
    """That it is installed where it is switched on, with the queues that pools name."""
    if not installation.config.kueue.enabled:
        return [ok("kueue", "it is not used (config.kueue.enabled)")]
    try:
        queues = await installation.items(f"{KUEUE}/localqueues")
        clusters = await installation.items(f"{KUEUE}/clusterqueues")
    except NotFound:
        told = "config.kueue.enabled is true, and Kueue (v1beta2) is not installed"
        return [fault("kueue", told, "install Kueue, or switch it off")]
    namespace = installation.client.namespace
    names = {each["metadata"]["name"] for each in queues if _is_in(each, namespace)}
    findings = [
        fault(
            "kueue",
            f"pool {pool.name} names the LocalQueue {pool.queue_name}, not there in {namespace}",
            "make it, or change pools[].queueName",
        )
        for pool in installation.config.pools
        if pool.queue_name and pool.queue_name not in names
    ]
    findings += [_inactive(each) for each in clusters if not _is_active(each)]
    told = f"{len(queues)} LocalQueues, {len(clusters)} ClusterQueues, all active"
    return findings or [ok("kueue", told)]


def _inactive(queue: Document) -> Finding:
    name = queue["metadata"]["name"]
    conditions = (queue.get("status") or {}).get("conditions") or ()
    why = "; ".join(str(c.get("message", "")) for c in conditions if c["type"] == "Active")
    told = f"the ClusterQueue {name} is not active: {why or 'nobody says why'}"
    return fault("kueue", told, f"`kubectl describe clusterqueue {name}`")


def _is_active(queue: Document) -> bool:
    conditions = (queue.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Active" and each["status"] == "True" for each in conditions)


def _is_in(queue: Document, namespace: str) -> bool:
    return bool(queue["metadata"].get("namespace") == namespace)

"""Check where videos and models are kept: can it be written, read, and opened by a link?"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout
from t2v_api.resource import API_VERSION, PLURAL
from t2v_client import Forbidden, Video
from t2v_client.errors import ServerError

from t2v_operator.cli.doctor.finding import Finding, fault, ok, warning
from t2v_operator.cli.doctor.installation import PART_OF, Document, Installation
from t2v_operator.config import EmbeddedStorage, VolumeStorage

ANSWER_SECONDS = 10.0
ERRORS = "t2v_store_errors_total"
WRITING = ("grant", "write")


async def store(installation: Installation) -> Sequence[Finding]:
    """Write: the operator's counters. Read and link: a video that is there, else the address."""
    storage = installation.config.storage
    if isinstance(storage, VolumeStorage):
        return [
            await _claim(installation, "store", storage.claim_name, installation.client.namespace)
        ]
    findings: list[Finding] = []
    if isinstance(storage, EmbeddedStorage):
        findings += await _embedded(installation)
    return findings + await _written(installation) + await _opened(installation)


async def model_cache(installation: Installation) -> Sequence[Finding]:
    """That the claim is there and bound, and that no VideoModel was given up."""
    cache = installation.config.model_cache
    findings: list[Finding] = []
    if cache.kind == "claim" and cache.claim_name:
        findings.append(
            await _claim(installation, "model-cache", cache.claim_name, installation.namespace)
        )
    if installation.config.video_models:
        models = await installation.items(f"/apis/{API_VERSION}/videomodels")
        findings += [_stalled(each) for each in models if _condition(each, "Stalled")]
    if findings:
        return findings
    told = {"none": "there is none: each Job downloads its model"}.get(cache.kind)
    return [ok("model-cache", told or f"a folder of each node, {cache.path}")]


async def _embedded(installation: Installation) -> list[Finding]:
    path = f"/apis/apps/v1/namespaces/{installation.namespace}/statefulsets"
    # The store is the chart's only StatefulSet.
    found = await installation.items(path, labelSelector=PART_OF)
    name = f"{installation.namespace}/{found[0]['metadata']['name']}" if found else ""
    if not found:
        told = f"no embedded store in {installation.namespace}, but storage.kind is embedded"
        return [fault("store", told, "`helm upgrade` installs it")]
    if (found[0].get("status") or {}).get("readyReplicas", 0) < 1:
        to_do = f"`kubectl -n {installation.namespace} get pods,pvc -l {PART_OF}`"
        return [fault("store", f"{name} is not ready: nothing is written or opened", to_do)]
    return [ok("store", f"{name} is ready")]


async def _written(installation: Installation) -> list[Finding]:
    """What the operator's replicas have counted since they started."""
    failed: dict[str, float] = {}
    for pod in await installation.replicas():
        port = installation.config.health_port
        name = f"{pod['metadata']['name']}:{port}"
        place = f"/api/v1/namespaces/{installation.namespace}/pods/{name}/proxy/metrics"
        try:
            text = await installation.client.api.text(place)
        except Forbidden:
            told = "what the operator counted is not looked at: you may not `get pods/proxy`"
            return [warning("store", told)]
        except ServerError:
            continue
        for operation, number in _errors(text).items():
            failed[operation] = failed.get(operation, 0) + number
    if not failed:
        return [ok("store", "no request of the operator to it has failed")]
    told = ", ".join(f"{operation} {number:.0f} times" for operation, number in failed.items())
    to_do = "credentials, bucket, network? The operator's log names each"
    found = f"these have failed since the operator's start: {told}"
    is_fault = any(operation in WRITING for operation in failed)
    return [fault("store", found, to_do) if is_fault else warning("store", found, to_do)]


async def _opened(installation: Installation) -> list[Finding]:
    """A finished video's link, fetched from here for one byte; without one, the address."""
    namespace = installation.client.namespace
    documents = await installation.items(f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}")
    made = [each for each in map(Video, documents) if each.has_succeeded and each.url]
    newest = max(made, key=lambda each: str(each.status.get("completionTime", "")), default=None)
    url = newest.url if newest else getattr(installation.config.storage, "url", None)
    if not url:
        return [ok("store", "no video is there whose link could be tried")]
    shown = f"the link of {newest.name}" if newest else f"{url}"
    is_local = urlsplit(url).hostname == "localhost"
    to_do = "give the store an address: ingress, httpRoute or store.service.type (docs/delivery.md)"
    try:
        status = await _status_of(url)
    except (ClientError, TimeoutError, OSError) as error:
        told = f"{shown} does not open from here: {type(error).__name__}"
        if is_local:
            return [warning("store", f"{told}; it needs `kubectl port-forward`", to_do)]
        return [fault("store", told, to_do)]
    if newest and status >= 400:
        to_do = f"`t2v link {newest.name}` makes a new one; if that fails too, read the store's log"
        return [warning("store", f"{shown} is refused with {status}", to_do)]
    return [ok("store", f"{shown} opens from here")]


async def _status_of(url: str) -> int:
    timeout = ClientTimeout(ANSWER_SECONDS)
    headers = {"Range": "bytes=0-0"}
    async with ClientSession(timeout=timeout) as session, session.get(url, headers=headers) as seen:
        return seen.status


async def _claim(installation: Installation, check: str, name: str, namespace: str) -> Finding:
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}"
    found = await installation.find(path)
    if found is None:
        told = f"there is no claim {namespace}/{name}"
        return fault(check, told, f"make a PersistentVolumeClaim {name} in {namespace}")
    phase = (found.get("status") or {}).get("phase", "Pending")
    if phase != "Bound":
        to_do = f"`kubectl -n {namespace} describe pvc {name}`"
        # A claim of a class that waits for its first pod is bound by that.
        judged = warning if phase == "Pending" else fault
        return judged(check, f"the claim {namespace}/{name} is {phase}", to_do)
    return ok(check, f"the claim {namespace}/{name} is bound")


def _stalled(model: Document) -> Finding:
    condition = _condition(model, "Stalled") or {}
    name = model["metadata"]["name"]
    told = f"VideoModel {name}: {condition.get('reason')}: {condition.get('message', '')}"
    return fault("model-cache", told, f"`kubectl describe vmodel {name}`")


def _condition(model: Document, kind: str) -> Document | None:
    for each in (model.get("status") or {}).get("conditions") or ():
        if each["type"] == kind and each["status"] == "True":
            condition: Document = each
            return condition
    return None


def _errors(text: str) -> dict[str, float]:
    """By operation, of Prometheus's text format."""
    found = {}
    for line in text.splitlines():
        if line.startswith(f'{ERRORS}{{operation="'):
            operation, _, number = line.removeprefix(f'{ERRORS}{{operation="').partition('"} ')
            if float(number):
                found[operation] = float(number)
    return found

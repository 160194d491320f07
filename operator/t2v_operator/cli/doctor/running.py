"""Check the operator itself: does it run, read its configuration, lead, and can pods believe it?"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from t2v_operator.cli.doctor.finding import Finding, fault, ok, warning
from t2v_operator.cli.doctor.installation import Document, Installation
from t2v_operator.cli.shown import seconds

LEASES = "/apis/coordination.k8s.io/v1"
SOON = timedelta(days=7)
"""A certificate that ends within this should have been renewed."""


async def operator(installation: Installation) -> Sequence[Finding]:
    """That all replicas are ready, and what stops those that are not."""
    wanted = installation.deployment["spec"].get("replicas", 1)
    status = installation.deployment.get("status") or {}
    ready = status.get("readyReplicas", 0)
    image = installation.deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    told = f"{ready} of {wanted} replicas of {installation.namespace}/{installation.name} are ready"
    if ready and ready >= wanted:
        return [ok("operator", f"{told} ({image})")]
    waits = {why for each in await installation.replicas() if (why := _why_it_waits(each))}
    told += f": {', '.join(sorted(waits))}" if waits else ""
    to_do = f"`kubectl -n {installation.namespace} logs deployment/{installation.name}`"
    if ready:
        return [warning("operator", told, to_do)]
    if not wanted:
        to_do = f"`kubectl -n {installation.namespace} scale deployment/{installation.name}`"
    return [fault("operator", told, to_do)]


async def configuration(installation: Installation) -> Sequence[Finding]:
    """That its ConfigMap can be read, with the path of what is wrong."""
    if installation.problem:
        first, *more = installation.problem.splitlines()
        told = first + (f", and {len(more)} more" if more else "")
        to_do = "correct config in the chart's values; what follows was checked with the default"
        return [fault("configuration", told, to_do)]
    config = installation.config
    told = f"{len(config.models)} models, {len(config.pools)} pools, storage {config.storage.kind}"
    return [ok("configuration", told)]


async def lease(installation: Installation) -> Sequence[Finding]:
    """That somebody leads: a Lease that is renewed."""
    election = installation.config.leader_election
    namespace = election.namespace or installation.namespace
    found = await installation.find(f"{LEASES}/namespaces/{namespace}/leases/{election.name}")
    to_do = "is a replica ready, and may it update the Lease? Its log says"
    if found is None:
        return [fault("lease", f"there is no Lease {namespace}/{election.name}", to_do)]
    spec = found["spec"]
    holder = spec.get("holderIdentity")
    renewed = datetime.fromisoformat(spec["renewTime"]) if spec.get("renewTime") else None
    if not holder or renewed is None:
        return [fault("lease", f"nobody holds the Lease {namespace}/{election.name}", to_do)]
    since = datetime.now(UTC) - renewed
    if since > 2 * timedelta(seconds=spec.get("leaseDurationSeconds", 15)):
        told = f"{holder} has not renewed the Lease for {seconds(since.total_seconds())}"
        return [fault("lease", f"{told}: nobody works", to_do)]
    return [ok("lease", f"{holder} leads")]


async def certificate(installation: Installation) -> Sequence[Finding]:
    """That runners can believe the report server. Of the Secret the certificate alone is read."""
    from cryptography import x509

    server = installation.config.report_server
    if not server.url:
        return [ok("certificate", "there is no report server: runners report in their log")]
    path = f"/api/v1/namespaces/{installation.namespace}/secrets/{server.secret}"
    found = await installation.find(path)
    restart = f"delete Secret {server.secret} and restart the operator: it makes another one"
    if found is None:
        told = f"there is no Secret {server.secret}"
        return [fault("certificate", told, "restart the operator: it makes one")]
    try:
        pem = base64.b64decode((found.get("data") or {})["tls.crt"])
        held = x509.load_pem_x509_certificate(pem)
        names = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (KeyError, ValueError, x509.ExtensionNotFound):
        told = f"Secret {server.secret} holds no certificate in tls.crt"
        return [fault("certificate", told, restart)]
    left = held.not_valid_after_utc - datetime.now(UTC)
    host = urlsplit(server.url).hostname or ""
    if left < timedelta(0):
        told = f"that of {host} ended on {held.not_valid_after_utc:%Y-%m-%d}"
        return [fault("certificate", told, restart)]
    if host not in names.get_values_for_type(x509.DNSName):
        told = f"it is not that of {host}, which runners ask"
        return [fault("certificate", told, restart)]
    told = f"that of {host} is good until {held.not_valid_after_utc:%Y-%m-%d}"
    if left < SOON:
        return [warning("certificate", told, "the operator renews its own; renew one of yours")]
    return [ok("certificate", told)]


def _why_it_waits(pod: Document) -> str:
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        if waiting := (container.get("state") or {}).get("waiting"):
            return str(waiting.get("reason", ""))
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason", ""))
    return ""

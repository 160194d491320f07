"""The kinds of objects that the operator reads or writes, and their places in the API."""

from dataclasses import dataclass

from t2v_api.resource import API_VERSION, PLURAL
from t2v_api.video_model import MODEL_PLURAL


@dataclass(frozen=True)
class Kind:
    """One kind of object."""

    prefix: str
    """`/api/v1`, or `/apis/GROUP/VERSION`."""
    plural: str

    def path(self, namespace: str | None = None, *rest: str) -> str:
        """Of the collection, or of an object of it (`rest`: its name, a subresource)."""
        place = (self.prefix, *(("namespaces", namespace) if namespace else ()), self.plural)
        return "/".join((*place, *rest))


RESOURCES = Kind(f"/apis/{API_VERSION}", PLURAL)
VIDEO_MODELS = Kind(f"/apis/{API_VERSION}", MODEL_PLURAL)
JOBS = Kind("/apis/batch/v1", "jobs")
PODS = Kind("/api/v1", "pods")
EVENTS = Kind("/api/v1", "events")
SECRETS = Kind("/api/v1", "secrets")
SERVICES = Kind("/api/v1", "services")
NODES = Kind("/api/v1", "nodes")
TOKEN_REVIEWS = Kind("/apis/authentication.k8s.io/v1", "tokenreviews")
VERSION = Kind("", "version")
"""Not a kind, but asked in the same way; so are the two that follow."""
TOKEN_ISSUER = Kind("/.well-known", "openid-configuration")
TOKEN_KEYS = Kind("/openid/v1", "jwks")
LEASES = Kind("/apis/coordination.k8s.io/v1", "leases")
WORKLOADS = Kind("/apis/kueue.x-k8s.io/v1beta2", "workloads")
WORKLOAD_PRIORITY_CLASSES = Kind("/apis/kueue.x-k8s.io/v1beta2", "workloadpriorityclasses")

"""An API server of a few lines, at the seam that `Client` is: versions, conflicts, pages, deletion.

It knows no controllers: tests do what the Job controller, the kubelet and Kueue would.
"""

import copy
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import JOBS, LEASES, PODS, RESOURCES, Kind

from tests.unit.observations import START, text

Manifest = dict[str, Any]


class ApiServer:
    """The objects, and every request for them."""

    def __init__(self, clock: Callable[[], datetime] = lambda: START) -> None:
        self._clock = clock
        self.version = 100
        self.objects: dict[tuple[Kind, str, str], Manifest] = {}
        self.requests: list[tuple[str, str]] = []
        """Verb and kind of each."""
        self.refusals: dict[tuple[str, str], Exception] = {}
        """By verb and kind: what the next request gets instead of an answer; it is said once."""

    def put(self, kind: Kind, document: Manifest) -> Manifest:
        """What somebody else writes; the caller's document is taken over."""
        metadata = document["metadata"]
        metadata.setdefault("uid", uuid.uuid4().hex)
        metadata.setdefault("creationTimestamp", text(self._clock()))
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        self.objects[kind, metadata.get("namespace", ""), metadata["name"]] = document
        return document

    def change(self, kind: Kind, name: str, **parts: Any) -> Manifest:
        """What somebody else changes of an object of the default namespace."""
        document = self.objects[kind, "default", name]
        _merge(document, parts)
        return self.put(kind, document)

    def drop(self, kind: Kind, name: str) -> None:
        """What somebody else deletes."""
        self.version += 1
        del self.objects[kind, "default", name]

    def all_of(self, kind: Kind) -> list[Manifest]:
        return [copy.deepcopy(each) for (of, *_), each in self.objects.items() if of == kind]

    def count(self, verb: str, kind: Kind) -> int:
        """How often that was asked since the last `forget_requests`."""
        return self.requests.count((verb, kind.plural))

    def forget_requests(self) -> None:
        self.requests.clear()

    # What `Client` offers.

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        self._asked("get", kind)
        return copy.deepcopy(self.objects.get((kind, namespace or "", name)))

    async def list(self, kind: Kind, namespace: str | None, **params: str) -> Manifest:
        self._asked("list", kind)
        items = [
            each
            for each in self.all_of(kind)
            if namespace in (None, each["metadata"].get("namespace"))
            and _is_selected(each, params.get("labelSelector", ""))
            and _is_of(each, params.get("fieldSelector", ""))
        ]
        return {"metadata": {"resourceVersion": str(self.version)}, "items": items}

    async def create(self, kind: Kind, namespace: str, body: Manifest) -> Manifest:
        self._asked("create", kind)
        name = body["metadata"]["name"]
        if (kind, namespace, name) in self.objects:
            raise ClusterError(409, "AlreadyExists", f"{kind.plural} {name} already exists")
        document = copy.deepcopy(body)
        document["metadata"] |= {"namespace": namespace}
        return copy.deepcopy(self.put(kind, document))

    async def replace(
        self, kind: Kind, namespace: str | None, path: str, body: Manifest
    ) -> Manifest:
        self._asked("update", kind)
        name, _, part = path.partition("/")
        found = self._found(kind, namespace, name, body)
        changed = {part: body[part]} if part else body
        return copy.deepcopy(self.put(kind, {**found, **copy.deepcopy(changed)}))

    async def patch(
        self, kind: Kind, namespace: str | None, path: str, body: Manifest, content_type: str = ""
    ) -> Manifest:
        self._asked("patch", kind)
        found = self._found(kind, namespace, path.partition("/")[0], body)
        _merge(found, copy.deepcopy(body))
        return copy.deepcopy(self.put(kind, found))

    async def delete(self, kind: Kind, namespace: str, name: str, options: Manifest) -> Manifest:
        """What has finalizers stays, marked, and so does a Job as long as it has pods."""
        self._asked("delete", kind)
        wanted = {"metadata": options.get("preconditions", {})}
        found = self._found(kind, namespace, name, wanted)
        uid = found["metadata"]["uid"]
        pods = [each for each in self.all_of(PODS) if _owner_uid(each) == uid]
        has_to_wait = options.get("propagationPolicy") == "Foreground" and pods
        if has_to_wait or found["metadata"].get("finalizers"):
            found["metadata"]["deletionTimestamp"] = text(self._clock())
            return copy.deepcopy(self.put(kind, found))
        del self.objects[kind, namespace, name]
        self.version += 1
        return {"kind": "Status", "metadata": {}}

    async def write_lease(self, namespace: str, name: str | None, body: Manifest) -> Manifest:
        if name is None:
            return await self.create(LEASES, namespace, body)
        return await self.replace(LEASES, namespace, name, body)

    def _asked(self, verb: str, kind: Kind) -> None:
        self.requests.append((verb, kind.plural))
        if refusal := self.refusals.pop((verb, kind.plural), None):
            raise refusal

    def _found(self, kind: Kind, namespace: str | None, name: str, wanted: Manifest) -> Manifest:
        found = self.objects.get((kind, namespace or "", name))
        if found is None:
            raise ClusterError(404, "NotFound", f"{kind.plural} {name} not found")
        for field in ("uid", "resourceVersion"):
            value = wanted.get("metadata", {}).get(field)
            if value and value != found["metadata"][field]:
                raise ClusterError(409, "Conflict", f"{field} of {name} is another")
        return copy.deepcopy(found)


def the_status(server: ApiServer, name: str = "red-circle") -> Manifest:
    """What stands on the resource."""
    status: Manifest = server.objects[RESOURCES, "default", name]["status"]
    return status


def the_jobs(server: ApiServer) -> list[str]:
    return [each["metadata"]["name"] for each in server.all_of(JOBS)]


def _owner_uid(document: Manifest) -> str:
    return next((each["uid"] for each in document["metadata"].get("ownerReferences", ())), "")


def _is_selected(document: Manifest, selector: str) -> bool:
    name, _, value = selector.partition("=")
    labels = document["metadata"].get("labels") or {}
    if name == "batch.kubernetes.io/job-name":
        return True  # the caller compares the owner's uid besides
    return not name or (name in labels and value in ("", labels[name]))


def _is_of(event: Manifest, selector: str) -> bool:
    uid = selector.partition(",")[0].removeprefix("involvedObject.uid=")
    return not selector or event["involvedObject"]["uid"] == uid


def _merge(document: Manifest, patch: Manifest) -> None:
    for name, value in patch.items():
        if isinstance(value, dict) and isinstance(document.get(name), dict):
            _merge(document[name], value)
        elif value is None:
            document.pop(name, None)
        else:
            document[name] = value

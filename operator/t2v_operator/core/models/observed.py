"""What is seen of one VideoModel: a record, and what videos may make of it. Pure.

The neighbour that makes it from an object of the API is `observe`.
"""

from dataclasses import dataclass, replace

from t2v_api.profile import ModelProfile
from t2v_api.resource import Condition, ObjectMeta
from t2v_api.video_model import NodeStatus, VideoModelSpec, VideoModelStatus


@dataclass(frozen=True, slots=True)
class ObservedModel:
    """A VideoModel as the API server holds it."""

    metadata: ObjectMeta
    spec: VideoModelSpec | None
    """None where the spec does not fit the contract; `complaint` then says why."""
    complaint: str
    status: VideoModelStatus | None
    is_being_deleted: bool
    has_finalizer: bool
    """Whether it stays, once it is deleted, until this operator lets it go."""

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def profile(self) -> ModelProfile | None:
        """What a new Job draws with; None where there is to be none."""
        ready = self._condition("Ready")
        if self.spec is None or self.is_being_deleted or ready is None or ready.status != "True":
            return None
        assert self.status
        return self.spec.profile(self.name, self.status.commit, self.status.motion_adapter_commit)

    @property
    def promised(self) -> ModelProfile | None:
        """What has to stay in the model cache: what is ready, or is on some nodes already."""
        if not self.is_prefetched or self.spec is None or self.is_being_deleted:
            return None
        status = self.status
        is_somewhere = status is not None and any(node.ready for node in status.nodes)
        if status is None or not is_somewhere or status.sources != self.spec.sources:
            return self.profile
        return self.spec.profile(self.name, status.commit, status.motion_adapter_commit)

    @property
    def is_prefetched(self) -> bool:
        """Whether its files, once it is ready, are in the model cache."""
        return self.spec is not None and self.spec.prefetch is not None

    @property
    def promised_revision(self) -> str | None:
        """Names the weights that are said to be in the model cache; None where none are."""
        status = self.status
        if self.spec is None or self.spec.prefetch is None or status is None or not status.commit:
            return None
        commits = (status.commit, status.motion_adapter_commit)
        return self.spec.profile(self.name, *commits).revision

    def on_node(self, node: NodeStatus | None) -> "ObservedModel":
        """As if the cache of this node was the only one. None: nothing is known of the node."""
        status = self.status
        if status is None or node is None or not (node.ready or node.missing_time):
            return replace(self, status=None)
        of_node = {
            "percent": 100,
            "nodes": (),
            "fetched_time": node.fetched_time,
            "fetched_bytes": node.fetched_bytes,
            "fetch_seconds": None,
            "missing_time": node.missing_time,
        }
        return replace(self, status=status.model_copy(update=of_node))

    @property
    def profile_to_fetch(self) -> ModelProfile:
        """What its Job fetches: once more the commit that it had, though a branch has moved on."""
        assert self.spec
        status = self.status
        if status is None or status.sources != self.spec.sources or not self.is_fetched_again:
            return self.spec.profile(self.name)
        return self.spec.profile(self.name, status.commit, status.motion_adapter_commit)

    @property
    def is_fetched_again(self) -> bool:
        """Whether it was in the cache once, is not any more, and is on its way there."""
        status = self.status
        if status is None or status.missing_time is None:
            return False
        return status.fetched_time is None or status.fetched_time <= status.missing_time

    @property
    def reason(self) -> str:
        """Why it is ready, or is not; empty where nobody has looked at it as it is now."""
        ready = self._condition("Ready")
        return ready.reason if ready else ""

    @property
    def phase(self) -> str:
        """Ready, Reconciling or Stalled; Pending where nobody has looked at it as it is now."""
        kinds = ("Ready", "Reconciling", "Stalled")
        held = ((kind, self._condition(kind)) for kind in kinds)
        return next((kind for kind, each in held if each and each.status == "True"), "Pending")

    @property
    def cached(self) -> str:
        """Names its files in the model cache; empty where none of them are there, or not all."""
        ready = self._condition("Ready")
        if not self.promised_revision or ready is None or ready.status != "True":
            return ""
        assert self.spec
        assert self.status
        sources = (self.spec.source, self.spec.motion_adapter)
        hubs = "+".join(str(each.hub) for each in sources if each)
        return f"{hubs}@{self.promised_revision} {self.status.converted_to or ''}"

    @property
    def why_not(self) -> str:
        """Why no video is made with it, for whoever waits for one."""
        if self.is_being_deleted:
            return f"VideoModel {self.name} is being deleted"
        stalled = self._condition("Stalled")
        if stalled is None:
            return f"VideoModel {self.name} has not been looked at yet"
        if stalled.status == "True":
            return f"VideoModel {self.name} cannot be used: {stalled.message}"
        return f"VideoModel {self.name} is on its way: {stalled.message}"

    def _condition(self, kind: str) -> Condition | None:
        """Of the spec as it is now."""
        status = self.status
        if status is None or status.observed_generation != self.metadata.generation:
            return None
        return next((each for each in status.conditions if each.type == kind), None)

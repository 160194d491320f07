"""What is seen of one VideoModel: a record, and what videos may make of it. Pure.

The neighbour that makes it from an object of the API is `observe`.
"""

from dataclasses import dataclass

from t2v_api.profile import ModelProfile
from t2v_api.resource import Condition, ObjectMeta
from t2v_api.video_model import VideoModelSpec, VideoModelStatus


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
    def reason(self) -> str:
        """Why it is ready, or is not; empty where nobody has looked at it as it is now."""
        ready = self._condition("Ready")
        return ready.reason if ready else ""

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

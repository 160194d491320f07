"""The VideoModel resource: a model of the catalogue that everybody in the cluster may name.

The CRD is generated from these models. The neighbour without a status is `profile`: a model in the
operator's own configuration.
"""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from t2v_api.base import ContractModel
from t2v_api.profile import ModelDescription, ModelProfile, ModelSource
from t2v_api.resource import DNS_LABEL, Condition, ObjectMeta, SecretKeyReference
from t2v_api.result import Sha256

MODEL_KIND = "VideoModel"
MODEL_PLURAL = "videomodels"

NAME_CHARACTERS = 63
"""Of a model: its name is a label's value."""
NAME_RULE = {
    "rule": f"self.metadata.name.size() <= {NAME_CHARACTERS}",
    "message": f"a model's name has at most {NAME_CHARACTERS} characters",
}

NOTHING_TO_FETCH = (
    "'prefetch' goes with a source from a hub; remove it: a folder is there already, and an image "
    "is pulled by the node"
)

SPEC_RULES = (
    {
        "rule": (
            "[has(self.source.path), has(self.source.hub), has(self.source.image)]"
            ".exists_one(is_given, is_given)"
        ),
        "message": "source: give exactly one of 'path', 'hub' and 'image'",
    },
    {
        "rule": "!has(self.source.hub) || has(self.source.revision)",
        "message": "source: 'hub' needs a 'revision', so that a video can be made again",
    },
    {
        "rule": "!has(self.prefetch) || has(self.source.hub)",
        "message": NOTHING_TO_FETCH,
    },
    {
        "rule": "!has(self.tokenSecretRef) || has(self.prefetch)",
        "message": "'tokenSecretRef' goes with 'prefetch': the pod of a video never has the token",
    },
    {
        "rule": "!has(self.source.image) || !has(self.source.revision)",
        "message": "source: 'revision' goes with 'hub'; an image has its digest: NAME@sha256:…",
    },
    {
        "rule": "!has(self.source.pullPolicy) || has(self.source.image)",
        "message": "source: 'pullPolicy' goes with 'image': only an image is pulled",
    },
)
"""What the API server refuses; the models refuse the same, and more."""


class Prefetch(ContractModel):
    """That a model is fetched before anybody asks for a video of it."""

    pools: tuple[Annotated[str, Field(max_length=63, pattern=DNS_LABEL)], ...] = ()
    """The GPU pools whose nodes need it. Default: the first of the operator's configuration."""
    convert: bool = False
    """Keep weights in float32 in the number format that GPUs load them in: half the bytes, the same
    videos. A device that loads them in another format, such as a CPU, draws others."""


class VideoModelSpec(ModelDescription):
    """One model. A change of `source`, `motionAdapter` or `prefetch` fetches it anew."""

    model_config = ConfigDict(
        json_schema_extra={"x-kubernetes-validations": [{**rule} for rule in SPEC_RULES]}
    )

    prefetch: Prefetch | None = None
    """Fetch it into the model cache now, and let no Job fetch it. Null: each Job fetches it."""
    token_secret_ref: SecretKeyReference | None = None
    """The hub's token, for models whose licence has to be accepted: a Secret in the operator's own
    namespace. Only what fetches the model gets it."""

    @model_validator(mode="after")
    def _what_is_fetched_is_on_a_hub(self) -> Self:
        if self.prefetch is not None and self.source.hub is None:
            raise ValueError(NOTHING_TO_FETCH)
        return self

    @model_validator(mode="after")
    def _a_token_is_for_what_fetches(self) -> Self:
        if self.token_secret_ref is not None and self.prefetch is None:
            raise ValueError(
                "'tokenSecretRef' goes with 'prefetch': the pod of a video never has the token"
            )
        return self

    @property
    def sources(self) -> str:
        """Names what is fetched, as the user wrote it: a branch may name another commit by now."""
        both = (self.source, self.motion_adapter)
        named = "+".join(_as_written(each) for each in both if each)
        return f"{named}, converted" if self.prefetch and self.prefetch.convert else named

    def profile(
        self, name: str, commit: str | None = None, motion_adapter_commit: str | None = None
    ) -> ModelProfile:
        """The model as a request knows it, at these commits where they are known."""
        fields = {field: getattr(self, field) for field in ModelDescription.model_fields}
        fields["source"] = _at(self.source, commit)
        if self.motion_adapter is not None:
            fields["motion_adapter"] = _at(self.motion_adapter, motion_adapter_commit)
        return ModelProfile(id=name, **fields)


def _as_written(source: ModelSource) -> str:
    return source.image or f"{source.hub or source.path}@{source.revision}"


def _at(source: ModelSource, commit: str | None) -> ModelSource:
    return source.model_copy(update={"revision": commit}) if commit and source.hub else source


class PoolStatus(ContractModel):
    """How far a model is on the nodes of one pool."""

    name: str
    """The pool's."""
    ready: bool
    """Whether its nodes have all of the model."""
    nodes: int | None = Field(default=None, ge=0)
    """How many nodes have it. Null where all nodes share one cache."""


class NodeStatus(ContractModel):
    """Whether one node has a model, where each has a cache of its own."""

    name: str
    """The node's."""
    uid: str
    """The node's: another of the same name has another disk."""
    ready: bool
    """Whether it has all of the model."""
    fetched_time: AwareDatetime | None = None
    """When it was last known to have all of it."""
    fetched_bytes: int | None = Field(default=None, ge=0)
    """What it had to download for that: 0 where all of it was there already. Null: not known."""
    missing_time: AwareDatetime | None = None
    """When a video's pod last looked for it there in vain, so that it was fetched again."""


class VideoModelStatus(ContractModel):
    """Whether videos can be made with it, and what of it is there."""

    observed_generation: int | None = None
    """The generation of the resource that this status is about."""
    conditions: tuple[Condition, ...] = ()
    """Ready, Reconciling and Stalled, as kstatus reads them."""
    sources: str | None = None
    """Which sources and revisions were fetched; `commit` is theirs."""
    cache: str | None = None
    """Which model cache has them."""
    commit: str | None = None
    """The hub's commit that new Jobs use. Null: it comes from a folder, or each Job asks the hub
    what its branch or tag names."""
    motion_adapter_commit: str | None = None
    """The same of the motion adapter."""
    bytes: int | None = Field(default=None, ge=0)
    """Of its files that are in the cache; where each node has one, in one that has them all."""
    total_bytes: int | None = Field(default=None, ge=0)
    """Of all its files."""
    percent: int | None = Field(default=None, ge=0, le=100)
    """How much of it is in the cache. Null where it is not fetched."""
    eta_seconds: float | None = Field(default=None, ge=0)
    """Seconds until it is there, from the pace so far."""
    fetched_time: AwareDatetime | None = None
    """When the cache was last known to have all of it."""
    fetched_bytes: int | None = Field(default=None, ge=0)
    """What had to be downloaded for that: 0 where all of it was there already. Null: not known.
    Where each node has a cache, by all nodes together that got it then."""
    fetch_seconds: float | None = Field(default=None, ge=0)
    """How long that took; where several nodes got it, the slowest."""
    missing_time: AwareDatetime | None = None
    """When a video's pod last looked for it in the cache in vain, so that it was fetched again."""
    sha256: Sha256 | None = None
    """Over the sorted paths and digests of its files, as they were fetched."""
    converted_to: str | None = None
    """The number format that its weights were converted to. Null: all is as the hub has it."""
    pools: tuple[PoolStatus, ...] = ()
    """The GPU pools that it is fetched for."""
    nodes: tuple[NodeStatus, ...] = ()
    """These pools' nodes by name, where each has a cache of its own: those that have the model, and
    those that are to get it."""
    image_digest: str | None = None
    """Of the image that new Jobs mount, where `source` names it by its digest."""
    message: str = ""
    """What happens or happened, for people."""


class VideoModel(ContractModel):
    """One model as a Kubernetes resource."""

    api_version: Literal["textto.video/v1alpha1"]
    kind: Literal["VideoModel"]
    metadata: ObjectMeta
    spec: VideoModelSpec
    status: VideoModelStatus | None = None

    @model_validator(mode="after")
    def _its_name_is_a_labels_value(self) -> Self:
        if len(self.metadata.name) > NAME_CHARACTERS:
            raise ValueError(f"metadata.name: {NAME_RULE['message']}")
        return self

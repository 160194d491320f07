"""The TextToVideoJob resource: what a user writes and what they read back.

The CRD is generated from these models, so what they refuse the API server refuses.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, model_validator

from t2v_api.base import ContractModel
from t2v_api.execution import Execution
from t2v_api.lora import LoraReferences
from t2v_api.profile import ModelId
from t2v_api.progress import Progress
from t2v_api.ranges import FPS, FRAMES, GUIDANCE, SEED, STEPS, STRENGTH, WIDTH_HEIGHT
from t2v_api.reasons import Reason
from t2v_api.request import PROMPT_CHARACTERS, GenerationRequest, MediaUrl
from t2v_api.result import Video
from t2v_api.schedulers import Scheduler
from t2v_api.speed import Speed, exact_is_null
from t2v_api.start import InitMode

GROUP = "textto.video"
VERSION = "v1alpha1"
KIND = "TextToVideoJob"
PLURAL = "texttovideojobs"
API_VERSION = f"{GROUP}/{VERSION}"

NOT_BLANK = r"\S"
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

ONE_WORD = r"^[A-Za-z0-9]([-A-Za-z0-9._:+]*[A-Za-z0-9])?$"
CURRENCY = r"^[A-Z]{3}$"
RetryToken = Annotated[str, Field(min_length=1, max_length=64, pattern=ONE_WORD)]
"""Such as a number, a date or a commit."""
KEPT_RETRY_TOKENS = 20
"""So many of them are known as used."""


class SchedulerPolicy(StrEnum):
    """What happens to a scheduler that the model's family cannot use."""

    NEAREST = "Nearest"
    STRICT = "Strict"


class OutputPolicy(StrEnum):
    """What happens to a video's files when its resource is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class SecretKeyReference(ContractModel):
    """One key of a Secret in the resource's namespace."""

    name: str = Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)
    """The Secret's name."""
    key: str = Field(default="key", min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")
    """The key in the Secret's data."""


@dataclass(frozen=True)
class Rule:
    """A rule that spans fields, said twice: for the API server and for Python."""

    cel: str
    message: str
    holds: Callable[["TextToVideoJobSpec"], bool]


SPEC_RULES = (
    Rule(
        cel="!has(self.initImage) || !has(self.initVideo)",
        message="give one of 'initImage' and 'initVideo', not both",
        holds=lambda spec: not (spec.init_image and spec.init_video),
    ),
    Rule(
        cel="!has(self.strength) || has(self.initImage) || has(self.initVideo)",
        message="'strength' goes with an 'initImage' or 'initVideo'; add one or remove 'strength'",
        holds=lambda spec: not spec.strength or bool(spec.init_image or spec.init_video),
    ),
    Rule(
        cel="!has(self.endImage) || !has(self.initVideo)",
        message="'endImage' goes with an 'initImage', not with an 'initVideo'",
        holds=lambda spec: not (spec.end_image and spec.init_video),
    ),
    Rule(
        cel="!has(self.mode) || self.mode != 'FirstFrame' || has(self.initImage)",
        message="mode FirstFrame goes with an 'initImage'; an 'initVideo' is always restyled",
        holds=lambda spec: spec.mode is not InitMode.FIRST_FRAME or bool(spec.init_image),
    ),
    Rule(
        cel="!has(self.mode) || self.mode != 'Restyle' || has(self.initImage) || "
        "has(self.initVideo)",
        message="mode Restyle goes with an 'initImage' or 'initVideo'; add one or remove 'mode'",
        holds=lambda spec: (
            spec.mode is not InitMode.RESTYLE or bool(spec.init_image or spec.init_video)
        ),
    ),
    Rule(
        cel="!has(self.mode) || self.mode != 'Restyle' || !has(self.endImage)",
        message="mode Restyle has no last frame; remove 'endImage', or choose mode FirstFrame",
        holds=lambda spec: not (spec.mode is InitMode.RESTYLE and spec.end_image),
    ),
)

REQUEST_FIELDS = (
    "model_id",
    "prompt",
    "negative_prompt",
    "width",
    "height",
    "scheduler",
    "scheduler_policy",
    "num_inference_steps",
    "enhance_prompt",
    "guidance_scale",
    "init_image",
    "end_image",
    "init_video",
    "mode",
    "strength",
    "seed",
    "num_frames",
    "fps",
    "speed",
    "loras",
)
"""The fields that make the video. A change in any other never makes a new one."""


class TextToVideoJobSpec(ContractModel):
    """One video to make."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {"rule": rule.cel, "message": rule.message} for rule in SPEC_RULES
            ]
        }
    )

    model_id: ModelId
    """The model's name in the operator's model catalogue."""
    prompt: str = Field(min_length=1, max_length=PROMPT_CHARACTERS, pattern=NOT_BLANK)
    """What the video shows."""
    negative_prompt: str = Field(default="", max_length=PROMPT_CHARACTERS)
    """What the video must not show."""
    width: Annotated[int, WIDTH_HEIGHT] | None = None
    """Pixels, a multiple of 8. Default: the model's."""
    height: Annotated[int, WIDTH_HEIGHT] | None = None
    """Pixels, a multiple of 8. Default: the model's."""
    scheduler: Scheduler | None = None
    """The sampler: a diffusers scheduler class. Default: the model's."""
    scheduler_policy: SchedulerPolicy = SchedulerPolicy.NEAREST
    """Nearest: a scheduler that the model cannot use is replaced by the nearest that it can, and
    the status says so. Strict: it is refused before a GPU is touched."""
    num_inference_steps: Annotated[int, STEPS] | None = None
    """Denoising steps. Default: the model's."""
    enhance_prompt: bool = True
    """Enhance the prompt as the model's profile says. The status shows the prompt that was used."""
    guidance_scale: Annotated[float, GUIDANCE] | None = None
    """Scale of classifier-free guidance. Default: the model's."""
    init_image: MediaUrl | None = None
    """URL of an image to start from: the first frame, or what is drawn anew, as `mode` says.
    `store://PATH`: a file of this namespace in the operator's store."""
    end_image: MediaUrl | None = None
    """URL of the last frame, for models that take one."""
    init_video: MediaUrl | None = None
    """URL of a video to start from. `store://<digest>/video.mp4`: one of this namespace that was
    made before."""
    mode: InitMode = InitMode.AUTO
    """What becomes of `initImage`. FirstFrame: the video begins with it. Restyle: it stands for
    every frame, is noised by `strength` and drawn anew. Auto: FirstFrame where the model can, but
    Restyle where `strength` is given and the model can do that. An `initVideo` is always
    restyled."""
    strength: Annotated[float, STRENGTH] | None = None
    """How much of the init image or video is destroyed when it is restyled. 1.0 destroys all of its
    information. Default: 0.7."""
    seed: Annotated[int, SEED] | None = None
    """The same seed makes the same video again. Null: drawn once and recorded in the status."""
    webhook: Annotated[str, Field(max_length=2048, pattern=r"^https?://\S+$")] | None = None
    """URL that gets a POST when the video is finished or has failed."""
    track_id: Annotated[str, Field(max_length=256)] | None = None
    """Returned in the webhook's body, as it is."""
    key_secret_ref: SecretKeyReference | None = None
    """The API key, by reference to a Secret of this namespace: it opens GPU pools. It is read when
    the Job is about to be made, and written nowhere."""
    load_balancer: bool = False
    """False: the first GPU pool that the key opens and that is not known to be too small. True: the
    one of them with the shortest expected wait, which is its queued and running work over its GPUs;
    `status.pool` says which."""
    num_frames: Annotated[int, FRAMES] | None = None
    """How many frames. Default: the model's."""
    fps: Annotated[int, FPS] | None = None
    """Frames per second. Default: the model's."""
    speed: Annotated[Speed | None, AfterValidator(exact_is_null)] = None
    """Exact, the default: the model is asked at each denoising step. Balanced, Fast: answers are
    used again where they would hardly differ, at some cost of likeness, for models that have a
    cache for it; the status says where it has no effect."""
    loras: LoraReferences = ()
    """What is added to the model's weights: names in the operator's list of LoRAs."""
    pool: Annotated[str, Field(max_length=63, pattern=DNS_LABEL)] | None = None
    """The GPU pool to run in: one that the key opens, or that needs none. Default: the first of
    them that holds the video."""
    queue_name: Annotated[str, Field(max_length=253, pattern=DNS_SUBDOMAIN)] | None = None
    """The Kueue LocalQueue of this namespace to wait in. Default: the pool's. It cannot change
    while the video is in the queue or is made."""
    suspend: bool = False
    """True: no Job runs; a running one is stopped."""
    cancel: bool | None = None
    """True: the video is given up. A running Job is stopped, and the resource stays, as Failed with
    the reason Cancelled. What has ended stays as it is. Only another `retryToken` makes it after
    that, once this is not true any more."""
    retry_token: RetryToken | None = None
    """Any value that it did not have before makes a video once more that has failed or was
    cancelled. It has no effect on any other, and no value does so twice."""
    priority_class_name: Annotated[str, Field(max_length=253, pattern=DNS_SUBDOMAIN)] | None = None
    """The pod's PriorityClass; in a queue, the WorkloadPriorityClass."""
    active_deadline_seconds: Annotated[int, Field(ge=1)] | None = None
    """Seconds after which the Job is stopped and the video has failed."""
    backoff_limit: Annotated[int, Field(ge=0, le=100)] = 2
    """Further attempts after a failure that another attempt may mend."""
    max_disruptions: Annotated[int, Field(ge=0, le=1000)] = 10
    """How many evictions, preemptions and lost nodes the video survives; one more and it has
    failed. They do not count against `backoffLimit`."""
    queue_deadline_seconds: Annotated[int, Field(ge=1)] | None = None
    """Seconds that the video may wait for a GPU, or in its queue, at a stretch; after that it has
    failed. Default: no limit."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0)] | None = None
    """Seconds after which a finished Job is removed. The resource and its status stay.
    Default: the operator's, an hour unless configured otherwise."""
    output_ttl_seconds: Annotated[int, Field(ge=0)] | None = None
    """Seconds after its end at which the resource is deleted, its files before it, whatever
    `outputPolicy` says. What Argo CD, Flux, Helm or an owner keeps stays, without files. Default:
    never."""
    output_policy: OutputPolicy = OutputPolicy.RETAIN
    """Retain: the files stay when the resource is deleted. Delete: they go with it, unless another
    resource has the same video."""

    @model_validator(mode="after")
    def _keep_the_rules(self) -> Self:
        broken = [rule.message for rule in SPEC_RULES if not rule.holds(self)]
        if broken:
            raise ValueError("; ".join(broken))
        return self

    @property
    def media(self) -> tuple[str, ...]:
        """The URLs of everything that it starts from."""
        return tuple(filter(None, (self.init_image, self.end_image, self.init_video)))

    @property
    def request_hash(self) -> str:
        """SHA-256 in hex over the fields that make the video, as the user wrote them.

        Fields that have their default are left out: a field that a later version adds does not
        change the hash of a resource that is there already.
        """
        wanted = self.model_dump(
            mode="json", by_alias=True, include=set(REQUEST_FIELDS), exclude_defaults=True
        )
        return hash_of(wanted)

    @property
    def whole_hash(self) -> str:
        """The same over all fields: equal for requests that say the same."""
        return hash_of(self.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def hash_of(document: Any) -> str:
    """SHA-256 in hex over plain JSON data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


class Phase(StrEnum):
    """Where a resource is. Succeeded and Failed are final for one request."""

    PENDING = "Pending"
    SUSPENDED = "Suspended"
    QUEUED = "Queued"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Condition(ContractModel):
    """A condition as kstatus reads it: Ready, Reconciling, Stalled, WebhookDelivered."""

    type: str
    """Ready, Reconciling, Stalled or WebhookDelivered."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: str
    """Why, in one word, for programs."""
    message: str = ""
    """Why, for people."""
    last_transition_time: AwareDatetime
    """When the status of the condition last changed."""
    observed_generation: int | None = None
    """The generation of the resource that the condition is about."""


class ResolvedRequest(GenerationRequest):
    """The exact inputs that were used: enough to make the same video again."""

    model_revision: str
    """What names the weights: the hub commit, or the folder."""
    runner_image: str
    """The image that ran, or "local"."""
    execution: Execution | None = None
    """How it was drawn. Null until it is."""

    @property
    def request(self) -> GenerationRequest:
        """What the runner was asked."""
        names = GenerationRequest.model_fields
        return GenerationRequest(**{name: getattr(self, name) for name in names})


class Estimate(ContractModel):
    """What a video is expected to take, as it was known when its Job was made, and when."""

    plan: Annotated[str, Field(max_length=64)] | None = None
    """The memory plan that is expected to hold, such as ModelOffload+Tiling. Null: the model's
    sizes or the pool's memory are not known, or it is not drawn on exactly one GPU."""
    gpu_bytes: int | None = Field(default=None, ge=0)
    """The most of the GPU's memory that this plan needs."""
    host_bytes: int | None = Field(default=None, ge=0)
    """What of the host's memory this plan keeps weights in."""
    download_bytes: int | None = Field(default=None, ge=0)
    """What is downloaded before it is drawn, LoRAs as well; nothing of what is in the model cache.
    Null: of the model, or of a LoRA, it is not known."""
    seconds: float | None = Field(default=None, ge=0)
    """From the runner's start to the finished video, by earlier videos of the model in this pool.
    Null: there are none that are like it."""
    start_time: AwareDatetime | None = None
    """When its runner is expected to begin, or began, by all that is before it in its pool. Null:
    nothing is known, or it neither waits for a GPU nor runs."""
    completion_time: AwareDatetime | None = None
    """When the video is expected to be there; corrected while it waits and runs."""


class Attempt(ContractModel):
    """One run of the runner."""

    pod_name: str | None = None
    """The pod that it ran in."""
    pool: str | None = None
    """The GPU pool that it ran in."""
    node_name: str | None = None
    """The node that it ran on."""
    reason: Reason | None = None
    """Why it failed. Null while it runs and when it succeeded."""
    message: str = ""
    """Why it failed, for people."""
    exit_code: int | None = None
    """The runner's. Null where it never ended by itself."""
    resumed_step: int | None = None
    """The denoising step that it went on from. Null: it began with the first."""
    start_time: AwareDatetime | None = None
    """When the runner began."""
    completion_time: AwareDatetime | None = None
    """When the runner ended."""


class Cost(ContractModel):
    """What GPUs cost, as decimal text: sums of it are exact."""

    amount: str = Field(max_length=40, pattern=r"^[0-9]+(\.[0-9]+)?$")
    """Of the currency, such as 1.2500."""
    currency: str = Field(pattern=CURRENCY)
    """As ISO 4217 names it."""


class WebhookStatus(ContractModel):
    """How far the delivery of the webhook is."""

    url_hash: str = ""
    """Says which URL this is about without showing it."""
    attempts: int = 0
    """How often it was tried."""
    first_attempt_time: AwareDatetime | None = None
    """When it was tried first."""
    last_status_code: int | None = None
    """The HTTP status of the last answer."""
    delivered_time: AwareDatetime | None = None
    """When it was taken."""
    next_attempt_time: AwareDatetime | None = None
    """When it is tried again."""
    given_up_time: AwareDatetime | None = None
    """When it was given up: after a day, or because the receiver wants no more."""


class TextToVideoJobStatus(ContractModel):
    """What became of the request."""

    phase: Phase = Phase.PENDING
    """Where the resource is. Succeeded and Failed are final for one request."""
    observed_generation: int | None = None
    """The generation of the resource that this status is about."""
    conditions: tuple[Condition, ...] = ()
    """Ready, Reconciling and Stalled, as kstatus reads them, and WebhookDelivered."""
    id: int | None = Field(default=None, ge=0, lt=2**53)
    """Stable for the resource; the endpoint's `id`."""
    request_hash: str | None = None
    """Of the request that this status is about."""
    job_name: str | None = None
    """The Job that makes the video."""
    pool: str | None = None
    """The GPU pool that it runs in."""
    estimate: Estimate | None = None
    """What it is expected to take, as it was known before a GPU was taken. Null: nothing was."""
    output_url: str | None = None
    """Where the MP4 is."""
    output: tuple[str, ...] = ()
    """Everything that was made: the MP4, then the poster."""
    link_expiry_time: AwareDatetime | None = None
    """Until when the links open; `t2v link` renews them. Null: for ever."""
    output_removed_time: AwareDatetime | None = None
    """When its files went, as `outputTtlSeconds` says; the resource is kept by something else."""
    link_renewal: Annotated[str, Field(max_length=256)] | None = None
    """The value of the annotation textto.video/renew-links that they were last renewed for."""
    reused: bool | None = None
    """True: the video was in the store already, made for an equal request."""
    generation_time: float | None = None
    """Seconds from the runner's start to the finished video."""
    resolved: ResolvedRequest | None = None
    """The exact inputs that were used: enough to make the same video again."""
    progress: Progress | None = None
    """How far the video is."""
    timings: dict[str, float] | None = None
    """Seconds for each stage."""
    video: Video | None = None
    """The MP4 as it was written."""
    attempts: tuple[Attempt, ...] = ()
    """The last ten runs of the runner, the latest last."""
    attempt_count: int = Field(default=0, ge=0)
    """How many runs there were in all."""
    disruptions: int = Field(default=0, ge=0)
    """How many of them were evicted, preempted or lost with their node."""
    next_attempt_time: AwareDatetime | None = None
    """About when the next attempt begins. Null: none has failed that another one follows."""
    gpu_seconds: float | None = Field(default=None, ge=0)
    """GPUs times the seconds that all runs of the request that are over held them, those of earlier
    tries as well."""
    cost: Cost | None = None
    """What they cost. What ran in a pool without a price is not in it."""
    key_id: Annotated[str, Field(max_length=63)] | None = None
    """Of the API key that its Job was made with, as `t2v key list` shows it."""
    webhook: WebhookStatus | None = None
    """How far the delivery of the webhook is."""
    start_time: AwareDatetime | None = None
    """When the first attempt began."""
    completion_time: AwareDatetime | None = None
    """When the request came to its end."""
    retry_tokens: tuple[str, ...] | None = None
    """The values of `spec.retryToken` that were seen, the latest last: these do nothing more."""
    trace_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """Of the request's OpenTelemetry trace. Null: the operator sends none."""
    message: str = ""
    """What happens or happened, for people."""


class ObjectMeta(ContractModel):
    """The part of Kubernetes's metadata that is read here; the rest is carried along unread."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)
    namespace: str = Field(default="default", min_length=1, max_length=63, pattern=DNS_LABEL)
    uid: str = ""
    """Given by the API server; empty in a manifest."""
    generation: int = 1
    creation_timestamp: AwareDatetime | None = None
    """Given by the API server."""
    resource_version: str = ""
    """Given by the API server; changes with every write."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class TextToVideoJob(ContractModel):
    """One video as a Kubernetes resource."""

    api_version: Literal["textto.video/v1alpha1"]
    kind: Literal["TextToVideoJob"]
    metadata: ObjectMeta
    spec: TextToVideoJobSpec
    status: TextToVideoJobStatus | None = None

"""The operator's configuration: models, GPU pools, the runner's image, where videos go."""

from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator
from t2v_api.base import ContractError, ContractModel
from t2v_api.lora import Lora
from t2v_api.memory import CUDA_CONTEXT, in_gib
from t2v_api.profile import ModelProfile, PromptEnhancement
from t2v_api.quantity import Quantity, bytes_of
from t2v_api.request import PROMPT_CHARACTERS
from t2v_api.resource import CURRENCY, DNS_LABEL, DNS_SUBDOMAIN
from t2v_api.web_address import AllowedAddresses

from t2v_operator.core.pod_template_patch import check_patch

MANAGER = r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$"


class ConfigurationError(ValueError):
    """The configuration file cannot be used; names the path of each wrong value."""


class RunnerImage(ContractModel):
    """The container that makes videos."""

    image: str = Field(min_length=1)
    """With a tag or a digest."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When a node pulls it."""
    pull_secrets: tuple[str, ...] = ()
    """Names of Secrets in the resources' namespaces; in the operator's own too, where models are
    prefetched."""


class GpuPool(ContractModel):
    """Nodes that jobs may run on, and how a pod gets a GPU there."""

    name: str = Field(min_length=1, max_length=63, pattern=DNS_LABEL)
    """What `spec.pool` says."""
    gpu_resource: Annotated[str, Field(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9._-]+$")] = (
        "nvidia.com/gpu"
    )
    """What a pod asks its node for."""
    node_selector: dict[str, str] = {}
    """Labels of the pool's nodes."""
    tolerations: tuple[dict[str, Any], ...] = ()
    """As a pod has them."""
    runtime_class_name: str | None = None
    """Of the pods, such as nvidia, where the nodes need one."""
    queue_name: Annotated[str, Field(max_length=253, pattern=DNS_SUBDOMAIN)] | None = None
    """The Kueue LocalQueue, one of this name in each namespace, for resources that name none."""
    managed_by: Annotated[str, Field(max_length=63, pattern=MANAGER)] | None = None
    """The Jobs' `managedBy`: kueue.x-k8s.io/multikueue where other clusters run them."""
    keys: Literal["required", "optional"] = "optional"
    """required: nothing runs here without an API key that names this pool. Needs
    `apiKeys.enabled`."""
    gpu_memory: Quantity | None = None
    """The memory of one GPU, such as 80Gi, at most what `nvidia-smi` shows as its total. A video
    that does not fit goes to another pool, or is refused, before a GPU is taken, where its model's
    `sizes` are known. Left out, nothing is known before."""
    gpus: Annotated[int, Field(ge=1)] | None = None
    """How many the pool has: `spec.loadBalancer` divides the pool's work by it. Left out it counts
    as one GPU, so it should be set in every pool where load is balanced."""
    price_per_gpu_hour: Annotated[float, Field(ge=0, le=1e6)] | None = None
    """What an hour of one GPU costs: `status.cost` and the metrics tell what videos cost."""
    currency: Annotated[str, Field(pattern=CURRENCY)] | None = None
    """Of that, as ISO 4217 names it, such as EUR: one for all pools."""

    @model_validator(mode="after")
    def _a_price_has_a_currency(self) -> Self:
        if (self.price_per_gpu_hour is None) != (self.currency is None):
            raise ValueError("pricePerGpuHour goes with a currency, and a currency with a price")
        return self

    @field_validator("gpu_memory")
    @classmethod
    def _holds_cuda_itself(cls, memory: str | None) -> str | None:
        if memory and bytes_of(memory) <= CUDA_CONTEXT:
            raise ValueError(
                f"{memory} is less than the {in_gib(CUDA_CONTEXT)} that CUDA itself needs; "
                "write it like 80Gi"
            )
        return memory

    @property
    def gpu_bytes(self) -> int | None:
        """`gpu_memory` in bytes."""
        return bytes_of(self.gpu_memory) if self.gpu_memory else None


PREFIX = Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*/?)?$")
"""Of keys: the embedded store takes no part that begins otherwise."""
WEB_ADDRESS = Field(pattern=r"^https?://[^\s?#]+$")
SIGNED_SECONDS = Field(ge=60, le=7 * 24 * 3600)


class VolumeStorage(ContractModel):
    """Videos go to a volume that every runner pod mounts."""

    kind: Literal["volume"] = "volume"
    """A claim in each namespace of videos."""
    claim_name: str = Field(min_length=1)
    """A PersistentVolumeClaim in the resource's namespace."""
    url: Annotated[str, Field(pattern=r"^(https?|file)://\S+$")]
    """What serves the volume's files: a key is appended to it."""
    prefix: Annotated[str, PREFIX] = "videos"
    """What the keys of all files begin with."""


class EmbeddedStorage(ContractModel):
    """Videos go to the operator's own store, `t2v store`, which serves them as well."""

    kind: Literal["embedded"] = "embedded"
    """The store that the chart installs."""
    url: Annotated[str, WEB_ADDRESS] = "http://localhost:8080"
    """The store's address as a browser reaches it; the default is where a port-forward ends."""
    service: Annotated[str, Field(max_length=63, pattern=DNS_LABEL)] | None = None
    """A Service in the operator's namespace, of type LoadBalancer or NodePort: links begin with its
    address, and with `url` where it gets none."""
    internal_url: Annotated[str, WEB_ADDRESS] | None = None
    """The store's address within the cluster; default: `url`."""
    keys_secret: str = Field(default="text-to-video-operator-store", pattern=DNS_SUBDOMAIN)
    """The Secret in the operator's namespace with the keys that sign links. Made if missing."""
    link_seconds: Annotated[int, Field(ge=60)] = 7 * 24 * 3600
    """How long a link opens. It is renewed by `t2v link`."""
    prefix: Annotated[str, PREFIX] = "videos"
    """What the keys of all files begin with."""


class BucketStorage(ContractModel):
    """Videos go to a bucket. The operator alone has credentials for it, from its environment."""

    kind: Literal["s3", "gs", "az"]
    """Amazon S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage."""
    bucket: str = Field(min_length=1)
    """The bucket, or the container of Azure."""
    options: dict[str, str] = {}
    """As obstore takes them, such as `endpoint`, `region`, `account_name`; no credentials."""
    url: Annotated[str, WEB_ADDRESS] | None = None
    """What serves the bucket to everybody; default: links that are signed for a time."""
    link_seconds: Annotated[int, SIGNED_SECONDS] = 7 * 24 * 3600
    """How long a signed link opens; the stores allow a week at most."""
    prefix: Annotated[str, PREFIX] = "videos"
    """What the keys of all files begin with."""


Storage = Annotated[VolumeStorage | EmbeddedStorage | BucketStorage, Field(discriminator="kind")]


class ReportServer(ContractModel):
    """Where the runners' pods report progress and ask for uploads: in the operator itself."""

    url: Annotated[str, Field(pattern=r"^https://[^\s/?#]+$")] | None = None
    """Its address within the cluster. Null: there is none, and progress is not seen."""
    port: int = Field(default=8443, ge=1, le=65535)
    """Where it listens."""
    secret: str = Field(default="text-to-video-operator-report", pattern=DNS_SUBDOMAIN)
    """The Secret in the operator's namespace with tls.crt, tls.key and ca.crt. Made and renewed,
    unless something else, such as cert-manager, has made it."""
    audience: str = Field(default="text-to-video-operator", min_length=1, max_length=253)
    """Of the pods' tokens: another for each installation."""
    token_review: bool = True
    """Whether the API server is asked whose a token is (TokenReview), which takes a right in the
    whole cluster. False: its public keys tell, which every pod may read
    (docs/design/without-cluster-roles.md)."""
    certificate_authority: str = ""
    """In PEM, what the pods trust; taken from the Secret."""


class Webhooks(ContractModel):
    """How receivers of webhooks know that it is us."""

    secret: str = Field(default="text-to-video-operator-webhooks", pattern=DNS_SUBDOMAIN)
    """The Secret in the operator's namespace whose `current` signs, as Standard Webhooks says;
    `previous` signs too while it is there. Made if missing."""


class OwnSecretKey(ContractModel):
    """One key of a Secret in the operator's namespace."""

    name: str = Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)
    """The Secret's name."""
    key: str = Field(default="key", min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")
    """The key in the Secret's data."""


OF_THE_QUESTION = frozenset({"model", "messages", "stream"})
"""What the operator itself says in a question's body."""


class PromptEndpoint(ContractModel):
    """The language model that enhances prompts, behind an OpenAI-compatible endpoint.

    For the models whose `promptEnhancement` is Endpoint.
    """

    url: Annotated[str, Field(pattern=r"^https?://[^\s?#@]+$")]
    """What comes before `/chat/completions`, such as https://llm.example.com/v1. It may be private;
    with http:// the key goes unencrypted."""
    model: str = Field(min_length=1)
    """As the endpoint names it."""
    key_secret: OwnSecretKey | None = None
    """The API key, which goes nowhere but to the endpoint. Left out, none is sent."""
    timeout_seconds: int = Field(default=30, ge=1, le=600)
    """For one prompt, retries included; after that Rules do it."""
    max_characters: int = Field(default=2000, ge=1, le=2 * PROMPT_CHARACTERS)
    """A longer answer is not used."""
    parameters: dict[str, Any] = {"temperature": 0}
    """Further fields of the request's body, such as max_tokens. Given, they stand in the place of
    temperature 0, which makes answers alike and which some models that reason do not take."""

    @field_validator("parameters")
    @classmethod
    def _leaves_the_question_alone(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        ours = ", ".join(sorted(OF_THE_QUESTION & parameters.keys()))
        if ours:
            raise ValueError(f"{ours}: the operator sets that itself; leave it out")
        return parameters


MOST_RETRIES_IN_POD = 10


NODE_FOLDER = r"^(/\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)+$"
"""Absolute; neither the root nor a way up is such a path."""


class ModelCache(ContractModel):
    """Where the models of VideoModels are kept, once for all videos."""

    kind: Literal["none", "claim", "hostPath"] = "none"
    """claim: a volume that every node mounts. hostPath: a folder of each node, which is filled on
    each node of the pools that a model is fetched for. None: each Job downloads into its
    scratch."""
    claim_name: Annotated[str, Field(pattern=DNS_SUBDOMAIN)] | None = None
    """A PersistentVolumeClaim, one of this name in the operator's namespace, which is written, and
    in each namespace of videos, where it is read: all of them show the same files. With hostPath:
    in the place of the folder itself, where pods may mount none; each node shows its own files."""
    path: Annotated[str, Field(max_length=255, pattern=NODE_FOLDER)] | None = None
    """The folder of each node, for hostPath: it has to be there, and user 65532 has to be able to
    write it."""
    size: Quantity | None = None
    """How much it may hold, such as 500Gi (with hostPath on each node): before a model comes that
    would be more, those go that no VideoModel and no Job has any more, the least recently used
    first. Left out, nothing goes."""

    @property
    def named(self) -> str | None:
        """Tells caches apart; None where there is none."""
        place = {"claim": self.claim_name, "hostPath": self.path}.get(self.kind)
        return f"{self.kind}/{place}" if place else None

    @property
    def is_of_each_node(self) -> bool:
        """Whether a node has what was fetched on it, and nothing else."""
        return self.kind == "hostPath"

    @model_validator(mode="after")
    def _it_is_somewhere(self) -> Self:
        if self.kind != "hostPath" and (self.kind == "claim") != (self.claim_name is not None):
            raise ValueError("kind claim goes with a claimName, and no other kind needs one")
        if (self.kind == "hostPath") != (self.path is not None):
            raise ValueError(
                "kind hostPath goes with a path, the folder of each node, and no other kind does"
            )
        if self.size and self.kind == "none":
            raise ValueError(f"size is {self.size}; without a cache there is nothing to limit")
        return self


class JobPolicy(ContractModel):
    """How long the operator waits before it gives up on a Job, or removes it."""

    ttl_seconds_after_finished: Annotated[int, Field(ge=0)] | None = 3600
    """Finished Jobs are removed after that; the resource and its status stay. Null: they stay too.
    A resource's own `ttlSecondsAfterFinished` goes before it."""
    start_deadline_seconds: int = Field(default=900, ge=1)
    """A pod that has a node and does not start in that time has failed: its image, a volume or a
    Secret is missing. Waiting for a GPU does not count."""
    retries_in_pod: Annotated[int, Field(ge=0, le=MOST_RETRIES_IN_POD)] = 3
    """After exit code 5 (storage, network) a runner is so often started again in its own pod, where
    what it has made or downloaded is still there. Needs Kubernetes 1.35, or 1.34 with the feature
    gate ContainerRestartRules; elsewhere, and after that, another pod follows. Not where
    `backoffLimit` is 0."""
    checkpoint_every_minutes: float = Field(default=10.0, ge=0, le=1440)
    """How often a denoising that goes on is kept, so that another attempt goes on from there; it is
    at each stop, too. 0: never. A model's own `execution.checkpointEveryMinutes` goes before it."""
    node_lost_seconds: int = Field(default=300, ge=0)
    """A pod whose node does not answer for that long is given up and replaced."""


class LoadBalancing(ContractModel):
    """What becomes of a video with `loadBalancer` whose pool is not the freest any more."""

    reconsider: bool = False
    """Whether it moves to another pool while it waits. As long as no pod of it has a node, its Job
    is made anew there."""
    minimum_gain_seconds: int = Field(default=60, ge=1)
    """It moves only where it is expected to wait so much less."""


class Kueue(ContractModel):
    """Queueing by Kueue (https://kueue.sigs.k8s.io)."""

    enabled: bool = False
    """True where Kueue is installed: its Workloads are then watched, which takes rights on them."""


class ApiKeys(ContractModel):
    """Keys that open GPU pools, kept as Secrets."""

    enabled: bool = False
    """True: the operator knows them from a watch, and reads the Secrets that `keySecretRef` names.
    It takes rights: to list Secrets where keys are, to get those of the watched namespaces."""
    namespace: Annotated[str, Field(max_length=63, pattern=DNS_LABEL)] | None = None
    """Where keys are, as Secrets that the operator and the gateway list: best a namespace with
    nothing else in it. Default: the operator's own."""


class LeaderElection(ContractModel):
    """The Lease that decides which of several operators works."""

    namespace: str | None = None
    """Default: the operator's own; outside of a cluster, `default`."""
    name: str = Field(default="text-to-video-operator", max_length=253, pattern=DNS_SUBDOMAIN)
    """The Lease's name; the chart gives each release one of its own."""


class OperatorConfig(ContractModel):
    """Everything the operator is told, once, at its start."""

    runner: RunnerImage
    models: tuple[ModelProfile, ...] = Field(min_length=1)
    """The model catalogue: what `spec.modelId` may name, besides VideoModels."""
    loras: tuple[Lora, ...] = ()
    """What `spec.loras` may name; nothing else is ever loaded."""
    pools: tuple[GpuPool, ...] = Field(min_length=1)
    """Where Jobs may run. The first is the default."""
    storage: Storage
    """Where videos go: a bucket, the operator's own store, or a volume; `kind` says which."""
    report_server: ReportServer = ReportServer()
    video_models: bool = True
    """Whether VideoModels are models of the catalogue, and fetched. Of several installations in one
    cluster one has them: the others say false, and neither read nor change any."""
    model_cache: ModelCache = ModelCache()
    image_volumes: bool | None = None
    """Whether pods can mount images, for models with `source.image`. Null: from Kubernetes 1.35 on;
    true: earlier too, by its feature gate ImageVolume."""
    reuse: bool = True
    """A video that is in the store already is not made again."""
    prompt_enhancement: PromptEndpoint | None = None
    """What models with `promptEnhancement: Endpoint` ask."""
    webhooks: Webhooks = Webhooks()
    allowed_addresses: AllowedAddresses = AllowedAddresses()
    """Where webhooks and init media may be, besides the public internet."""
    jobs: JobPolicy = JobPolicy()
    load_balancing: LoadBalancing = LoadBalancing()
    kueue: Kueue = Kueue()
    api_keys: ApiKeys = ApiKeys()
    gateway_secret: str = Field(default="text-to-video-operator-gateway", pattern=DNS_SUBDOMAIN)
    """The Secret in the operator's namespace whose `current` signs what the gateway makes for a
    key; `previous` is believed too while it is there. Made if missing, where keys are used."""
    leader_election: LeaderElection = LeaderElection()
    health_port: int = Field(default=8080, ge=1, le=65535)
    """Where /healthz, /readyz and /metrics are served."""
    namespaces: tuple[Annotated[str, Field(max_length=63, pattern=DNS_LABEL)], ...] = ()
    """The namespaces that are watched; none named: all of them."""
    pod_template_patch: dict[str, Any] = {}
    """Merged into every Job's pod template: a strategic merge patch, as `kubectl patch` takes."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for what, names in (
            ("models", [model.id for model in self.models]),
            ("loras", [lora.name for lora in self.loras]),
            ("pools", [pool.name for pool in self.pools]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what}: {', '.join(twice)} stands twice")
        return self

    @model_validator(mode="after")
    def _there_is_one_currency(self) -> Self:
        known = sorted({pool.currency for pool in self.pools if pool.currency})
        if len(known) > 1:
            raise ValueError(f"pools: prices are in {', '.join(known)}; choose one currency")
        return self

    @model_validator(mode="after")
    def _queues_need_kueue(self) -> Self:
        named = [pool.name for pool in self.pools if pool.queue_name]
        if named and not self.kueue.enabled:
            raise ValueError(
                f"pools: {', '.join(named)} names a queue; set kueue.enabled, or remove queueName"
            )
        return self

    @model_validator(mode="after")
    def _required_keys_are_used(self) -> Self:
        required = [pool.name for pool in self.pools if pool.keys == "required"]
        if required and not self.api_keys.enabled:
            raise ValueError(
                f"pools: {', '.join(required)} has keys: required; set apiKeys.enabled, or keys: "
                "optional"
            )
        return self

    @model_validator(mode="after")
    def _uploads_need_the_report_server(self) -> Self:
        if self.storage.kind != "volume" and self.report_server.url is None:
            raise ValueError(
                f"storage: kind {self.storage.kind} needs reportServer.url, where the pods ask for "
                "their uploads"
            )
        return self

    @model_validator(mode="after")
    def _an_endpoint_is_there_for_those_that_ask(self) -> Self:
        asking = [m.id for m in self.models if m.prompt_enhancement is PromptEnhancement.ENDPOINT]
        if asking and self.prompt_enhancement is None:
            raise ValueError(
                f"models: {', '.join(asking)} has promptEnhancement Endpoint; set the "
                "configuration's own promptEnhancement (url and model), or choose Rules"
            )
        return self

    @field_validator("pod_template_patch")
    @classmethod
    def _patch_is_plain(cls, patch: dict[str, Any]) -> dict[str, Any]:
        check_patch(patch)
        return patch

    @cached_property
    def pool_names(self) -> frozenset[str]:
        return frozenset(pool.name for pool in self.pools)

    @cached_property
    def catalogue(self) -> dict[str, ModelProfile]:
        """The models by id."""
        return {model.id: model for model in self.models}


def load_config(path: Path | None) -> OperatorConfig:
    """Read a configuration file; without one, the documented default. Raises ConfigurationError."""
    if path is None:
        return read_config(None)
    try:
        return read_config(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8 text") from None


def read_config(text: str | None, source: str = "default") -> OperatorConfig:
    """The same of a text; None: the documented default. `source` names it in complaints."""
    if text is None:
        text = resources.files("t2v_operator").joinpath("default.yaml").read_text()
    return _parse(text, source)


def _parse(text: str, source: str) -> OperatorConfig:
    try:
        return OperatorConfig.parse(yaml.safe_load(text))
    except (ContractError, yaml.YAMLError, TypeError) as error:
        lines = str(error).splitlines()
        raise ConfigurationError("\n".join(f"{source}: {line}" for line in lines)) from None

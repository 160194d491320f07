"""The operator's configuration: models, GPU pools, the runner's image, where videos go."""

from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator
from t2v_api.base import ContractError, ContractModel
from t2v_api.profile import ModelProfile
from t2v_api.resource import DNS_LABEL

from t2v_operator.core.pod_template_patch import check_patch


class ConfigurationError(ValueError):
    """The configuration file cannot be used; names the path of each wrong value."""


class RunnerImage(ContractModel):
    """The container that makes videos."""

    image: str = Field(min_length=1)
    """With a tag or a digest."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    """Names of Secrets in the resources' namespaces."""


class GpuPool(ContractModel):
    """Nodes that jobs may run on, and how a pod gets a GPU there."""

    name: str = Field(min_length=1, max_length=63, pattern=DNS_LABEL)
    gpu_resource: Annotated[str, Field(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9._-]+$")] = (
        "nvidia.com/gpu"
    )
    node_selector: dict[str, str] = {}
    tolerations: tuple[dict[str, Any], ...] = ()
    """As a pod has them."""
    runtime_class_name: str | None = None


class VolumeStorage(ContractModel):
    """Videos go to a volume that every runner pod mounts."""

    claim_name: str = Field(min_length=1)
    """A PersistentVolumeClaim in the resource's namespace."""
    url: Annotated[str, Field(pattern=r"^(https?|file)://\S+$")]
    """What serves the volume's files: a key is appended to it."""
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]*$")] = "videos"


class OperatorConfig(ContractModel):
    """Everything the operator is told, once, at its start."""

    runner: RunnerImage
    models: tuple[ModelProfile, ...] = Field(min_length=1)
    pools: tuple[GpuPool, ...] = Field(min_length=1)
    storage: VolumeStorage
    namespaces: tuple[str, ...] = ()
    """The namespaces that are watched; none named: all of them."""
    pod_template_patch: dict[str, Any] = {}
    """Merged into every Job's pod template: a strategic merge patch, as `kubectl patch` takes."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for what, names in (
            ("models", [model.id for model in self.models]),
            ("pools", [pool.name for pool in self.pools]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what}: {', '.join(twice)} stands twice")
        return self

    @field_validator("pod_template_patch")
    @classmethod
    def _patch_is_plain(cls, patch: dict[str, Any]) -> dict[str, Any]:
        check_patch(patch)
        return patch

    @cached_property
    def catalogue(self) -> dict[str, ModelProfile]:
        """The models by id."""
        return {model.id: model for model in self.models}


def load_config(path: Path | None) -> OperatorConfig:
    """Read a configuration file; without one, the documented default. Raises ConfigurationError."""
    if path is None:
        return _parse(
            resources.files("t2v_operator").joinpath("default.yaml").read_text(), "default"
        )
    try:
        return _parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8 text") from None


def _parse(text: str, source: str) -> OperatorConfig:
    try:
        return OperatorConfig.parse(yaml.safe_load(text))
    except (ContractError, yaml.YAMLError, TypeError) as error:
        lines = str(error).splitlines()
        raise ConfigurationError("\n".join(f"{source}: {line}" for line in lines)) from None

"""LoRAs: what is added to a model's weights for one request. What one draws, nobody here knows."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from t2v_api.base import ContractModel
from t2v_api.family import ModelFamily
from t2v_api.profile import ModelId, ModelProfile, WeightsSource

MOST_LORAS = 8
LoraName = Annotated[
    str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$")
]
"""A name in the operator's list of LoRAs; it may be what a hub calls it, `owner/name`."""
WEIGHT = Field(ge=-4, le=4)


class Expert(StrEnum):
    """One of the two denoisers of a Wan 2.2 model, as diffusers names them."""

    MUCH_NOISE = "transformer"
    LITTLE_NOISE = "transformer_2"


class LoraSource(WeightsSource):
    """Where a LoRA's weights are: a folder that the runner sees, or a hub repository's commit."""

    path: Annotated[str, Field(min_length=1)] | None = None
    """A folder; a relative one stands below the runner's models folder."""
    revision: Annotated[str, Field(min_length=1, pattern=r"^[\w./-]+$")] | None = None
    """The hub repository's commit."""
    file: Annotated[str, Field(pattern=r"^(\w[\w.+ -]*/)*\w[\w.+ -]*\.safetensors$")] | None = None
    """The file in it. Left out: its only .safetensors file."""
    expert: Expert | None = None
    """The denoiser that it changes, where a model has two. Left out: both."""

    @model_validator(mode="after")
    def _is_a_commit(self) -> Self:
        if not self.is_pinned:
            raise ValueError(
                f"'revision' is {self.revision!r}; a LoRA needs the commit, 40 hexadecimal digits: "
                "a branch or tag may move"
            )
        return self


class Lora(ContractModel):
    """One LoRA that requests may name."""

    name: LoraName
    """What `spec.loras` says."""
    description: str = ""
    """For people who choose one."""
    source: LoraSource
    family: ModelFamily
    """Of the models that it changes."""
    models: tuple[ModelId, ...] = ()
    """The models that it is for. None named: all of the family, as far as its layers fit."""
    download: int | None = Field(default=None, ge=0)
    """Bytes of its file, where it is a hub's, for what a video is expected to download. Left out:
    not known."""

    @model_validator(mode="after")
    def _the_family_takes_it(self) -> Self:
        traits, expert = self.family.traits, self.source.expert
        if not traits.takes_loras:
            raise ValueError(f"family is {self.family}; diffusers cannot add LoRAs to such models")
        if expert and not traits.takes_guidance_scale_2:
            raise ValueError(
                f"source.expert is {expert}; {self.family} models have no second expert: "
                "leave it out"
            )
        return self

    def is_for(self, profile: ModelProfile) -> bool:
        """Whether requests of this model may name it."""
        return profile.family is self.family and (not self.models or profile.id in self.models)


class LoraReference(ContractModel):
    """A LoRA that the user asks for, and how much of it."""

    source: LoraName
    """Its name in the operator's list of LoRAs."""
    weight: Annotated[float, WEIGHT] = 1.0
    """How much of it is added: 1 as it was trained, 0 nothing, below 0 the opposite."""


class AppliedLora(ContractModel):
    """A LoRA that is added to the model's weights."""

    name: LoraName
    """In the operator's list of LoRAs."""
    source: LoraSource
    """Where its weights are."""
    weight: Annotated[float, WEIGHT]
    """How much of it is added."""


def _each_once(loras: tuple[LoraReference, ...]) -> tuple[LoraReference, ...]:
    names = [lora.source for lora in loras]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} stands twice; write it once, with one weight")
    return loras


def none_is_null(loras: tuple[AppliedLora, ...] | None) -> tuple[AppliedLora, ...] | None:
    """No LoRA and null are one request: what is null stands in no digest."""
    return loras or None


LoraReferences = Annotated[
    tuple[LoraReference, ...],
    Field(
        max_length=MOST_LORAS,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["source"],
        },
    ),
    AfterValidator(_each_once),
]
"""In the order in which they are added. A LoRA stands in it once, as the API server says too."""

"""The models that a request may name: the configuration's, and VideoModels. Pure.

The configuration's own go before a VideoModel of the same name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from t2v_api.profile import ModelProfile

from t2v_operator.config import OperatorConfig
from t2v_operator.core.models.missing import Missed, is_missed
from t2v_operator.core.models.observed import ObservedModel


@dataclass(frozen=True)
class OnNodes:
    """Of a model that single nodes have: where it is, or will be."""

    pools: tuple[str, ...]
    """All nodes of these GPU pools get it."""
    lacking: tuple[str, ...] = ()
    """The nodes of these that are known not to have it yet."""


@dataclass(frozen=True)
class CatalogueModel:
    """A model that a Job can draw with now."""

    profile: ModelProfile
    is_prefetched: bool = False
    """Whether its files are in the model cache."""
    on_nodes: OnNodes | None = None
    """None: the files are the same on every node."""


@dataclass(frozen=True)
class Catalogue:
    """All models by name."""

    config: OperatorConfig
    resources: Mapping[str, ObservedModel] = field(default_factory=dict)
    """VideoModels by name, those that are not ready as well."""

    def find(self, name: str) -> CatalogueModel | None:
        """The model of this name; None where there is none that is ready."""
        configured = self.config.catalogue.get(name)
        if configured:
            return CatalogueModel(configured)
        resource = self._resource(name)
        profile = resource.profile if resource else None
        if resource is None or profile is None:
            return None
        return CatalogueModel(profile, resource.is_prefetched, self._on_nodes(resource))

    def not_ready(self, name: str) -> ObservedModel | None:
        """The VideoModel of this name that videos have to wait for."""
        resource = self._resource(name)
        return resource if resource and resource.profile is None else None

    def promised(self, name: str) -> ObservedModel | None:
        """The VideoModel of this name, where the model cache is to have it."""
        resource = self._resource(name)
        return resource if resource and resource.is_prefetched else None

    def _resource(self, name: str) -> ObservedModel | None:
        """The VideoModel of this name, where it is not the configuration's.

        What its status tells of another cache, as an earlier configuration had it, says nothing of
        the one that videos mount: it is looked at anew, and they wait for that.
        """
        resource = None if name in self.config.catalogue else self.resources.get(name)
        told = resource.status.cache if resource and resource.status else None
        is_of_another = told is not None and told != self.config.model_cache.named
        return replace(resource, status=None) if resource and is_of_another else resource

    def is_missed(self, model: ObservedModel, missed: Missed | None) -> bool:
        """Whether it is said to be where a pod did not find it: in the cache, or on its node."""
        if missed is None or not self.config.model_cache.is_of_each_node:
            return is_missed(model, missed)
        nodes = model.status.nodes if model.status else ()
        there = next((node for node in nodes if node.name == missed.node), None)
        return is_missed(model.on_node(there), missed)

    def _on_nodes(self, model: ObservedModel) -> OnNodes | None:
        prefetch = model.spec.prefetch if model.spec else None
        if prefetch is None or not self.config.model_cache.is_of_each_node:
            return None
        nodes = model.status.nodes if model.status else ()
        lacking = tuple(node.name for node in nodes if not node.ready)
        return OnNodes(prefetch.pools or (self.config.pools[0].name,), lacking)

    @property
    def names(self) -> list[str]:
        """Of every model, those too that are not ready."""
        return sorted({*self.config.catalogue, *self.resources})

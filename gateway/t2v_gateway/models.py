"""The models that a request may name: the configuration's, and VideoModels from a watch."""

import asyncio

from t2v_operator.cluster.client import Client
from t2v_operator.cluster.kinds import VIDEO_MODELS
from t2v_operator.cluster.reflector import Reflector
from t2v_operator.cluster.store import Key, Store
from t2v_operator.config import OperatorConfig
from t2v_operator.core.catalogue import Catalogue
from t2v_operator.core.models.observe import observe_model
from t2v_operator.core.models.observed import ObservedModel


class Models:
    """All models by name."""

    def __init__(self, client: Client, config: OperatorConfig) -> None:
        self.by_name: dict[str, ObservedModel] = {}
        self.store: Store[ObservedModel] = Store(observe_model, self._index, lambda *_: None)
        self.catalogue = Catalogue(config, self.by_name)
        self._reflector = (
            Reflector(client, VIDEO_MODELS, None, self.store) if config.video_models else None
        )

    async def run(self) -> None:
        """Keep them in step with the API server until cancelled."""
        await (self._reflector.run() if self._reflector else asyncio.Event().wait())

    @property
    def is_full(self) -> bool:
        return self._reflector is None or self._reflector.is_full

    async def wait_until_full(self) -> None:
        if self._reflector:
            await self._reflector.wait_until_full()

    def _index(self, key: Key, _: ObservedModel | None, after: ObservedModel | None) -> None:
        if after is None:
            self.by_name.pop(key[1], None)
        else:
            self.by_name[key[1]] = after

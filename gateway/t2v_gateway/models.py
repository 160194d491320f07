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
        self.reflectors = (
            [Reflector(client, VIDEO_MODELS, None, self.store)] if config.video_models else []
        )

    async def run(self) -> None:
        """Keep them in step with the API server until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self.reflectors:
                group.create_task(reflector.run())
            await asyncio.Event().wait()

    def _index(self, key: Key, _: ObservedModel | None, after: ObservedModel | None) -> None:
        if after is None:
            self.by_name.pop(key[1], None)
        else:
            self.by_name[key[1]] = after

"""The models that a request may name: the configuration's, and VideoModels from a watch."""

import asyncio

from t2v_api.resource import API_VERSION
from t2v_api.video_model import MODEL_KIND, VideoModelSpec
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import UNANSWERED, ClusterError
from t2v_operator.cluster.kinds import VIDEO_MODELS
from t2v_operator.cluster.reflector import Reflector
from t2v_operator.cluster.store import Key, Store
from t2v_operator.config import OperatorConfig
from t2v_operator.core.catalogue import Catalogue
from t2v_operator.core.models.observe import observe_model
from t2v_operator.core.models.observed import ObservedModel

from t2v_gateway.errors import NotFound, Refused, Unavailable

FORBIDDEN = (
    "this installation does not let its gateway change models: apply or delete the VideoModel with "
    "kubectl, or set gateway.mayChangeModels in the chart's values"
)


class Models:
    """All models by name."""

    def __init__(self, client: Client, config: OperatorConfig) -> None:
        self._client = client
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

    def gpus(self, name: str) -> int:
        """That one video of this model takes; 1 where it is not known any more."""
        found = self.catalogue.find(name)
        return found.profile.resources.gpus if found else 1

    async def put(self, name: str, spec: VideoModelSpec) -> None:
        """Make the VideoModel, or give it this spec. Raises Refused."""
        try:
            found = await self._client.get(VIDEO_MODELS, None, name)
            if found is None:
                body = {
                    "apiVersion": API_VERSION,
                    "kind": MODEL_KIND,
                    "metadata": {"name": name},
                    "spec": spec.document(),
                }
                await self._client.create(VIDEO_MODELS, "", body)
            else:
                await self._client.replace(
                    VIDEO_MODELS, None, name, {**found, "spec": spec.document()}
                )
        except ClusterError as error:
            raise _complaint(error) from None
        except UNANSWERED:
            raise Unavailable from None

    async def delete(self, name: str) -> None:
        """The VideoModel; it goes once no Job draws with it. Raises Refused."""
        try:
            await self._client.delete(VIDEO_MODELS, "", name, {})
        except ClusterError as error:
            raise (
                NotFound(f"model {name!r}") if error.status == 404 else _complaint(error)
            ) from None
        except UNANSWERED:
            raise Unavailable from None

    def _index(self, key: Key, _: ObservedModel | None, after: ObservedModel | None) -> None:
        if after is None:
            self.by_name.pop(key[1], None)
        else:
            self.by_name[key[1]] = after


def _complaint(error: ClusterError) -> Refused:
    """What the API server refuses is the request's fault, or this installation's."""
    if error.status == 409:
        return Refused(409, "the model was changed at the same time; try again", retry_after=1)
    if error.status == 403:
        return Refused(403, FORBIDDEN)
    return Refused(400, error.message) if error.status in (400, 422) else Unavailable()

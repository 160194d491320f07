"""The store of this installation, opened with what the cluster knows of it."""

from aiohttp import ClientSession

from t2v_operator.cluster.client import Client
from t2v_operator.cluster.secrets import signing_keys
from t2v_operator.cluster.store_address import StoreAddress
from t2v_operator.config import EmbeddedStorage, OperatorConfig
from t2v_operator.delivery.stores import Store, open_store


async def installed_store(
    config: OperatorConfig, client: Client, namespace: str, session: ClientSession
) -> Store | None:
    """None where videos go to a volume. Raises ClusterError, KeyInvalid, ConfigurationError."""
    storage, keys, address = config.storage, None, None
    if isinstance(storage, EmbeddedStorage):
        keys = await signing_keys(client, namespace, storage.keys_secret)
        if storage.service:
            address = StoreAddress(client, namespace, storage.service, storage.url)
    return open_store(config, keys, session, address)

"""Turn the store's names on a status into links that a browser opens."""

from t2v_api.resource import TextToVideoJobStatus
from t2v_api.store_name import STORE

from t2v_operator.core.places import key_in_store
from t2v_operator.delivery.stores import Store


async def with_links(
    status: TextToVideoJobStatus, namespace: str, store: Store | None
) -> TextToVideoJobStatus:
    """`status` of a resource of `namespace`, with a link in the place of each `store://` name."""
    if store is None or not any(url.startswith(STORE) for url in status.output):
        return status
    output = tuple([await _opened(url, namespace, store) for url in status.output])
    return status.model_copy(
        update={"output": output, "output_url": output[0], "link_expiry_time": store.links_end()}
    )


async def _opened(url: str, namespace: str, store: Store) -> str:
    key = key_in_store(url, namespace, store.prefix)
    return await store.link(key) if key else url

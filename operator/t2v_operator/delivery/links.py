"""Turn the store's names on a status into links that a browser opens."""

from t2v_api.resource import TextToVideoJobStatus

from t2v_operator.core.places import key_in_store
from t2v_operator.delivery.stores import Store


def with_links(status: TextToVideoJobStatus, store: Store | None) -> TextToVideoJobStatus:
    """`status` with a link in the place of each `store://` name."""
    if store is None or not any(map(key_in_store, status.output)):
        return status
    output = tuple(_opened(url, store) for url in status.output)
    first = output[0] if status.output_url == status.output[0] else status.output_url
    return status.model_copy(update={"output": output, "output_url": first})


def _opened(url: str, store: Store) -> str:
    key = key_in_store(url)
    return store.link(key) if key else url

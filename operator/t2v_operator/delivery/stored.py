"""Whether a video is in the store already, whole: its record comes last, and names the rest."""

from t2v_api.base import ContractError
from t2v_api.delivery import RECORD_FILE
from t2v_api.result import VIDEO_FILE, GenerationResult, read_outcome

from t2v_operator.delivery.stores import Store


async def stored_record(folder: str, store: Store) -> GenerationResult | None:
    """The record of the video that stands in `folder`. Raises StoreUnavailable."""
    text = await store.read(f"{folder}/{RECORD_FILE}")
    if text is None:
        return None
    try:
        record = read_outcome(text.decode(errors="replace"))
    except ContractError:
        return None  # something else wrote there
    if not isinstance(record, GenerationResult) or await missing_file(record, folder, store):
        return None
    return record


async def missing_file(record: GenerationResult, folder: str, store: Store) -> str | None:
    """The first file of `record` that is not there, or not all of it. Raises StoreUnavailable."""
    for name in record.output:
        there = await store.find(f"{folder}/{name}")
        expected = record.video.bytes if name == VIDEO_FILE else None
        if there is None or expected not in (None, there.bytes):
            return name
    return None

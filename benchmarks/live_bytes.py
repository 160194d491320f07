"""How many bytes of tensors are alive at most while a model runs, on the CPU or the meta device.

Counted are storages that ops make, from the op to their last reference, as an allocator would see
them. Attention is a kernel that makes its output alone, which is what runs on a GPU. Not seen: what
a kernel needs inside, such as cuDNN's workspace, and what an allocator loses between blocks.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts while it is entered; `peak` is the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, torch.Tensor):
                self._count(each.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return

        def gone(_: object) -> None:
            self.live -= size
            del self._known[key]

        self._known[key] = weakref.ref(storage, gone)
        self.live += size
        self.peak = max(self.peak, self.live)


@contextmanager
def like_a_gpu() -> Iterator[None]:
    """Attention that makes its output alone, and of a boolean mask one to add, as torch does."""
    real = torch.nn.functional.scaled_dot_product_attention

    def attention(
        query: Any, key: Any, value: Any, attn_mask: Any = None, *_: Any, **__: Any
    ) -> Any:
        added = attn_mask.to(query.dtype) if attn_mask is not None else None
        result = query.new_empty(*query.shape[:-1], value.shape[-1])
        del added
        return result

    torch.nn.functional.scaled_dot_product_attention = attention  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.nn.functional.scaled_dot_product_attention = real


def peak_bytes(run: Any) -> int:
    """The most that is alive during `run()`, beside what was there before it."""
    with torch.inference_mode(), like_a_gpu(), LiveBytes() as counter:
        run()
    return counter.peak

"""Tell an error that says "no memory" from others, and give back what can be given back."""

import gc

WORDS = (
    "can't allocate memory",
    "out of memory",
    "STATUS_ALLOC_FAILED",
    "unable to find an engine",
    "canUse32BitIndexMath",
)
"""Of the CPU's allocator; of CUDA's libraries, which have no class of their own for it; of a
convolution that found no room to work, or has more numbers than it can count: tiles cure both."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: the device's, or the host's."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in WORDS)


def give_back() -> None:
    """Have the allocator give the device what no tensor holds any more."""
    gc.unfreeze()  # what was loaded was not to be looked at, and is garbage now
    gc.collect()
    empty_cache()


def empty_cache() -> None:
    """The same, where all that is to go has been emptied already."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch._C._host_emptyCache()  # what streamed: pinned memory of the host


def emptied(module: object) -> None:
    """Take a model's weights away for good; it still says its device and number format."""
    import torch

    assert isinstance(module, torch.nn.Module)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.data = tensor.data.new_empty(0)

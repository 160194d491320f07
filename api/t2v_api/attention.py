"""The attention back ends of diffusers that a model's profile may name."""

from enum import StrEnum


class Attention(StrEnum):
    """As diffusers spells them (`AttentionBackendName`). None fetches its kernels from a hub."""

    NATIVE = "native"
    """PyTorch's own, which chooses by itself."""
    NATIVE_CUDNN = "_native_cudnn"
    NATIVE_EFFICIENT = "_native_efficient"
    NATIVE_FLASH = "_native_flash"
    FLASH = "flash"
    """The package flash-attn, and so the next one."""
    FLASH_VARLEN = "flash_varlen"
    FLASH_3 = "_flash_3"
    """The package flash-attn-3, and so the next one."""
    FLASH_VARLEN_3 = "_flash_varlen_3"
    FLEX = "flex"
    """PyTorch's flex_attention: of use where blocks are compiled."""
    SAGE = "sage"
    """The package sageattention, and so the next one. It draws otherwise: in 8 bits."""
    SAGE_VARLEN = "sage_varlen"
    XFORMERS = "xformers"
    """The package xformers."""


WITHOUT_MASKS = tuple(Attention)
"""For attention that has no mask: all."""
TAKES_NO_MASK = (Attention.NATIVE_FLASH, Attention.FLASH, Attention.FLASH_3, Attention.SAGE)
WITH_TOKENS_MASKED = tuple(each for each in Attention if each not in TAKES_NO_MASK)
"""For masks that say which tokens are there."""
TAKES_TOKENS_ALONE = (Attention.FLASH_VARLEN, Attention.FLASH_VARLEN_3, Attention.SAGE_VARLEN)
WITH_WEIGHTS = tuple(each for each in WITH_TOKENS_MASKED if each not in TAKES_TOKENS_ALONE)
"""For masks of numbers that are added to the scores."""

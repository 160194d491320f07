"""`store://PATH` in a request: a file of the resource's own namespace in the installation's store.

What belongs to another namespace has no such name.
"""

import re

STORE = "store://"
"""Begins the name of a file in the store."""

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
STORE_NAME = rf"{STORE}{_PART}(/{_PART}){{0,7}}"
"""As a regular expression, which Go's and Rust's libraries read as Python's does."""


def check_store_name(url: str) -> str:
    """`url`, unless it begins as a name in the store does and is none. Raises ValueError."""
    if url.startswith(STORE) and path_in_store(url) is None:
        raise ValueError(
            f"{url[:80]!r} cannot be in the store: after {STORE} come up to 8 parts with slashes "
            "between them, each of up to 100 letters, digits, '.', '_' or '-', the first one a "
            "letter or digit, as in store://uploads/cat.png"
        )
    return url


def path_in_store(url: str) -> str | None:
    """The part that is relative to the namespace; None where `url` is no name in the store."""
    return url.removeprefix(STORE) if re.fullmatch(STORE_NAME, url) else None

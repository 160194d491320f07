"""Kubernetes quantities in bytes."""

import pytest
from t2v_api.quantity import bytes_of


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("24Gi", 24 * 1024**3),
        ("24G", 24 * 10**9),
        ("1.5Ki", 1536),
        ("2Ei", 2 * 1024**6),
        ("3k", 3000),
        ("7", 7),
        ("1500m", 2),
        ("0.1Ki", 103),
    ],
)
def test_a_quantity_is_so_many_bytes_rounded_up(quantity: str, expected: int) -> None:
    assert bytes_of(quantity) == expected


@pytest.mark.parametrize("text", ["24 gigs", "24GB", "-1Gi", "Gi", "", "1e3", "24gi", "1Gi\n"])
def test_what_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity; write it like 24Gi"):
        bytes_of(text)

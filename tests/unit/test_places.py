"""Which files a name leads to: those of the own namespace, and nobody else's."""

import pytest
from t2v_operator.core.places import key_in_store

DIGEST = "a" * 64


@pytest.mark.parametrize(
    "key",
    [
        f"videos/films/{DIGEST}",
        f"videos/films/{DIGEST}/video.mp4",
        f"a/b.c/films/{DIGEST}/result.json",
        f"films/{DIGEST}",
    ],
)
def test_a_name_of_the_own_namespace_names_its_key(key: str) -> None:
    assert key_in_store(f"store://{key}", "films") == key


@pytest.mark.parametrize(
    "url",
    [
        f"store://videos/other/{DIGEST}/video.mp4",
        f"https://videos/films/{DIGEST}/video.mp4",
        f"store://videos/films/{DIGEST}/../../other/{DIGEST}/video.mp4",
        f"store://videos//films/{DIGEST}",
        f"store://videos/films/{DIGEST}\n",
        f"store://videos/films/{DIGEST}/video.mp4\n9999999999",
        f"store://videos/films/{DIGEST}/a/video.mp4",
        "store://videos/films/video.mp4",
        f"videos/films/{DIGEST}",
        "store://",
    ],
)
def test_any_other_name_names_none(url: str) -> None:
    assert key_in_store(url, "films") is None

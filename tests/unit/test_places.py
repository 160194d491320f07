"""Which files a name leads to: those of the own namespace, and nobody else's."""

import pytest
from t2v_operator.config import OperatorConfig
from t2v_operator.core.places import key_in_store, key_of_init_media

from tests.unit.builders import a_config

DIGEST = "a" * 64


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        ("videos", f"videos/films/{DIGEST}"),
        ("videos/", f"videos/films/{DIGEST}/video.mp4"),
        ("a/b.c", f"a/b.c/films/{DIGEST}/result.json"),
        ("", f"films/{DIGEST}"),
    ],
)
def test_a_name_of_the_own_namespace_names_its_key(prefix: str, key: str) -> None:
    assert key_in_store(f"store://{key}", "films", prefix) == key


@pytest.mark.parametrize(
    "url",
    [
        f"store://videos/other/{DIGEST}/video.mp4",
        f"store://videos/other/{DIGEST}/video.mp4/films/{DIGEST}",
        f"store://another/films/{DIGEST}/video.mp4",
        f"store://films/{DIGEST}/video.mp4",
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
    assert key_in_store(url, "films", "videos") is None


@pytest.mark.parametrize(
    ("url", "prefix", "key"),
    [
        ("store://uploads/cat.png", "videos", "videos/films/uploads/cat.png"),
        ("store://uploads/cat.png", "", "films/uploads/cat.png"),
        (f"store://{DIGEST}/video.mp4", "a/b/", f"a/b/films/{DIGEST}/video.mp4"),
        ("store://other/cat.png", "videos", "videos/films/other/cat.png"),
        ("store://videos/other/cat.png", "videos", "videos/films/videos/other/cat.png"),
        ("store://../other/cat.png", "videos", None),
        ("https://films/uploads/cat.png", "videos", None),
    ],
)
def test_init_media_is_looked_for_below_the_own_namespace_alone(
    url: str, prefix: str, key: str | None
) -> None:
    document = a_config().document()
    document["storage"]["prefix"] = prefix
    assert key_of_init_media(url, "films", OperatorConfig.parse(document)) == key

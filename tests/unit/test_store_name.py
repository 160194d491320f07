"""Names of files in the store: what a request may say, to Python and to the API server alike."""

import re

import pytest
from t2v_api.base import ContractError
from t2v_api.store_name import path_in_store
from t2v_operator.crd import VIDEOS, custom_resource_definition

from tests.unit.builders import a_resource

DIGEST = "a" * 64
SPEC = custom_resource_definition(VIDEOS)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
PATTERN: str = SPEC["properties"]["spec"]["properties"]["initImage"]["pattern"]


@pytest.mark.parametrize(
    "path",
    [
        "cat.png",
        "uploads/cat.png",
        f"{DIGEST}/video.mp4",
        "uploads/2026-01-01/a..b_c-.png",
        "0/1/2/3/4/5/6/7",
        "a" * 100,
    ],
)
def test_what_names_a_file_of_the_store(path: str) -> None:
    url = f"store://{path}"
    assert a_resource(initImage=url, strength=0.5).spec.init_image == url
    assert path_in_store(url) == path
    assert re.fullmatch(PATTERN, url)


@pytest.mark.parametrize(
    "url",
    [
        "store://../other/cat.png",
        "store://uploads/../../other/cat.png",
        "store://uploads/./cat.png",
        "store://.uploads/cat.png",
        "store:///uploads/cat.png",
        "store://uploads//cat.png",
        "store://uploads/",
        "store://-uploads/cat.png",
        "store://uploads\\cat.png",
        "store://uploads/%2e%2e/cat.png",
        "store://uploads/cat.png?versionId=1",
        "store://uploads/cat.png#x",
        "store://user@uploads/cat.png",
        "store://uploads/cät.png",
        "store://uploads/cat.png\x00",
        "store://0/1/2/3/4/5/6/7/8",
        f"store://{'a' * 101}",
        f"store://{'a/' * 1000}a",
    ],
    ids=lambda url: repr(url)[:50],
)
def test_what_could_lead_elsewhere_is_refused_with_what_is_taken(url: str) -> None:
    with pytest.raises(ContractError, match=r"spec\.initVideo: .* as in store://uploads/cat\.png"):
        a_resource(initVideo=url)
    assert path_in_store(url) is None
    assert not re.fullmatch(PATTERN, url)


@pytest.mark.parametrize(
    "url",
    ["store://", "store:cat.png", "STORE://cat.png", "store://cat.png\n", "store://my cat.png"],
    ids=repr,
)
def test_what_is_no_url_at_all_is_refused(url: str) -> None:
    with pytest.raises(ContractError, match=r"spec\.initVideo: "):
        a_resource(initVideo=url)
    assert path_in_store(url) is None
    assert not re.fullmatch(PATTERN, url)

"""A record on a resource, which its users may write too: what it restores, and what it cannot."""

import json
from typing import Any

import pytest
from t2v_api.resource import Phase
from t2v_operator.config import OperatorConfig
from t2v_operator.core.decision import CreateJob

from tests.unit.builders import a_config
from tests.unit.observations import (
    a_record_of,
    a_status,
    decided,
    succeeded,
)


def a_record(**changed: Any) -> str:
    """The record of a finished video, changed by hand."""
    return json.dumps(json.loads(a_record_of(succeeded())) | changed)


def where_videos_go(url: str, prefix: str) -> OperatorConfig:
    document = a_config().document()
    document["storage"] |= {"url": url, "prefix": prefix}
    return OperatorConfig.parse(document)


def the_folder() -> str:
    url = succeeded().output_url
    assert url
    return url.split("/")[-2]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"namespace": "elsewhere"}, id="it was copied to another namespace"),
        pytest.param({"name": "blue-circle"}, id="it was copied to another resource"),
        pytest.param({"phase": "Running"}, id="its phase is not final"),
        pytest.param({"phase": "Done"}, id="its phase is none"),
        pytest.param({"output": ["../x"]}, id="a file above the folder"),
        pytest.param({"output": [".."]}, id="the folder above"),
        pytest.param({"output": ["a/b"]}, id="a file in another folder"),
        pytest.param({"output": ["x?y"]}, id="a file with a query"),
        pytest.param({"output": ["x%2Fy"]}, id="a file with an escape"),
        pytest.param({"output": ["video.mp4\n"]}, id="a file with a line's end"),
        pytest.param({"output": [""]}, id="a file without a name"),
        pytest.param({"folder": "../" + "a" * 61}, id="a folder elsewhere"),
        pytest.param({"folder": "A" * 64}, id="a folder that no digest names"),
        pytest.param({"pool": "no label"}, id="a pool that is no DNS label"),
        pytest.param({"pool": "x" * 64}, id="a pool that is too long"),
        pytest.param({"reason": "Because"}, id="a reason that is not known"),
        pytest.param({"message": "x" * 3000}, id="a message without an end"),
        pytest.param({"requestHash": "f" * 64}, id="it is of another request"),
        pytest.param({"outputUrl": "https://example.com/x.mp4"}, id="a URL of its own"),
    ],
)
def test_a_record_that_was_forged_restores_nothing(changed: dict[str, Any]) -> None:
    decision = decided(record=a_record(**changed))
    assert [type(action) for action in decision.actions] == [CreateJob]
    assert decision.status
    assert decision.status.phase is Phase.QUEUED
    assert decision.status.output == ()


def test_a_record_restores_urls_under_the_storage_that_is_configured() -> None:
    config = where_videos_go("https://films.example.org/", "made")
    status = a_status(config, record=a_record_of(succeeded()))
    place = f"https://films.example.org/made/default/{the_folder()}"
    assert status.output == (f"{place}/video.mp4", f"{place}/poster.jpg")
    assert status.output_url == f"{place}/video.mp4"


def test_a_video_is_found_in_the_folder_it_was_put_in_though_its_digest_would_be_another() -> None:
    other = a_config(source={"path": "another-model"})
    made_now = a_status(other)
    assert made_now.resolved
    status = a_status(other, record=a_record_of(succeeded()))
    assert status.phase is Phase.SUCCEEDED
    assert status.output == succeeded().output
    assert status.resolved == succeeded().resolved, "what was made, not what would be"


def test_a_folder_of_a_record_is_one_of_the_resources_own_namespace() -> None:
    status = a_status(record=a_record(folder="f" * 64))
    assert status.output_url
    assert f"/videos/default/{'f' * 64}/" in status.output_url

"""The OpenAPI document is true of the OpenAI Videos API too: no answer that it does not name."""

import os
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.unit.gateway.openai_world import FakeStore
from tests.unit.gateway.world import a_standing_world

OPERATIONS = 8
REQUESTS = int(os.environ.get("GATEWAY_FUZZ_REQUESTS", "0"))
"""0: some for each operation."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

world = a_standing_world(store=FakeStore())
schema = schemathesis.openapi.from_asgi("/openapi.json", world.app).include(path_regex="^/v1/")
made: list[str] = []
"""Ids of videos that are there."""


@schema.parametrize()
@settings(
    max_examples=max(8, REQUESTS // OPERATIONS),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_in_the_document(case: Any) -> None:
    if isinstance(case.body, dict) and "model" in case.body:
        # What is refused for its model alone would be all that is ever seen.
        case.body["model"] = "tiny-shapes"
    if made and len(case.path_parameters.get("video_id", "")) % 2:
        case.path_parameters["video_id"] = made[-1]
    headers = {"Authorization": f"Bearer {world.key.text}"}
    answer = case.call_and_validate(headers=headers, checks=CHECKS)
    if case.method == "POST" and answer.status_code == 200:
        made.append(answer.json()["id"])


def test_every_operation_was_asked() -> None:
    assert len(list(schema.get_all_operations())) == OPERATIONS

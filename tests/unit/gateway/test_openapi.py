"""The OpenAPI document is true: no answer that it does not name. `make gateway-fuzz` asks more."""

import asyncio
import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from t2v_gateway.settings import ErrorForm

from tests.unit.gateway.world import a_standing_world, a_world

OPERATIONS = 33
"""Of the documented endpoint."""
REQUESTS = int(os.environ.get("GATEWAY_FUZZ_REQUESTS", "0"))
"""0: some for each operation, with errors as HTTP statuses alone."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
FORMS = ["HttpStatus", "AsDocumented"] if REQUESTS else ["HttpStatus"]

worlds = {form: a_standing_world(errors=ErrorForm(form)) for form in FORMS}
"""Keys with every right, so that what is behind them is reached."""
schemas: dict[str, Any] = {
    form: schemathesis.openapi.from_asgi("/openapi.json", world.app).include(path_regex="^/api/")
    for form, world in worlds.items()
}
fuzzed = settings(
    max_examples=max(4, REQUESTS // len(FORMS) // OPERATIONS),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def ask(case: Any, form: str) -> None:
    key = worlds[form].key.text
    if isinstance(case.body, dict):
        # What is refused for its key or its model alone would be all that is ever seen.
        case.body.pop("key", None)
        if len(str(case.body.get("prompt"))) % 4:
            case.body["model_id"] = "tiny-shapes"
    case.call_and_validate(headers={"Authorization": f"Bearer {key}"}, checks=CHECKS)


@schemas["HttpStatus"].parametrize()
@fuzzed
def test_answers_with_http_statuses_are_in_the_document(case: Any) -> None:
    ask(case, "HttpStatus")


if "AsDocumented" in FORMS:

    @schemas["AsDocumented"].parametrize()
    @fuzzed
    def test_answers_as_documented_are_in_the_document(case: Any) -> None:
        ask(case, "AsDocumented")


@pytest.mark.parametrize("form", FORMS)
def test_the_document_has_every_operation(form: str) -> None:
    document = worlds[form].app.openapi()
    ours = [path for path in document["paths"] if path.startswith("/api/")]
    operations = [each for path in ours for each in document["paths"][path].values()]
    assert len(operations) == OPERATIONS
    assert len({each["operationId"] for each in operations}) == OPERATIONS
    for each in operations:
        assert each["description"]
        assert {"200", "400", "401", "404", "429"} <= set(each["responses"])


def test_the_page_of_the_document_needs_nothing_from_elsewhere() -> None:
    async def seen() -> Any:
        async with a_world() as world:
            return await world.client.get("/docs")

    page = asyncio.run(seen())
    assert "<script" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text.replace("https://huggingface.co", "")
    assert "num_inference_steps" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy

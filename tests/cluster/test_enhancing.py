"""Prompts that a language model writes, on a real cluster: asked once, told, its key nowhere."""

import base64
import json
from collections.abc import Iterator

import pytest
from anyio.from_thread import start_blocking_portal
from installation import SYSTEM, Installation, Workspace, a_manifest

from tests.unit.language_model import KEY, LanguageModel

BETTER = "a large green square moving left on a white background"


@pytest.fixture(scope="module")
def language_model(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LanguageModel]:
    """An endpoint on this machine, and an operator that asks it about prompts for tiny-shapes."""
    values = tmp_path_factory.mktemp("chart") / "values.json"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "llm", "namespace": SYSTEM},
        "data": {"key": base64.b64encode(KEY.encode()).decode()},
    }
    installation.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(secret))
    model, *others = installation.values()["config"]["models"]
    served = LanguageModel()
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(served.open(installation.cluster.host_address())),
        installation.configured(
            values,
            models=[model | {"promptEnhancement": "Endpoint"}, *others],
            promptEnhancement={
                "url": served.url,
                "model": "the-model",
                "keySecret": {"name": "llm"},
                "timeoutSeconds": 5,
                "maxCharacters": 2000,
            },
        ),
    ):
        yield served
    installation.kubectl("delete", "secret", "llm")


def test_its_prompt_is_drawn_and_an_equal_request_asks_no_more(
    language_model: LanguageModel, installation: Installation, workspace: Workspace
) -> None:
    language_model.answers, before = [BETTER], len(language_model.asked)
    for name in ("enhanced", "enhanced-too"):
        workspace.apply(a_manifest(name, prompt="a green square", seed=90))
        status = workspace.wait_for_phase(name, "Succeeded", "Failed")
        assert (status["phase"], status["resolved"]["prompt"]) == ("Succeeded", BETTER)
    assert len(language_model.asked) == before + 1
    assert language_model.headers[-1]["Authorization"] == f"Bearer {KEY}"
    pods = workspace.children("pods", "enhanced")
    assert pods
    for text in (json.dumps(pods), workspace.kubectl("get", "t2v,jobs,secrets", "-o", "yaml")):
        assert KEY not in text
    assert KEY not in installation.logs()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param(503, "503", id="failing"),
        pytest.param("hang", "did not answer within 5", id="slow"),
        pytest.param(b"<html>", "cannot be read", id="nonsense"),
        pytest.param("word " * 1600, "characters", id="8,000 characters"),
    ],
)
def test_rules_stand_in_for_an_answer_that_is_none(
    language_model: LanguageModel, workspace: Workspace, answer: object, problem: str
) -> None:
    language_model.answers = [answer]
    name = f"by-rules-{problem.split()[-1]}"
    prompt = f"a blue circle, {problem}"
    workspace.apply(a_manifest(name, prompt=prompt, seed=91))
    status = workspace.wait_for_phase(name, "Succeeded", "Failed")
    assert status["phase"] == "Succeeded", status["message"]
    assert status["resolved"]["prompt"].startswith(f"{prompt}, ")
    assert problem in status["message"]
    assert "so the prompt was enhanced by Rules" in status["message"]

"""What the gateway has rights for and seldom does: models, a cleared queue, the store's address."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
import yaml
from harness.cluster import GPU_RESOURCE
from harness.one_node import OneNodeCluster
from harness.simulated_nodes import simulated_nodes
from harness.waiting import wait_until
from installation import NODE_PORT, ROOT, SIMULATED, Installation, Workspace
from simulated_videos import a_simulated_pool, set_capacity
from test_gateway import DEFAULT, GATEWAY_PORT, ask, known, revoke
from test_keys import t2v, the_reason

Document = dict[str, Any]

ENDPOINT = "/api/v1/enterprise"
CATALOGUE_MODEL = ROOT / "models" / "catalogue" / "wan21-t2v-1-3b.yaml"
RIGHTS = ("use", "models", "operate")
OTHER_SOURCE = {"hub": "somebody/other", "revision": "0" * 40}


@pytest.fixture(scope="module")
def address(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a gateway that may change models, over a store of which nobody says the address.

    Besides the pool of real pods there is one of simulated pods, which never end. The gateway
    answers a request for a video at once.
    """
    cluster = installation.cluster
    if not isinstance(cluster, OneNodeCluster):
        pytest.skip("the gateway's address is known on a one-node cluster of the harness")
    values = tmp_path_factory.mktemp("chart") / "values.json"
    chart = installation.embedded()["chart"] | {
        "gateway": {
            "enabled": True,
            "replicas": 1,
            "mayChangeModels": True,
            "service": {"type": "NodePort", "nodePort": GATEWAY_PORT},
            "config": {"waitSeconds": 0},
        }
    }
    config: Document = {
        "storage": {"kind": "embedded"},
        "pools": [
            {"name": DEFAULT},
            a_simulated_pool(),
        ],
        "apiKeys": {"enabled": True},
    }
    with (
        simulated_nodes(cluster, run_seconds=None),
        installation.configured(values, chart=chart, **config),
    ):
        yield f"http://{cluster.host_address()}:{GATEWAY_PORT}"


@pytest.fixture
def key(address: str, workspace: Workspace) -> Iterator[str]:
    """For the pool of real pods, with all rights."""
    with a_known_key(address, workspace, DEFAULT) as made:
        yield made


@pytest.fixture
def simulated_key(address: str, workspace: Workspace) -> Iterator[str]:
    """For the pool of simulated pods, with all rights."""
    with a_known_key(address, workspace, SIMULATED) as made:
        yield made


@contextmanager
def a_known_key(address: str, workspace: Workspace, pool: str) -> Iterator[str]:
    """A key with all rights, which the gateway has heard of, until the block ends."""
    made = a_key_with_rights(workspace, pool)
    known(address, made)
    yield made
    revoke(workspace, made)


@pytest.fixture
def model_name(installation: Installation) -> Iterator[str]:
    """Of a model that is not there yet, and is not there afterwards."""
    name = f"added-{secrets.token_hex(4)}"
    yield name
    installation.cluster.kubectl("delete", "vmodel", name, "--ignore-not-found")


@pytest.fixture
def one_gpu(address: str, installation: Installation) -> Iterator[None]:
    """The simulated pool makes one video at a time."""
    set_capacity(installation.cluster, **{GPU_RESOURCE: "1"})
    yield
    set_capacity(installation.cluster, **{GPU_RESOURCE: "100000"})


def a_key_with_rights(workspace: Workspace, pool: str) -> str:
    """A new key for the workspace and the pool, which may also change models and the queue."""
    rights = [word for right in RIGHTS for word in ("--right", right)]
    words = ("--name", "bob", "--namespace", workspace.namespace, "--pool", pool, *rights)
    return t2v(workspace, "key", "create", *words).strip()


def do(address: str, key: str, what: str, **body: Any) -> Document:
    """What the endpoint answers to one of its menu's requests, which has to succeed."""
    answer: Document = httpx2.post(
        f"{address}{ENDPOINT}/{what}", json={"key": key, **body}, timeout=60, trust_env=False
    ).json()
    assert answer["status"] == "success", answer
    return answer


def is_listed(address: str, key: str, model: str) -> bool:
    models = do(address, key, "get_all_models")["models"]
    return model in [each["model_id"] for each in models]


def the_model(installation: Installation, name: str) -> Document | None:
    """The VideoModel as kubectl shows it; None where there is none."""
    words = ("get", "vmodel", name, "--ignore-not-found", "-o", "json")
    shown = installation.cluster.kubectl(*words)
    return json.loads(shown) if shown.strip() else None


def the_source(installation: Installation, name: str) -> Document:
    """Where the VideoModel's files come from."""
    model = the_model(installation, name)
    assert model, f"there is no VideoModel {name}"
    source: Document = model["spec"]["source"]
    return source


def a_video(address: str, key: str, workspace: Workspace) -> tuple[int, str]:
    """A new video's number in the gateway's answers, and its resource's name."""
    track_id = f"order {secrets.token_hex(4)}"
    answer = ask(address, key, track_id=track_id)
    assert answer["status"] == "processing", answer
    items = json.loads(workspace.kubectl("get", "t2v", "-o", "json"))["items"]
    (made,) = [each for each in items if each["spec"].get("trackId") == track_id]
    return answer["id"], made["metadata"]["name"]


def waits_for_a_gpu(status: Document) -> bool:
    return status.get("phase") == "Queued" and "Insufficient" in status["message"]


def test_a_model_is_added_changed_and_removed(
    address: str, key: str, installation: Installation, model_name: str
) -> None:
    spec = yaml.safe_load(CATALOGUE_MODEL.read_text())["spec"]
    assert not is_listed(address, key, model_name)
    do(address, key, "load_model", model_id=model_name, spec=spec)
    assert the_source(installation, model_name) == spec["source"]
    wait_until(lambda: is_listed(address, key, model_name), "the new model is listed", 30)

    change = {"url": OTHER_SOURCE["hub"], "revision": OTHER_SOURCE["revision"]}
    wait_until(lambda: _is_settled(installation, model_name), "the model has a status", 60)
    do(address, key, "load_model", model_id=model_name, **change)
    assert the_source(installation, model_name) == OTHER_SOURCE

    do(address, key, "delete_model", model_id=model_name)
    wait_until(lambda: the_model(installation, model_name) is None, "the model is gone", 60)
    wait_until(lambda: not is_listed(address, key, model_name), "it is not listed any more", 30)


@pytest.mark.usefixtures("one_gpu")
def test_a_cleared_queue_cancels_what_waits_and_lets_go_on_what_runs(
    address: str, simulated_key: str, workspace: Workspace
) -> None:
    running, runs = a_video(address, simulated_key, workspace)
    workspace.wait_for_phase(runs, "Running")
    waiting = dict(a_video(address, simulated_key, workspace) for _ in range(2))
    for name in waiting.values():
        workspace.wait_for(name, waits_for_a_gpu, "waiting for a GPU")

    cancelled: set[int] = set()

    def is_cleared() -> bool:
        """A video that changes while it is asked for is left for the next time."""
        cancelled.update(do(address, simulated_key, "clear_queue")["cancelled"])
        return waiting.keys() <= cancelled

    wait_until(is_cleared, "the gateway has cancelled what waits", 60, every_seconds=1)
    assert running not in cancelled
    for name in waiting.values():
        status = workspace.wait_for_phase(name, "Failed", "Running", seconds=60)
        assert (status["phase"], the_reason(status)) == ("Failed", "Cancelled"), status["message"]
        assert workspace.get(name)["spec"]["cancel"] is True
    assert workspace.status(runs)["phase"] == "Running"
    assert "cancel" not in workspace.get(runs)["spec"]
    workspace.kubectl("delete", "t2v", runs, *waiting.values())


def test_links_begin_with_the_address_that_the_gateway_and_the_operator_find_themselves(
    address: str, key: str, installation: Installation, workspace: Workspace
) -> None:
    store = f"http://{installation.cluster.host_address()}:{NODE_PORT}/"
    number, name = a_video(address, key, workspace)
    made = workspace.wait_for_phase(name, "Succeeded", "Failed", seconds=300)
    assert made["phase"] == "Succeeded", made["message"]
    wait_until(lambda: _is_made(address, key, number), "the gateway knows that it is made", 30)
    (told,) = do(address, key, f"fetch/{number}")["output"]
    for link in (told, _link_of_the_gateway(address, key, number)):
        assert link.startswith(store)
        video = httpx2.get(link, trust_env=False)
        assert (video.status_code, video.content[4:8]) == (200, b"ftyp")
        assert len(video.content) == made["video"]["bytes"]


def _is_settled(installation: Installation, name: str) -> bool:
    """Whether the operator has seen the model: it writes to it no more until it is changed."""
    model = the_model(installation, name)
    return bool(model and model.get("status", {}).get("conditions"))


def _is_made(address: str, key: str, number: int) -> bool:
    url = f"{address}{ENDPOINT}/fetch/{number}"
    answer: Document = httpx2.post(url, json={"key": key}, trust_env=False).json()
    return bool(answer["status"] == "success")


def _link_of_the_gateway(address: str, key: str, number: int) -> str:
    """To where it sends an OpenAI client for the file: a link that it makes for this request."""
    url = f"{address}/v1/videos/video_{number}/content"
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx2.get(url, headers=headers, follow_redirects=False, trust_env=False)
    assert answer.status_code == 307, answer.text
    return str(answer.headers["location"])

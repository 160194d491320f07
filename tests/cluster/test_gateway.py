"""The gateway on a real cluster, asked by the clients that people have."""

import asyncio
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from harness.one_node import OneNodeCluster
from harness.simulated_nodes import simulated_nodes
from harness.waiting import wait_until
from installation import RELEASE, SIMULATED, SYSTEM, Installation, Workspace
from openai import OpenAI
from simulated_videos import RECORD, a_simulated_pool
from test_keys import a_key, t2v, the_id

from tests.documented.clients import CLIENTS, missing

GATEWAY_PORT = 30081
GATEWAY = f"{RELEASE}-gateway"
DEFAULT = "default"
REFUSED_SECONDS = 10.0
TEXT2VIDEO = "/api/v1/enterprise/text2video"

Document = dict[str, Any]


@pytest.fixture(scope="module")
def address(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a gateway over the embedded store, a pool of real pods and one of simulated ones."""
    cluster = installation.cluster
    if not isinstance(cluster, OneNodeCluster):
        pytest.skip("the gateway's address is known on a one-node cluster of the harness")
    values = tmp_path_factory.mktemp("chart") / "values.json"
    service = {"type": "NodePort", "nodePort": GATEWAY_PORT}
    embedded = installation.embedded()
    chart = embedded.pop("chart") | {
        "gateway": {
            "enabled": True,
            "replicas": 2,
            "service": service,
            "config": {"waitSeconds": 120, "corsOrigins": ["*"]},
        }
    }
    pools = [
        {"name": DEFAULT},
        a_simulated_pool(),
    ]
    with (
        simulated_nodes(cluster, run_seconds=2.0, message=RECORD),
        installation.configured(
            values, chart=chart, pools=pools, apiKeys={"enabled": True}, **embedded
        ),
    ):
        yield f"http://{cluster.host_address()}:{GATEWAY_PORT}"


@pytest.fixture
def key(address: str, workspace: Workspace) -> Iterator[str]:
    """For the pool of real pods."""
    made = a_key(workspace, DEFAULT)
    yield made
    revoke(workspace, made)


@pytest.fixture
def simulated_key(address: str, workspace: Workspace) -> Iterator[str]:
    """For the pool whose pods say at once that they are done."""
    made = a_key(workspace, SIMULATED)
    yield made
    revoke(workspace, made)


def revoke(workspace: Workspace, key: str) -> None:
    t2v(workspace, "key", "revoke", the_id(key))


def ask(address: str, key: str, **attributes: Any) -> Document:
    """The endpoint's answer to a small request."""
    body = {
        "key": key,
        "model_id": "tiny-shapes",
        "prompt": "a large red circle moving right",
        "num_inference_steps": "3",
        "seed": secrets.randbelow(2**31),
        **attributes,
    }
    answer: Document = httpx2.post(
        address + TEXT2VIDEO, json=body, timeout=200, trust_env=False
    ).json()
    return answer


def known(address: str, key: str) -> None:
    """Wait until both replicas have heard of a new key."""

    def is_taken() -> bool:
        answers = [ask(address, key, model_id="no-such-model") for _ in range(6)]
        return all("model_id" in each["message"] for each in answers)

    wait_until(is_taken, "the key is known", 30)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_of_the_document_prints_its_answer(
    address: str, simulated_key: str, name: str, tmp_path: Path
) -> None:
    """512x512 in 30 steps, as they ask for: on simulated nodes, for that takes a GPU."""
    client, programs = CLIENTS[name]
    if lacking := missing(programs):
        pytest.skip(f"this machine has no {', '.join(lacking)}")
    known(address, simulated_key)
    answer = json.loads(client(address, simulated_key, "tiny-shapes", tmp_path))
    assert answer["status"] == "success", answer
    assert answer["output"][0].split("?")[0].endswith("/video.mp4")
    assert isinstance(answer["id"], int)
    assert answer["generationTime"] > 0


def test_a_documented_request_is_a_video_that_opens(address: str, key: str) -> None:
    known(address, key)
    answer = ask(address, key)
    assert answer["status"] == "success", answer
    video = httpx2.get(answer["output"][0], trust_env=False)
    assert video.content[4:8] == b"ftyp"


def test_the_openai_client_works_unchanged(address: str, key: str, tmp_path: Path) -> None:
    known(address, key)
    client = OpenAI(base_url=f"{address}/v1", api_key=key)
    video = client.videos.create_and_poll(
        model="tiny-shapes",
        prompt="a small blue square moving left",
        extra_body={"num_inference_steps": 3},
    )
    assert video.status == "completed", video
    file = tmp_path / "video.mp4"
    client.videos.download_content(video.id).write_to_file(file)
    assert file.read_bytes()[4:8] == b"ftyp"
    assert video.id in [each.id for each in client.videos.list()]
    remix = client.videos.remix(video.id, prompt="a small red square moving left")
    assert remix.id != video.id
    for each in (video, remix):
        client.videos.delete(each.id)
    wait_until(
        lambda: not {video.id, remix.id} & {each.id for each in client.videos.list()},
        "they are gone",
        30,
    )


def test_a_gateway_that_dies_loses_no_video(address: str, key: str, workspace: Workspace) -> None:
    known(address, key)
    track_id = f"order {secrets.token_hex(4)}"
    body = {"track_id": track_id, "seed": 5, "num_inference_steps": "20"}

    async def asked_and_killed() -> None:
        asking = asyncio.create_task(asyncio.to_thread(_ask_or_fail, address, key, body))
        await asyncio.sleep(3)
        workspace.cluster.kubectl(
            *("-n", SYSTEM, "delete", "pod", "-l", "app.kubernetes.io/name=text-to-video-gateway"),
            *("--force", "--grace-period=0"),
        )
        await asking

    asyncio.run(asked_and_killed())
    made = json.loads(workspace.kubectl("get", "t2v", "-o", "json"))["items"]
    (resource,) = [each for each in made if each["spec"].get("trackId") == track_id]
    workspace.cluster.kubectl(
        *("-n", SYSTEM, "rollout", "status", f"deployment/{GATEWAY}", "--timeout=120s")
    )
    wait_until(lambda: _answers(address), "a gateway answers", 60)
    again = ask(address, key, **body)
    assert again["status"] == "success", again
    assert again["id"] == workspace.status(resource["metadata"]["name"])["id"]
    assert len([e for e in _resources(workspace) if e["spec"].get("trackId") == track_id]) == 1


def test_a_revoked_key_is_refused_soon(address: str, workspace: Workspace) -> None:
    key = a_key(workspace, DEFAULT)
    known(address, key)
    revoke(workspace, key)
    began = time.monotonic()
    while "key" not in ask(address, key, model_id="no-such-model")["message"]:
        assert time.monotonic() - began < REFUSED_SECONDS
        time.sleep(0.2)


def _ask_or_fail(address: str, key: str, body: Document) -> None:
    """Whoever is asked dies."""
    try:
        ask(address, key, **body)
    except (httpx2.HTTPError, ValueError):
        return


def _answers(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/openapi.json", trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


def _resources(workspace: Workspace) -> list[Document]:
    items: list[Document] = json.loads(workspace.kubectl("get", "t2v", "-o", "json"))["items"]
    return items

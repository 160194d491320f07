"""Parts of everything are killed and come back while videos are made: all is right in the end.

Three minutes of it, always from the same seed; `make chaos` takes ten, and a seed by chance.
"""

import os
import secrets
from collections.abc import Iterator

import pytest
from chaos.faults import all_faults
from chaos.judgement import judge
from chaos.run import Chaos, Place, undisturbed
from chaos.schedule import a_schedule
from chaos.videos import references, some_videos
from harness.network import join_pods
from harness.one_node import OneNodeCluster
from harness.simulated_nodes import simulated_nodes
from installation import SIMULATED, Document, Installation, Workspace, restrict
from simulated_videos import RECORD, a_simulated_pool
from test_delivery import a_receiver
from test_gateway import DEFAULT, GATEWAY_PORT, known, revoke
from test_keys import a_key

MINUTES = float(os.environ.get("T2V_CHAOS_MINUTES", "3"))
SEED = int(os.environ.get("T2V_CHAOS_SEED", "595871"))
VIDEOS = max(12, min(30, round(3 * MINUTES)))
SIMULATED_SECONDS = 10.0
"""How long a pod on a simulated node runs, where nobody disturbs it."""

ReceivedWebhooks = list[tuple[dict[str, str], bytes]]


@pytest.fixture
def receiver(installation: Installation) -> Iterator[tuple[str, ReceivedWebhooks]]:
    """Where webhooks go, and what came."""
    with a_receiver(installation.cluster.host_address()) as (url, got, _):
        yield url, got


@pytest.fixture
def gateway(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address. Everything is installed: store, gateway, and a pool of simulated nodes."""
    cluster = installation.cluster
    if not isinstance(cluster, OneNodeCluster):
        pytest.skip("chaos needs a one-node cluster of the harness")
    # What a run that was killed may have left.
    join_pods()
    address = cluster.host_address()
    embedded = installation.embedded()
    chart = embedded.pop("chart") | {
        "gateway": {
            "enabled": True,
            "replicas": 2,
            "service": {"type": "NodePort", "nodePort": GATEWAY_PORT},
            "config": {"waitSeconds": 5},
        }
    }
    config: Document = {
        **embedded,
        "pools": [
            {"name": DEFAULT},
            a_simulated_pool(),
        ],
        "apiKeys": {"enabled": True},
        "allowedAddresses": {"ranges": [f"{address}/32"]},
        "jobs": {"checkpointEveryMinutes": 0.1},
    }
    values = tmp_path_factory.mktemp("chart") / "values.json"
    with (
        simulated_nodes(cluster, run_seconds=SIMULATED_SECONDS, message=RECORD),
        installation.configured(values, chart=chart, **config),
    ):
        yield f"http://{address}:{GATEWAY_PORT}"


@pytest.fixture
def place(
    installation: Installation, gateway: str, receiver: tuple[str, ReceivedWebhooks]
) -> Iterator[Place]:
    """A namespace of its own, with nothing in the store."""
    cluster = installation.cluster
    workspace = Workspace(cluster, f"chaos-{secrets.token_hex(4)}")
    restrict(cluster, workspace.namespace)
    try:
        workspace.prepare_claims()
        key = a_key(workspace, SIMULATED)
        known(gateway, key)
        yield Place(installation, workspace, gateway, key, webhook=receiver[0])
        revoke(workspace, key)
    finally:
        workspace.remove()


def test_all_is_right_in_the_end(
    place: Place, workspace: Workspace, receiver: tuple[str, ReceivedWebhooks]
) -> None:
    print(f"\nchaos of {MINUTES:g} minutes with {VIDEOS} videos: T2V_CHAOS_SEED={SEED}", flush=True)
    videos = some_videos(SEED, VIDEOS, MINUTES * 60)
    frames = undisturbed(workspace, references(videos), tag=secrets.token_hex(3))
    chaos = Chaos(
        place,
        all_faults(place.installation, place.workspace, SEED),
        a_schedule(SEED, MINUTES * 60),
        videos,
    )
    wrong = judge(chaos.run(frames, receiver[1]))
    assert not wrong, "\n".join([f"T2V_CHAOS_SEED={SEED}", *wrong])

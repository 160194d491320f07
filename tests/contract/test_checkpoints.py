"""A pod leaves its checkpoint in the store, and the next one finds it: over real connections."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from t2v_api.delivery import CHECKPOINT_FILE, CHECKPOINT_PATH, LARGEST
from t2v_api.progress import Progress, Stage
from t2v_api.result import GenerationResult
from t2v_runner.checkpoints import carrier as carrier_module
from t2v_runner.checkpoints.carrier import Carrier
from t2v_runner.checkpoints.course import checkpoint_path
from t2v_runner.checkpoints.keeper import Keeping
from t2v_runner.generate import generate
from t2v_runner.order import MediaRules, Order
from t2v_runner.report_server import NotAnswered
from t2v_runner.reporter import Reporter
from t2v_runner.stop import Interrupted, StopSignal

from tests.contract.delivery_world import CALLER, FILES, World, a_world
from tests.contract.test_delivery import MODELS
from tests.unit.builders import a_job
from tests.unit.delivery.serving import client

BODY = b"a checkpoint" * 100_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


def a_pod(folder: Path) -> Keeping:
    """What one pod has on its disk."""
    folder.mkdir()
    return Keeping(folder / "kept", folder / "part", 600.0)


def test_what_one_pod_leaves_the_next_one_finds(world: World, tmp_path: Path) -> None:
    one, next_one = a_pod(tmp_path / "one"), a_pod(tmp_path / "next")
    one.path.write_bytes(BODY)
    with world.server() as server:
        Carrier(server, next_one).bring()
        assert not next_one.path.exists()
        Carrier(server, one).carry()
        Carrier(server, next_one).bring()
    assert next_one.path.read_bytes() == BODY
    assert world.files() == [CHECKPOINT_FILE]
    assert not next_one.part.exists()


def test_its_own_pod_needs_no_store(world: World, tmp_path: Path) -> None:
    pod = a_pod(tmp_path / "pod")
    pod.path.write_bytes(BODY)
    with world.server() as server:
        Carrier(server, pod).carry()
        pod.path.write_bytes(b"a newer one")
        Carrier(server, pod).bring()
    assert pod.path.read_bytes() == b"a newer one"


def test_nobody_gets_what_another_video_has_left(world: World, tmp_path: Path) -> None:
    one, other = a_pod(tmp_path / "one"), a_pod(tmp_path / "other")
    one.path.write_bytes(BODY)
    with world.server() as server:
        Carrier(server, one).carry()
        world.operator.caller = replace(CALLER, folder="videos/films/4567")
        Carrier(server, other).bring()
        assert not other.path.exists()
        world.operator.caller = replace(CALLER, folder=None)
        Carrier(server, other).bring()
        Carrier(server, one).carry()
    assert not other.path.exists()


def test_a_link_opens_nothing_else_and_only_for_reading(world: World, tmp_path: Path) -> None:
    one = a_pod(tmp_path / "one")
    one.path.write_bytes(BODY)
    with world.server() as server:
        Carrier(server, one).carry()
        url = server.ask_for_checkpoint().url
    assert url
    other = url.replace(CHECKPOINT_FILE, "video.mp4")
    with client() as any_client:
        assert any_client.get(url).content == BODY
        assert any_client.get(other).status_code == 403
        assert any_client.put(url, content=BODY).status_code in (400, 403)
        assert any_client.delete(url).status_code == 403


@pytest.mark.parametrize("shown", [{}, {"Authorization": "Bearer somebody's token"}], ids=str)
def test_a_stranger_gets_no_link(world: World, shown: dict[str, str]) -> None:
    import ssl

    tls = ssl.create_default_context(cadata=world.address.certificate_authority)
    with client(verify=tls) as any_client:
        answer = any_client.get(f"{world.address.url}{CHECKPOINT_PATH}", headers=shown)
    assert answer.status_code in (401, 403)


def test_one_that_is_too_large_stays_here(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LARGEST, CHECKPOINT_FILE, len(BODY) - 1)
    pod = a_pod(tmp_path / "pod")
    pod.path.write_bytes(BODY)
    with world.server() as server:
        Carrier(server, pod).carry()
    assert world.files() == []


def test_a_store_that_has_more_than_that_is_not_listened_to(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, next_one = a_pod(tmp_path / "one"), a_pod(tmp_path / "next")
    one.path.write_bytes(BODY)
    with world.server() as server:
        Carrier(server, one).carry()
        monkeypatch.setitem(LARGEST, CHECKPOINT_FILE, len(BODY) - 1)
        Carrier(server, next_one).bring()
    assert not next_one.path.exists()


def test_a_report_server_that_is_away_costs_the_steps_alone(world: World, tmp_path: Path) -> None:
    pod, pauses = a_pod(tmp_path / "pod"), list[float]()
    with world.server(url="https://localhost:1") as server:
        Carrier(server, pod, pauses.append).bring()
        pod.path.write_bytes(BODY)
        Carrier(server, pod).carry()
    assert pauses == list(carrier_module.PAUSES)


def test_a_store_that_is_away_for_a_moment_is_asked_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, next_one, pauses = a_pod(tmp_path / "one"), a_pod(tmp_path / "next"), list[float]()
    one.path.write_bytes(BODY)
    real = httpx2.stream

    def stream(*arguments: Any, **named: Any) -> Any:
        busy = nullcontext(httpx2.Response(503))
        return busy if len(pauses) < 2 else real(*arguments, **named)

    monkeypatch.setattr(httpx2, "stream", stream)

    with world.server() as server:
        Carrier(server, one).carry()
        Carrier(server, next_one, pauses.append).bring()
    assert next_one.path.read_bytes() == BODY


def test_what_came_in_part_takes_no_room(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, next_one = a_pod(tmp_path / "one"), a_pod(tmp_path / "next")
    one.path.write_bytes(BODY)

    def content(_: str) -> Iterator[bytes]:
        yield BODY[:1000]
        raise NotAnswered("the store: ReadTimeout")

    monkeypatch.setattr(carrier_module, "_content", content)
    with world.server() as server:
        Carrier(server, one).carry()
        Carrier(server, next_one, lambda _: None).bring()
    assert list((tmp_path / "next").iterdir()) == []


def test_what_an_earlier_run_could_not_bring_to_the_store_the_next_one_does(
    world: World, tmp_path: Path
) -> None:
    """The first run's store was away: its container was started again in its pod."""

    def stopped(tell_at: int, **changes: Any) -> None:
        def tell(progress: Progress) -> None:
            if progress.step == tell_at:
                raise Interrupted

        order = an_order(tmp_path / "pod", **changes)
        with world.server() as server, pytest.raises(Interrupted):
            generate(order, Reporter(tell, StopSignal()), server)

    stopped(3, uploads=False)
    assert world.files() == []
    stopped(3)
    assert world.files() == [CHECKPOINT_FILE]


def test_none_is_carried_any_more_once_the_video_is_there(world: World, tmp_path: Path) -> None:
    pod = a_pod(tmp_path / "pod")
    pod.path.write_bytes(BODY)
    with world.server() as server:
        carrier = Carrier(server, pod)
        carrier.give_up()
        carrier.carry()
    assert world.files() == []


def test_a_video_goes_on_in_another_pod(world: World, tmp_path: Path) -> None:
    """Stopped while it is denoised, then while it is encoded; then whole."""

    def run(
        pod: str, until: Callable[[Progress], bool] = lambda _: False, **changes: Any
    ) -> GenerationResult:
        def tell(progress: Progress) -> None:
            if until(progress):
                raise Interrupted

        order = an_order(tmp_path / pod, **changes)
        with world.server() as server:
            return generate(order, Reporter(tell, StopSignal()), server)

    undisturbed = run("undisturbed", uploads=False)
    with pytest.raises(Interrupted):
        run("one", lambda progress: progress.step == 3)
    assert world.files() == [CHECKPOINT_FILE]
    assert checkpoint_path(an_order(tmp_path / "one")).exists()
    with pytest.raises(Interrupted):
        run("two", lambda progress: progress.stage is Stage.ENCODE)
    assert world.files() == [CHECKPOINT_FILE]
    result = run("three")
    assert result.resumed_step == 6
    assert result.video.frames_sha256 == undisturbed.video.frames_sha256
    # The operator removes the store's.
    assert world.files() == sorted((*FILES, CHECKPOINT_FILE))
    assert not checkpoint_path(an_order(tmp_path / "three")).exists()


def test_without_any_checkpoints_nothing_is_left(world: World, tmp_path: Path) -> None:
    def tell(progress: Progress) -> None:
        if progress.step == 3:
            raise Interrupted

    order = an_order(tmp_path / "made", checkpoint_seconds=0.0)
    with world.server() as server, pytest.raises(Interrupted):
        generate(order, Reporter(tell, StopSignal()), server)
    assert world.files() == []
    assert not (tmp_path / "made").exists()


def an_order(folder: Path, uploads: bool = True, **changes: Any) -> Order:
    job = a_job(numInferenceSteps=6, numFrames=4, seed=1)
    return Order(
        job.request, job.profile, folder, MODELS, MediaRules(None), uploads=uploads, **changes
    )

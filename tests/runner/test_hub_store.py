"""Hub models come once, whole, and as the hub says they are, whatever happens on the way."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from t2v_api.profile import ModelSource
from t2v_api.progress import Progress, Stage
from t2v_api.reasons import EXIT_CODES, ExitCode
from t2v_runner.errors import ModelNotInCache, ModelNotLoadable, RunnerError, Stopped, StorageFailed
from t2v_runner.hub.cache import Cache
from t2v_runner.hub.content import MAX_DOCUMENT_BYTES, PIECE_BYTES
from t2v_runner.hub.needs import Choose, pipeline_needs
from t2v_runner.hub.place import place_of
from t2v_runner.hub.several import THREADS
from t2v_runner.hub.store import ModelStore
from t2v_runner.hub.sums import read_sums
from t2v_runner.reporter import Reporter
from t2v_runner.stop import StopSignal

from tests.runner.hub_server import COMMIT, OTHER_COMMIT, Hub, Refusal, Repository, serving

ROOT = Path(__file__).parents[2]
NAME = "owner/name"
PINNED = ModelSource(hub=NAME, revision=COMMIT)
MAIN = ModelSource(hub=NAME, revision="main")
DIT = "transformer/diffusion_pytorch_model"
SHARDS = [f"{DIT}-0000{number}-of-00002.safetensors" for number in (1, 2)]
LARGE = SHARDS[0]
DEADLINE_SECONDS = 60.0


def some_bytes(seed: int, count: int) -> bytes:
    return random.Random(seed).randbytes(count)


NEEDED = {
    "model_index.json": json.dumps(
        {
            "_class_name": "WanPipeline",
            "scheduler": ["diffusers", "UniPCMultistepScheduler"],
            "transformer": ["diffusers", "WanTransformer3DModel"],
            "vae": ["diffusers", "AutoencoderKLWan"],
        }
    ).encode(),
    "scheduler/scheduler_config.json": b"{}",
    "transformer/config.json": b"{}",
    f"{DIT}.safetensors.index.json": json.dumps(
        {"metadata": {}, "weight_map": {name: name.split("/")[1] for name in SHARDS}}
    ).encode(),
    SHARDS[0]: some_bytes(1, 600_000),
    SHARDS[1]: some_bytes(2, 50_000),
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.safetensors": some_bytes(3, 40_000),
}
DECOYS = {
    "README.md": b"# A model",
    "loose-2b-v0.9.safetensors": some_bytes(4, 90_000),
    f"{DIT}.fp16.safetensors": some_bytes(5, 80_000),
    f"{DIT}.bin": some_bytes(6, 70_000),
    "vae/diffusion_pytorch_model.bin": some_bytes(7, 70_000),
}
TOTAL = sum(map(len, NEEDED.values()))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(Hub({NAME: Repository({**NEEDED, **DECOYS})})) as hub:
        point_at(hub.url, monkeypatch)
        yield hub


def point_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As HF_ENDPOINT does for a process that starts with it."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.delenv("HF_TOKEN", raising=False)


def fetched(
    root: Path,
    source: ModelSource = PINNED,
    tell: Callable[[int, int], None] = lambda count, total: None,
) -> Path:
    with ModelStore(Cache(root), tell, look_seconds=0.01) as store:
        return store.folder_of(source, pipeline_needs)


def refusal(root: Path, kind: type[RunnerError], source: ModelSource = PINNED) -> str:
    with pytest.raises(kind) as error:
        fetched(root, source)
    assert NAME in str(error.value)
    return str(error.value)


def part_of(root: Path, path: str) -> Path:
    part = root / "owner--name" / f"{COMMIT}.part" / f"{path}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    return part


def check_whole(folder: Path, files: dict[str, bytes] = NEEDED) -> None:
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == set(files)
    for path, content in files.items():
        assert (folder / path).read_bytes() == content, path


def test_what_is_needed_comes_and_nothing_else(hub: Hub, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    folder = fetched(tmp_path, tell=lambda *each: told.append(each))
    assert folder == tmp_path / "owner--name" / COMMIT
    check_whole(folder)
    assert hub.paths_sent == set(NEEDED)
    assert not folder.with_name(f"{COMMIT}.part").exists()
    assert told[0] == (0, TOTAL)
    assert told[-1] == (TOTAL, TOTAL)
    assert told == sorted(told)


def test_what_is_there_costs_no_request(hub: Hub, tmp_path: Path) -> None:
    folder = fetched(tmp_path)
    hub.refusals[""] = Refusal(500)
    assert fetched(tmp_path) == folder


def test_a_branch_is_resolved_once_and_kept_by_its_commit(hub: Hub, tmp_path: Path) -> None:
    before = fetched(tmp_path, MAIN)
    assert before.name == COMMIT
    assert fetched(tmp_path, PINNED) == before
    count = len(hub.sent)
    assert fetched(tmp_path, MAIN) == before
    assert len(hub.sent) == count, "a branch that has not moved costs the listing alone"
    changed = {**NEEDED, "vae/config.json": b'{"new": 1}'}
    hub.repositories[NAME] = Repository(changed, OTHER_COMMIT)
    after = fetched(tmp_path, MAIN)
    assert after.name == OTHER_COMMIT
    check_whole(after, changed)
    check_whole(before)


def a_process(
    hub: Hub, cache: Path, name: str = NAME, **environment: str
) -> "subprocess.Popen[str]":
    """It reads the model until its standard input is closed."""
    folders = [ROOT, *(ROOT / name for name in ("api", "runner"))]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.runner.hub_process", name],
        env={
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "T2V_MODELS_CACHE": str(cache),
            **environment,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def until_it_reads(process: "subprocess.Popen[str]", folder: Path) -> None:
    assert process.stdout
    assert f"{folder}\n" in iter(process.stdout.readline, "")


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_killed_download_is_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    root = tmp_path / "models"
    hub.held[LARGE] = 300_000
    part = part_of(root, LARGE)
    with a_process(hub, tmp_path) as first:
        until(lambda: part.exists() and part.stat().st_size >= 290_000)
        small = [name for name in NEEDED if name != LARGE]
        until(lambda: all(hub.sent_of(name) for name in small))
        until(lambda: len([*part.parents[1].rglob("*.part")]) == 1)
        first.kill()
        first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert not (root / "owner--name" / COMMIT).exists()
    had = part.stat().st_size
    hub.go_on.set()
    hub.sent.clear()
    check_whole(fetched(root))
    assert hub.sent_of(LARGE) == [(had, len(NEEDED[LARGE]) - had)]
    documents = {"model_index.json", f"{DIT}.safetensors.index.json"}
    assert hub.paths_sent == {LARGE, *documents}, "small documents say again what is needed"


def test_of_two_processes_one_fetches_and_the_other_tells_how_far_it_is(
    hub: Hub, tmp_path: Path
) -> None:
    root = tmp_path / "models"
    hub.held[LARGE] = 300_000
    with a_process(hub, tmp_path) as first:
        part = part_of(root, LARGE)
        until(lambda: part.exists() and part.stat().st_size >= 290_000)
        with a_process(hub, tmp_path) as second:
            assert second.stdout
            lines = iter(second.stdout.readline, "")
            waits = next(line for line in lines if "another process" in line)
            assert waits == f"hub model {NAME} at {COMMIT}: another process fetches it\n"
            count, total = map(int, re.findall(r"\d+", next(lines)))
            assert 290_000 <= count < total == TOTAL
            hub.go_on.set()
            ends = [each.communicate()[0].splitlines()[-1] for each in (first, second)]
    assert ends == [str(root / "owner--name" / COMMIT)] * 2
    check_whole(Path(ends[0]))
    for path in NEEDED:
        if not path.endswith("index.json"):
            assert hub.sent_of(path) == [(0, len(NEEDED[path]))], path


def test_who_reads_a_model_lets_those_read_it_who_had_waited_for_it(
    hub: Hub, tmp_path: Path
) -> None:
    hub.held[LARGE] = 300_000
    folder = tmp_path / "models" / "owner--name" / COMMIT
    with a_process(hub, tmp_path) as first:
        until(lambda: hub.sent_of(LARGE) == [(0, 300_000)])
        with a_process(hub, tmp_path) as second:
            assert second.stdout
            assert any("another process" in line for line in iter(second.stdout.readline, ""))
            hub.go_on.set()
            until_it_reads(first, folder)
            until_it_reads(second, folder)
            second.communicate()
        first.communicate()
    assert [first.returncode, second.returncode] == [0, 0]


def test_a_read_only_cache_is_read_and_not_written(hub: Hub, tmp_path: Path) -> None:
    folder = fetched(tmp_path)
    for path in (*tmp_path.rglob("*"), tmp_path):
        os.utime(path, (1, 1))
    hub.refusals[""] = Refusal(500)
    with ModelStore(Cache(tmp_path, is_read_only=True), lambda *told: None) as store:
        assert store.folder_of(PINNED, pipeline_needs) == folder
    assert {path.stat().st_mtime for path in (*tmp_path.rglob("*"), tmp_path)} == {1}


@pytest.mark.parametrize("source", [PINNED, MAIN], ids=["a commit", "a branch"])
def test_what_a_read_only_cache_has_not_is_not_fetched(
    hub: Hub, tmp_path: Path, source: ModelSource
) -> None:
    part_of(tmp_path, LARGE).write_bytes(NEEDED[LARGE])
    store = ModelStore(Cache(tmp_path, is_read_only=True), lambda *told: None)
    with pytest.raises(ModelNotInCache) as error:
        store.folder_of(source, pipeline_needs)
    assert str(error.value) == (
        f"hub model {NAME} at {source.revision} is not in the cache at {tmp_path}; "
        "the VideoModel has to be prefetched, and every namespace's claim to show its files"
    )
    assert not hub.listings
    assert EXIT_CODES[ModelNotInCache.reason] is ExitCode.FAULT, "another node's may have it"


def watching(root: Path, seconds: float, tell: Callable[[int, int], None]) -> ModelStore:
    """A read-only store that waits for what a prefetch brings."""
    return ModelStore(Cache(root, is_read_only=True, wait_seconds=seconds), tell, 0.01)


def test_what_is_to_come_into_a_read_only_cache_is_waited_for(hub: Hub, tmp_path: Path) -> None:
    looks: list[tuple[int, int]] = []

    def another_process_fetches(*told: int) -> None:
        looks.append((told[0], told[1]))
        if len(looks) == 3:
            fetched(tmp_path)

    with watching(tmp_path, DEADLINE_SECONDS, another_process_fetches) as store:
        folder = store.folder_of(PINNED, pipeline_needs)
    check_whole(folder)
    assert looks == [(0, 0)] * 3, "how much is to come is not known here"


def test_who_waits_for_a_model_can_be_stopped(hub: Hub, tmp_path: Path) -> None:
    def stop(*told: int) -> None:
        raise Stopped("asked")

    with pytest.raises(Stopped), watching(tmp_path, DEADLINE_SECONDS, stop) as store:
        store.folder_of(PINNED, pipeline_needs)


@pytest.mark.parametrize(
    ("source", "seconds", "looks_at_all"), [(PINNED, 0.05, True), (MAIN, DEADLINE_SECONDS, False)]
)
def test_what_does_not_come_is_not_waited_for_without_end(
    hub: Hub, tmp_path: Path, source: ModelSource, seconds: float, looks_at_all: bool
) -> None:
    looks: list[int] = []
    store = watching(tmp_path, seconds, lambda *told: looks.append(1))
    with pytest.raises(ModelNotInCache, match="is not in the cache at"):
        store.folder_of(source, pipeline_needs)
    assert bool(looks) is looks_at_all, "a branch is in no cache"
    assert not hub.listings


def test_the_sums_are_those_of_the_files(hub: Hub, tmp_path: Path) -> None:
    folder = fetched(tmp_path)
    sums = folder.with_name(f"{COMMIT}.sha256")
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", str(sums)], cwd=folder, check=False
    )
    assert checked.returncode == 0
    assert [line.split("  ")[1] for line in sums.read_text().splitlines()] == sorted(NEEDED)
    place = place_of(folder)
    told = read_sums(place)
    sums.unlink()
    assert read_sums(place) == told, "without the document the files say it"


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("path", [LARGE, "vae/config.json"], ids=["in LFS", "in git"])
def test_what_came_wrong_is_fetched_once_more(hub: Hub, tmp_path: Path, path: str) -> None:
    hub.altered[path] = [flipped]
    check_whole(fetched(tmp_path))
    assert hub.sent_of(path) == [(0, len(NEEDED[path]))] * 2


def test_what_comes_wrong_again_is_never_kept(hub: Hub, tmp_path: Path) -> None:
    hub.altered[LARGE] = [flipped, flipped]
    said = refusal(tmp_path, StorageFailed)
    assert f"{LARGE}: what came has another digest than the hub says, twice" in said
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(Path(LARGE).name)]
    check_whole(fetched(tmp_path))


@pytest.mark.parametrize(
    "left", [bytes(1_000), bytes(700_000)], ids=["other bytes", "more than there are"]
)
def test_what_was_left_is_believed_only_by_its_digest(
    hub: Hub, tmp_path: Path, left: bytes
) -> None:
    part_of(tmp_path, LARGE).write_bytes(left)
    check_whole(fetched(tmp_path))


def test_a_connection_that_breaks_is_taken_up_again(hub: Hub, tmp_path: Path) -> None:
    hub.cut[LARGE] = [200_000]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)
        check_whole(fetched(tmp_path))
    first, second = hub.sent_of(LARGE)
    assert first == (0, 200_000)
    assert second[0] > 190_000


def test_what_has_come_of_a_file_is_soon_there(hub: Hub, tmp_path: Path) -> None:
    hub.held[LARGE] = 2 * PIECE_BYTES + 10
    told: list[int] = []

    def tell(count: int, total: int) -> None:
        told.append(count)
        part = part_of(tmp_path, LARGE)
        if part.exists() and part.stat().st_size == 2 * PIECE_BYTES:
            raise Stopped("asked to")
        assert len(told) < DEADLINE_SECONDS * 100

    with pytest.raises(Stopped):
        fetched(tmp_path, tell=tell)
    hub.go_on.set()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("t2v_runner.hub.content.PAUSES", (0.0,) * 4)


@pytest.mark.usefixtures("no_pauses")
def test_a_connection_that_is_reset_is_taken_up_again(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)
    hub.reset[LARGE] = [60_000] * 8
    check_whole(fetched(tmp_path))
    starts = [start for start, _ in hub.sent_of(LARGE)]
    assert len(starts) == 9
    assert starts == sorted(starts), "each goes on where the one before it ended"
    assert starts[-1] > 200_000


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("path", ["model_index.json", LARGE])
def test_a_hub_that_is_not_well_is_asked_again(hub: Hub, tmp_path: Path, path: str) -> None:
    hub.failing[path] = [500, 502, 503, 504]
    check_whole(fetched(tmp_path))


@pytest.mark.usefixtures("no_pauses")
def test_a_hub_that_does_not_get_well_is_said(hub: Hub, tmp_path: Path) -> None:
    hub.failing[LARGE] = [503] * 5
    assert f"{LARGE}: the hub answered 503" in refusal(tmp_path, StorageFailed)


def test_a_hub_that_knows_no_ranges_sends_it_all(hub: Hub, tmp_path: Path) -> None:
    hub.knows_ranges = False
    part_of(tmp_path, LARGE).write_bytes(NEEDED[LARGE][:100_000])
    check_whole(fetched(tmp_path))
    assert hub.sent_of(LARGE) == [(0, 600_000)]


def test_another_length_than_the_listing_s_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.altered[LARGE] = [lambda content: content[:1_000]]
    assert f"{LARGE}: the hub sent another number of bytes" in refusal(tmp_path, StorageFailed)


def test_what_an_earlier_runner_chose_does_not_get_in(hub: Hub, tmp_path: Path) -> None:
    other = part_of(tmp_path, "vae/other.safetensors")
    other.write_bytes(b"part")
    other.with_suffix("").write_bytes(b"whole")
    check_whole(fetched(tmp_path))


def test_a_signal_stops_it_and_the_next_goes_on(hub: Hub, tmp_path: Path) -> None:
    hub.held[LARGE] = 300_000

    def stop(count: int, total: int) -> None:
        if hub.sent_of(LARGE) == [(0, 300_000)]:
            raise Stopped("asked to")

    with pytest.raises(Stopped):
        fetched(tmp_path, tell=stop)
    hub.go_on.set()
    until(lambda: THREADS not in {thread.name for thread in threading.enumerate()})
    assert part_of(tmp_path, LARGE).exists(), "it is not fetched to its end"
    check_whole(fetched(tmp_path))


@pytest.mark.parametrize(
    ("refused", "kind", "said"),
    [
        pytest.param(
            Refusal(401, "GatedRepo"),
            ModelNotLoadable,
            "answered 401: it is gated, and no token in HF_TOKEN opens it: accept its licence at",
            id="gated and nobody known",
        ),
        pytest.param(
            Refusal(403, "GatedRepo"),
            ModelNotLoadable,
            f"/{NAME} and give the runner a token of that account in HF_TOKEN",
            id="gated and the licence not accepted",
        ),
        pytest.param(
            Refusal(401, "RepoNotFound"),
            ModelNotLoadable,
            "answered 401: there is no such repository, or it is private and no token in HF_TOKEN",
            id="private",
        ),
        pytest.param(
            Refusal(404, "RepoNotFound"),
            ModelNotLoadable,
            "answered 404: there is no such repository",
            id="no repository",
        ),
        pytest.param(
            Refusal(404, "RevisionNotFound"),
            ModelNotLoadable,
            "answered 404: there is no such revision",
            id="no revision",
        ),
        pytest.param(
            Refusal(403, message="Please enable access in your settings"),
            ModelNotLoadable,
            "answered 403: no token in HF_TOKEN opens it (Please enable access in your settings); "
            "see http://",
            id="forbidden",
        ),
        pytest.param(
            Refusal(401),
            ModelNotLoadable,
            "answered 401: no token in HF_TOKEN opens it; see http://",
            id="without a token",
        ),
        pytest.param(
            Refusal(404),
            ModelNotLoadable,
            "answered 404: there is no such repository, revision or file",
            id="a mirror's",
        ),
        pytest.param(Refusal(429), StorageFailed, "answered 429, too many requests", id="too many"),
        pytest.param(Refusal(503), StorageFailed, "answered 503", id="not well"),
    ],
)
def test_a_refused_listing_says_what_to_do(
    hub: Hub, tmp_path: Path, refused: Refusal, kind: type[RunnerError], said: str
) -> None:
    hub.refusals[f"/revision/{COMMIT}"] = refused
    assert said in refusal(tmp_path, kind)
    assert not [*tmp_path.iterdir()]


def test_a_gated_file_of_a_public_listing_says_what_to_do(hub: Hub, tmp_path: Path) -> None:
    hub.refusals[f"/resolve/{COMMIT}/vae/config.json"] = Refusal(403, "GatedRepo")
    said = refusal(tmp_path, ModelNotLoadable)
    assert f"accept its licence at {hub.url}/{NAME}" in said


def test_the_token_is_said_to_be_refused(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    hub.refusals[f"/revision/{COMMIT}"] = Refusal(403, "GatedRepo")
    said = refusal(tmp_path, ModelNotLoadable)
    assert "it is gated, and the token in HF_TOKEN does not open it: accept its licence at" in said
    assert "hf_of_somebody" not in said
    hub.refusals[f"/revision/{COMMIT}"] = Refusal(401)
    assert "it does not take the token in HF_TOKEN" in refusal(tmp_path, ModelNotLoadable)


def test_a_token_that_is_none_is_said(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "\ufeffhf_of_somebody")
    said = refusal(tmp_path, ModelNotLoadable)
    assert "HF_TOKEN has signs that no token has" in said
    assert "hf_of_somebody" not in said


def test_what_opens_a_mirror_is_not_told(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(hub.url.replace("//", "//user:secret@"), monkeypatch)
    hub.refusals[f"/revision/{COMMIT}"] = Refusal(403, "GatedRepo")
    said = refusal(tmp_path, ModelNotLoadable)
    assert f"accept its licence at {hub.url}/{NAME} and" in said


def test_the_token_goes_to_the_hub_alone_and_what_is_refused_elsewhere_is_worth_a_retry(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    with serving(Hub(hub.repositories), "127.0.0.2") as other:
        hub.elsewhere = other.url
        check_whole(fetched(tmp_path / "well"))
        assert other.sent_of(LARGE)
        assert not other.tokens
        assert hub.tokens == {"Bearer hf_of_somebody"}
        other.failing[LARGE] = [403]
        said = refusal(tmp_path / "not well", StorageFailed)
    assert f"{LARGE}: 127.0.0.2, to which the hub sends for it, answered 403" in said


def test_no_hub_is_worth_a_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Hub({})) as hub:
        point_at(hub.url, monkeypatch)
    assert "the hub cannot be reached: ConnectError" in refusal(tmp_path, StorageFailed)


def test_offline_is_said(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids asking" in refusal(tmp_path, StorageFailed)


def test_too_little_room_is_seen_before_anything_is_fetched(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=TOTAL - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    said = refusal(tmp_path, StorageFailed)
    assert f"0.00 GB are to come and {tmp_path} has 0.00 GB free" in said
    assert LARGE not in hub.paths_sent
    part_of(tmp_path, LARGE).write_bytes(NEEDED[LARGE][:10])
    check_whole(fetched(tmp_path))


def test_a_disk_that_fills_up_meanwhile_is_said(hub: Hub, tmp_path: Path) -> None:
    part = part_of(tmp_path, LARGE)
    part.symlink_to("/dev/full")
    said = refusal(tmp_path, StorageFailed)
    assert f"it cannot be kept in {tmp_path}: No space left on device" in said


def test_a_store_that_is_no_folder_is_said(hub: Hub, tmp_path: Path) -> None:
    root = tmp_path / "file"
    root.touch()
    assert f"it cannot be kept in {root}: Not a directory" in refusal(root, StorageFailed)


@pytest.mark.parametrize("path", ["../outside.json", "/etc/outside.json", "vae/../../outside.json"])
def test_a_file_that_would_leave_the_folder_is_refused(hub: Hub, tmp_path: Path, path: str) -> None:
    hub.repositories[NAME].files[path] = b"{}"
    assert "leaves its folder" in refusal(tmp_path, ModelNotLoadable)


def test_a_commit_that_is_none_names_no_folder(hub: Hub, tmp_path: Path) -> None:
    hub.repositories[NAME].commit = "../.."
    assert "names '../..' as its commit" in refusal(tmp_path, ModelNotLoadable, MAIN)


def test_a_hub_that_answers_for_another_commit_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.repositories[NAME] = Repository({**NEEDED}, OTHER_COMMIT, revisions=(COMMIT,))
    said = refusal(tmp_path, ModelNotLoadable)
    assert f"the hub answers for commit {OTHER_COMMIT}, which is another" in said
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("content", [b"{", b"[]"])
def test_an_index_that_is_no_json_object_is_refused(
    hub: Hub, tmp_path: Path, content: bytes
) -> None:
    hub.repositories[NAME].files["model_index.json"] = content
    assert "model_index.json: not" in refusal(tmp_path, ModelNotLoadable)


def test_more_than_the_listing_says_is_neither_written_nor_kept(hub: Hub, tmp_path: Path) -> None:
    told: list[Progress] = []
    reporter = Reporter(told.append, StopSignal())
    reporter.enter(Stage.DOWNLOAD)
    hub.altered[LARGE] = [lambda content: content * 30]
    with pytest.raises(StorageFailed) as error:
        fetched(tmp_path, tell=reporter.downloaded)
    assert f"{LARGE}: the hub sends more than the 600000 bytes of its own listing" in str(
        error.value
    )
    assert not part_of(tmp_path, LARGE).exists()
    assert all((each.bytes or 0) <= TOTAL for each in told)
    check_whole(fetched(tmp_path, tell=reporter.downloaded))


def test_more_than_there_is_that_was_left_counts_as_the_file(hub: Hub, tmp_path: Path) -> None:
    part_of(tmp_path, LARGE).write_bytes(bytes(5 * TOTAL))
    told: list[int] = []
    check_whole(fetched(tmp_path, tell=lambda count, total: told.append(count)))
    assert max(told) == TOTAL


INDEX = f"{DIT}.safetensors.index.json"


def test_a_document_that_is_longer_than_told_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.altered["model_index.json"] = [lambda content: content + b" " * 100]
    assert "model_index.json: the hub sends more than" in refusal(tmp_path, StorageFailed)


def test_a_document_that_is_none_by_its_length_is_not_read(hub: Hub, tmp_path: Path) -> None:
    hub.described[INDEX] = {"size": MAX_DOCUMENT_BYTES + 1}
    assert f"{INDEX} has {MAX_DOCUMENT_BYTES + 1} bytes" in refusal(tmp_path, ModelNotLoadable)
    assert INDEX not in hub.paths_sent


def test_a_document_that_is_too_deep_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.repositories[NAME].files["model_index.json"] = b"[" * 200_000
    assert "model_index.json: not readable as JSON" in refusal(tmp_path, ModelNotLoadable)


@pytest.mark.parametrize(
    "page",
    [b"<html>Log in</html>", b"[]", b"{}", b'{"id": "x", "siblings": [1]}', b"\xff"],
    ids=str,
)
def test_an_answer_that_is_no_listing_is_worth_a_retry(
    hub: Hub, tmp_path: Path, page: bytes
) -> None:
    hub.page = page
    assert "its list of files is not readable" in refusal(tmp_path, StorageFailed)


def test_a_name_that_no_hub_can_have_is_refused(hub: Hub, tmp_path: Path) -> None:
    source = ModelSource(hub="owner/a--b", revision=COMMIT)
    with pytest.raises(ModelNotLoadable, match=r"owner/a--b .* no hub can have it"):
        fetched(tmp_path, source)


@pytest.mark.parametrize("sign", ["\0", "\x1b[2J", "\n", "\u202e"], ids=ascii)
def test_a_name_with_signs_that_are_not_seen_is_refused(
    hub: Hub, tmp_path: Path, sign: str
) -> None:
    hub.repositories[NAME].files[f"vae/con{sign}fig.json"] = b"{}"
    said = refusal(tmp_path, ModelNotLoadable)
    assert sign not in said
    assert ascii(sign)[1:-1] in ascii(said).replace("\\\\", "\\")


@pytest.mark.parametrize(
    "path", ["Icon\r", "docs/\U0001f468\u200d\U0001f469.md", "a\nb.png"], ids=ascii
)
def test_such_a_name_of_a_file_that_nobody_needs_is_no_concern(
    hub: Hub, tmp_path: Path, path: str
) -> None:
    hub.repositories[NAME].files[path] = b"x"
    check_whole(fetched(tmp_path))


def test_a_name_with_odd_spaces_is_a_name(hub: Hub, tmp_path: Path) -> None:
    hub.repositories[NAME].files["assets/Screenshot 3.00\u202fPM.png"] = b"png"
    check_whole(fetched(tmp_path))


@pytest.mark.parametrize(
    "described",
    [
        {"size": "600"},
        {"size": -1},
        {"blobId": 1},
        {"lfs": {"sha256": 1, "size": 1, "pointerSize": 1}},
    ],
    ids=str,
)
def test_a_file_that_is_described_wrongly_is_refused(
    hub: Hub, tmp_path: Path, described: dict[str, Any]
) -> None:
    hub.described["vae/config.json"] = described
    assert "vae/config.json" in refusal(tmp_path, ModelNotLoadable)


def test_a_mirror_whose_list_has_names_alone_is_asked_for_each_file_that_may_be_needed(
    hub: Hub, tmp_path: Path
) -> None:
    hub.tells_sizes = False
    hub.altered[LARGE] = [flipped]
    check_whole(fetched(tmp_path))
    assert set(hub.asked_about) >= set(NEEDED)
    assert not {path for path in hub.asked_about if path.endswith((".md", ".bin"))}
    assert len(hub.sent_of(LARGE)) == 2, "what came wrong is fetched once more"


def test_what_comes_wrong_from_such_a_mirror_is_never_kept(hub: Hub, tmp_path: Path) -> None:
    hub.tells_sizes = False
    hub.altered[LARGE] = [flipped, flipped]
    assert LARGE in refusal(tmp_path, StorageFailed)


def test_of_a_mirror_that_says_no_digests_sizes_are_compared(hub: Hub, tmp_path: Path) -> None:
    hub.tells_sizes = hub.tells_digests = False
    check_whole(fetched(tmp_path))


without_vae = partial(pipeline_needs, left_out=["vae"])
WITHOUT_VAE = {path: content for path, content in NEEDED.items() if not path.startswith("vae/")}
OF_VAE = set(NEEDED) - set(WITHOUT_VAE)


def fetched_by(choose: Choose, root: Path, is_read_only: bool = False) -> Path:
    with ModelStore(Cache(root, is_read_only), lambda *told: None, 0.01) as store:
        return store.folder_of(PINNED, choose)


def check_sums(folder: Path) -> None:
    lines = folder.with_name(f"{COMMIT}.sha256").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == sorted(NEEDED)


def test_who_needs_more_than_is_there_gets_it_and_nothing_comes_twice(
    hub: Hub, tmp_path: Path
) -> None:
    folder = fetched_by(without_vae, tmp_path)
    check_whole(folder, WITHOUT_VAE)
    hub.sent.clear()
    assert fetched_by(pipeline_needs, tmp_path) == folder
    check_whole(folder)
    check_sums(folder)
    assert hub.paths_sent - {"model_index.json", INDEX} == OF_VAE
    hub.refusals[""] = Refusal(500)
    for choose in (pipeline_needs, without_vae):
        assert fetched_by(choose, tmp_path) == folder


def test_who_needs_more_waits_for_no_reader(hub: Hub, tmp_path: Path) -> None:
    folder = fetched_by(without_vae, tmp_path / "models")
    with ModelStore(Cache(tmp_path / "models"), lambda *told: None) as reads:
        reads.folder_of(PINNED, without_vae)
        with a_process(hub, tmp_path) as other:
            until_it_reads(other, folder)
            other.communicate()
    check_whole(folder)


def test_what_comes_wrong_does_not_get_into_what_is_there(hub: Hub, tmp_path: Path) -> None:
    folder = fetched_by(without_vae, tmp_path)
    path = "vae/diffusion_pytorch_model.safetensors"
    hub.altered[path] = [flipped, flipped]
    refusal(tmp_path, StorageFailed)
    assert not (folder / path).exists()
    check_whole(fetched(tmp_path))


def test_a_file_of_another_length_is_another_variant_s(hub: Hub, tmp_path: Path) -> None:
    path = "vae/diffusion_pytorch_model.safetensors"
    part_of(tmp_path, path).with_suffix("").write_bytes(b"another variant")
    folder = fetched(tmp_path)
    check_whole(folder)
    (folder / path).write_bytes(b"another variant")
    check_whole(fetched(tmp_path))
    check_sums(folder)


def test_a_read_only_cache_that_has_less_than_is_needed_has_it_not(
    hub: Hub, tmp_path: Path
) -> None:
    folder = fetched_by(without_vae, tmp_path)
    assert fetched_by(without_vae, tmp_path, is_read_only=True) == folder
    with pytest.raises(ModelNotInCache):
        fetched_by(pipeline_needs, tmp_path, is_read_only=True)


@pytest.mark.parametrize("kept", [b"", b"{", b"\xff", b"[]", b'{"files": [{"path": 1}]}'], ids=str)
def test_a_list_that_is_broken_comes_again_and_nothing_else(
    hub: Hub, tmp_path: Path, kept: bytes
) -> None:
    folder = fetched(tmp_path)
    folder.with_name(f"{COMMIT}.files").write_bytes(kept)
    with pytest.raises(ModelNotInCache):
        fetched_by(pipeline_needs, tmp_path, is_read_only=True)
    hub.sent.clear()
    assert fetched(tmp_path) == folder
    assert not hub.sent
    hub.refusals[""] = Refusal(500)
    assert fetched(tmp_path) == folder
    assert fetched_by(pipeline_needs, tmp_path, is_read_only=True) == folder


def test_a_variant_that_is_there_is_found_again(hub: Hub, tmp_path: Path) -> None:
    files = hub.repositories[NAME].files
    for path in (INDEX, *SHARDS):
        del files[path]
    files[f"{DIT}.safetensors.index.fp16.json"] = NEEDED[INDEX]
    files |= {path: NEEDED[path] for path in SHARDS}
    del files[f"{DIT}.fp16.safetensors"]
    folder = fetched(tmp_path)
    check_whole(folder)
    hub.refusals[""] = Refusal(500)
    assert fetched(tmp_path) == folder

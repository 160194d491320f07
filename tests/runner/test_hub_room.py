"""Of a cache with a limit the least recently used models go, and none that anybody uses."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from t2v_api.profile import ModelSource
from t2v_runner.errors import ModelNotLoadable, StorageFailed
from t2v_runner.hub.cache import Cache
from t2v_runner.hub.needs import pipeline_needs
from t2v_runner.hub.place import bytes_below
from t2v_runner.hub.store import ModelStore

from tests.runner.hub_server import COMMIT, Hub, Refusal, Repository, serving
from tests.runner.test_hub_store import a_process, point_at, some_bytes, until, until_it_reads

NAMES = ("a", "b", "c", "d", "e")
WEIGHTS = "vae/diffusion_pytorch_model.safetensors"
MODEL_BYTES = 300_000
LIMIT = 1_000_000
"""Of the five models it holds three."""


def a_model(seed: int) -> Repository:
    index = json.dumps({"_class_name": "WanPipeline", "vae": ["diffusers", "AutoencoderKLWan"]})
    files = {"model_index.json": index.encode(), "vae/config.json": b"{}"}
    rest = MODEL_BYTES - sum(map(len, files.values()))
    return Repository(files | {WEIGHTS: some_bytes(seed, rest)})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    models = {f"owner/{name}": a_model(seed) for seed, name in enumerate(NAMES)}
    with serving(Hub(models)) as hub:
        point_at(hub.url, monkeypatch)
        yield hub


class Fetch:
    """Fetches models into a cache, each in a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "models"

    def __call__(self, *names: str, limit: int | None = LIMIT, in_use: str = "") -> Path:
        """All names in one store."""
        uses = frozenset({f"owner--{in_use}/{COMMIT}"})
        with ModelStore(Cache(self.root, False, limit, uses), lambda *told: None, 0.01) as store:
            for name in names:
                source = ModelSource(hub=f"owner/{name}", revision=COMMIT)
                folder = store.folder_of(source, pipeline_needs)
        return folder

    def place(self, name: str) -> Path:
        return self.root / f"owner--{name}" / COMMIT

    @property
    def there(self) -> str:
        """The names of the models that are whole."""
        return "".join(name for name in NAMES if self.place(name).is_dir())


@pytest.fixture
def fetch(hub: Hub, tmp_path: Path) -> Fetch:
    return Fetch(tmp_path)


def test_five_models_come_into_a_cache_of_three(hub: Hub, fetch: Fetch) -> None:
    seen = []
    for name in (*NAMES, "d", "a"):
        fetch(name)
        seen.append(fetch.there)
        assert bytes_below(fetch.root) <= LIMIT
    assert seen == ["a", "ab", "abc", "bcd", "cde", "cde", "ade"], "d was used once more"
    assert len([each for each in hub.sent if each.path == WEIGHTS]) == 6


@pytest.mark.parametrize(
    "environment", [{}, {"T2V_MODELS_READ_ONLY": "1"}], ids=["read and write", "read-only"]
)
def test_what_another_process_reads_stays_and_counts_as_used(
    hub: Hub, fetch: Fetch, environment: dict[str, str]
) -> None:
    for name in "abc":
        fetch(name)
    with a_process(hub, fetch.folder, "owner/a", **environment) as reader:
        until_it_reads(reader, fetch.place("a"))
        fetch("d")
        assert fetch.there == "acd"
        reader.communicate()
    fetch("e")
    assert fetch.there == "ade", "a was in use when room was made for d"


def test_a_reader_that_was_killed_uses_nothing(hub: Hub, fetch: Fetch) -> None:
    for name in "abc":
        fetch(name)
    with a_process(hub, fetch.folder, "owner/a") as reader:
        until_it_reads(reader, fetch.place("a"))
        reader.kill()
        reader.communicate()
    # The next uses may come within the same tick of the clock that files' times are from.
    os.utime(fetch.place("a").with_name(f"{COMMIT}.lock"), (1, 1))
    for name in "bcd":
        fetch(name)
    assert fetch.there == "bcd"


def test_what_the_environment_names_stays_and_counts_as_used(fetch: Fetch) -> None:
    for name in "abc":
        fetch(name)
    fetch("d", in_use="a")
    assert fetch.there == "acd"
    fetch("e")
    assert fetch.there == "ade"


def test_a_process_keeps_what_it_has_asked_for_itself(fetch: Fetch) -> None:
    with pytest.raises(StorageFailed, match="are to come"):
        fetch("a", "b", limit=MODEL_BYTES + 100_000)
    assert fetch.there == "a"
    fetch("b", limit=MODEL_BYTES + 100_000)
    assert fetch.there == "b"


def test_where_all_is_in_use_that_is_told(hub: Hub, fetch: Fetch) -> None:
    fetch("a")
    with a_process(hub, fetch.folder, "owner/a") as reader:
        until_it_reads(reader, fetch.place("a"))
        with pytest.raises(StorageFailed) as error:
            fetch("b", limit=500_000)
        reader.communicate()
    assert "owner/b" in str(error.value)
    assert "what else is there is in use: wait until it is not, or allow more" in str(error.value)
    assert fetch.there == "a"


def test_a_model_above_the_limit_is_refused_before_anything_goes(hub: Hub, fetch: Fetch) -> None:
    fetch("a")
    with pytest.raises(ModelNotLoadable, match=r"may hold 0\.00 GB \(T2V_MODELS_CACHE_BYTES\)"):
        fetch("b", limit=MODEL_BYTES - 1)
    assert fetch.there == "a"


def test_what_is_still_to_come_of_another_model_is_no_room(hub: Hub, fetch: Fetch) -> None:
    hub.held[WEIGHTS] = 100_000
    with a_process(hub, fetch.folder, "owner/a") as other:
        until(lambda: bytes_below(fetch.root) > 90_000)
        with pytest.raises(StorageFailed, match="what else is there is in use"):
            fetch("b", limit=500_000)
        hub.go_on.set()
        until_it_reads(other, fetch.place("a"))
        other.communicate()
    fetch("b", limit=500_000)
    assert fetch.there == "b"


def test_half_a_model_that_nobody_fetches_goes(hub: Hub, fetch: Fetch) -> None:
    hub.refusals[f"owner/a/resolve/{COMMIT}/vae/config.json"] = Refusal(503)
    with pytest.raises(StorageFailed):
        fetch("a")
    part = fetch.place("a").with_name(f"{COMMIT}.part")
    (part / "vae" / "left.part").write_bytes(bytes(500_000))
    fetch("b", limit=500_000)
    assert not part.exists()


def test_what_was_put_there_by_hand_stays(fetch: Fetch) -> None:
    fetch.place("a").mkdir(parents=True)
    (fetch.place("a") / "model_index.json").write_bytes(bytes(MODEL_BYTES))
    assert fetch("a") == fetch.place("a")
    for name in "bcd":
        fetch(name)
    assert fetch.there == "acd", "and it counts"


def free(fetch: Fetch, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the cache were alone on a volume of that size."""
    usage = shutil.disk_usage(fetch.folder)

    def disk_usage(path: Path) -> object:
        return usage._replace(free=size - bytes_below(fetch.root))

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)


def test_a_volume_that_is_smaller_than_the_limit_is_one_too(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(fetch, LIMIT, monkeypatch)
    for name in NAMES:
        fetch(name, limit=100 * LIMIT)
    assert fetch.there == "cde"


def test_without_a_limit_nothing_goes(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    free(fetch, LIMIT, monkeypatch)
    for name in "abc":
        fetch(name, limit=None)
    with pytest.raises(StorageFailed, match="make room there, or take a larger volume"):
        fetch("d", limit=None)
    assert fetch.there == "abc"


def test_who_is_killed_while_a_model_goes_leaves_none_that_could_be_loaded(
    hub: Hub, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path) -> None:
        (path / "model_index.json").unlink()
        raise KeyboardInterrupt

    for name in "abc":
        fetch(name)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch("d")
    assert fetch.there == "bc"
    hub.sent.clear()
    fetch("d")
    assert fetch.there == "bcd"
    assert not fetch.place("a").with_name(f"{COMMIT}.part").exists(), "the rest goes first"


def test_what_is_left_of_a_model_that_went_is_gone_on_with(hub: Hub, fetch: Fetch) -> None:
    fetch("a")
    fetch.place("a").rename(fetch.place("a").with_name(f"{COMMIT}.part"))
    (fetch.place("a").with_name(f"{COMMIT}.part") / "vae" / "config.json").unlink()
    hub.sent.clear()
    fetch("a")
    assert WEIGHTS not in hub.paths_sent
    assert "vae/config.json" in hub.paths_sent

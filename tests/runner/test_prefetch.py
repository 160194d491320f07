"""The prefetch: a model comes into a cache by a program of its own, and what came is on record."""

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from t2v_api.base import ContractError
from t2v_api.family import ModelFamily
from t2v_api.prefetch import PrefetchResult, read_prefetch
from t2v_api.profile import ModelSource
from t2v_api.progress import Stage
from t2v_api.reasons import ExitCode, Reason
from t2v_api.result import GenerationFailure
from t2v_runner import drawing as one_process
from t2v_runner.drawing import Drawing
from t2v_runner.errors import ModelNotInCache, ModelNotLoadable, RequestRefused
from t2v_runner.generate import generate
from t2v_runner.hub.cache import read_cache
from t2v_runner.order import read_order
from t2v_runner.reporter import Reporter
from t2v_runner.stop import StopSignal

from tests.runner.drawing import a_request
from tests.runner.hub_server import COMMIT, Hub, Refusal, Repository, serving
from tests.runner.prefetching import WAN, begun, ended, prefetched, sha256_of, the_files_of_a_wan
from tests.runner.test_hub_pipelines import files_of, of_hub
from tests.runner.test_hub_store import until
from tests.runner.test_two_sources import a_base, a_motion_adapter
from tests.runner.tiny_models import a_profile

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return the_files_of_a_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture
def hub(wan: dict[str, bytes]) -> Iterator[Hub]:
    with serving(Hub({WAN: Repository(dict(wan))})) as hub:
        yield hub


def test_what_came_is_on_record_and_how_far_it_was_is_told(
    hub: Hub, tmp_path: Path, wan: dict[str, bytes]
) -> None:
    code, told, record = prefetched(hub, tmp_path, of_hub(ModelFamily.WAN, WAN))
    total = sum(map(len, wan.values()))
    assert code == ExitCode.DONE
    said = {"commit": COMMIT, "bytes": total, "sha256": sha256_of(wan)}
    assert record == PrefetchResult(**said, fetched_bytes=total)
    assert {(each.stage, each.total_bytes) for each in told} == {(Stage.DOWNLOAD, total)}
    assert [(each.percent, each.bytes) for each in (told[0], told[-1])] == [(0, 0), (100, total)]

    hub.refusals[""] = Refusal(500)
    again = PrefetchResult(**said, fetched_bytes=0)
    assert prefetched(hub, tmp_path, of_hub(ModelFamily.WAN, WAN)) == (code, [], again)


def test_a_video_is_made_of_what_was_prefetched(hub: Hub, tmp_path: Path) -> None:
    profile = of_hub(ModelFamily.WAN, WAN)
    prefetched(hub, tmp_path, profile)
    hub.refusals[""] = Refusal(500)
    environment = {
        "T2V_REQUEST": a_request(ModelFamily.WAN).json_line(),
        "T2V_MODEL": profile.json_line(),
        "T2V_OUTPUT_DIR": str(tmp_path / "output"),
        "T2V_MODELS_CACHE": str(tmp_path / "cache"),
        "T2V_MODELS_READ_ONLY": "1",
    }
    result = generate(read_order(environment), Reporter(lambda progress: None, StopSignal()))
    assert result.model_revision == COMMIT


def test_a_model_that_goes_while_it_is_loaded_is_worth_a_retry(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = of_hub(ModelFamily.WAN, WAN)
    prefetched(hub, tmp_path, profile)

    def emptied(drawing: Drawing, *_: object) -> None:
        shutil.rmtree(tmp_path / "cache")
        raise ModelNotLoadable(f"{drawing.folder}: OSError: no such file")

    monkeypatch.setattr(one_process, "draw", emptied)
    environment = {
        "T2V_REQUEST": a_request(ModelFamily.WAN).json_line(),
        "T2V_MODEL": profile.json_line(),
        "T2V_OUTPUT_DIR": str(tmp_path / "output"),
        "T2V_MODELS_CACHE": str(tmp_path / "cache"),
        "T2V_MODELS_READ_ONLY": "1",
    }
    order, reporter = read_order(environment), Reporter(lambda progress: None, StopSignal())
    with pytest.raises(ModelNotInCache, match="went from the cache"):
        generate(order, reporter)
    with pytest.raises(ModelNotInCache, match="has to be prefetched"):
        generate(order, reporter)


def test_a_branch_is_told_as_its_commit(hub: Hub, tmp_path: Path) -> None:
    source = ModelSource(hub=WAN, revision="main")
    profile = of_hub(ModelFamily.WAN, WAN).model_copy(update={"source": source})
    code, _, record = prefetched(hub, tmp_path, profile)
    assert code == ExitCode.DONE
    assert isinstance(record, PrefetchResult)
    assert record.commit == COMMIT


def test_a_motion_adapter_comes_with_its_base_model(hub: Hub, tmp_path: Path) -> None:
    a_base().save_pretrained(str(tmp_path / "base"))
    a_motion_adapter().save_pretrained(str(tmp_path / "motion"))
    motion = files_of(tmp_path / "motion")
    hub.repositories["owner/base"] = Repository(files_of(tmp_path / "base"))
    hub.repositories["owner/motion"] = Repository(motion)
    profile = of_hub(ModelFamily.ANIMATEDIFF, "owner/base", "owner/motion")
    code, _, record = prefetched(hub, tmp_path, profile)
    assert code == ExitCode.DONE
    base = files_of(tmp_path / "cache" / "models" / "owner--base" / COMMIT)
    total = sum(map(len, [*base.values(), *motion.values()]))
    assert record == PrefetchResult(
        commit=COMMIT,
        motion_adapter_commit=COMMIT,
        bytes=total,
        fetched_bytes=total,
        sha256=sha256_of(base, motion),
    )


def test_two_prefetches_at_once_download_once(
    hub: Hub, tmp_path: Path, wan: dict[str, bytes]
) -> None:
    profile = of_hub(ModelFamily.WAN, WAN)
    hub.held[TRANSFORMER] = 1_000
    cache = {"T2V_MODELS_CACHE": str(tmp_path / "cache")}
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    processes = [begun(hub, folder, profile, **cache) for folder in folders]
    until(lambda: hub.listings == 2 and bool(hub.sent_of(TRANSFORMER)))
    hub.go_on.set()
    ends = [ended(*each) for each in zip(processes, folders, strict=True)]
    assert [code for code, *_ in ends] == [ExitCode.DONE] * 2
    # Who waited tells what came while it did.
    first, second = (record.model_copy(update={"fetched_bytes": None}) for *_, record in ends)
    assert first == second
    assert hub.sent_of(TRANSFORMER) == [(0, len(wan[TRANSFORMER]))]


@pytest.mark.parametrize(
    ("refused", "code", "reason", "said"),
    [
        pytest.param(
            Refusal(403, "GatedRepo"),
            ExitCode.MODEL_REFUSED,
            Reason.MODEL_NOT_LOADABLE,
            "accept its licence",
            id="gated",
        ),
        pytest.param(
            Refusal(429),
            ExitCode.STORAGE_OR_NETWORK,
            Reason.STORAGE_FAILED,
            "too many requests",
            id="too many requests",
        ),
    ],
)
def test_a_refusal_is_on_record(
    hub: Hub, tmp_path: Path, refused: Refusal, code: ExitCode, reason: Reason, said: str
) -> None:
    hub.refusals[f"/revision/{COMMIT}"] = refused
    ended_with, told, record = prefetched(hub, tmp_path, of_hub(ModelFamily.WAN, WAN))
    assert (ended_with, told) == (code, [])
    assert isinstance(record, GenerationFailure)
    assert (record.reason, record.stage) == (reason, Stage.DOWNLOAD)
    assert said in record.message


def test_a_model_of_another_family_is_refused(hub: Hub, tmp_path: Path) -> None:
    code, _, record = prefetched(hub, tmp_path, of_hub(ModelFamily.LTX, WAN))
    assert code == ExitCode.MODEL_REFUSED
    assert isinstance(record, GenerationFailure)
    assert "names the pipeline 'WanPipeline'" in record.message
    assert hub.paths_sent == {"model_index.json"}, "that is seen before anything large comes"


def test_a_limit_that_is_too_small_is_told(hub: Hub, tmp_path: Path) -> None:
    profile = of_hub(ModelFamily.WAN, WAN)
    code, _, record = prefetched(hub, tmp_path, profile, T2V_MODELS_CACHE_BYTES="1000")
    assert code == ExitCode.MODEL_REFUSED
    assert isinstance(record, GenerationFailure)
    assert "T2V_MODELS_CACHE_BYTES" in record.message


def test_a_signal_ends_it(hub: Hub, tmp_path: Path) -> None:
    hub.held[TRANSFORMER] = 1_000
    process = begun(hub, tmp_path, of_hub(ModelFamily.WAN, WAN))
    until(lambda: bool(hub.sent_of(TRANSFORMER)))
    process.send_signal(signal.SIGTERM)
    code, _, record = ended(process, tmp_path)
    assert code == ExitCode.STOPPED
    assert isinstance(record, GenerationFailure)
    assert record.reason is Reason.STOPPED
    assert not (tmp_path / "cache" / "models" / "owner--wan" / COMMIT).exists()


def test_a_signal_does_not_wait_for_a_hub(hub: Hub, tmp_path: Path) -> None:
    hub.held["model_index.json"] = 0
    process = begun(hub, tmp_path, of_hub(ModelFamily.WAN, WAN))
    until(lambda: bool(hub.sent_of("model_index.json")))
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, _, record = ended(process, tmp_path)
    assert time.monotonic() - asked < 5
    assert code == ExitCode.STOPPED
    assert isinstance(record, GenerationFailure)
    assert record.reason is Reason.STOPPED


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param({"T2V_MODEL": "{"}, "T2V_MODEL does not fit", id="no profile"),
        pytest.param(
            {"T2V_MODEL": a_profile(ModelFamily.WAN, Path("/models/wan")).json_line()},
            "is at /models/wan: there is nothing to prefetch",
            id="a folder of the image",
        ),
    ],
)
def test_what_cannot_be_prefetched_is_refused(
    hub: Hub, tmp_path: Path, environment: dict[str, Any], said: str
) -> None:
    code, _, record = prefetched(hub, tmp_path, of_hub(ModelFamily.WAN, WAN), **environment)
    assert code == ExitCode.REQUEST_REFUSED
    assert isinstance(record, GenerationFailure)
    assert said in record.message


def test_the_environment_says_what_may_be_done_in_the_cache() -> None:
    cache = read_cache(
        {
            "T2V_MODELS_CACHE": "/cache",
            "T2V_MODELS_CACHE_BYTES": "1000000",
            "T2V_MODELS_IN_USE": "owner--a/0123, owner--b/4567",
        }
    )
    assert cache.root == Path("/cache/models")
    assert (cache.limit, cache.is_read_only) == (1_000_000, False)
    assert cache.in_use == {"owner--a/0123", "owner--b/4567"}
    with pytest.raises(RequestRefused, match="T2V_MODELS_CACHE_BYTES is '1GB'; it is a number"):
        read_cache({"T2V_MODELS_CACHE_BYTES": "1GB"})
    assert read_cache({"T2V_MODELS_WAIT_SECONDS": "1800"}).wait_seconds == 1800
    assert read_cache({}).wait_seconds == 0
    with pytest.raises(RequestRefused, match="'30m'; it is a number of seconds"):
        read_cache({"T2V_MODELS_WAIT_SECONDS": "30m"})


@pytest.mark.parametrize("text", ["", "{}", '{"kind": "GenerationResult"}'])
def test_another_record_is_none_of_a_prefetch(text: str) -> None:
    with pytest.raises(ContractError, match="not a prefetch's record"):
        read_prefetch(text)

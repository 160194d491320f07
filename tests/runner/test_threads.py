"""As many threads as CPUs may be used, by what the environment, a limit and the mask say."""

import os
from pathlib import Path

import pytest
from t2v_runner.container import cpus, idle_cpus, memory_bytes
from t2v_runner.threads import SPINS, SPINS_BESIDE_OTHERS, set_threads

GIB = 2**30


def a_group(folder: Path, **files: str) -> Path:
    """A control group whose files are named with two underscores for a dot, and `v1_` for v1."""
    for name, text in files.items():
        path = folder / name.replace("__", ".").replace("v1_cpu_", "cpu/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    return folder


@pytest.fixture
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


@pytest.mark.usefixtures("eight_cpus")
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"cpu__max": "150000 100000"}, 1.5, id="v2, a CPU and a half"),
        pytest.param({"cpu__max": "max 100000"}, 8, id="v2, no limit"),
        pytest.param({"cpu__max": "6400000 100000"}, 8, id="v2, more than the mask allows"),
        pytest.param(
            {"v1_cpu_cpu__cfs_quota_us": "400000", "v1_cpu_cpu__cfs_period_us": "100000"},
            4,
            id="v1, four",
        ),
        pytest.param(
            {"v1_cpu_cpu__cfs_quota_us": "-1", "v1_cpu_cpu__cfs_period_us": "100000"},
            8,
            id="v1, no limit",
        ),
        pytest.param({}, 8, id="no control group"),
    ],
)
def test_the_limit_and_the_mask_say_how_many_cpus(
    files: dict[str, str], expected: float, tmp_path: Path
) -> None:
    assert cpus(a_group(tmp_path, **files)) == expected


@pytest.mark.parametrize(("count", "threads"), [(0.5, "1"), (1.9, "1"), (4.0, "4")])
def test_a_thread_for_each_whole_cpu(count: float, threads: str) -> None:
    environment: dict[str, str] = {}
    set_threads(environment, count, idle_cpus=64)
    assert environment == {"OMP_NUM_THREADS": threads, "GOMP_SPINCOUNT": SPINS}


@pytest.mark.parametrize(("idle", "spins"), [(1.4, SPINS_BESIDE_OTHERS), (1.9, SPINS)])
def test_threads_wait_asleep_where_others_want_the_cpus(idle: float, spins: str) -> None:
    environment: dict[str, str] = {}
    set_threads(environment, 2, idle)
    assert environment["GOMP_SPINCOUNT"] == spins


def test_idle_cpus_are_counted_between_two_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statistics = tmp_path / "stat"
    statistics.write_text("cpu 100 0 0 1000 50 0 0 0 0 0\ncpu0 1 2\n")

    def pause(seconds: float) -> None:
        statistics.write_text("cpu 110 0 0 1025 55 0 0 0 0 0\n")

    monkeypatch.setattr("time.sleep", pause)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert idle_cpus(statistics) == 6  # 30 of 40 ticks


def test_what_the_environment_says_stays() -> None:
    said = {"OMP_NUM_THREADS": "3", "OMP_WAIT_POLICY": "active"}
    environment = dict(said)
    set_threads(environment, 8, idle_cpus=8)
    assert environment == said


def test_memory_is_the_limit_where_there_is_one(tmp_path: Path) -> None:
    whole = memory_bytes(tmp_path)
    assert whole > GIB
    assert memory_bytes(a_group(tmp_path, memory__max="max")) == whole
    assert memory_bytes(a_group(tmp_path, memory__max=str(GIB))) == GIB

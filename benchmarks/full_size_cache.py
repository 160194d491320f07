"""A model cache of 1 GB and models of 300 MB: what comes, what goes, and what is told of faults.

The tests do the same with models of 300 kB; here files are so large that pieces, sums and disks
count as they do for real. Each prefetch is the runner's own program, the hub is the tests' on this
machine. Fetched are random bytes in a safetensors file; nothing is drawn. A full disk is a small
tmpfs in a mount namespace of its own, which needs root.

python -m benchmarks.full_size_cache    # about five minutes; 4 GB of disk, 3 GB of memory
"""

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from t2v_api.family import ModelFamily
from t2v_api.prefetch import PrefetchResult, read_prefetch
from t2v_api.profile import ModelProfile, ModelSource
from t2v_api.reasons import ExitCode
from t2v_api.result import GenerationFailure
from t2v_runner.hub.place import bytes_below

from tests.runner.hub_server import COMMIT, OTHER_COMMIT, Hub, Repository, serving
from tests.runner.tiny_models import a_profile

ROOT = Path(__file__).parents[1]
NAMES = "abcde"
WEIGHTS = "vae/diffusion_pytorch_model.safetensors"
MODEL_BYTES = 300_000_000
LIMIT = 1_000_000_000
HALF = 100_000_000
DISK = "350m"
FILL_DISK = f"""
mount -t tmpfs -o size={DISK} tmpfs "$T2V_MODELS_CACHE"
"$@" & runner=$!
while [ ! -e "$FOLDER/go" ]; do sleep 0.1; done
head -c 200000000 /dev/zero > "$T2V_MODELS_CACHE/filler"
touch "$FOLDER/filled"
wait $runner; code=$?
ls "$T2V_MODELS_CACHE/models/owner--a" > "$FOLDER/listing"
exit $code
"""
SMALL_DISK = """
mount -t tmpfs -o size=200m tmpfs "$T2V_MODELS_CACHE"
exec "$@"
"""
DEADLINE_SECONDS = 300.0


def main() -> int:
    """All of them, one after the other; each says what was seen. The first fault ends it."""
    for story in (
        five_models_in_a_cache_of_three,
        a_killed_download_is_gone_on_with,
        two_prefetches_of_one_model,
        a_branch_that_moved,
        a_disk_that_is_too_small,
        a_disk_that_fills_up,
    ):
        began = time.monotonic()
        with a_world() as world:
            seen = story(world)
            world.check_that_all_is_whole()
        print(f"{story.__name__}: {seen} ({time.monotonic() - began:.0f} s)", flush=True)
    return 0


@dataclass
class World:
    """A hub, and a folder with a cache."""

    hub: Hub
    folder: Path

    @property
    def models(self) -> Path:
        return self.folder / "cache" / "models"

    @property
    def there(self) -> str:
        """The names of the models that have a model's name."""
        return "".join(name for name in NAMES if self.place(name).is_dir())

    def place(self, name: str, commit: str = COMMIT) -> Path:
        return self.models / f"owner--{name}" / commit

    def begun(
        self, name: str, revision: str = COMMIT, shell: str = "", log: str = "record", **more: str
    ) -> "subprocess.Popen[str]":
        """The prefetch of a model; `shell`: what a shell of a mount namespace of its own does."""
        profile = a_profile(ModelFamily.LATTE, Path())
        source = ModelSource(hub=f"owner/{name}", revision=revision)
        environment = self.environment(profile.model_copy(update={"source": source}))
        environment |= {"T2V_TERMINATION_LOG": str(self.folder / log), **more}
        command = [sys.executable, "-m", "t2v_runner.hub"]
        if shell:
            command = ["unshare", "-m", "sh", "-c", shell, "sh", *command]
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def environment(self, profile: ModelProfile | None = None) -> dict[str, str]:
        folders = [ROOT, *(ROOT / name for name in ("api", "runner"))]
        return {
            **os.environ,
            "FOLDER": str(self.folder),
            "HF_ENDPOINT": self.hub.url,
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "T2V_MODELS_CACHE": str(self.folder / "cache"),
            "T2V_MODEL": profile.json_line() if profile else "",
        }

    def ended(
        self, process: "subprocess.Popen[str]", log: str = "record"
    ) -> PrefetchResult | GenerationFailure:
        process.wait(DEADLINE_SECONDS)
        record = read_prefetch((self.folder / log).read_text())
        code = ExitCode.DONE if isinstance(record, PrefetchResult) else record.exit_code
        assert process.returncode == code, (process.returncode, record)
        return record

    def prefetched(self, name: str, **more: str) -> PrefetchResult | GenerationFailure:
        return self.ended(self.begun(name, **more))

    @contextlib.contextmanager
    def reader(self, name: str) -> Iterator[None]:
        """A process that reads a model from the cache, which it may not write."""
        with subprocess.Popen(
            [sys.executable, "-m", "tests.runner.hub_process", f"owner/{name}"],
            env=self.environment() | {"T2V_MODELS_READ_ONLY": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            assert f"{self.place(name)}\n" in iter(process.stdout.readline, "")
            yield
            process.communicate()

    def held(self) -> int:
        """Bytes that the hub has sent of weights by now."""
        return sum(count for _, count in self.hub.sent_of(WEIGHTS))

    def check_that_all_is_whole(self) -> None:
        """What has a model's name has all of its bytes, as the hub has them."""
        for name in NAMES:
            for commit in (COMMIT, OTHER_COMMIT):
                weights = self.place(name, commit) / WEIGHTS
                if self.place(name, commit).is_dir():
                    assert (
                        weights.read_bytes()
                        == self.hub.repositories[f"owner/{name}"].files[WEIGHTS]
                    )


def a_model() -> Repository:
    """A repository whose one component has random weights."""
    index = {"_class_name": "LattePipeline", "vae": ["diffusers", "AutoencoderKL"]}
    entry = {"dtype": "U8", "shape": [MODEL_BYTES], "data_offsets": [0, MODEL_BYTES]}
    header = json.dumps({"weight": entry}).encode()
    weights = struct.pack("<Q", len(header)) + header + os.urandom(MODEL_BYTES)
    files = {"model_index.json": json.dumps(index).encode(), "vae/config.json": b"{}"}
    return Repository(files | {WEIGHTS: weights})


@contextlib.contextmanager
def a_world() -> Iterator[World]:
    models = {f"owner/{name}": a_model() for name in NAMES}
    with tempfile.TemporaryDirectory() as folder, serving(Hub(models)) as hub:
        Path(folder, "cache").mkdir()
        yield World(hub, Path(folder))


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not is_so():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.05)


def five_models_in_a_cache_of_three(world: World) -> str:
    """The least recently used goes; what a process reads, or what a Job is to draw with, stays."""
    limit = {"T2V_MODELS_CACHE_BYTES": str(LIMIT)}
    seen = []
    for name in "abcd":
        assert isinstance(world.prefetched(name, **limit), PrefetchResult)
        seen.append(world.there)
        assert bytes_below(world.models) <= LIMIT
    assert seen == ["a", "ab", "abc", "bcd"], seen
    with world.reader("b"):
        in_use = {"T2V_MODELS_IN_USE": f"owner--c/{COMMIT}"}
        assert isinstance(world.prefetched("e", **limit, **in_use), PrefetchResult)
        seen.append(world.there)
        assert seen[-1] == "bce", "b is read and c is promised: d goes"
        both = {"T2V_MODELS_IN_USE": f"owner--c/{COMMIT},owner--e/{COMMIT}"}
        refused = world.prefetched("a", **limit, **both)
        assert isinstance(refused, GenerationFailure)
        assert "is in use" in refused.message, refused.message
    assert bytes_below(world.models) <= LIMIT
    return f"{', '.join(seen)}; then: {refused.message}"


def a_killed_download_is_gone_on_with(world: World) -> str:
    world.hub.held[WEIGHTS] = HALF
    process = world.begun("a")
    part = world.models / "owner--a" / f"{COMMIT}.part" / f"{WEIGHTS}.part"
    until(lambda: part.exists() and part.stat().st_size >= HALF * 0.8)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert world.there == ""
    had = part.stat().st_size
    world.hub.go_on.set()
    world.hub.sent.clear()
    record = world.prefetched("a")
    assert isinstance(record, PrefetchResult)
    ((start, _),) = world.hub.sent_of(WEIGHTS)
    assert start == had
    return f"killed at {had:,} bytes, went on from {start:,}"


def two_prefetches_of_one_model(world: World) -> str:
    world.hub.held[WEIGHTS] = HALF
    logs = ("first", "second")
    processes = [world.begun("a", log=log) for log in logs]
    until(lambda: world.hub.listings == 2 and world.held() >= HALF)
    assert world.there == ""
    world.hub.go_on.set()
    records = [world.ended(each, log) for each, log in zip(processes, logs, strict=True)]
    assert all(isinstance(each, PrefetchResult) for each in records)
    assert world.held() == len(world.hub.repositories["owner/a"].files[WEIGHTS])
    return "one download for both"


def a_branch_that_moved(world: World) -> str:
    before = world.ended(world.begun("a", "main"))
    world.hub.repositories["owner/a"].commit = OTHER_COMMIT
    after = world.ended(world.begun("a", "main"))
    assert isinstance(before, PrefetchResult)
    assert isinstance(after, PrefetchResult)
    assert (before.commit, after.commit) == (COMMIT, OTHER_COMMIT)
    assert world.place("a").is_dir(), "whoever has the earlier commit goes on with it"
    return f"main was {COMMIT[:12]}, then {OTHER_COMMIT[:12]}; both are there"


def a_disk_that_is_too_small(world: World) -> str:
    if os.geteuid():
        return "not tried: a mount needs root"
    record = world.ended(world.begun("a", shell=SMALL_DISK))
    assert isinstance(record, GenerationFailure)
    assert "has 0.2" in record.message and "free" in record.message, record.message
    assert not world.held(), "nothing is fetched"
    return record.message


def a_disk_that_fills_up(world: World) -> str:
    if os.geteuid():
        return "not tried: a mount needs root"
    world.hub.held[WEIGHTS] = HALF
    process = world.begun("a", shell=FILL_DISK)
    until(lambda: world.held() >= HALF)
    (world.folder / "go").touch()
    until((world.folder / "filled").exists)
    world.hub.go_on.set()
    record = world.ended(process)
    assert isinstance(record, GenerationFailure)
    assert COMMIT not in (world.folder / "listing").read_text().split()
    return record.message


if __name__ == "__main__":
    sys.exit(main())

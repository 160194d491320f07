"""How soon the runner draws, beside a plain script: to the first step, to the MP4, and memory.

With tiny-shapes and with a gigabyte of random weights, which are written once. Wanted, as ratios:
0.6 to the first step, 0.8 to the MP4, 0.8 of the peak. `--neighbour`: beside a process that wants
one core for itself.

    python -m benchmarks.runner_start [--rounds 7] [--neighbour]
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.random_wan import its_profile, its_request, write_random_wan
from benchmarks.runner import MODELS, compare, the_example

CACHE = Path.home() / ".cache" / "text-to-video-operator"


def main() -> None:
    """Two tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--neighbour", action="store_true", help="beside a busy process")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of the random weights")
    arguments = parser.parse_args()
    write_random_wan(arguments.cache)
    with _neighbours(int(arguments.neighbour)):
        print("tiny-shapes, 25 steps")
        compare(*the_example(), MODELS, arguments.rounds)
        print("1 GB of random weights, 2 steps")
        compare(its_request(), its_profile(), arguments.cache, arguments.rounds)


@contextmanager
def _neighbours(count: int) -> Iterator[None]:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in busy:
            each.kill()


if __name__ == "__main__":
    main()

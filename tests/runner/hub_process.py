"""Fetch a hub model as a process of its own, and read it until standard input ends.

What is told goes to standard output, a line each. The environment names the cache.

python -m tests.runner.hub_process OWNER/NAME
"""

import logging
import os
import sys

from huggingface_hub import constants
from t2v_api.profile import ModelSource
from t2v_runner.hub.cache import read_cache
from t2v_runner.hub.needs import pipeline_needs
from t2v_runner.hub.store import ModelStore

from tests.runner.hub_server import COMMIT

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    # Pieces that are smaller than the tests' files.
    constants.DOWNLOAD_CHUNK_SIZE = 4096
    cache = read_cache(os.environ)
    with ModelStore(cache, lambda *told: print(*told, flush=True), 0.02) as store:
        source = ModelSource(hub=sys.argv[1], revision=COMMIT)
        print(store.folder_of(source, pipeline_needs), flush=True)
        sys.stdin.read()

"""Fetch a hub model as a process of its own: what is told goes to standard output, a line each.

python -m tests.runner.hub_process ROOT
"""

import logging
import sys
from pathlib import Path

from huggingface_hub import constants
from t2v_api.profile import ModelSource
from t2v_runner.hub.needs import pipeline_needs
from t2v_runner.hub.store import ModelStore

from tests.runner.hub_server import COMMIT

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    # Pieces that are smaller than the tests' files.
    constants.DOWNLOAD_CHUNK_SIZE = 4096
    store = ModelStore(Path(sys.argv[1]), lambda *told: print(*told, flush=True), 0.02)
    print(store.folder_of(ModelSource(hub="owner/name", revision=COMMIT), pipeline_needs))

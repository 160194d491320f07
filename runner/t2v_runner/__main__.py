"""`python -m t2v_runner`: the container's command."""

import gc
import logging
import os
import sys
from collections.abc import Callable

from t2v_runner import container
from t2v_runner.put_off import leave_out, put_off_what_few_need
from t2v_runner.read_ahead import open_torch_ahead
from t2v_runner.stop import STOPPED, Interrupted, StopSignal, leave_record
from t2v_runner.threads import set_threads


def run() -> int:
    """Make the video, or leave the record of a stop; returns the exit code."""
    stop = StopSignal()
    stop.listen()
    stop.end_in_time()
    try:
        with stop.breaking_in():
            make = prepare()
    except Interrupted:
        leave_record(stop.stage)
        return STOPPED
    return make(stop)


def prepare() -> Callable[[StopSignal], int]:
    """Nothing large is imported before it is said how; returns what is to be called."""
    gc.disable()  # What is imported stays; Python looks for garbage once the model is loaded.
    set_threads(os.environ, container.cpus(), container.idle_cpus())
    # Else each tensor that streams from the host's memory takes the next power of two there.
    os.environ.setdefault("PYTORCH_ALLOC_CONF", "pinned_max_round_threshold_mb:1")
    put_off_what_few_need()
    if '"loras"' not in os.environ.get("T2V_REQUEST", ""):
        leave_out("peft")
    open_torch_ahead()

    from t2v_runner.main import main

    return main


code = run()
# Everything is on disk by now. Python's own way out would take torch apart object by object,
# which costs a second and more memory than the video did; the kernel frees all of it at once.
logging.shutdown()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)

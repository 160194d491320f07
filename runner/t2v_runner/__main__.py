"""`python -m t2v_runner`: the container's command."""

import logging
import os
import sys

from t2v_runner.main import main

code = main()
# Everything is on disk by now. Python's own way out would take torch apart object by object,
# which costs a second and more memory than the video did; the kernel frees all of it at once.
logging.shutdown()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)

"""`python -m t2v_runner.hub`: the prefetch's command."""

import logging
import os
import sys

from t2v_runner.hub.prefetch import main

code = main()
# Threads whose connections hang are left as they are: Python would wait for what they hold.
logging.shutdown()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)

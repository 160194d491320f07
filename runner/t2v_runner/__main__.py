"""`python -m t2v_runner`: the container's command."""

import sys

from t2v_runner.main import main

sys.exit(main())

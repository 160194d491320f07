"""`python -m t2v_operator`: the same as `t2v`."""

import sys

from t2v_operator.cli.main import main

sys.exit(main())

"""`python -m t2v_gateway`."""

import sys

from t2v_gateway.main import main

if __name__ == "__main__":
    sys.exit(main())

"""`python tests/cluster/harness up|down|status|env|prepare`."""

import sys
from pathlib import Path

# Started as a folder, Python puts the folder itself first on the path: its parent belongs there.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from harness.cli import main  # noqa: E402

sys.exit(main(sys.argv[1:]))

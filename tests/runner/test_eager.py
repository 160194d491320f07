"""The compiler stays out of a process that never compiles, and comes when it is called."""

import subprocess
import sys

SCRIPT = """
import sys
from t2v_runner.eager import load_without_compiler
load_without_compiler()
import torch
from diffusers import AnimateDiffPipeline
print(any(name.startswith("torch._dynamo.") for name in sys.modules))
print(torch._dynamo.is_compiling())
print("torch._dynamo.eval_frame" in sys.modules)
from torch._dynamo.eval_frame import OptimizedModule
print(torch._dynamo.eval_frame.OptimizedModule is OptimizedModule)
"""


def test_the_compiler_is_loaded_only_when_somebody_needs_it() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["False", "False", "True", "True"], done.stderr

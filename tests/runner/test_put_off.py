"""Modules that run only when something of them is used, each in a process of its own."""

import subprocess
import sys

import pytest

USED = {
    "scipy's beta, as schedulers use it": """
        import scipy.stats
        assert "scipy.stats._stats_py" not in sys.modules
        assert abs(scipy.stats.beta.ppf(0.5, 0.6, 0.6) - 0.5) < 1e-9
    """,
    "scipy's quad, as LMS uses it": """
        from scipy import integrate
        assert "scipy.integrate._quadrature" not in sys.modules
        assert abs(integrate.quad(lambda x: x, 0, 1)[0] - 0.5) < 1e-9
    """,
    "a function that was imported by its name": """
        from scipy.optimize import linear_sum_assignment
        assert "scipy.optimize._optimize" not in sys.modules
        assert [list(each) for each in linear_sum_assignment([[1, 0], [0, 1]])] == [[0, 1], [1, 0]]
        import scipy.optimize
        assert scipy.optimize.linear_sum_assignment is not linear_sum_assignment
    """,
    "a module of a package that is put off": """
        import torch._dynamo.device_interface as interfaces
        assert interfaces is sys.modules["torch._dynamo"].device_interface
        assert interfaces.__spec__.origin == interfaces.__file__
        assert "torch._dynamo.convert_frame" in sys.modules
    """,
    "the compiler": """
        import torch
        @torch.compiler.assume_constant_result
        def two():
            return 2
        @torch.compiler.disable()
        def three():
            return 3
        assert two() + three() == 5
        assert not isinstance(torch.nn.Identity(), torch._dynamo.eval_frame.OptimizedModule)
        assert "torch._dynamo.convert_frame" not in sys.modules
        compiled = torch.compile(torch.nn.Identity(), backend="eager")
        assert compiled(torch.ones(1)) == 1
        assert isinstance(compiled, torch._dynamo.eval_frame.OptimizedModule)
        # What it was told before it was there, it knows now.
        assert two._dynamo_marked_constant and three._torchdynamo_disable
    """,
}


@pytest.mark.parametrize("use", USED.values(), ids=USED.keys())
def test_a_module_that_is_put_off_is_itself_once_it_is_used(use: str) -> None:
    lines = [line.removeprefix(" " * 8) for line in use.strip("\n").splitlines()]
    program = [
        "import sys",
        "from t2v_runner.put_off import put_off_what_few_need",
        "put_off_what_few_need()",
        *lines,
    ]
    subprocess.run([sys.executable, "-c", "\n".join(program)], check=True)


def test_a_module_that_is_there_stays_the_one_it_is() -> None:
    program = "\n".join(
        [
            "import scipy.stats",
            "from t2v_runner.put_off import put_off_what_few_need",
            "put_off_what_few_need()",
            "import sys",
            "assert sys.modules['scipy.stats'] is scipy.stats",
            "assert 'beta' in vars(scipy.stats)",
        ]
    )
    subprocess.run([sys.executable, "-c", program], check=True)

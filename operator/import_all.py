"""Import all that the operator's image may ever import, wherever in the code the import stands.

Runs once while the image is built. What is missing fails the build; what Python compiles on the way
stays in the image, whose root file system is read-only in a cluster. That is less than half of what
is installed, and no list has to be kept.
"""

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

PROGRAMS = ("t2v_api", "t2v_client", "t2v_operator", "t2v_gateway")
NOT_IN_THE_IMAGE = frozenset({"argcomplete", "rich"})
"""For the terminal and the shell of whoever types on a machine of their own."""


def import_all(program: Path) -> None:
    """`program`: the folder of a package that can be imported. Raises ImportError."""
    for file in sorted(program.rglob("*.py")):
        if file.name == "__main__.py":
            continue
        import_module(".".join(file.relative_to(program.parent).with_suffix("").parts))
        for module, names in imports_of(file):
            if module.partition(".")[0] not in NOT_IN_THE_IMAGE:
                _import(module, names)


def imports_of(file: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The modules of all import statements, and what is taken from each."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((each.name, ()) for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, tuple(each.name for each in node.names)


def _import(module: str, names: tuple[str, ...]) -> None:
    found = import_module(module)
    for name in names:
        if not hasattr(found, name):
            import_module(f"{module}.{name}")


if __name__ == "__main__":
    for name in PROGRAMS:
        import_all(Path(__file__).parent / name)
    sys.stderr.write(f"{len(sys.modules)} modules can be imported\n")

"""The pages that people read in the repository, and the blocks of code in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_FOR_READERS = ("dev-notes.md", "dev-notes-cluster.md")

BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>.+) -->\n)?(?P<indent> *)```(?P<language>\w*)\n(?P<text>(?:.*\n)*?) *```$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block, and the comment before it."""

    page: str
    line: int
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> tuple[Path, ...]:
    """README, docs/ and what else is on the site."""
    top = (ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md"))
    inside = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "models").rglob("README.md")]
    return (*top, *sorted(page for page in inside if page.name not in NOT_FOR_READERS))


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(*languages: str) -> list[Block]:
    """Every block in one of these languages."""
    return [each for page in pages() for each in _blocks_of(page) if each.language in languages]


def _blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(name_of(page), line, found["language"], found["text"], found["mark"] or "")


def without_code(text: str) -> str:
    """The page without blocks, comments and what stands between backticks."""
    text = re.sub(r"^( *)(```+).*\n(?:.*\n)*?\1\2 *$", "", text, flags=re.MULTILINE)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return re.sub(r"(`+)[^`]+\1|<code.*?</code>", "`code`", text)

"""Build the documentation's site from docs/: python scripts/docs_site.py

The pages are written to be read in the repository. For the site they are laid out anew, under
build/docs: with the changelog, the models' cards and the like as pages, and each file or folder of
the repository that one of them links to as a page of its own. So no link leads out of the site.
zensical.toml says the rest.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
STAGED = ROOT / "build" / "docs"

NOT_OF_THE_SITE = ("dev-notes.md", "dev-notes-cluster.md")
"""Of docs/: for whoever works on the project."""
PAGES_FROM_ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "models/catalogue/README.md": "models/catalogue.md",
    "models/tiny-shapes/README.md": "models/tiny-shapes.md",
    "models/tiny-shapes-bars/README.md": "models/tiny-shapes-bars.md",
}
"""Where each is on the site. What links to the README goes home; its text is for the repository."""
LANGUAGES = {".py": "python", ".yaml": "yaml", ".lua": "lua", ".json": "json", ".toml": "toml"}
PICTURES = (".png", ".svg", ".webp", ".jpg")

FENCE = re.compile(r"^ *(```+|~~~+)")
ITEM = re.compile(r"^(- |\d+\. )")
CODE = re.compile(r"(`+[^`]*`+|<code.*?</code>)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE_NAME = re.compile(r"\[(?:docs/)?(?:[\w-]+/)*([\w-]+)\.md\]\(")
"""A link that is called as its file is."""
NAMED = re.compile(r"(?<![\w/\[])(?<!\]\()docs/[\w/-]+\.md")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+\.svg)\)")
MARK = re.compile(r"^<!-- (run|not run): (.+) -->$")


class NotFoundError(Exception):
    """A page links to what is not there, or to what is not on the site."""


def main() -> None:
    """Lay the pages out and build them; any warning ends it."""
    stage(STAGED)
    # The builder's own command: it has no interface for programs.
    ended = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict", "--clean"], cwd=ROOT, check=False
    )
    sys.exit(ended.returncode)


def stage(into: Path) -> None:
    """Write every page and picture of the site into an empty folder. Raises NotFoundError."""
    shutil.rmtree(into, ignore_errors=True)
    waiting, done = list(_first_sources()), set[Path]()
    while waiting:
        source = waiting.pop()
        if source in done:
            continue
        done.add(source)
        target = into / place_of(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_file() and not _is_a_page(source):
            shutil.copyfile(source, target)
            continue
        text, linked = page_of(source)
        target.write_text(text)
        waiting += linked


def _first_sources() -> Iterator[Path]:
    for path in DOCS.rglob("*"):
        if path.is_file() and path.name not in NOT_OF_THE_SITE:
            yield path
    yield from (ROOT / name for name in PAGES_FROM_ELSEWHERE if name != "README.md")


def place_of(source: Path) -> PurePosixPath:
    """Where a file or folder of the repository is on the site. Raises NotFoundError."""
    name = PurePosixPath(source.relative_to(ROOT).as_posix())
    if str(name) in PAGES_FROM_ELSEWHERE:
        return PurePosixPath(PAGES_FROM_ELSEWHERE[str(name)])
    if source.name in NOT_OF_THE_SITE:
        raise NotFoundError(f"{name} is not on the site")
    if source.is_dir():
        return "files" / name / "index.md"
    if name.parts[0] == "docs":
        return name.relative_to("docs")
    return "files" / (name if source.suffix in PICTURES else name.with_name(f"{name.name}.md"))


def _is_a_page(source: Path) -> bool:
    return place_of(source).suffix == ".md"


def page_of(source: Path) -> tuple[str, list[Path]]:
    """The page's text as the site has it, and what it links to."""
    if source.is_dir():
        return _folder_page(source)
    if source.suffix == ".md":
        return _page(source)
    return _file_page(source), []


def _page(source: Path) -> tuple[str, list[Path]]:
    linked: list[Path] = []

    def as_on_the_site(match: re.Match[str]) -> str:
        target, anchor = _target_of(source, match[1])
        if target is None:
            return match[0]
        linked.append(target)
        return f"]({_way(source, target)}{anchor})"

    def linked_names(piece: str) -> str:
        return NAMED.sub(lambda match: _as_link(source, match[0]), FILE_NAME.sub(r"[\1](", piece))

    def prose(line: str) -> str:
        if picture := PICTURE.fullmatch(line):
            return _drawn_in(source, picture)
        pieces = CODE.split(line)
        pieces[::2] = [LINK.sub(as_on_the_site, linked_names(each)) for each in pieces[::2]]
        return MARK.sub(_said_below, "".join(pieces))

    return _outside_of_code(_with_deep_lists(source.read_text()), prose), linked


def _outside_of_code(text: str, change: Callable[[str], str]) -> str:
    """Change each line that stands in no fenced block. A mark moves below its block."""
    lines, fence, mark = [], "", ""
    for line in text.split("\n"):
        bounds = FENCE.match(line)
        if fence:
            lines.append(line)
            if bounds and bounds[1].startswith(fence):
                fence = ""
                lines += ["", change(mark), ""] if mark else []
                mark = ""
        elif bounds:
            fence = bounds[1]
            lines.append(line)
        elif MARK.match(line):
            mark = line
        else:
            lines.append(change(line))
    return "\n".join(lines)


def _with_deep_lists(text: str) -> str:
    """What belongs to an item, four spaces in, and an empty line before a list: CommonMark is
    content with less than the site's Markdown."""
    lines: list[str] = []
    width, fence = 0, ""
    for line in text.split("\n"):
        bounds, item = FENCE.match(line), ITEM.match(line)
        depth = len(line) - len(line.lstrip())
        if not fence and item:
            if not width and lines and lines[-1] and not lines[-1].startswith("#"):
                lines.append("")
            width = len(item[1])
        elif not fence and line and not depth:
            width = 0
        if width and depth:
            line = " " * (depth // width * 4 + depth % width) + line.lstrip()
        if bounds:
            fence = "" if fence and bounds[1].startswith(fence) else fence or bounds[1]
        lines.append(line)
    return "\n".join(lines)


def _said_below(match: re.Match[str]) -> str:
    said = "Run by" if match[1] == "run" else "Not run by a test:"
    return f'<p class="of-the-block">{said} {escape(match[2])}</p>'


def _target_of(source: Path, link: str) -> tuple[Path | None, str]:
    """What in the repository a link means, and its anchor; None where it leads elsewhere."""
    name, hash_sign, anchor = link.partition("#")
    if not name or re.match(r"[a-z]+:", name):
        return None, ""
    target = Path(os.path.normpath(source.parent / name))
    if not target.exists() or not target.is_relative_to(ROOT):
        raise NotFoundError(f"{source.relative_to(ROOT)} links to {link}, which is not there")
    return target, hash_sign + anchor


def _way(source: Path, target: Path) -> str:
    return os.path.relpath(place_of(target), place_of(source).parent)


def _as_link(source: Path, name: str) -> str:
    """A page of docs/ that is named in a sentence."""
    target = ROOT / name
    if not target.exists() or target.name in NOT_OF_THE_SITE:
        return name
    return f"[{target.stem}]({os.path.relpath(target, source.parent)})"


def _drawn_in(source: Path, match: re.Match[str]) -> str:
    """An SVG as part of the page: its colours can follow the page's."""
    target, _ = _target_of(source, match[2])
    assert target
    label = f'<svg role="img" aria-label="{escape(match[1])}" '
    drawing = target.read_text().replace("<svg ", label, 1)
    return '<div class="drawing" tabindex="0">' + re.sub(r"\n\s*", " ", drawing).strip() + "</div>"


def _file_page(source: Path) -> str:
    name = source.relative_to(ROOT).as_posix()
    text = source.read_text()
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    language = LANGUAGES.get(source.suffix, "text")
    return f"{_OF_THE_REPOSITORY}# {name}\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n"


def _folder_page(source: Path) -> tuple[str, list[Path]]:
    inside = sorted(path for path in source.rglob("*") if path.is_file())
    rows = [f"- [{path.relative_to(source).as_posix()}]({_way(source, path)})" for path in inside]
    heading = f"# {source.relative_to(ROOT).as_posix()}"
    return f"{_OF_THE_REPOSITORY}{heading}\n\n" + "\n".join(rows) + "\n", inside


_OF_THE_REPOSITORY = """---
search:
  exclude: true
hide:
  - toc
  - navigation
---

"""


if __name__ == "__main__":
    main()

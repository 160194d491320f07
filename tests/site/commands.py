"""The commands of a block of shell, and what a mark says of it."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

BUILT_IN = ("cd", "export", "eval", "echo", "source")
VALUE_FOLLOWS = ("-n", "--namespace", "-f", "-o", "-l", "--grace-period")
SEPARATORS = frozenset(("|", "||", "&", "&&", ";"))
REDIRECTIONS = frozenset((">", ">>", "<", "2>"))
FILE = "<file>"
"""In the place of a program: what follows a redirection."""
WORDS_OF = {"t2v": 2, "grep": 0}
"""How many of its words name what a program does; of others, one."""


@dataclass(frozen=True)
class Mark:
    """`run: FILE, FILE; not run: COMMAND, COMMAND`, or `not run: WHY`."""

    run_by: tuple[str, ...] = ()
    but_for: tuple[str, ...] = ()
    why_not: str = ""


def read_mark(text: str) -> Mark:
    """What a comment before a block says; empty where it says nothing of the kind."""
    if text.startswith("not run: "):
        return Mark(why_not=text.removeprefix("not run: "))
    if not text.startswith("run: "):
        return Mark()
    files, _, but_for = text.removeprefix("run: ").partition("; not run: ")
    return Mark(_listed(files), _listed(but_for))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


def commands(text: str) -> list[list[str]]:
    """The words of each command, those in `$(…)` too; comments and redirections are left out."""
    joined = text.replace("\\\n", " ")
    inner = re.findall(r"\$\(([^()]+)\)", joined)
    found: list[list[str]] = []
    for line in [*_whole_lines(joined), *inner]:
        found += _commands_in(line)
    return found


def _whole_lines(text: str) -> Iterator[str]:
    """Without comments; what is quoted over several lines is one."""
    begun = ""
    for line in text.splitlines():
        begun += f" {line}" if begun else re.sub(r"(^|\s)#.*", "", line)
        if begun.count("'") % 2 == 0:
            yield begun
            begun = ""


def _commands_in(line: str) -> list[list[str]]:
    lexer = shlex.shlex(
        re.sub(r"\$\([^()]+\)", "INNER", line), posix=True, punctuation_chars="|&;<>"
    )
    lexer.whitespace_split = True
    lexer.commenters = ""
    parts: list[list[str]] = [[]]
    for word in lexer:
        if word in SEPARATORS:
            parts.append([])
        elif word in REDIRECTIONS:
            parts.append([FILE])
        else:
            parts[-1].append(word)
    stripped = (_without_assignment(part) for part in parts)
    return [part for part in stripped if part and part[0] not in (*BUILT_IN, FILE)]


def _without_assignment(words: list[str]) -> list[str]:
    while words and re.match(r"\w+=", words[0]):
        words = words[1:]
    return words


def essence(command: list[str]) -> tuple[str, ...]:
    """The program and what it is to do: what a test that runs it must say too."""
    program = command[0].rsplit("/", 1)[-1]
    if program == "curl":
        address = next(word for word in command if "/" in word)
        return (address.rstrip("/").rsplit("/", 1)[-1],)
    bare = [
        word
        for before, word in pairwise(command)
        if not word.startswith("-") and before not in VALUE_FOLLOWS
    ]
    return (program, *bare[: WORDS_OF.get(program, 1)])

"""Ask a language model for a better prompt: the question's body, and how its answer is read. Pure.

The question is that of an OpenAI-compatible `/chat/completions`. Who asks, when, and where answers
are kept, the shell knows.
"""

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from t2v_api.family import ModelFamily
from t2v_api.resource import OutputPolicy, TextToVideoJobSpec
from t2v_api.start import Start

from t2v_operator.config import PromptEndpoint
from t2v_operator.core.instructions import instruction

THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
"""What models that reason say first, where their server leaves it in."""
FENCE = re.compile(r"\A```[a-z]*\n(.*?)\n?```\Z", re.DOTALL)
NO_TEXT = ("Cc", "Cs")
"""Unicode's categories of control characters, and of halves of characters."""
QUOTES = {'"': '"', "'": "'", "“": "”", "«": "»", "„": "“", "`": "`"}


class AnswerRefused(Exception):
    """An answer that is no prompt; says what is wrong with it, without quoting it."""


@dataclass(frozen=True)
class Question:
    """One prompt for a language model. Equal bodies are one question."""

    body: str
    """JSON, as it is sent."""
    most_characters: int
    most_words: int
    """Of the answer: with more the text encoder is sure to cut it."""
    may_be_stored: bool
    """Whether the answer may stay among the namespace's files, for later videos."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hex of all that makes the answer."""
        return hashlib.sha256(self.body.encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What came of a question: a prompt, or why there is none."""

    prompt: str = ""
    problem: str = ""


def question_about(
    spec: TextToVideoJobSpec, family: ModelFamily, start: Start, endpoint: PromptEndpoint
) -> Question:
    """How to put this prompt to a model of the family.

    Where the video's files are to go with its resource, no answer is left behind.
    """
    messages = [
        {"role": "system", "content": instruction(family, start)},
        {"role": "user", "content": spec.prompt},
    ]
    body = endpoint.parameters | {"model": endpoint.model, "messages": messages, "stream": False}
    files_go = spec.output_policy is OutputPolicy.DELETE or spec.output_ttl_seconds is not None
    return Question(
        body=json.dumps(body, sort_keys=True, ensure_ascii=False),
        most_characters=endpoint.max_characters,
        most_words=family.traits.prompt_tokens,
        may_be_stored=not files_go,
    )


def read_answer(body: bytes, question: Question) -> str:
    """The prompt in the body of an answer. Raises AnswerRefused."""
    try:
        choice = json.loads(body)["choices"][0]
        text = choice["message"]["content"]
        is_cut = choice.get("finish_reason") == "length"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise AnswerRefused("the language model's answer cannot be read") from None
    if not isinstance(text, str):
        raise AnswerRefused("the language model answered no text")
    if is_cut:
        raise AnswerRefused("the language model's answer was cut off")
    return checked(_bare(text), question)


def checked(prompt: str, question: Question) -> str:
    """`prompt` itself, if it can be drawn. Raises AnswerRefused."""
    if not any(each.isalpha() for each in prompt):
        raise AnswerRefused("the language model answered no words")
    if any(unicodedata.category(each) in NO_TEXT for each in prompt):
        raise AnswerRefused("the language model answered characters that are no text")
    if len(prompt) > question.most_characters:
        raise AnswerRefused(
            f"the language model answered {len(prompt)} characters, and at most "
            f"{question.most_characters} are taken"
        )
    words = len(prompt.split())
    if words > question.most_words:
        raise AnswerRefused(
            f"the language model answered {words} words, and the text encoder reads "
            f"{question.most_words} tokens"
        )
    return prompt


def _bare(text: str) -> str:
    """Without what models put around a prompt: thoughts, a fence, quotation marks, line breaks."""
    text = THOUGHTS.sub("", text).strip()
    fenced = FENCE.match(text)
    text = " ".join((fenced[1] if fenced else text).split())
    if len(text) < 2 or QUOTES.get(text[0]) != text[-1]:
        return text
    inner = text[1:-1]
    is_one_quotation = text[0] not in inner and text[-1] not in inner
    return inner.strip() if is_one_quotation else text

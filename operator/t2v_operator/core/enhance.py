"""What a prompt becomes: itself, with terms of quality, or as a language model wrote it. Pure.

The neighbour that says what a language model is asked, and reads its answer, is `enhancing`.
"""

from dataclasses import dataclass

from t2v_api.profile import ModelProfile, PromptEnhancement
from t2v_api.request import PROMPT_CHARACTERS
from t2v_api.resource import TextToVideoJobSpec
from t2v_api.start import Start

from t2v_operator.config import PromptEndpoint
from t2v_operator.core.enhancing import Answer, Question, question_about
from t2v_operator.core.prompt_tokens import most_tokens

QUALITY_TERMS = ("high quality", "sharp focus", "smooth motion", "consistent lighting")


@dataclass(frozen=True)
class Enhanced:
    """The prompt that is drawn."""

    prompt: str
    notices: tuple[str, ...] = ()
    question: Question | None = None
    """What is to be asked first; the prompt is then what there is without an answer."""


def enhance(
    spec: TextToVideoJobSpec,
    profile: ModelProfile,
    start: Start,
    endpoint: PromptEndpoint | None,
    answer: Answer | None,
) -> Enhanced:
    """As the user and the model's profile want it. Without an `answer`, Rules and a notice."""
    if not spec.enhance_prompt or profile.prompt_enhancement is PromptEnhancement.NONE:
        return Enhanced(spec.prompt)
    prompt = by_rules(spec.prompt, profile.family.traits.prompt_tokens)
    if profile.prompt_enhancement is PromptEnhancement.RULES:
        return Enhanced(prompt)
    if answer is None:
        question = question_about(spec, profile.family, start, endpoint) if endpoint else None
        return Enhanced(prompt, _notice("no language model was asked"), question)
    if answer.prompt and answer.prompt != prompt:
        return Enhanced(answer.prompt)
    # The earlier Job's prompt, where Rules made that, or what the model repeated.
    return Enhanced(prompt, _notice(answer.problem or "the language model gave no other prompt"))


def _notice(problem: str) -> tuple[str, ...]:
    return (f"{problem}, so the prompt was enhanced by Rules",)


def by_rules(prompt: str, prompt_tokens: int) -> str:
    """With the quality terms that it does not name yet, as long as there is room for them.

    `prompt_tokens`: what the text encoder reads. A term that it would cut off is not added, and
    the runner has nothing to say of a prompt that was short enough before.
    """
    enhanced = prompt.rstrip(" ,.\n\t")
    for term in QUALITY_TERMS:
        longer = f"{enhanced}, {term}"
        if term in prompt.lower():
            continue
        if len(longer) > PROMPT_CHARACTERS or most_tokens(longer) > prompt_tokens:
            break
        enhanced = longer
    return enhanced if len(enhanced) > len(prompt) else prompt

"""Prompt enhancement by built-in rules: the same prompt in, the same prompt out."""

from t2v_api.profile import PromptEnhancement
from t2v_api.request import PROMPT_CHARACTERS

QUALITY_TERMS = ("high quality", "sharp focus", "smooth motion", "consistent lighting")


def enhance(prompt: str, enhancement: PromptEnhancement) -> str:
    """Add the quality terms that the prompt does not name yet, as far as there is room."""
    if enhancement is PromptEnhancement.NONE:
        return prompt
    missing = [term for term in QUALITY_TERMS if term not in prompt.lower()]
    enhanced = ", ".join([prompt.rstrip(" ,.\n\t"), *missing])
    return enhanced if len(enhanced) <= PROMPT_CHARACTERS else prompt

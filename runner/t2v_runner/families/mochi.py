"""Mochi."""

from t2v_api.family import ModelFamily

from t2v_runner.families.base import Adapter


class Mochi(Adapter):
    """As every family is."""

    family = ModelFamily.MOCHI

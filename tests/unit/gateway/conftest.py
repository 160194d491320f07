"""Of the gateway's tests."""

import pytest
from t2v_gateway import videos


@pytest.fixture(autouse=True)
def other_replicas_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that is not known answers at once, unless a test says otherwise."""
    monkeypatch.setattr(videos, "LAG_SECONDS", 0.02)

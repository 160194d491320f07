"""What `kubectl wait`, Flux and Argo make of a VideoModel."""

from typing import Any

import pytest
from t2v_operator.core.models.decide import decide_model

from tests.unit.builders import a_config
from tests.unit.model_observations import (
    a_config_on_nodes,
    a_model_document,
    a_node,
    a_situation,
)
from tests.unit.test_kstatus import kstatus


def seen(**situation: Any) -> dict[str, Any]:
    """A VideoModel after a look at it."""
    status = decide_model(a_situation(**situation)).status
    assert status
    return a_model_document(status=status)


@pytest.mark.parametrize(
    ("model", "result"),
    [
        pytest.param(a_model_document(), "InProgress", id="no operator has seen it"),
        pytest.param(seen(), "InProgress", id="it is fetched"),
        pytest.param(seen(config=a_config()), "Failed", id="there is no cache"),
        pytest.param(seen(config=a_config_on_nodes()), "InProgress", id="there is no node"),
        pytest.param(
            seen(config=a_config_on_nodes(), nodes=[a_node("a")]), "InProgress", id="on a node"
        ),
        pytest.param(seen(model=a_model_document(prefetch=None)), "Current", id="ready"),
    ],
)
def test_a_model_reads_as_what_it_is(model: dict[str, Any], result: str) -> None:
    assert kstatus(model) == result

"""What stays in the cache when room is made."""

from t2v_operator.core.models.keeping import to_keep
from t2v_operator.core.observe import observe_job

from tests.unit.builders import a_config
from tests.unit.model_observations import COMMIT, OTHER_COMMIT, a_model, a_ready_model, told
from tests.unit.observations import a_job_document

PINNED = {"hub": "a/b", "revision": OTHER_COMMIT}


def test_what_a_ready_model_promises_stays() -> None:
    ready, on_its_way = a_ready_model(), a_model(name="other")
    each_job_fetches_it = a_ready_model(name="third", prefetch=None)
    assert to_keep((ready, on_its_way, each_job_fetches_it), ()) == (f"owner--name/{COMMIT}",)


def test_what_a_job_draws_with_stays_until_it_has_ended() -> None:
    config = a_config(source=PINNED)
    going, ended = (
        observe_job(a_job_document(config=config, complete=complete)) for complete in (False, True)
    )
    assert to_keep((), (going,)) == (f"a--b/{OTHER_COMMIT}",)
    assert to_keep((), (ended,)) == ()
    assert to_keep((), (observe_job(a_job_document()),)) == (), "a folder is in no cache"


def test_what_some_nodes_have_already_stays_though_it_is_not_ready() -> None:
    node = {"name": "gpu-1", "uid": "u", "ready": True}
    known = {"sources": "owner/name@main", "commit": COMMIT, "nodes": [node]}
    name = f"owner--name/{COMMIT}"
    assert to_keep((a_model(status=told(False, **known)),), ()) == (name,)
    for model in (
        a_model(status=told(False, **known), deleting=True),
        a_model(status=told(False, **known), revision="v2"),
        a_model(status=told(False, **(known | {"nodes": [node | {"ready": False}]}))),
    ):
        assert to_keep((model,), ()) == ()

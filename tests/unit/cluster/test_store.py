"""What is known of one kind, whatever the order in which lists, events and answers come."""

from typing import Any

from t2v_operator.cluster.store import Store

KEY = ("films", "a")


def an_object(version: int, value: str = "", name: str = "a", namespace: str = "films") -> Any:
    metadata = {"namespace": namespace, "name": name, "resourceVersion": str(version)}
    return {"metadata": metadata, "value": value}


class Seen:
    """A store of values, and what it told."""

    def __init__(self) -> None:
        self.news: list[tuple[str, Any, Any]] = []
        self.indexed: list[tuple[str, Any, Any]] = []
        self.store: Store[str] = Store(
            lambda document: str(document["value"]),
            lambda key, before, after: self.indexed.append((key[1], before, after)),
            lambda key, before, after: self.news.append((key[1], before, after)),
        )

    def list(self, position: int, *documents: Any, scope: str | None = None) -> None:
        seen = self.store.page(list(documents), position, scope)
        self.store.sweep(seen, position, scope)

    def event(self, kind: str, document: Any, scope: str | None = None) -> None:
        self.store.event(kind, document, scope)

    @property
    def values(self) -> dict[str, str]:
        return {key[1]: value for key, value in self.store.items()}


def test_what_is_listed_and_watched_is_known_and_news() -> None:
    seen = Seen()
    seen.list(10, an_object(5, "old"))
    seen.event("MODIFIED", an_object(11, "new"))
    seen.event("DELETED", an_object(12, "new"))
    assert seen.news == [("a", None, "old"), ("a", "old", "new"), ("a", "new", None)]
    assert seen.indexed == seen.news
    assert len(seen.store) == 0


def test_own_writes_are_known_at_once_and_are_no_news() -> None:
    seen = Seen()
    seen.list(10, an_object(5, "old"))
    seen.news.clear()
    seen.store.wrote(an_object(11, "mine"))
    assert seen.store.get(KEY) == "mine"
    seen.event("MODIFIED", an_object(11, "mine"))
    assert seen.news == [], "the echo is none either"
    assert seen.indexed[-1] == ("a", "old", "mine")


def test_a_change_of_somebody_else_after_an_own_write_is_news() -> None:
    seen = Seen()
    seen.store.wrote(an_object(11, "mine"))
    seen.event("MODIFIED", an_object(12, "theirs"))
    assert seen.news == [("a", "mine", "theirs")]


def test_what_an_own_write_is_kept_as_may_be_given() -> None:
    seen = Seen()
    seen.store.wrote(an_object(11, "mine"), "parsed already")
    assert seen.store.get(KEY) == "parsed already"


def test_older_versions_are_ignored() -> None:
    seen = Seen()
    seen.list(10, an_object(9, "new"))
    seen.news.clear()
    seen.event("MODIFIED", an_object(8, "late"))
    seen.event("DELETED", an_object(8, "late"))
    seen.store.wrote(an_object(8, "late"))
    assert seen.values == {"a": "new"}
    assert seen.news == []


def test_what_vanished_while_nothing_was_heard_is_swept() -> None:
    seen = Seen()
    seen.list(10, an_object(5, "x", "a"), an_object(6, "y", "b"))
    seen.news.clear()
    seen.list(20, an_object(6, "y", "b"))
    assert seen.values == {"b": "y"}
    assert seen.news == [("a", "x", None)], "and what did not change is no news"


def test_a_list_in_pages_sweeps_only_at_its_end() -> None:
    seen = Seen()
    seen.list(10, an_object(5, "x", "a"), an_object(6, "y", "b"))
    keys = seen.store.page([an_object(5, "x", "a")], 20, None)
    assert set(seen.values) == {"a", "b"}
    keys |= seen.store.page([an_object(6, "y", "b")], 20, None)
    seen.store.sweep(keys, 20, None)
    assert set(seen.values) == {"a", "b"}


def test_what_was_written_after_the_list_is_kept() -> None:
    seen = Seen()
    seen.list(10)
    seen.store.wrote(an_object(21, "mine"))
    seen.list(20)
    assert seen.values == {"a": "mine"}


def test_a_list_older_than_what_is_known_is_right() -> None:
    """So it is after a restore of etcd: versions began anew from the backup."""
    seen = Seen()
    seen.list(100, an_object(90, "lost", "a"), an_object(95, "later", "b"))
    seen.list(50, an_object(40, "from the backup", "b"))
    assert seen.values == {"b": "from the backup"}
    assert seen.store.position("films") == 50
    seen.event("MODIFIED", an_object(51, "on from there", "b"))
    assert seen.values == {"b": "on from there"}


def test_a_deletion_that_is_heard_before_the_writes_answer_leaves_no_ghost() -> None:
    seen = Seen()
    seen.list(10, an_object(5, "old"))
    seen.event("MODIFIED", an_object(11, "mine"))
    seen.event("DELETED", an_object(12, "mine"))
    seen.store.wrote(an_object(11, "mine"))
    assert seen.values == {}


def test_a_list_that_is_past_the_writes_answer_leaves_no_ghost() -> None:
    seen = Seen()
    seen.list(20)
    seen.store.wrote(an_object(11, "mine"))
    assert seen.values == {}


def test_a_bookmark_moves_the_position_alone() -> None:
    seen = Seen()
    seen.list(10, an_object(5, "x"))
    seen.news.clear()
    seen.event("BOOKMARK", {"metadata": {"resourceVersion": "30"}})
    assert seen.store.position("films") == 30
    assert (seen.values, seen.news) == ({"a": "x"}, [])


def test_each_namespace_that_is_watched_by_itself_has_a_position_of_its_own() -> None:
    seen = Seen()
    seen.list(10, an_object(5, "x", "a", "films"), scope="films")
    seen.list(40, an_object(6, "y", "b", "tests"), scope="tests")
    assert (seen.store.position("films"), seen.store.position("tests")) == (10, 40)
    assert seen.store.position("elsewhere") == 0
    seen.list(50, scope="films")
    assert seen.values == {"b": "y"}, "a list of one sweeps nothing of the other"
    seen.store.wrote(an_object(45, "mine", "c", "tests"))
    assert seen.values == {"b": "y", "c": "mine"}, "nor does its position hide a write there"


def test_a_watch_of_all_namespaces_has_one_position() -> None:
    seen = Seen()
    seen.list(10)
    assert seen.store.position("films") == seen.store.position("tests") == 10


def test_an_older_event_after_a_deletion_that_a_second_watch_told_leaves_no_ghost() -> None:
    """A short watch may be ahead of the long one, which tells all of it once more."""
    seen = Seen()
    seen.list(10, an_object(5, "old"))
    seen.event("MODIFIED", an_object(11, "new"))
    seen.event("DELETED", an_object(12, "new"))
    seen.event("MODIFIED", an_object(11, "new"))
    assert seen.values == {}

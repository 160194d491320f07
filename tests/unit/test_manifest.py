"""YAML in, resources out, as kubectl would read it."""

import pytest
from t2v_operator.cli.manifest import ManifestError, read_manifests

HEAD = "apiVersion: textto.video/v1alpha1\nkind: TextToVideoJob\nmetadata: {name: a}\n"


def test_several_documents_keep_their_order() -> None:
    text = "---\n".join(
        HEAD.replace("name: a", f"name: {name}") + "spec: {modelId: m, prompt: p}\n"
        for name in "cab"
    )
    assert [each.metadata.name for each in read_manifests(text, "f")] == ["c", "a", "b"]


def test_a_date_stays_text_as_in_kubectl() -> None:
    (resource,) = read_manifests(HEAD + "spec: {modelId: m, prompt: p, trackId: 2024-01-01}", "f")
    assert resource.spec.track_id == "2024-01-01"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "no TextToVideoJob and no VideoModel", id="empty"),
        pytest.param("# nothing\n---\n", "no TextToVideoJob", id="comments only"),
        pytest.param("a: [", "not YAML", id="broken YAML"),
        pytest.param("just text", "a mapping, not str", id="text"),
        pytest.param(HEAD.replace("TextToVideoJob", "Pod"), "kind", id="another kind"),
        pytest.param(HEAD, "spec: is required", id="no spec"),
        pytest.param(
            HEAD + "spec: {modelId: m, prompt: p, prompt: q}", "'prompt' stands twice", id="twice"
        ),
        pytest.param(
            HEAD.replace("name: a", "name: Ä") + "spec: {modelId: m, prompt: p}",
            "metadata.name",
            id="bad name",
        ),
        pytest.param(
            HEAD + "spec: {modelId: m, prompt: p}\n---\n" + HEAD,
            "f, document 2: spec: is required",
            id="one of two is wrong",
        ),
        pytest.param("!!python/object:os.system {}", "not YAML", id="a Python object"),
    ],
)
def test_a_wrong_manifest_is_refused(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as refusal:
        read_manifests(text, "f")
    assert message in str(refusal.value)

"""The reader and the postprocessor, with the real llama-index-core."""

from __future__ import annotations

import warnings

import pytest

import tiny
from potstill.runtime.qa import QAClient

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what llama_index imports warns
    schema = pytest.importorskip(
        "llama_index.core.schema", reason="llama-index-core is not installed"
    )
    from potstill.adapters.for_llamaindex import PotstillReader, SentencePostprocessor

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_folder_is_loaded_with_places(tmp_path):
    (tmp_path / "a.md").write_text("# Towers\n\nThe king built one.")
    (tmp_path / "b.png").write_bytes(b"\x89PNG")
    reader = PotstillReader()
    (found,) = reader.load_data(tmp_path)
    assert found.text == "# Towers\n\nThe king built one."
    assert found.metadata["source"] == str(tmp_path / "a.md")
    assert (found.metadata["line"], found.metadata["heading"]) == (1, "Towers")
    assert [one.reason for one in reader.skipped] == ["it is a picture"]


def test_sentences_are_kept_word_for_word(tmp_path):
    reader = QAClient.from_options(tiny.write_model(tmp_path))
    texts = ["The king built a tower. The queen wrote a book.", "Denver won. Paris lost."]
    nodes = [
        schema.NodeWithScore(node=schema.TextNode(text=text, id_=str(i)), score=0.5)
        for i, text in enumerate(texts)
    ]
    processor = SentencePostprocessor(reader=reader, tokens=6)
    found = processor.postprocess_nodes(nodes, query_str="Who built it?")
    assert found
    for one in found:
        text = texts[int(one.node.node_id)]
        kept = [text[place["start"] : place["end"]] for place in one.node.metadata["kept"]]
        assert one.node.text == " ".join(kept)
        assert one.score == 0.5
    whole = SentencePostprocessor(reader=reader, tokens=1000)
    assert [n.node.text for n in whole.postprocess_nodes(nodes, query_str="Who?")] == texts

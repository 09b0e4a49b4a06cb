"""`potstill mcp`, driven by the client of the official library."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

import tiny

pytest.importorskip("mcp", reason="the extra mcp brings it")


def said(result):
    """What a tool gave, whichever release of mcp carries it."""
    content = getattr(result, "structured_content", None) or getattr(
        result, "structuredContent", None
    )
    return content["result"] if content else [json.loads(part.text) for part in result.content]


def is_error(result):
    return getattr(result, "is_error", None) or getattr(result, "isError", False)


@pytest.mark.parametrize("indexed", [False, True])
def test_a_folder_is_searched_asked_and_highlighted(tmp_path, indexed):
    from mcp import ClientSession, StdioServerParameters, stdio_client

    from potstill.retrieval.index import Index

    model = tiny.write_model(tmp_path / "model")
    folder = tmp_path / "documents"
    folder.mkdir()
    text = "# Towers\n\nThe king built a tower. The queen wrote a book.\n"
    (folder / "a.md").write_text(text)
    (folder / "b.txt").write_text("Denver won the game.")
    if indexed:
        Index.open(folder, create=True).update()
    arguments = ["-W", "error", "-m", "potstill", "mcp", str(folder), "--model", str(model)]
    parameters = StdioServerParameters(command=sys.executable, args=arguments)

    async def drive():
        async with stdio_client(parameters) as pipes, ClientSession(*pipes) as session:
            await session.initialize()
            tools = await session.list_tools()
            assert {tool.name for tool in tools.tools} == {"search", "ask", "highlight"}
            assert all(tool.description for tool in tools.tools)
            (found,) = said(await session.call_tool("search", {"query": "towers", "n": 3}))
            assert found["source"] == str(folder / "a.md")
            assert (found["line"], found["heading"]) == (1, "Towers")
            assert text[found["start"] : found["end"]] == found["text"]
            answers = said(await session.call_tool("ask", {"question": "Who built the tower?"}))
            assert 1 <= len(answers) <= 3
            for answer in answers:
                assert text[answer["start"] : answer["end"]] == answer["answer"]
                assert answer["answer"] in answer["passage"]
            question = {"question": "What did the queen write?", "top_k": 9}
            sentences = said(await session.call_tool("highlight", question))
            assert {one["text"] for one in sentences} >= {"The queen wrote a book."}
            assert said(await session.call_tool("ask", {"question": "elephants"})) == []
            refused = await session.call_tool("ask", {"question": " "})
            assert is_error(refused)
            assert refused.content[0].text.endswith("the question is empty: give some words")

    asyncio.run(drive())

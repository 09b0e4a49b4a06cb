# pyright: reportMissingImports=false, reportUntypedFunctionDecorator=false
# pyright: reportAttributeAccessIssue=false
# (mcp is an extra, and no dependency of this room's others)
"""A folder's documents as tools of the Model Context Protocol: search, ask, highlight.

What a tool gives is word for word out of a document, with its name, its place and its offsets, so
that whoever called can show where it is from.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

from potstill.errors import EmptyInputError, PotstillError
from potstill.retrieval import highlighting
from potstill.retrieval.index import Index
from potstill.runtime.qa import QAClient

try:
    from mcp.server import MCPServer as Server  # mcp 2
    from mcp.server.mcpserver.exceptions import ToolError
except ImportError:
    from mcp.server.fastmcp import FastMCP as Server
    from mcp.server.fastmcp.exceptions import ToolError

P = ParamSpec("P")
R = TypeVar("R")

_MOST = 50
"""Most passages or sentences of one call."""
_INSTRUCTIONS = (
    "Finds words in the documents of a folder. `ask` gives the shortest answer, `highlight` whole "
    "sentences, `search` whole passages. All are verbatim; `source` with page, heading, sheet, row "
    "or line says where they stand, `start` and `end` are offsets into the document's text. An "
    "empty list means that the documents do not say."
)


def server(opened: Callable[[], tuple[Index, QAClient]]) -> Any:
    """A server whose tools read an index; ``server(...).run("stdio")`` runs it.

    Args:
        opened: gives the index and its reader; called once, by the first tool that is called.
    """
    documents = Server("potstill", instructions=_INSTRUCTIONS)
    both = cache(opened)

    @documents.tool()
    @_told
    def search(query: str, n: int = 5) -> list[dict[str, Any]]:
        """Passages of the documents that fit a query, best first, with their places."""
        index, reader = both()
        hits = index.search(_said(query), min(max(n, 1), _MOST), reader=reader)
        return [hit.to_dict() for hit in hits]

    @documents.tool()
    @_told
    def ask(question: str, top_k: int = 3) -> list[dict[str, Any]]:
        """Answers to a question, word for word out of the documents, each in its sentence."""
        index, reader = both()
        found = index.ask(_said(question), reader, top_k=min(max(top_k, 1), _MOST))
        return [{**one.to_dict(), "passage": one.passage} for one in found.citations]

    @documents.tool()
    @_told
    def highlight(question: str, top_k: int = 5) -> list[dict[str, Any]]:
        """Sentences of the documents that answer a question, best first, with their places."""
        index, reader = both()
        hits = index.search(_said(question), reader=reader)
        top_k = min(max(top_k, 1), _MOST)
        found = highlighting.highlight(reader, question, hits, top_k=top_k)
        return [one.to_dict("text") for one in found]

    return documents


def _told(tool: Callable[P, R]) -> Callable[P, R]:
    """A tool whose errors are told to who called it: others are thought to be the server's own."""

    @wraps(tool)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return tool(*args, **kwargs)
        except PotstillError as error:
            raise ToolError(str(error)) from error

    return called


def _said(text: str) -> str:
    if not text.strip():
        raise EmptyInputError("the question is empty: give some words")
    return text

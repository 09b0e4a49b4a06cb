"""What `make site` adds to docs/ while it builds: pages that stand elsewhere, or are generated.

mkdocs calls `on_config`, `on_files` and `on_page_markdown`. The home page is README.md. A link out
of docs/ (to an example, a recipe, a test) leads to a page that shows that file. A notebook becomes
a page with its stored outputs. The reference is one page a room, of the public names that live
there.
"""

from __future__ import annotations

import ast
import base64
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#|<)([^)\s#]+)(#[^)\s]*)?(?=\))")
FENCE = re.compile(r"^(```(?:bash|python)) run$", re.M)
LANGUAGES = {
    ".cc": "cpp", ".go": "go", ".html": "html", ".js": "js", ".json": "json", ".mjs": "js",
    ".py": "python", ".toml": "toml", ".ts": "ts", ".yaml": "yaml",
}  # fmt: skip
REFERENCE = {
    "runtime": ("Answering and labelling", ("runtime", "tasks", "text")),
    "documents": ("Documents", ("documents", "retrieval")),
    "models": ("Models", ("models", "bundle")),
    "data": ("Data and scores", ("data", "evaluation", "records")),
    "losses": ("Losses", ()),
    "errors": ("Errors", ()),
    "adapters": ("Adapters", ()),
}
"""Page → its title, and the rooms whose public names it holds."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts every decision into the navigation, in order."""
    pages = sorted(f.name for f in (ROOT / "docs" / "decisions").glob("0*.md"))
    section = next(entry["Decisions"] for entry in config.nav or [] if "Decisions" in entry)
    section += [f"decisions/{name}" for name in pages]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds every page that docs/ does not hold itself."""
    pages = {"index.md": (ROOT / "README.md").read_text(encoding="utf-8"), **reference()}
    for notebook in sorted((ROOT / "docs").rglob("*.ipynb")):
        name = notebook.relative_to(ROOT / "docs").with_suffix("").as_posix()
        pages[f"{name}-notebook.md"] = notebook_page(notebook)
    pages |= shown_files([ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))])
    for uri, text in pages.items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links that were written for the repository into links of the site."""
    here = page.file.src_uri
    source = source_of(here)

    def changed(match: re.Match[str]) -> str:
        found = target_of(source, match.group(1))
        if found is None:
            return match.group(0)
        relative = posixpath.relpath(uri_of(found), posixpath.dirname(here) or ".")
        return relative + (match.group(2) or "")

    # "bash run" marks what the tests execute; the highlighter takes the language alone.
    return FENCE.sub(r"\1", LINK.sub(changed, markdown))


def source_of(uri: str) -> str:
    """Path in the repository of what a page of the site shows."""
    if uri == "index.md":
        return "README.md"
    if uri.startswith("repository/"):
        path = uri.removeprefix("repository/")
        return path if (ROOT / path).exists() else path.removesuffix(".md")
    return f"docs/{uri}"


def uri_of(path: str) -> str:
    """Where the site has a file of the repository."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"repository/{path}" if path.endswith(".md") else f"repository/{path}.md"


def target_of(source: str, link: str) -> str | None:
    """The file of the repository that a link leads to; a folder's README; ``None`` for neither."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    if path.startswith(".."):
        return None
    place = ROOT / path
    if place.is_dir():
        return f"{path}/README.md" if (place / "README.md").is_file() else path
    return path if place.is_file() else None


def shown_files(sources: list[Path]) -> dict[str, str]:
    """A page for every file outside docs/ that a page links to, directly or through another."""
    found: dict[str, str] = {}
    queue = [source.relative_to(ROOT).as_posix() for source in sources]
    while queue:
        source = queue.pop()
        for match in LINK.finditer((ROOT / source).read_text(encoding="utf-8")):
            path = target_of(source, match.group(1))
            if path is None or path.startswith("docs/") or path == "README.md":
                continue
            if uri_of(path) in found:
                continue
            found[uri_of(path)] = shown(path)
            if path.endswith(".md"):
                queue.append(path)
    return found


def shown(path: str) -> str:
    """A file of the repository as a page; a folder as a list of what is in it."""
    place = ROOT / path
    if place.is_dir():
        names = sorted(f.name for f in place.iterdir() if not f.name.startswith((".", "__")))
        return f"# {path}\n\n" + "".join(f"- `{name}`\n" for name in names)
    text = place.read_text(encoding="utf-8")
    if place.suffix == ".md":
        return text
    return f"# {place.name}\n\n`{path}`\n\n" + fence(text, LANGUAGES.get(place.suffix, "text"))


def fence(text: str, language: str) -> str:
    """A block of code, whatever back ticks it holds itself."""
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}\n"


def notebook_page(file: Path) -> str:
    """A notebook's cells, and the outputs that are stored in it."""
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    parts = [f"*[The notebook itself]({file.name}); its outputs are those of `make docs`.*\n"]
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text + "\n")
        elif text.strip():
            parts += [fence(text, "python"), *outputs(cell)]
    # Its title first.
    return "\n".join([parts[1], parts[0], *parts[2:]])


def outputs(cell: dict[str, Any]) -> Iterator[str]:
    """What a cell printed, gave back or drew."""
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            image = base64.b64encode(base64.b64decode(data["image/png"])).decode()
            yield f"![plot](data:image/png;base64,{image})\n"
        else:
            yield fence("".join(output.get("text", data.get("text/plain", ""))), "text")


def reference() -> dict[str, str]:
    """The pages of the reference, from the list of public names in ``potstill/__init__.pyi``."""
    homes = public_names()
    pages, lines = {}, ["# Reference\n", "`import potstill` gives these names.\n"]
    for page, (title, rooms) in REFERENCE.items():
        if rooms:
            names = {n: home for n, home in homes.items() if home.split(".")[1] in rooms}
            body = "\n".join(f"::: {home}.{name}\n" for name, home in names.items())
            linked = ", ".join(f"[`{n}`]({page}.md#{h}.{n})" for n, h in names.items())
        else:
            modules = [f"potstill.{page}"]
            if page == "adapters":
                files = sorted((ROOT / "src" / "potstill" / page).glob("for_*.py"))
                modules = [f"potstill.{page}.{file.stem}" for file in files]
            options = "    options:\n      show_root_heading: true\n      heading_level: 2\n"
            body = "\n".join(f"::: {module}\n{options}" for module in modules)
            linked = ", ".join(f"[`{module}`]({page}.md)" for module in modules)
        pages[f"reference/{page}.md"] = f"# {title}\n\n{body}"
        lines.append(f"- {title}: {linked}")
    return {**pages, "reference/index.md": "\n".join(lines) + "\n"}


def public_names() -> dict[str, str]:
    """Public name → module, read without importing."""
    stub = (ROOT / "src" / "potstill" / "__init__.pyi").read_text(encoding="utf-8")
    imports = [node for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom)]
    homes = {alias.name: node.module or "" for node in imports for alias in node.names}
    return {name: home for name, home in homes.items() if home != "potstill"}

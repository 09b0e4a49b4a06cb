"""Small, distilled BERT models that answer questions, from a shell or from Python.

The public names are listed in `__init__.pyi` and found only when they are first used: ``import
potstill`` itself loads nothing else.

Examples:
    >>> import potstill
    >>> reader = potstill.QAClient.from_options()
    >>> reader.predict("Who won?", "The Broncos won.").text
    'The Broncos'
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__") and name not in ("__all__", "__version__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: Any
    homes = _homes()
    if name == "__all__":
        value = sorted([*homes, "__version__"])
    elif name == "__version__":
        from importlib.metadata import version

        value = version("potstill")
    elif name in homes:
        try:
            found = import_module(f"potstill.{name}" if homes[name] == __name__ else homes[name])
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            from potstill.errors import MissingExtraError

            raise MissingExtraError("torch", "train", name) from None
        value = found if homes[name] == __name__ else getattr(found, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _homes() -> dict[str, str]:
    """Public name → the module it lives in, as the stub beside this file has them."""
    global _known
    if not _known:
        import ast
        from importlib.resources import files

        stub = ast.parse(files(__name__).joinpath("__init__.pyi").read_text(encoding="utf-8"))
        imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
        _known = {alias.name: node.module or "" for node in imports for alias in node.names}
    return _known


_known: dict[str, str] = {}


def __dir__() -> list[str]:
    return sorted({*globals(), *_homes(), "__all__", "__version__"})

"""Models from the Hugging Face hub, through ``huggingface_hub``.

Its environment variables are honoured: ``HF_HOME`` (where downloads are kept), ``HF_TOKEN``,
``HF_ENDPOINT`` and ``HF_HUB_OFFLINE``. A connection that is cut goes on where it was, to 10 MiB; a
download that was stopped altogether keeps the files it had finished, and the next one fetches the
others. A snapshot that is complete is used without the network where there is none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from potstill.bundle import layout
from potstill.bundle.atomic import replacing_folder
from potstill.bundle.manifest import read_manifest
from potstill.errors import HubError, ModelNotFoundError, OutputError

_TEXT = [name for name in layout.TEXT_FILES if name not in layout.SENTENCEPIECE]
_VOCABULARIES = (layout.TOKENIZER, layout.VOCAB, layout.VOCAB_JSON)
_BASE = [layout.CONFIG, layout.MANIFEST, layout.CARD, *_TEXT]
_TORCH = [layout.TORCH_WEIGHTS, layout.TORCH_INDEX, "pytorch_model-*.bin"]
_SAFETENSORS = [
    layout.WEIGHTS,
    layout.WEIGHTS_INDEX,
    "model-*.safetensors",
    layout.ADAPTER,
    layout.ADAPTER_WEIGHTS,
]


def download(model: str, *, revision: str | None = None, weights: bool = True) -> Path:
    """Downloads what is needed of a model into the hub's cache.

    Only what is used is fetched: safetensors where the model has them (and the ONNX files a
    bundle's manifest names), otherwise its ONNX file, otherwise ``pytorch_model.bin``. Of a LoRA
    adapter that is all there is, without its base.

    Args:
        model: hub id, ``owner/name``.
        revision: branch, tag or commit; the main branch where not given.
        weights: ``False`` leaves them where they are: config and tokenizer are wanted alone.

    Returns:
        The local folder.

    Raises:
        ModelNotFoundError: no such model or revision, or it may not be read.
        HubError: the hub could not be reached, or failed.
    """
    pieces: list[str] = []

    def fetch(*patterns: str) -> Path:
        return _snapshot(model, revision, [*_BASE, *pieces, *patterns])

    folder = fetch(*(_SAFETENSORS if weights else [layout.ADAPTER]))
    if layout.is_adapter(folder):
        return fetch(*_SAFETENSORS)
    if not (folder / layout.CONFIG).is_file():
        raise ModelNotFoundError(
            f"{model} has no {layout.CONFIG}: it is not a transformers model that potstill can read"
        )
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        pieces += layout.SENTENCEPIECE
        folder = fetch(*(_SAFETENSORS if weights else ()))
    if not weights:
        return folder
    manifest = read_manifest(folder)
    named = [f for f in manifest.files if f.startswith("onnx/")] if manifest else []
    if named:
        folder = fetch(*_SAFETENSORS, *named)
    for more in ([layout.ONNX], [layout.ONNX_INT8], _TORCH):
        if _has_weights(folder):
            break
        folder = fetch(*_SAFETENSORS, *named, *more)
    return folder


def pull(model: str, out: Path | None = None, *, revision: str | None = None) -> Path:
    """Downloads a model and, where ``out`` is given, copies its files there.

    Raises:
        ModelNotFoundError: no such model or revision, or it may not be read.
        HubError: the hub could not be reached, or failed.
        OutputError: ``out`` exists and is not empty, or could not be written.
    """
    folder = download(model, revision=revision)
    if out is None:
        return folder
    with replacing_folder(out, overwrite=False) as temporary:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                target = temporary / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)  # the cache holds links; their targets are copied
    return out


def _has_weights(folder: Path) -> bool:
    files = (layout.WEIGHTS, layout.WEIGHTS_INDEX, layout.TORCH_WEIGHTS, layout.TORCH_INDEX)
    return any((folder / f).is_file() for f in files) or layout.onnx_file(folder) is not None


def _snapshot(model: str, revision: str | None, patterns: list[str]) -> Path:
    from huggingface_hub import constants, errors, snapshot_download

    transport = transport_errors()
    at = f"the hub at {constants.ENDPOINT}"
    named = f"{model!r}" + (f" at revision {revision!r}" if revision else "")
    fetch: Callable[..., Any] = snapshot_download
    try:
        return Path(fetch(model, revision=revision, allow_patterns=patterns))
    except errors.RevisionNotFoundError:
        raise ModelNotFoundError(
            f"{model!r} has no revision {revision!r}: check the branch, tag or commit"
        ) from None
    except errors.HFValidationError as error:
        raise ModelNotFoundError(
            f"{model!r} is neither a folder nor a hub id: {first_line(error)}"
        ) from None
    except errors.LocalEntryNotFoundError as error:
        cause = error.__cause__
        if constants.HF_HUB_OFFLINE:
            raise ModelNotFoundError(
                f"{named} is not among the downloaded models and HF_HUB_OFFLINE is set: "
                "unset it to download, or check the spelling"
            ) from None
        raise HubError(
            f"{at} could not be reached for {named} ({first_line(cause or error)}): "
            "check the connection, HF_ENDPOINT and proxies, or give a local folder"
        ) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403, 404):
            raise ModelNotFoundError(
                f"{named} was not found: there is no such folder, and {at} shows no such model: "
                f"check the spelling; a private or gated model needs HF_TOKEN{token_note()}"
            ) from None
        raise HubError(f"{at} answered {status} for {named}: try again later") from None
    except transport as error:
        raise HubError(
            f"the download of {named} broke off ({first_line(error)}): run it again"
        ) from None
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise OutputError(
            f"{named} could not be stored in {constants.HF_HUB_CACHE}: {reason}"
        ) from error


def transport_errors() -> tuple[type[Exception], ...]:
    """What a connection that breaks raises, whichever httpx this huggingface_hub stands on."""
    from huggingface_hub import errors

    return tuple(b for b in errors.HfHubHTTPError.__mro__ if b.__name__ == "HTTPError")


def token_note() -> str:
    """Behind a refusal: whether there is a token at all."""
    return " (one is set: does it grant access?)" if os.environ.get("HF_TOKEN") else ""


def first_line(error: BaseException | str) -> str:
    """An error's first line, its kind where it says nothing."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]

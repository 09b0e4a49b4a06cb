"""A model folder to the Hugging Face hub, through ``huggingface_hub``.

``HF_TOKEN`` and ``HF_ENDPOINT`` are honoured. Only the files of the bundle go up: no checkpoints,
metrics or recipes that lie in a run's folder beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from potstill.bundle import layout
from potstill.bundle.config import read_config
from potstill.bundle.hub import first_line, token_note, transport_errors
from potstill.bundle.manifest import FileRecord, Manifest, read_manifest, sha256_of
from potstill.errors import HubError, InputError, ModelError, WeightsError

_TOKENIZERS = (layout.TOKENIZER, layout.VOCAB, layout.VOCAB_JSON, *layout.SENTENCEPIECE)
_STALE = [
    *(f"{folder}/*" for folder in ("onnx", "savedmodel", "tfjs", "litert", "openvino", "coreml")),
    "*.safetensors",
    layout.WEIGHTS_INDEX,
    layout.TORCH_WEIGHTS,
]
"""What an earlier push may have left there that the model has no longer."""


def publishable(folder: Path) -> dict[str, int]:
    """The files of a bundle that would go up.

    Args:
        folder: a model folder as training or export leaves it.

    Returns:
        Path inside the folder, with forward slashes → bytes, in order.

    Raises:
        ModelError: the folder is no whole bundle: config, weights, tokenizer, manifest or card are
            missing or cannot be read, or a file is not the one that its manifest describes.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ModelError(f"{folder} is not a folder: give one that training or export wrote")
    read_config(folder)
    manifest = read_manifest(folder)
    if manifest is None:
        raise ModelError(
            f"{folder} has no {layout.MANIFEST}: `potstill export {folder} OUT` makes it a bundle"
        )
    names = [layout.CONFIG, layout.MANIFEST, layout.CARD, *layout.TEXT_FILES]
    names += [layout.WEIGHTS, *layout.ONNX_FILES.values()]
    found = {name for name in names if (folder / name).is_file()}
    _check(folder, found, manifest)
    return {n: (folder / n).stat().st_size for n in sorted(found | set(manifest.files))}


def push(
    repository: str,
    folder: Path,
    *,
    private: bool | None = None,
    revision: str | None = None,
    message: str = "",
) -> str:
    """Publishes a bundle; makes the repository, and the branch, where there is none.

    Weights go up before the commit that names them, and files that the hub holds already are left
    out: a push that was interrupted is simply given again.

    Args:
        repository: hub id, ``owner/name``.
        folder: the bundle.
        private: whether a repository that is made new is; the hub's own default where not given.
        revision: branch; the main branch where not given.
        message: of the commit.

    Returns:
        Address of the commit.

    Raises:
        InputError: ``repository`` is no hub id.
        ModelError: the folder is no whole bundle.
        HubError: the hub could not be reached, or refused.
    """
    if repository.count("/") != 1:
        raise InputError(f"{repository!r} is not a hub id: give owner/name")
    names = publishable(folder)
    from huggingface_hub import HfApi, errors

    hub: Any = HfApi()
    try:
        hub.create_repo(repository, private=private, exist_ok=True)
        if revision is not None and revision != "main":
            hub.create_branch(repository, branch=revision, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=repository,
            folder_path=folder,
            revision=revision,
            commit_message=message or f"{Path(folder).resolve().name}, by potstill",
            allow_patterns=[_literal(name) for name in names],
            delete_patterns=_STALE,
        )
    except errors.HFValidationError as error:
        raise InputError(f"{repository!r} is not a hub id: {first_line(error)}") from None
    except errors.HfHubHTTPError as error:
        raise _refused(repository, error, hub.endpoint) from None
    except (*transport_errors(), OSError, RuntimeError) as error:
        if isinstance(error.__cause__, errors.HfHubHTTPError):  # of one file among several
            raise _refused(repository, error.__cause__, hub.endpoint) from None
        raise HubError(
            f"the upload to {repository!r} at {hub.endpoint} broke off "
            f"({first_line(error.__cause__ or error)}): run it again, it goes on where it was"
        ) from None
    except ValueError as error:  # the hub reads the card before anything is sent
        raise ModelError(
            f"the hub does not accept {layout.CARD} of {folder}: {first_line(error)}"
        ) from None
    return str(commit.commit_url)


def _check(folder: Path, found: set[str], manifest: Manifest) -> None:
    """Whether all of a bundle is there, and as it was written.

    Raises:
        ModelError: it is not.
    """
    if not found & {layout.WEIGHTS, *layout.ONNX_FILES.values()}:
        raise WeightsError(f"{folder} holds no weights: there is neither {layout.WEIGHTS} nor ONNX")
    if not found & set(_TOKENIZERS):
        raise ModelError(f"{folder} has no tokenizer: there is none of {', '.join(_TOKENIZERS)}")
    if layout.CARD not in found:
        raise ModelError(
            f"{folder} has no {layout.CARD}: write a model card, or let "
            f"`potstill export {folder} OUT` write one"
        )
    _check_card(folder / layout.CARD)
    for name, record in manifest.files.items():
        if name != layout.CARD:  # people edit it
            _check_file(folder, name, record)


def _check_card(card: Path) -> None:
    import yaml
    from huggingface_hub import ModelCard

    try:
        values = ModelCard.load(card).data.to_dict()
    except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ModelError(
            f"the front matter of {card} cannot be read: {first_line(error)}"
        ) from None
    if not values:
        raise ModelError(f"{card} has no front matter: the hub reads the task and licence from it")


def _check_file(folder: Path, name: str, record: FileRecord) -> None:
    file = folder / name
    if not file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
        raise ModelError(f"{file} is missing, though {layout.MANIFEST} names it: export again")
    if file.stat().st_size != record.size or sha256_of(file) != record.sha256:
        raise ModelError(
            f"{file} is not the file that {layout.MANIFEST} describes: export the model again"
        )


def _refused(repository: str, error: Any, endpoint: str) -> HubError:
    status = error.response.status_code
    if status in (401, 403):
        return HubError(
            f"the hub at {endpoint} does not let you write to {repository!r} ({status}): "
            f"HF_TOKEN must hold a token with write access{token_note()}"
        )
    return HubError(f"the hub at {endpoint} answered {status} for {repository!r}: {_said(error)}")


def _said(error: Any) -> str:
    return first_line(error.server_message or "try again later")


def _literal(name: str) -> str:
    # The hub's patterns are shell ones: a bracket in a name would open a class.
    return name.replace("[", "[[]")

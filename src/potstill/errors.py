"""Every error a user can meet, in one tree.

::

    PotstillError
    ├── InputError (ValueError)        what the caller passed cannot be used
    │   ├── EmptyInputError            an empty question or context
    │   ├── QuestionTooLongError       the question leaves no room for context
    │   ├── MissingKeyError (KeyError) a dictionary lacks a key that is needed
    │   └── DataError                  a data or predictions file holds something wrong
    ├── RecipeError (ValueError)       a recipe key or value is wrong
    ├── ModelError                     a model folder cannot be used
    │   ├── ModelNotFoundError         no such folder, bundle or hub id
    │   ├── ConfigError                config.json is missing, unreadable or unsupported
    │   ├── WeightsError               weights are missing, truncated or do not fit the config
    │   └── TokenizerError             the tokenizer files are missing or corrupt
    ├── HubError                       the hub could not be reached or refused
    ├── CheckpointError                a checkpoint cannot be resumed from
    ├── JobError                       a bulk job cannot be started or gone on with
    │   └── WorkerError                one of its workers died
    ├── IndexDataError                an index of documents cannot be used
    ├── ExportError                    an exported file is wrong
    │   └── GateError                  an exported file lost more of its score than allowed
    ├── OutputError (OSError)          an output could not be written
    └── MissingExtraError (ImportError)  an optional dependency is not installed

Each message is one line that names the offending value and the remedy.
"""

from __future__ import annotations


class PotstillError(Exception):
    """Base of all errors raised on purpose by this package."""


class InputError(PotstillError, ValueError):
    """What the caller passed cannot be used."""


class EmptyInputError(InputError):
    """A question or a context holds no text."""


class QuestionTooLongError(InputError):
    """The question leaves no room for any context in a window."""


class MissingKeyError(InputError, KeyError):
    """A dictionary of the caller's lacks a key that is needed."""

    # KeyError would print the message quoted, as if it were the key.
    __str__ = Exception.__str__


class DataError(InputError):
    """A data or predictions file holds something that cannot be used."""


class RecipeError(PotstillError, ValueError):
    """A recipe key or value is wrong."""


class ModelError(PotstillError):
    """A model folder cannot be used."""


class ModelNotFoundError(ModelError):
    """There is no such folder, embedded bundle or hub id."""


class ConfigError(ModelError):
    """``config.json`` is missing, unreadable or describes an unsupported model."""


class WeightsError(ModelError):
    """Weights are missing, truncated or do not fit the config."""


class TokenizerError(ModelError):
    """Tokenizer files are missing or corrupt."""


class HubError(PotstillError):
    """The model hub could not be reached, or refused."""


class CheckpointError(PotstillError):
    """A training checkpoint cannot be resumed from."""


class JobError(PotstillError):
    """A bulk job cannot be started or gone on with."""


class WorkerError(JobError):
    """A worker of a bulk job died; what was done before is kept."""


class IndexDataError(PotstillError):
    """An index of documents is missing, damaged, of another version or in use."""


class ExportError(PotstillError):
    """An exported file is wrong."""


class GateError(ExportError):
    """An exported file lost more quality than the gate allows."""


class OutputError(PotstillError, OSError):
    """An output could not be written; nothing half-written was left."""


class MissingExtraError(PotstillError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'potstill[{extra}]'")

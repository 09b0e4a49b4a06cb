"""`Client`: what all that answer, label or fill in with a model have in common.

A client is made of a tokenizer, a session and options that were checked when they were made. A
task's client says what its options are, how one item becomes a `Plan`, and nothing else: opening,
batches, workers and pickling are the same for all, and so is what ``…_many`` takes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import HEADS, HeadName
from potstill.bundle.manifest import Manifest, named_head, read_manifest
from potstill.errors import EmptyInputError, InputError, ModelError
from potstill.runtime.many import CHUNK, each
from potstill.runtime.opening import Opened, Opening, open_model
from potstill.runtime.plans import TOKEN_BUDGET, Plan, run_plans
from potstill.runtime.session import Session
from potstill.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from typing_extensions import Self

OptionsT = TypeVar("OptionsT", bound="ClientOptions")
Item = TypeVar("Item")
Said = TypeVar("Said")
Found = TypeVar("Found")

SHORTEST_PAIR = 8
"""Tokens of the shortest row of two texts: special ones, and a few of each text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """How a client reads. Checked when it is made, so a client never meets a wrong value."""

    least: ClassVar[Mapping[str, int]] = {"seq_len": 3, "token_budget": 1}
    """Option → its least value."""

    seq_len: int = 384
    """Longest row in tokens, special tokens included."""
    token_budget: int = TOKEN_BUDGET
    """Most tokens of a batch, padding included. A longer row runs alone: with 1, every row does."""

    def __post_init__(self) -> None:
        for name, least in self.least.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise InputError(f"{name} must be at least {least}, not {value}")
        self.check()

    def check(self) -> None:
        """Checks what a least value does not say.

        Raises:
            InputError: an option is out of range.
        """

    def updated(self, given: Mapping[str, Any]) -> Self:
        """These options with others in their place; ``None`` leaves one as it is.

        Raises:
            InputError: an option is unknown or out of range.
        """
        known = {field.name for field in fields(self)}
        unknown = given.keys() - known
        if unknown:
            raise InputError(
                f"there is no option {', '.join(sorted(unknown))}: there are "
                f"{', '.join(sorted(known))}"
            )
        other = {k: v for k, v in given.items() if v is not None and v != getattr(self, k)}
        return replace(self, **other) if other else self


class Client(ABC, Generic[OptionsT]):
    """Reads texts with one model. Safe to share between threads, and to pickle once opened."""

    head: ClassVar[HeadName]
    chunk: ClassVar[int] = CHUNK
    """Items that are tokenized, sorted by length and run together."""

    def __init__(
        self, tokenizer: Tokenizer, session: Session, options: OptionsT, *, workers: int = 1
    ) -> None:
        """Puts a client together from its parts; most callers want `from_options`."""
        self.tokenizer = tokenizer
        self.session = session
        self.options = options
        self.workers = workers
        self.opened: Opened | None = None
        """How it was opened, by `from_options`."""
        self.max_positions: int | None = None
        """Tokens of the longest row; not known of a client that was put together from parts."""
        self._again: tuple[Any, ...] | None = None

    @classmethod
    @abstractmethod
    def own_options(cls, config: ModelConfig, manifest: Manifest | None) -> OptionsT:
        """The options that a model asks for, by its config and, where it has one, its manifest."""

    @classmethod
    @abstractmethod
    def from_options(cls, model: str | Path, **opening: Any) -> Self:
        """Opens a model.

        Args:
            model: a model folder or a hub id.
            **opening: options of this client's own, and what every client takes; see `Opening`.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelError: the model's files are damaged, or it is of another task.
            InputError: an option is out of range.
        """

    @classmethod
    def _open(cls, model: str | Path, given: Mapping[str, Any], opening: Opening) -> Self:
        """Opens a model; ``from_options`` of every client.

        Args:
            model: ``"default"``, a folder or a hub id.
            given: options of the client's own that a caller gave, ``None`` for the model's.
            opening: the others.
        """
        unknown = sorted(opening.keys() - Opening.__annotations__.keys())
        if unknown:
            raise TypeError(f"from_options() got an unexpected keyword argument {unknown[0]!r}")
        how = cast("dict[str, Any]", {**opening})
        budget = how.pop("token_budget", None)
        folder = find_model(model, revision=how.pop("revision", None))
        config = read_config(folder)
        _check_head(folder, named_head(folder, config), cls.head)
        options = cls.own_options(config, read_manifest(folder)).updated(
            {**given, "token_budget": budget}
        )
        if options.seq_len > config.max_positions:
            raise InputError(
                f"seq_len {options.seq_len} is more than the {config.max_positions} positions of "
                f"{folder}"
            )
        tokenizer = Tokenizer.from_folder(folder)
        opened = open_model(folder, tokenizer, head=cls.head, longest=options.seq_len, **how)
        if budget is None:
            options = replace(options, token_budget=opened.token_budget)
        client = cls(tokenizer, opened.session, options, workers=opened.layout.workers)
        client.opened = opened
        client.max_positions = config.max_positions
        client._again = cls, model, dict(given), dict(opening)
        return client

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as how it was opened: weights stay in their folder."""
        if self._again is None:
            raise InputError(
                f"a {type(self).__name__} that was put together from parts cannot be pickled: "
                "open it with from_options"
            )
        return _reopened, self._again

    def using(
        self,
        *,
        tokenizer: Tokenizer | None = None,
        session: Session | None = None,
        options: OptionsT | None = None,
    ) -> Self:
        """A client of the same parts but those that are given."""
        client = type(self)(
            tokenizer or self.tokenizer,
            session or self.session,
            options or self.options,
            workers=self.workers,
        )
        client.max_positions = self.max_positions
        return client

    def options_with(self, given: Mapping[str, Any]) -> OptionsT:
        """The client's options with those of a call in their place; ``None`` leaves one as it is.

        Raises:
            InputError: an option is unknown or out of range, or the model has no such positions.
        """
        options = self.options.updated(given)
        if self.max_positions is not None and options.seq_len > self.max_positions:
            raise InputError(
                f"seq_len {options.seq_len} is more than the {self.max_positions} positions of the "
                "model"
            )
        return options

    def run(self, plans: Sequence[Plan[Said]], *, token_budget: int | None = None) -> list[Said]:
        """Runs plans in batches of similar length, and finishes each.

        Raises:
            ModelError: the model cannot be run, or gives something else than finite numbers.
        """
        return run_plans(
            self.session,
            plans,
            pad_id=self.tokenizer.pad_id,
            layout=self.tokenizer.layout,
            token_budget=self.options.token_budget if token_budget is None else token_budget,
        )

    def many(
        self,
        call: str,
        items: Iterable[Item],
        plans: Callable[[int, list[Item]], list[Plan[Said]]],
        *,
        workers: int | None = None,
        finish: Callable[[list[Said]], list[Found]] | None = None,
        token_budget: int | None = None,
    ) -> Iterator[Found]:
        """What is found for each item, in order, as it is found.

        Args:
            call: name of the method that was called, for messages.
            items: a list or any other iterable, also an endless one: a few hundred are held at a
                time.
            plans: makes the plans of a chunk, given the number of its first item; its errors
                appear where the chunk's results would.
            workers: threads that read different items at the same time; by default as the client
                was opened.
            finish: makes of what the plans gave what is found; by default nothing else.
            token_budget: most tokens of a batch, where a call has its own.

        Raises:
            InputError: ``items`` is a single text, or ``workers`` is not a positive number.
        """
        check_items(items, call)

        def run(chunk: list[Plan[Said]]) -> list[Found]:
            said = self.run(chunk, token_budget=token_budget)
            return cast("list[Found]", said) if finish is None else finish(said)

        workers = self.workers if workers is None else workers
        return each(plans, run, items, workers=workers, chunk=self.chunk)


def check_items(items: Any, call: str) -> None:
    """Checks what a ``…_many`` was given.

    Raises:
        InputError: it is a single text, or nothing to go through.
    """
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Iterable):
        raise InputError(
            f"{call} takes a list or another iterable, not a {type(items).__name__}: give a "
            f"single one to {call.removesuffix('_many')}"
        )


def names(what: str, first: int, n: int) -> list[str]:
    """What messages call the items of a chunk: by number, but for one alone."""
    return [f"the {what}"] if first == 0 and n == 1 else [f"{what} {first + i}" for i in range(n)]


def check_text(text: Any, name: str, *, blank: bool = False) -> None:
    """Checks a text, which may be blank where ``blank`` says so.

    Raises:
        InputError: it is not a string.
        EmptyInputError: it is blank.
    """
    if not isinstance(text, str):
        raise InputError(f"{name} is a {type(text).__name__}, not a string")
    if not blank and not text.strip():
        raise EmptyInputError(f"{name} is empty: give some text")


def _check_head(folder: Path, found: HeadName | None, wanted: HeadName) -> None:
    """Refuses a folder that says what it is for, and says something else."""
    if found not in (None, wanted):
        raise ModelError(
            f"{folder} is a model for {HEADS[found].task}, not for {HEADS[wanted].task}: "
            "name another, or fine-tune one with a recipe of that task"
        )


def _reopened(
    cls: type[Client[Any]], model: Any, given: Mapping[str, Any], opening: Opening
) -> Client[Any]:
    return cls._open(model, given, opening)  # pyright: ignore[reportPrivateUsage]

"""The bodies of requests and answers, as pydantic models; OpenAPI is made from these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    AliasGenerator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from potstill.serving.faults import Refusal

_LONGEST = 10_000
"""Above any window of any model: larger numbers are slips."""
_TAGS = {"one", "many", "text", "pair"}
"""Words by which pydantic tells the forms of ``inputs`` apart; no part of a field's name."""


class Body(BaseModel):
    """A part of a request: what is not known in it is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _Parameters(BaseModel):
    """Names are accepted as ``top_k`` and as ``topK``."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        alias_generator=AliasGenerator(
            validation_alias=lambda name: AliasChoices(name, to_camel(name))
        ),
    )


def _one_or_many(value: Any) -> str:
    return "many" if isinstance(value, list) else "one"


def _text_or_pair(value: Any) -> str:
    return "text" if isinstance(value, str) else "pair"


class QuestionInput(Body):
    """A question and the text it is asked of."""

    question: str = Field(examples=["Who won?"])
    context: str = Field(examples=["The Denver Broncos defeated the Carolina Panthers."])


class PairInput(Body):
    """A text, and the second of a pair where the model reads pairs."""

    text: str = Field(examples=["A charming journey."])
    text_pair: str | None = Field(default=None)


class QuestionParameters(_Parameters):
    """Those of Hugging Face's question-answering task, with the defaults of its pipeline."""

    top_k: int = Field(
        default=1, ge=1, le=1000, description="Return at most this many answers to a question."
    )
    doc_stride: int | None = Field(
        default=None, ge=0, le=_LONGEST, description="Tokens that windows share; by default 128."
    )
    max_answer_len: int = Field(
        default=15, ge=1, le=_LONGEST, description="Longest answer in tokens."
    )
    max_seq_len: int | None = Field(
        default=None,
        ge=8,
        le=_LONGEST,
        description="Longest window in tokens; by default the model's.",
    )
    max_question_len: int | None = Field(
        default=None, ge=1, le=_LONGEST, description="A longer question is cut to so many tokens."
    )
    handle_impossible_answer: bool = Field(
        default=False, description='Whether "no answer" competes, as an answer of "".'
    )
    align_to_words: bool = Field(default=True, description="Widen answers to whole words.")


class TextParameters(_Parameters):
    """Of classifiers (``top_k``) and of taggers (``aggregation_strategy``, ``ignore_labels``)."""

    top_k: int | None = Field(
        default=None, ge=1, le=100_000, description="Return at most this many labels of a text."
    )
    function_to_apply: None = Field(
        default=None,
        description="Taken for the client's sake; scores are as the model was calibrated.",
    )
    aggregation_strategy: Literal["none", "simple", "first", "max", "average"] | None = None
    ignore_labels: list[str] | None = None
    stride: None = Field(
        default=None, description="Taken for the client's sake; the model's own is used."
    )


class _TimedCall(Body):
    model: str | None = Field(default=None, description="A model's name; by default the first.")
    timeout_ms: int | None = Field(
        default=None, ge=1, le=2**31, description="Time to answer in; by default the server's."
    )


class _Call(_TimedCall):
    options: dict[str, Any] | None = Field(
        default=None, description="Taken for older Hugging Face clients' sake and not used."
    )


class QuestionCall(_Call):
    """Questions: one, or a list of them."""

    inputs: Annotated[
        Annotated[QuestionInput, Tag("one")] | Annotated[list[QuestionInput], Tag("many")],
        Discriminator(_one_or_many),
    ]
    parameters: QuestionParameters | None = None


_Text = Annotated[
    Annotated[str, Tag("text")] | Annotated[PairInput, Tag("pair")], Discriminator(_text_or_pair)
]


class TextCall(_Call):
    """Texts: one, or a list of them."""

    inputs: Annotated[
        Annotated[_Text, Tag("one")] | Annotated[list[_Text], Tag("many")],
        Discriminator(_one_or_many),
    ]
    parameters: TextParameters | None = None


class ExplainCall(_Call):
    """One question, to see how its answer was found."""

    inputs: QuestionInput
    parameters: QuestionParameters | None = None


_WINDOWS = Field(
    default=None,
    ge=1,
    le=_LONGEST,
    description="Passages of the server's documents that are read, at most; by default 32.",
)
_PASSAGES = Field(
    default=None,
    description="A text, or several; by default the documents that the server has an index of.",
    examples=[["The Denver Broncos won. It rained.", "Carolina lost."]],
)
_Passages = Annotated[
    Annotated[str, Tag("one")] | Annotated[list[str], Tag("many")], Discriminator(_one_or_many)
]


class DocumentIn(Body):
    """A text with the name by which answers out of it are cited."""

    name: str = Field(examples=["final.txt"])
    text: str = Field(examples=["The Denver Broncos defeated the Carolina Panthers."])


class AskCall(_TimedCall):
    """A question of documents: of the server's, or of those that are sent."""

    question: str = Field(examples=["Who won?"])
    documents: list[DocumentIn] | None = Field(
        default=None,
        description="Texts to answer from; by default the documents that the server has an index "
        "of.",
    )
    top_k: int = Field(default=1, ge=1, le=1000, description="Most answers.")
    windows: int | None = _WINDOWS
    no_answer: bool | None = Field(
        default=None,
        description='Whether "no answer" competes; by default as the model was trained.',
    )
    max_answer_tokens: int | None = Field(
        default=None, ge=1, le=_LONGEST, description="Longest answer; by default the model's, 30."
    )


class HighlightCall(_TimedCall):
    """A question, and the passages of which the sentences that answer it are wanted."""

    question: str = Field(examples=["Who won?"])
    passages: _Passages | None = _PASSAGES
    top_k: int | None = Field(
        default=None, ge=1, le=100_000, description="Most sentences; by default all."
    )
    windows: int | None = _WINDOWS


class PruneCall(_TimedCall):
    """A question, and the passages of which what is worth keeping is wanted."""

    question: str = Field(examples=["Who won?"])
    passages: _Passages | None = _PASSAGES
    tokens: int | None = Field(
        default=None, ge=1, description="Most tokens to keep, of the model's tokenizer."
    )
    enough: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Without tokens: as few sentences as have scores that add up to this share; "
        "by default 0.98.",
    )
    windows: int | None = _WINDOWS


class CiteCall(_TimedCall):
    """An answer, by whomever, and the passages that may support its sentences."""

    answer: str = Field(examples=["The Broncos won."])
    passages: _Passages | None = _PASSAGES
    top_k: int = Field(
        default=1, ge=1, le=100, description="Most sentences for each of the answer's."
    )
    windows: int | None = _WINDOWS


class TokenizeCall(Body):
    """A text to tokenize."""

    inputs: str
    model: str | None = None


class TensorCall(Body):
    """TF Serving's request: rows under ``instances``, or tensors under ``inputs``."""

    signature_name: str | None = None
    instances: list[dict[str, list[int]]] | None = None
    inputs: dict[str, list[list[int]]] | None = None


class AnswerOut(BaseModel):
    """An answer; ``[start, end)`` counts code points of the context."""

    score: float
    start: int
    end: int
    answer: str


class LabelOut(BaseModel):
    """A label of a text."""

    label: str
    score: float


class EntityOut(BaseModel):
    """A labelled span of a text; where tokens stay alone, ``entity`` for ``entity_group``."""

    entity_group: str | None = None
    entity: str | None = None
    score: float
    word: str
    start: int
    end: int


class TokenOut(BaseModel):
    """A token of a context, and how likely it is an answer's first or last."""

    start: int
    end: int
    p_start: float
    p_end: float


class TimesOut(BaseModel):
    """Where a request's time went, in milliseconds."""

    prepare: float
    queue: float
    inference: float


class ExplainOut(BaseModel):
    """Answers, and how they were found."""

    answers: list[AnswerOut]
    null_score: float | None
    """Probability of "no answer"; null where it does not compete."""
    tokens: list[TokenOut]
    windows: int
    milliseconds: TimesOut
    model: str


class TokenizeOut(BaseModel):
    """The tokens of a text, without special ones."""

    ids: list[int]
    tokens: list[str]
    offsets: list[Annotated[list[int], Field(min_length=2, max_length=2)]]


class _Placed(BaseModel):
    page: int | None = None
    sheet: str | None = None
    row: int | None = None
    heading: str | None = None


class PlaceOut(_Placed):
    """Where in a file its text stands, from an offset on."""

    start: int = Field(description="In code points of the text.")


class CitationOut(_Placed):
    """An answer out of a document, and where it stands."""

    answer: str
    score: float = Field(description="Its probability among all spans of all passages read.")
    start: int = Field(description="In code points of the document's text.")
    end: int
    source: str = Field(description="Name of the document.")
    line: int | None = None
    passage: str = Field(description="The text around it.")
    passage_start: int = Field(description="Where the passage begins in the document.")


class SentenceOut(_Placed):
    """A sentence of a passage, or of a document with its place."""

    text: str
    score: float
    start: int = Field(description="In code points of the passage, or of the document's text.")
    end: int
    source: int | str = Field(description="Number of the passage, or name of the document.")
    line: int | None = None


class ClaimOut(BaseModel):
    """A sentence of an answer, and the sentences that support it."""

    text: str
    start: int
    end: int
    sources: list[SentenceOut] = Field(description="Best first; none where nothing supports it.")


class TextOut(BaseModel):
    """What a file says."""

    text: str = Field(description="Paragraphs are parted by an empty line.")
    title: str = Field(description="What the file calls itself; empty where it does not say.")
    pages: int = Field(description="0 where the file has none.")
    places: list[PlaceOut]


class ErrorDetail(BaseModel):
    """What was wrong."""

    status: int
    kind: str
    message: str
    field: str | None = None


class ErrorOut(BaseModel):
    """The one shape of errors."""

    error: ErrorDetail


def texts_of(item: str | PairInput) -> list[str]:
    """What there is to read of a text, or of a pair."""
    if isinstance(item, str):
        return [item]
    return [text for text in (item.text, item.text_pair) if text is not None]


def invalid(error: ValidationError) -> Refusal:
    """A validation error as a refusal that names its first field."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = [str(part) for part in first["loc"] if part not in _TAGS]
    name = ".".join(where) or "body"
    return Refusal(422, f"{name}: {first['msg']}", field=name)

"""Tokenizers under the names and call forms that people import: a door to `Tokenizer`.

The call forms, their defaults and their results are those of transformers 5
(``PreTrainedTokenizerBase.__call__``). Nothing about the shared backend changes from call to call:
rows are cut and padded one by one, so any number of threads may share a tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import tokenizers
from tokenizers import models, processors

from potstill.bundle import layout
from potstill.bundle.atomic import write_json, write_text
from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.errors import InputError
from potstill.text import arguments
from potstill.text.arguments import plain
from potstill.text.cutting import cut
from potstill.text.encoding import BatchEncoding, to_tensors
from potstill.text.families import token_text
from potstill.text.opening import read_tokenizer_config
from potstill.text.surrogates import without_surrogates
from potstill.text.tokenizer import BERT_PAIR, Tokenizer

if TYPE_CHECKING:
    from typing_extensions import Self

_ROLES = ("cls", "sep", "pad", "mask", "unk")
_FOREIGN_LIMIT = 10**20
"""Larger values of ``model_max_length`` are how transformers writes that there is none."""
_CONTRACTIONS = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")


class PretrainedTokenizer:
    """Texts → ids and masks, and back; opened with `from_pretrained`."""

    model_type: ClassVar[str]
    """The encoder that a class is for."""
    model_input_names: tuple[str, ...] = ("input_ids", "token_type_ids", "attention_mask")
    """What a call returns where it is not told otherwise."""
    padding_side: ClassVar[str] = "right"
    is_fast: ClassVar[bool] = True

    def __init__(
        self, tokenizer: Tokenizer, options: Mapping[str, Any], *, model_max_length: int
    ) -> None:
        """Takes ``tokenizer`` over.

        Args:
            tokenizer: opened for this door alone.
            options: values of its ``tokenizer_config.json``.
            model_max_length: longest row, in tokens.
        """
        self.tokenizer = tokenizer
        self._backend = tokenizer.backend
        self._options = dict(options)
        names = options.get("model_input_names")
        if isinstance(names, list):
            self.model_input_names = tuple(map(str, names))
        self.model_max_length = model_max_length
        self.cls_token_id, self.sep_token_id = tokenizer.cls_id, tokenizer.sep_id
        self.pad_token_id, self.mask_token_id = tokenizer.pad_id, tokenizer.mask_id
        self.cls_token, self.sep_token, self.pad_token = tokenizer.tokens(
            [tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id]
        )
        self.mask_token = (
            None if tokenizer.mask_id is None else tokenizer.tokens([tokenizer.mask_id])[0]
        )
        usual = "<unk>" if tokenizer.token_id("<unk>") is not None else "[UNK]"
        self.unk_token = token_text(options, "unk", usual)
        self.unk_token_id = tokenizer.token_id(self.unk_token)
        # Kept apart from the backend, which then gives bare texts: they are cut before special
        # tokens are put around them, and offsets must not be trimmed twice.
        self._processor: Any = tokenizer.processor
        if self._processor is None or not self._processor.num_special_tokens_to_add(False):
            self._processor = self._template()  # files made by hand name none
        self._backend.post_processor = processors.TemplateProcessing("$A:0", "$A:0 $B:1")

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        revision: str | None = None,
        model_max_length: int | None = None,
        use_fast: bool = True,
    ) -> Self:
        """Opens the tokenizer of a model; weights are not downloaded.

        Args:
            model: ``"default"``, a folder or a hub id.
            revision: branch, tag or commit of a hub id.
            model_max_length: longest row, in tokens; by default what ``tokenizer_config.json``
                says, else what the model has positions for.
            use_fast: has no effect; there is one kind.

        Raises:
            ModelNotFoundError: there is no such model.
            TokenizerError: the files are missing or corrupt.
        """
        folder = find_model(model, revision=revision, weights=False)
        options = read_tokenizer_config(folder)
        longest = model_max_length or options.get("model_max_length") or _FOREIGN_LIMIT
        if longest >= _FOREIGN_LIMIT and (folder / layout.CONFIG).is_file():
            longest = read_config(folder).max_positions
        return cls(Tokenizer.from_folder(folder), options, model_max_length=int(longest))

    def __call__(
        self,
        text: str | Sequence[Any],
        text_pair: str | Sequence[Any] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
    ) -> BatchEncoding:
        """Makes rows of token ids out of a text, a pair, or lists of either.

        Args:
            text: a text; a list of texts; a list of pairs; with ``is_split_into_words``, a list of
                words or a list of such lists.
            text_pair: the second text, or as many of them as there are first ones.
            add_special_tokens: put ``[CLS]`` and ``[SEP]`` around them.
            padding: ``True`` or ``"longest"``, ``"max_length"``, or ``False`` for none.
            truncation: ``True`` or ``"longest_first"``, ``"only_first"``, ``"only_second"``, or
                ``False`` for none. A ``max_length`` alone turns it on, where nothing is padded.
            max_length: longest row, in tokens; ``model_max_length`` by default.
            stride: tokens that a row shares with the one before, where overflow is returned.
            is_split_into_words: whether the texts are lists of words.
            pad_to_multiple_of: round the padded length up to a multiple of this.
            return_tensors: ``"pt"`` or ``"np"``; lists by default.
            return_token_type_ids: by default as the class's ``model_input_names`` have it.
            return_attention_mask: by default returned.
            return_overflowing_tokens: rows for what truncation cut off, and
                ``overflow_to_sample_mapping``.
            return_special_tokens_mask: 1 for special tokens.
            return_offsets_mapping: half-open code-point ranges in the caller's texts.
            return_length: number of tokens of each row, padding included.

        Raises:
            InputError: texts, lengths or options that do not fit together.
            MissingExtraError: ``"pt"`` without torch.
        """
        pairs, is_batch = arguments.pairs(text, text_pair, is_split_into_words)
        if truncation is None:
            truncation = max_length is not None and padding is False
        limit = max_length or self.model_max_length
        encodings = self._encode(
            pairs,
            is_split_into_words,
            add_special_tokens,
            arguments.strategy(truncation),
            limit,
            stride,
        )
        if padding is not False and encodings:
            longest = max(len(encoding) for encoding in encodings)
            self._pad(encodings, arguments.padded_len(padding, longest, limit, pad_to_multiple_of))
        samples = list(range(len(encodings)))
        if return_overflowing_tokens:
            rows = [[encoding, *encoding.overflowing] for encoding in encodings]
            samples = [i for i, row in enumerate(rows) for _ in row]
            encodings = [encoding for row in rows for encoding in row]
        wanted = {
            "token_type_ids": return_token_type_ids,
            "attention_mask": return_attention_mask,
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
            "length": return_length,
        }
        values = self._values(encodings, wanted)
        if return_overflowing_tokens:
            values["overflow_to_sample_mapping"] = samples
        elif not is_batch and return_tensors is None:
            values = {name: rows[0] for name, rows in values.items()}
        return BatchEncoding(to_tensors(values, return_tensors), encodings)

    encode_plus = __call__
    batch_encode_plus = __call__

    def encode(self, text: str, text_pair: str | None = None, **options: Any) -> list[int]:
        """The ``input_ids`` of one text or pair; ``options`` are those of a call."""
        return self(text, text_pair, **options)["input_ids"]

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text, in the vocabulary's spelling, without special ones."""
        return self._backend.encode(without_surrogates(text), add_special_tokens=False).tokens

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str:
        """The text of a row of ids: a list, an array or a tensor.

        Args:
            token_ids: ``[seq]``, or one id.
            skip_special_tokens: leave out ``[CLS]``, padding and the like.
            clean_up_tokenization_spaces: take out spaces before punctuation; by default as
                ``tokenizer_config.json`` says. Of WordPiece only.
        """
        ids = plain(token_ids)
        text = self.tokenizer.decode(
            [ids] if isinstance(ids, int) else ids, skip_special=skip_special_tokens
        )
        clean = clean_up_tokenization_spaces
        if clean is None:
            clean = bool(self._options.get("clean_up_tokenization_spaces"))
        if clean and isinstance(self._backend.model, models.WordPiece):
            for spaced in _CONTRACTIONS:
                text = text.replace(spaced, spaced.strip())
        return text

    def batch_decode(self, sequences: Iterable[Any], **options: Any) -> list[str]:
        """`decode` for each row."""
        return [self.decode(ids, **options) for ids in sequences]

    def convert_ids_to_tokens(self, ids: Any) -> Any:
        """The vocabulary's spelling of an id, or of each of several."""
        numbers = plain(ids)
        tokens = self.tokenizer.tokens([numbers] if isinstance(numbers, int) else numbers)
        return tokens[0] if isinstance(numbers, int) else tokens

    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> Any:
        """The id of a token, or of each of several; the unknown token's where there is none."""
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        found = self.tokenizer.token_id(tokens)
        return self.unk_token_id if found is None else found

    def get_vocab(self) -> dict[str, int]:
        """Token → id."""
        return self._backend.get_vocab()

    def get_special_tokens_mask(
        self, token_ids: Any, already_has_special_tokens: bool = True
    ) -> list[int]:
        """1 for each special token of a row."""
        if not already_has_special_tokens:
            raise InputError("get_special_tokens_mask needs a row that has its special tokens")
        special = self.tokenizer.special()
        return [int(special[number]) for number in plain(token_ids)]

    @property
    def backend_tokenizer(self) -> tokenizers.Tokenizer:
        """A copy of the ``tokenizers`` object that does the work."""
        whole = tokenizers.Tokenizer.from_str(self._backend.to_str())
        whole.post_processor = self._processor
        return whole

    @property
    def vocab_size(self) -> int:
        """Tokens of the vocabulary, added ones not counted."""
        return self._backend.get_vocab_size(with_added_tokens=False)

    @property
    def all_special_ids(self) -> list[int]:
        """Ids of the special tokens."""
        return [int(number) for number in self.tokenizer.special().nonzero()[0]]

    @property
    def all_special_tokens(self) -> list[str]:
        """The special tokens."""
        return self.tokenizer.tokens(self.all_special_ids)

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Special tokens around a text, or around a pair."""
        return self._processor.num_special_tokens_to_add(pair)

    def __len__(self) -> int:
        return self.tokenizer.vocab_size

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
    ) -> BatchEncoding:
        """Pads rows that were made one by one, as Hugging Face's data collators do.

        Args:
            encoded_inputs: a mapping of lists of rows, or a list of mappings of one row each. What
                is no row of tokens (``labels``) stays as it is.
            padding: as in a call.
            max_length: as in a call.
            pad_to_multiple_of: as in a call.
            return_tensors: as in a call.

        Raises:
            InputError: there are no ``input_ids``.
        """
        rows = encoded_inputs
        if not isinstance(rows, Mapping):
            rows = {name: [plain(row[name]) for row in rows] for name in rows[0]} if rows else {}
        values = {name: [plain(row) for row in plain(column)] for name, column in rows.items()}
        if "input_ids" not in values:
            raise InputError(
                f"rows to pad need input_ids; there is {', '.join(values) or 'nothing'}"
            )
        ids = values["input_ids"]
        values.setdefault("attention_mask", [[1] * len(row) for row in ids])
        if padding is not False:
            limit = max_length or self.model_max_length
            length = arguments.padded_len(padding, max(map(len, ids)), limit, pad_to_multiple_of)
            fill = {"input_ids": self.pad_token_id, "special_tokens_mask": 1}
            for name in ("input_ids", "token_type_ids", "attention_mask", "special_tokens_mask"):
                if name in values:
                    values[name] = [
                        [*row, *[fill.get(name, 0)] * (length - len(row))] for row in values[name]
                    ]
        return BatchEncoding(to_tensors(values, return_tensors))

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes ``tokenizer.json`` and ``tokenizer_config.json``.

        Raises:
            OutputError: a file could not be written; it is as it was before.
        """
        folder = Path(folder)
        special = {f"{role}_token": getattr(self, f"{role}_token") for role in _ROLES}
        values = {
            **self._options,
            **{name: token for name, token in special.items() if token is not None},
            "model_max_length": self.model_max_length,
            "tokenizer_class": type(self).__name__,
        }
        write_text(folder / layout.TOKENIZER, self.backend_tokenizer.to_str(pretty=True) + "\n")
        write_json(folder / layout.TOKENIZER_CONFIG, values)

    def _template(self) -> Any:
        cls, sep = (self.cls_token, self.cls_token_id), (self.sep_token, self.sep_token_id)
        if self.tokenizer.layout.n_between == BERT_PAIR.n_between:
            return processors.BertProcessing(sep, cls)
        return processors.RobertaProcessing(sep, cls)

    def _encode(
        self,
        pairs: list[tuple[Any, Any]],
        words: bool,
        special: bool,
        strategy: str | None,
        limit: int,
        stride: int,
    ) -> list[tokenizers.Encoding]:
        firsts, seconds = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        flat = [text for text in (*firsts, *seconds) if text is not None]
        clean = without_surrogates
        cleaned = [[clean(word) for word in text] if words else clean(text) for text in flat]
        how: Any = {"add_special_tokens": False, "is_pretokenized": words}
        found = iter(self._backend.encode_batch(cleaned, **how))
        one = [next(found) for _ in firsts]
        two = [None if text is None else next(found) for text in seconds]
        rows: list[tokenizers.Encoding] = []
        for first, second in zip(one, two, strict=True):
            if strategy is not None:
                n_special = self.num_special_tokens_to_add(second is not None) if special else 0
                cut(first, second, limit - n_special, strategy, stride)
            rows.append(self._processor.process(first, second, special))
        return rows

    def _pad(self, encodings: list[tokenizers.Encoding], length: int) -> None:
        for encoding in encodings:
            encoding.pad(length, pad_id=self.pad_token_id, pad_token=self.pad_token)

    def _values(
        self, encodings: list[tokenizers.Encoding], wanted: Mapping[str, bool | None]
    ) -> dict[str, list[Any]]:
        parts = {
            "token_type_ids": lambda row: row.type_ids,
            "attention_mask": lambda row: row.attention_mask,
            "special_tokens_mask": lambda row: row.special_tokens_mask,
            "offset_mapping": lambda row: row.offsets,
            "length": len,
        }
        values: dict[str, list[Any]] = {"input_ids": [row.ids for row in encodings]}
        for name, part in parts.items():
            asked = wanted[name]
            if name in self.model_input_names if asked is None else asked:
                values[name] = [part(row) for row in encodings]
        return values

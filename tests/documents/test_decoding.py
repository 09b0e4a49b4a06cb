"""Bytes → text, whatever the encoding."""

from __future__ import annotations

import pytest

from potstill.documents.decoding import decode

RUSSIAN = "Москва является столицей России и крупнейшим городом страны. Население растёт."
JAPANESE = "東京は日本の首都であり、世界最大の都市の一つです。人口は約千四百万人です。"
GERMAN = "Der Süßwarenladen in Köln öffnet um neun Uhr – täglich. „Schön“, sagte sie."


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", GERMAN),
        ("utf-8-sig", GERMAN),
        ("utf-16", GERMAN),
        ("utf-16-le", "Hello world, café"),
        ("utf-16-be", "Hello world, café"),
        ("utf-32", GERMAN),
        ("cp1252", GERMAN),
        ("latin-1", "café"),
        ("mac_roman", "café à Paris, déjà vu"),
        ("cp850", "café à Paris, déjà vu"),
        ("cp1251", RUSSIAN),
        ("koi8_r", RUSSIAN),
        ("shift_jis", JAPANESE),
        ("euc_jp", JAPANESE),
        ("gb18030", "北京是中华人民共和国的首都，是全国的政治中心。"),
        ("euc_kr", "서울은 대한민국의 수도이다. 인구는 약 천만 명이다."),
        ("cp1253", "Η Αθήνα είναι η πρωτεύουσα της Ελλάδας."),
        ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy. Město Praha leží na řece Vltavě."),
    ],
)
def test_encodings(encoding, text):
    assert decode(text.encode(encoding)) == text


def test_an_encoding_that_the_file_names():
    page = '<?xml version="1.0" encoding="iso-8859-2"?><p>Zażółć gęślą jaźń</p>'
    assert decode(page.encode("iso-8859-2"), declared=True) == page


def test_text_with_a_few_damaged_bytes_is_read():
    text = "naïve café — " * 50
    assert decode(text.encode() + b"\xff end") == f"{text}\ufffd end"


@pytest.mark.parametrize("data", [b"abc\0def\1", bytes(range(256)) * 20, b"\x89PNG\r\n\0\0"])
def test_what_is_no_text(data):
    assert decode(data) is None


def test_nothing_is_empty_text():
    assert decode(b"") == ""

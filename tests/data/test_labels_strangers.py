"""Labels as other programs write them: read as they are meant, or refused by row and key."""

import json

import pytest

from potstill.data.cells import TextLayout
from potstill.data.classification import gold_array, load_texts, with_labels
from potstill.data.glue import layout_of
from potstill.data.labels import UnmatchedError, match_labels, places
from potstill.errors import DataError


def read(tmp_path, cells, **layout):
    """Labels of a CSV with these cells, or of JSONL where one is not a string."""
    if all(isinstance(cell, str) for cell in cells):
        rows = ["text,label", *(f't{i},"{cell}"' for i, cell in enumerate(cells))]
        path = tmp_path / "a.csv"
    else:
        rows = [json.dumps({"text": f"t{i}", "label": cell}) for i, cell in enumerate(cells)]
        path = tmp_path / "a.jsonl"
    path.write_text("\n".join(rows), encoding="utf-8")
    return load_texts(path, TextLayout(**layout))


@pytest.mark.parametrize(
    ("cells", "layout", "labels", "each"),
    [
        ([[1, 0, 1], [0, 0, 1]], {"labels": ("x", "y", "z")}, "xyz", [("x", "z"), ("z",)]),
        ([[1.0, 0.0], [1.0, 1.0]], {"labels": ("x", "y")}, "xy", [("x",), ("x", "y")]),
        ([[True, False], [False, False]], {"labels": ("x", "y")}, "xy", [("x",), ()]),
        (["[1 0 1]", "[0 1 1]"], {"labels": ("x", "y", "z")}, "xyz", [("x", "z"), ("y", "z")]),
        (["['b', 'a']", "[]", "['b']"], {}, "ab", [("b", "a"), (), ("b",)]),
        (["['b' 'a']", "[]"], {}, "ab", [("b", "a"), ()]),
        ([[0, 2], [2]], {"labels": ("x", "y", "z")}, "xyz", [("x", "z"), ("z",)]),
        ([0.0, 1.0, 0], {}, "01", ["0", "1", "0"]),
        (["0.0", "1.0", "0"], {}, "01", ["0", "1", "0"]),
        (["1", "0"], {"labels": ("no", "yes")}, ("no", "yes"), ["yes", "no"]),
        (["LABEL_1", "LABEL_0"], {"labels": ("no", "yes")}, ("no", "yes"), ["yes", "no"]),
        (["Yes", "NO"], {"labels": ("no", "yes")}, ("no", "yes"), ["yes", "no"]),
        (["caf\u00e9", "cafe\u0301", "x"], {}, ("caf\u00e9", "x"), ["caf\u00e9"] * 2 + ["x"]),
        (["N/A", "b"], {"labels": ("b", "N/A")}, ("b", "N/A"), ["N/A", "b"]),
        (["Spam", "spam"], {"labels": ("Spam", "spam")}, ("Spam", "spam"), ["Spam", "spam"]),
        (["1", "two"], {"problem": "single-label"}, ("1", "two"), ["1", "two"]),
        ([True, False], {}, ("False", "True"), ["True", "False"]),
        (["a;c", "a", "b"], {}, ("a", "a;c", "b"), ["a;c", "a", "b"]),
        (["a;b", "a", "b"], {"labels": ("a", "b", "a;b")}, ("a", "b", "a;b"), ["a;b", "a", "b"]),
        (["50%", "20%", "most"], {}, ("20%", "50%", "most"), ["50%", "20%", "most"]),
        (["{'b', 'a'}", "{'b'}", "set()"], {}, "ab", [("b", "a"), ("b",), ()]),
        (["('b', 'a')", "('b',)"], {}, "ab", [("b", "a"), ("b",)]),
        (['{""choices"": [""b"", ""a""]}', "b"], {}, "ab", [("b", "a"), ("b",)]),
        ([{"choices": ["b", "a"]}, "b"], {}, "ab", [("b", "a"), ("b",)]),
        ([["b"], ["a"]], {"problem": "single-label"}, "ab", ["b", "a"]),
        ([-1, 1], {}, ("-1", "1"), ["-1", "1"]),
        ([-2, -1, 0], {}, ("-2", "-1", "0"), ["-2", "-1", "0"]),
        ([-1, 0, 1], {"labels": ("-1", "0", "1")}, ("-1", "0", "1"), ["-1", "0", "1"]),
        (["C", "C++", "C#"], {}, ("C", "C#", "C++"), ["C", "C++", "C#"]),
        (["A+", "A-", "A"], {}, ("A", "A+", "A-"), ["A+", "A-", "A"]),
        (["$3 bill", "$5"], {}, ("$3 bill", "$5"), ["$3 bill", "$5"]),
        (["R&B/Soul", "R&B", "Rock"], {}, ("R&B", "R&B/Soul", "Rock"), ["R&B/Soul", "R&B", "Rock"]),
    ],
)
def test_labels_in_every_form(tmp_path, cells, layout, labels, each):
    data = read(tmp_path, cells, **layout)
    assert data.labels == tuple(labels)
    assert [example.label for example in data.examples] == each
    gold_array(data.examples, data.labels, data.problem)


@pytest.mark.parametrize(
    ("cells", "layout", "says"),
    [
        ([[1, 0, 1], [0, 0, 1]], {}, "line 1: label [1, 0, 1] is a list of 0 and 1: name its"),
        ([[1, 0], [0, 1]], {}, "name its places in order by labels"),
        ([[1, 0, 1]], {"labels": ("x", "y")}, "has 3 places, and labels names 2"),
        ([[0.2, 0.8]], {}, "label 0.2 is not a name"),
        (["['a']", "b"], {}, "row 2: label 'b' is not a list, as others are"),
        (["0.5", "1", "N/A"], {}, "row 3: label 'N/A' is not a number, 2 others are numbers"),
        ([0.5, float("nan")], {}, "line 2: label nan is not a number"),
        (["1", "0", "N/A"], {}, "row 3: label 'N/A' is not a number"),
        (["a", "b", "7"], {}, "row 3: label '7' is a number, 2 others are not"),
        (["a", "N/A"], {}, "row 2: label 'N/A' stands for a missing one"),
        (["a", "nan"], {}, "list it in labels="),
        (["a", "-"], {}, "row 2: label '-' stands for a missing one"),
        (["Spam", "spam"], {}, "row 2: label 'spam' is 'Spam'"),
        (["pos x", "pos\u00a0x"], {}, "with other blanks or signs: write them alike"),
        (["pos", '""pos""'], {}, "row 2: label '\"pos\"' is 'pos' ("),
        (["3,5", "2,1", "4,0"], {}, "row 1: label '3,5' is a number as people write it"),
        (["1,234.50", "2,000.10"], {}, "row 1: label '1,234.50' is a number as people"),
        (["2.500.000", "1.000"], {}, "row 1: label '2.500.000' is not a number"),
        (["$3.50", "$4"], {}, "row 1: label '$3.50' is a number as people"),
        (["3,50 \u20ac", "4 \u20ac"], {}, "is a number as people"),
        ([0, 1, 2, -1], {}, "line 4: label '-1' stands for a missing one"),
        ([-1, 0], {}, "line 1: label '-1' stands for a missing one"),
        (["a", "#REF!"], {}, "row 2: label '#REF!' stands for a missing one"),
        (["a", "\\N"], {}, "row 2: label '\\\\N' stands for a missing one"),
        (["pos", "pos\u200b"], {}, "row 2: label 'pos\\u200b' is 'pos' ("),
        (["ok", "\uff4f\uff4b"], {}, "is 'ok' ("),
        (["not toxic", "not_toxic"], {}, "row 2: label 'not_toxic' is 'not toxic' ("),
        (["'1e39'", "0.5"], {"problem": "regression"}, "is not a number"),
        (["1e39", "0.5"], {}, "row 1: label '1e39' is not a number"),
        ([["b", "a"], ["a"]], {"problem": "single-label"}, "line 1 has 2 labels: give problem"),
        ([{"label": "a"}], {}, "is not a name"),
        (["50%", "20 %"], {}, "row 1: label '50%' is a number as people write it"),
        (
            ["a", "b", "a;b"],
            {},
            "row 3: label 'a;b' is several labels: give a list",
        ),
        (["a", "b", "b | a"], {}, "separator='|'"),
        (["x|y", "x", "y|z"], {}, "label 'x|y' is several labels: give a list"),
        (["x|y", "z|x", "y|z"], {}, "row 1: label 'x|y' is several labels"),
        (["x, y", "x", "y, z"], {}, "separator=','"),
        (["01", "1"], {}, "label '1' is the number '01' written otherwise"),
        (["a", "A"], {"labels": ("a", "b")}, "'a' and 'A' are both the label 'a'"),
        (
            ["2", "0"],
            {"labels": ("no", "yes")},
            "label '2' is a number, and the labels are no",
        ),
        (["high", "2"], {"problem": "regression"}, "row 1: label 'high' is not a number"),
        (["1_000", "2.5"], {}, "row 1: label '1_000' is not a number"),
    ],
)
def test_what_can_only_be_guessed_is_refused(tmp_path, cells, layout, says):
    with pytest.raises(DataError) as caught:
        read(tmp_path, cells, **layout)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_lists_of_one_label_each_say_so(tmp_path):
    assert "problem=single-label" in read(tmp_path, [["a"], ["b"]]).notes[0]
    assert read(tmp_path, [["a"], ["b", "a"]]).notes == ()


@pytest.mark.parametrize("answer", ["reject", "ignore"])
def test_rows_that_nobody_has_accepted_in_prodigy(tmp_path, answer):
    path = tmp_path / "a.jsonl"
    accepted = {"text": "a", "label": "x", "answer": "accept"}
    path.write_text(json.dumps(accepted) + "\n" + json.dumps({**accepted, "answer": answer}))
    with pytest.raises(DataError, match=f"line 2: 'answer' is '{answer}', so that nobody"):
        load_texts(path)
    assert len(load_texts(path, TextLayout(label="answer")).examples) == 2


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ('" Pogo " was .\t0\nA "b" c\t1\n', ['" Pogo " was .', 'A "b" c']),
        ('"Hello\t0\nhe said bye"\t1\n', ['"Hello', 'he said bye"']),
        ('"a ""b"" c"\t0\n"d"\t1\n', ['a "b" c', "d"]),
        ('"a\nb"\t0\nc\t1\n', ["a\nb", "c"]),
        ('"a\tb"\t0\nc\t1\n', ["a\tb", "c"]),
    ],
)
def test_quotation_marks_between_tabs(tmp_path, text, texts):
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\n" + text)
    data = load_texts(path)
    assert [example.text for example in data.examples] == texts
    assert [example.label for example in data.examples] == ["0", "1"]


def test_a_header_in_the_middle_is_not_a_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,x\ntext,label\nb,y\n")
    with pytest.raises(DataError, match=r"a\.csv: row 2 names the columns once more: drop it"):
        load_texts(path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"text;label\na;x\n", "parted by ';': write it with commas, or as JSONL"),
        ("a.csv", b"text\tlabel\na\tx\n", "parted by tabs: call it .tsv"),
        ("a.tsv", b"text,label\na,x\n", "parted by ',': write it with commas"),
        ("a.csv", b"PK\x03\x04" + bytes(30), "is a zip archive or an Excel workbook"),
        ("a.jsonl", b"BZh91AY&SY" + bytes(30), "is packed by bzip2"),
        ("a.csv", b"PAR1" + bytes(30), "is Parquet: give it the suffix .parquet"),
        ("a.csv", "text,label\n\xe9,x\n".encode("cp1252"), "is not UTF-8"),
    ],
)
def test_files_of_another_kind_are_named(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_texts(path)
    assert says in str(caught.value)


def test_whole_numbers_are_classes_and_say_so(tmp_path):
    assert "problem=regression" in read(tmp_path, ["1", "2", "3"]).notes[0]
    assert read(tmp_path, ["0", "1"]).notes == ()


def test_flags_in_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,rude,loud\na,True,false\nb,1.0,0\n")
    data = load_texts(path, TextLayout(label=("rude", "loud")))
    assert [example.label for example in data.examples] == [("rude",), ("rude",)]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_header_that_names_a_column_twice(tmp_path, name):
    path = tmp_path / name
    path.write_text("text,label,label\na,0,1\n".replace(",", "," if name == "a.csv" else "\t"))
    with pytest.raises(DataError, match="names the column 'label' twice"):
        load_texts(path)


def test_rows_that_a_sets_own_reader_leaves_out_are_counted(tmp_path):
    pairs = tmp_path / "qqp.tsv"
    head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    pairs.write_text(head + "0\t1\t2\tHow?\tWhy?\t0\n\tHow?\t1\n1\t3\t4\tWho?\tWhom?\t1\n")
    data = load_texts(pairs, layout_of("QQP"))
    assert [example.label for example in data.examples] == ["not_duplicate", "duplicate"]
    assert "left out: 1 (first: row 2)" in data.notes[0]
    dashed = tmp_path / "snli.tsv"
    dashed.write_text("gold_label\tsentence1\tsentence2\nneutral\ta\tb\n-\tc\td\n")
    for layout in (layout_of("SNLI"), layout_of("table", text="sentence1", label="gold_label")):
        data = load_texts(dashed, layout)
        assert [example.label for example in data.examples] == ["neutral"]
        assert "left out: 1 (first: row 2)" in data.notes[0]


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
def test_files_of_rows_of_every_kind(tmp_path, suffix):
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{"text": "a", "label": ["x", "y"]}, {"text": "b", "label": ["y"]}]
    path = tmp_path / f"a{suffix}"
    if suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text(json.dumps(rows) if suffix == ".json" else "\n".join(map(json.dumps, rows)))
    assert [example.label for example in load_texts(path).examples] == [("x", "y"), ("y",)]


@pytest.mark.parametrize(
    ("found", "known", "order", "expected"),
    [
        (["negative", "positive"], ["NEGATIVE", "POSITIVE"], (), ["NEGATIVE", "POSITIVE"]),
        (["not equivalent"], ["not_equivalent", "equivalent"], (), ["not_equivalent"]),
        (["0", "1"], ["LABEL_0", "LABEL_1"], (), ["LABEL_0", "LABEL_1"]),
        (["0.0", "1"], ["0", "1"], (), ["0", "1"]),
        (["LABEL_1"], ["neg", "pos"], (), ["pos"]),
        (["pos"], ["LABEL_0", "LABEL_1"], ("neg", "pos"), ["LABEL_1"]),
        (["pos"], ["0", "1"], ("neg", "pos"), ["1"]),
        (["caf\u00e9"], ["cafe\u0301", "x"], (), ["cafe\u0301"]),
        (["2", "1"], ["1", "2"], (), ["2", "1"]),
        (["+", "-"], ["-", "+"], (), ["+", "-"]),
    ],
)
def test_names_of_a_file_among_those_of_a_model(found, known, order, expected):
    matched = match_labels(found, known, order=order)
    assert [matched.names[name] for name in found] == expected
    assert bool(matched.note) == (found != expected)


@pytest.mark.parametrize(
    ("found", "known", "says"),
    [
        (["0", "1"], ["neg", "pos"], "label '0' is a number, and the labels are neg, pos"),
        (["pos"], ["LABEL_0", "LABEL_1"], "label 'pos' is none of LABEL_0, LABEL_1"),
        (["neg", "NEG"], ["neg", "pos"], "'neg' and 'NEG' are both"),
        (["LABEL_2"], ["neg", "pos"], "'LABEL_2' is none of"),
        (["Us"], ["US", "us"], "'Us' is none of"),
    ],
)
def test_names_that_are_none_of_a_models(found, known, says):
    with pytest.raises(UnmatchedError, match=says):
        match_labels(found, known)
    assert places(found, known) is None


def test_places_among_more_labels():
    assert places(["pos", "neg"], ["neutral", "NEG", "POS"]) == [2, 1]


def test_a_file_is_read_for_a_model_by_its_names(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,pos\nb,neg\n")
    data = load_texts(path, with_labels(TextLayout(), ("NEG", "NEU", "POS"), "single-label"))
    assert data.labels == ("NEG", "NEU", "POS")
    assert gold_array(data.examples, data.labels, data.problem).tolist() == [2, 0]
    assert "pos → POS, neg → NEG" in data.notes[0]
    with pytest.raises(DataError, match="row 1: label 'pos' is none of x, y"):
        load_texts(path, with_labels(TextLayout(), ("x", "y"), "single-label"))


@pytest.mark.parametrize(
    "names",
    [
        ["Food", "Food, drinks", "Sports"],  # "drinks" is nothing by itself
        ["Sci/Tech", "Tech/Biz", "Sci/Biz"],
        ["a|b", "c|d"],
        ["n/a/n", "other"],
    ],
)
def test_a_name_with_a_sign_in_it_is_a_name(tmp_path, names):
    rows = "".join(f'text,"{name}"\n' for name in names)
    (tmp_path / "a.csv").write_text("text,label\n" + rows, encoding="utf-8")
    assert load_texts(tmp_path / "a.csv").labels == tuple(sorted(names))


def test_a_column_of_another_name_is_asked_for(tmp_path):
    """SST-2 as it is published, without its name: ``text=sentence`` reads it."""
    path = tmp_path / "dev.tsv"
    path.write_text("sentence\tlabel\nGood.\t1\nBad.\t0\n")
    with pytest.raises(DataError, match=r"no column 'text' \(it has sentence, label\).*another"):
        load_texts(path, TextLayout())
    found = load_texts(path, TextLayout(text="sentence"))
    assert [one.text for one in found.examples] == ["Good.", "Bad."]

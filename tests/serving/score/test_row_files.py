"""Files of rows are read with the log's settings: dialect, types, flags and side tables."""

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.base.errors import DataError
from plumbline.base.files import file_sha256
from plumbline.columns.kinds import FeatureKind
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.score import row_files
from plumbline.serving.score.reading import ReadOptions
from plumbline.serving.score.row_files import RowFile
from plumbline.settings import Log, SideTable

KINDS: dict[str, FeatureKind] = {
    "x": "continuous",
    "h": "hex",
    "i": "integer",
    "s": "string",
    "t": "string_list",
    "n": "integer_list",
}
RULES = LogRules.of(
    Log(
        columns={"y": "label", "id": "unused", **KINDS},
        separator=";",
        quote="'",
        encoding="latin-1",
        list_separator="|",
    ),
    {},
)
TEXT = (
    "i;x;h;s;t;n;id;y\n"
    "1;0.5;ff;ä;u|v;1|2;7;click\n"
    ";;;'';;;;\n"
    "3;2;0;'q;''r';u||w;7||8;9;1\n"
)  # fmt: skip
ROWS = [
    {"i": 1, "x": 0.5, "h": 255, "s": "ä", "t": ["u", "v"], "n": [1, 2]},
    {**dict.fromkeys(KINDS), "t": [], "n": []},
    {"i": 3, "x": 2.0, "h": 0, "s": "q;'r", "t": ["u", None, "w"], "n": [7, None, 8]},
]


def opened(file: Path, options: ReadOptions | None = None, **more: Any) -> RowFile:
    form = {"kinds": KINDS, "rules": RULES, "chunk_rows": 2, **more}
    return RowFile(file, options=options or ReadOptions(), **form)


def rows(file: RowFile) -> list[dict[str, Any]]:
    return [row for chunk in file for row in chunk.rows.to_pylist()]


def in_order(wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in KINDS} for row in wanted]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "rows.txt").write_bytes(TEXT.encode("latin-1"))
    return tmp_path / "rows.txt"


def test_text_is_read_with_the_rules_of_the_log(text: Path) -> None:
    found = opened(text)
    chunks = list(found)
    assert [len(chunk.rows) for chunk in chunks] == [2, 1]
    assert [row for chunk in chunks for row in chunk.rows.to_pylist()] == in_order(ROWS)
    assert found.warnings == ()
    assert 0.5 < found.fraction_read <= 1.0


def test_compressed_text(tmp_path: Path) -> None:
    (tmp_path / "rows.txt.gz").write_bytes(gzip.compress(TEXT.encode("latin-1")))
    assert rows(opened(tmp_path / "rows.txt.gz")) == in_order(ROWS)


def test_the_label_may_be_anything_or_absent(tmp_path: Path) -> None:
    lines = [line.rsplit(";", 1)[0] for line in TEXT.splitlines()]
    (tmp_path / "rows.txt").write_bytes("\n".join(lines).encode("latin-1"))
    assert rows(opened(tmp_path / "rows.txt")) == in_order(ROWS)


HEADLESS = LogRules.of(
    RULES.log.model_copy(
        update={"header": False, "columns": {"y": "label", "id": "unused", **KINDS}}
    ),
    {},
)


@pytest.mark.parametrize("with_label", [True, False])
def test_a_log_without_a_header_has_its_columns_in_order(tmp_path: Path, with_label: bool) -> None:
    lines = ["no;7;0.5;ff;1;a;u|v;1|2", "yes;8;;;;;;", ";9;1;0;2;b;;"]
    chosen = lines if with_label else [line.split(";", 1)[1] for line in lines]
    (tmp_path / "rows").write_text("\n".join(chosen))
    found = rows(opened(tmp_path / "rows", rules=HEADLESS))
    assert [(row["x"], row["i"], row["s"]) for row in found] == [
        (0.5, 1, "a"),
        (None, None, None),
        (1.0, 2, "b"),
    ]


def test_neither_with_nor_without_its_label(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("1;2;3\n")
    with pytest.raises(DataError, match=r"rows:1: wanted 8 fields, found 3\. Every row gets"):
        rows(opened(tmp_path / "rows", rules=HEADLESS))


def test_parquet_by_its_content(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{**row, "other": 1} for row in ROWS])
    pq.write_table(table, tmp_path / "rows.csv")
    assert rows(opened(tmp_path / "rows.csv")) == in_order(ROWS)
    with pytest.raises(DataError, match="Parquet file describes its own columns"):
        opened(tmp_path / "rows.csv", ReadOptions(separator="\t"))


def test_options_override_the_rules(tmp_path: Path) -> None:
    lines = ['yes\t1.5\tff\t1\t"a\tb"\tu+v\t1+2', "no\tn/a\t\t\tn/a\t\t"]
    (tmp_path / "rows").write_text("\n".join(lines), encoding="utf-8")
    options = ReadOptions(
        separator="\t",
        quote='"',
        encoding="utf-8",
        columns=("y", *KINDS),
        list_separator="+",
    )
    found = rows(opened(tmp_path / "rows", options, chunk_rows=1, kinds={"s": "string"}))
    assert found == [{"s": "a\tb"}, {"s": "n/a"}]
    with pytest.raises(DataError, match=r"rows:2: column 'x': wanted .*found 'n/a'"):
        rows(opened(tmp_path / "rows", options))


def test_options_that_contradict_are_refused(text: Path) -> None:
    with pytest.raises(DataError, match=r"How the file is read: separator: "):
        opened(text, ReadOptions(separator="\n"))
    with pytest.raises(DataError, match=r"How the file is read: .*list_separator '\|'"):
        opened(text, ReadOptions(separator="|"))
    with pytest.raises(DataError, match=r"--columns .* and --header"):
        opened(text, ReadOptions(columns=("a",), header=True))


def test_a_model_without_rules_reads_as_clients_did(tmp_path: Path) -> None:
    kinds: dict[str, FeatureKind] = {"x": "continuous", "s": "string"}
    (tmp_path / "rows.csv").write_text('s,x\n"a,b",1\n')
    (tmp_path / "rows.tsv").write_text("s\tx\na\t2\n")
    (tmp_path / "headless.csv").write_text("3,a\n")
    assert rows(opened(tmp_path / "rows.csv", rules=None, kinds=kinds)) == [{"x": 1.0, "s": "a,b"}]
    assert rows(opened(tmp_path / "rows.tsv", rules=None, kinds=kinds)) == [{"x": 2.0, "s": "a"}]
    headless = opened(tmp_path / "headless.csv", ReadOptions(header=False), rules=None, kinds=kinds)
    assert rows(headless) == [{"x": 3.0, "s": "a"}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x;1;f;a;;;1;0", r":5: column 'i': wanted .*found 'x'"),
        ("1;1e39;f;a;;;1;0", r":5: column 'x': wanted a finite float32 number, found '1e39'"),
        ("1;inf;f;a;;;1;0", r":5: column 'x': wanted a finite float32 number"),
        ("1;1;xyz;a;;;1;0", r":5: column 'h': wanted up to 16 hexadecimal digits"),
        ("1;2", r":5: wanted 8 fields, found 2"),
        ("1;1;f;a;;x|1;1;0", r":5: column 'n': wanted a list"),
    ],
)
def test_a_malformed_row_is_reported_with_its_line(text: Path, line: str, message: str) -> None:
    with text.open("a") as stream:
        stream.write(line + "\n1;1;f;a;;;1;0\n")
    with pytest.raises(DataError, match=rf"{text}{message}.*none is skipped"):
        rows(opened(text))


def test_lines_are_counted_over_the_blocks_that_are_read(
    text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_files, "BLOCK_BYTES", 200)
    with text.open("a") as stream:
        stream.write("1;1;f;a;;;1;0\n" * 500)
    assert len(rows(opened(text, chunk_rows=7))) == 503
    with text.open("a") as stream:
        stream.write("1;no;f;a;;;1;0\n")
    with pytest.raises(DataError, match=r"rows.txt:505: column 'x'"):
        rows(opened(text))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("i;x;s;t;n\n1;1;;;\n", r"the file lacks: h\. It has i, x, s, t, n"),
        ("i;i;x;h;s;t;n\n1;1;1;1;;;\n", "duplicate column i"),
        ('"i";"x";"h";s;t;n\n1;1;1;1;;\n', r"lacks: x, h, i\. .*names are quoted.*--quote"),
        ("", "the file is empty"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "rows").write_text(content)
    with pytest.raises(DataError, match=message):
        rows(opened(tmp_path / "rows"))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.csv: .*there is no such file"):
        opened(tmp_path / "none.csv")


def test_a_header_and_no_rows(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text(TEXT.splitlines()[0] + "\n")
    assert list(opened(tmp_path / "rows")) == []
    (tmp_path / "rows").write_text("a;b\n")
    with pytest.raises(DataError, match="no column 'x' among a, b"):
        list(opened(tmp_path / "rows"))


def test_a_folder_of_parts(tmp_path: Path, text: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    for number in (10, 9):
        line = f"{number};;;;;;a{number};\n"
        (parts / f"part-{number}.csv").write_text(TEXT.splitlines()[0] + "\n" + line)
    found = opened(parts, keep=("id",))
    chunks = list(found)
    assert [row["i"] for chunk in chunks for row in chunk.rows.to_pylist()] == [9, 10]
    assert [row["id"] for chunk in chunks for row in chunk.kept.to_pylist()] == ["a9", "a10"]


def test_kept_text_is_unchanged(text: Path, tmp_path: Path) -> None:
    found = opened(text, keep=("id", "h", "s"))
    assert found.kept_schema == pa.schema([(n, pa.string()) for n in ("id", "h", "s")])
    kept = [row for chunk in found for row in chunk.kept.to_pylist()]
    assert kept == [
        {"id": "7", "h": "ff", "s": "ä"},
        {"id": None, "h": None, "s": None},
        {"id": "9", "h": "0", "s": "q;'r"},
    ]
    with pytest.raises(DataError, match=r"--keep idd: no such column; did you mean 'id'\?$"):
        opened(text, keep=("idd",))


def test_kept_columns_of_parquet_have_their_types(tmp_path: Path) -> None:
    ids = pa.array([2**64 - 1, None, 3], pa.uint64())
    words = pa.array(["a", "b", "a"]).dictionary_encode()
    table = pa.Table.from_pylist(ROWS).append_column("id", ids).append_column("w", words)
    pq.write_table(table, tmp_path / "rows", row_group_size=2)
    found = opened(tmp_path / "rows", keep=("w", "id", "i"))
    assert found.kept_schema.field("id").type == pa.uint64()
    kept = pa.concat_tables([chunk.kept for chunk in found])
    assert kept.select(["w", "id", "i"]).to_pylist() == table.select(["w", "id", "i"]).to_pylist()


USERS = SideTable(
    file="users.csv",
    columns={"user": "key", "age": "continuous", "red": "flag", "green": "flag"},
    multi_hot={"colours": ("red", "green")},
)
JOINED: dict[str, FeatureKind] = {
    "user": "integer",
    "kinds": "string_list",
    "age": "continuous",
    "colours": "string_list",
}


def joining(folder: Path, sha256: str | None = None) -> tuple[Path, LogRules]:
    log = Log(
        columns={"y": "label", "user": "integer", "new": "flag", "hot": "flag"},
        multi_hot={"kinds": ("new", "hot")},
        list_separator="|",
    )
    users = folder / "users.csv"
    users.write_text("user,age,red,green\n1,30,1,1\n2,,0,1\n")
    (folder / "log.csv").write_text("user,new,hot,y\n2,1,0,1\n1,1,1,0\n3,,,0\n2,0,1,1\n")
    return folder / "log.csv", LogRules.of(log, {"users": USERS}, {"users": sha256 or ""})


def joined(found: RowFile) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows(found)]


WANTED = [
    (2, ["new"], None, ["green"]),
    (1, ["new", "hot"], 30.0, ["red", "green"]),
    (3, [], None, []),
    (2, ["hot"], None, ["green"]),
]


def test_side_tables_and_flags_are_joined_as_in_training(tmp_path: Path) -> None:
    file, rules = joining(tmp_path)
    same = LogRules.of(rules.log, {"users": USERS}, {"users": file_sha256(tmp_path / "users.csv")})
    found = opened(file, kinds=JOINED, rules=same)
    assert found.warnings == ()
    assert joined(found) == WANTED


def test_another_side_table_causes_a_warning(tmp_path: Path) -> None:
    file, rules = joining(tmp_path, "ab" * 32)
    found = opened(file, kinds=JOINED, rules=rules)
    (warning,) = found.warnings
    assert "users.csv: is not the file that training joined" in warning
    assert "in training abababababab" in warning
    assert joined(found) == WANTED


def test_side_tables_of_another_folder(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    file, rules = joining(tmp_path)
    (tmp_path / "users.csv").rename(tmp_path / "tables" / "users.csv")
    with pytest.raises(DataError, match=r"users.csv: .* joined age, colours .*--tables.*or add"):
        opened(file, kinds=JOINED, rules=rules)
    assert joined(opened(file, kinds=JOINED, rules=rules, tables=tmp_path / "tables")) == WANTED
    with pytest.raises(DataError, match=r"Correct --tables"):
        opened(file, kinds=JOINED, rules=rules, tables=tmp_path / "nowhere")


def test_columns_that_the_file_has_are_not_joined(tmp_path: Path) -> None:
    _, rules = joining(tmp_path)
    (tmp_path / "users.csv").unlink()
    file = tmp_path / "rows.csv"
    file.write_text("user,age,colours,kinds\n2,31,red|green,hot\n1,,,\n")
    found = opened(file, kinds=JOINED, rules=rules)
    assert joined(found) == [(2, ["hot"], 31.0, ["red", "green"]), (1, [], None, [])]


def test_a_column_that_the_log_declares_otherwise_is_joined(tmp_path: Path) -> None:
    file, rules = joining(tmp_path)
    log = rules.log.model_copy(update={"columns": {**rules.log.columns, "age": "unused"}})
    file.write_text("user,new,hot,y,age\n1,0,0,0,99\n")
    found = opened(file, kinds=JOINED, rules=LogRules(log, rules.tables))
    assert joined(found) == [(1, [], 30.0, ["red", "green"])]


def test_a_folder_that_also_has_the_side_tables(tmp_path: Path) -> None:
    _, rules = joining(tmp_path)
    assert joined(opened(tmp_path, kinds=JOINED, rules=rules)) == WANTED
    named = LogRules(rules.log.model_copy(update={"files": ("log.csv",)}), rules.tables)
    (tmp_path / "notes.txt").write_text("something else")
    assert joined(opened(tmp_path, kinds=JOINED, rules=named)) == WANTED


@pytest.mark.parametrize("text", ["x\n1\n\n2\n", "x\n\n1\n", "x\n1\n2\n\n\n3\n"])
def test_a_blank_line_in_a_file_of_one_column_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows").write_text(text)
    line = text.split("\n").index("") + 1
    found = opened(tmp_path / "rows", rules=None, kinds={"x": "continuous"})
    with pytest.raises(DataError, match=rf"rows:{line}: a blank line in a file of one column"):
        rows(found)


def test_rows_of_one_column_that_span_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_files, "BLOCK_BYTES", 40)
    lines = ["a", '"b\n\nc"', '""', '"d\ne"'] * 30
    (tmp_path / "rows").write_text("s\n" + "\n".join(lines) + "\n\n")
    found = rows(opened(tmp_path / "rows", rules=None, kinds={"s": "string"}))
    assert [row["s"] for row in found] == ["a", "b\n\nc", None, "d\ne"] * 30


NAMES = ["^a.$", "*", "[red]"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_columns_of_any_name(tmp_path: Path, form: str) -> None:
    kinds: dict[str, FeatureKind] = {"^a.$": "string", "*": "integer", "[red]": "string"}
    kinds["ab"] = "string"
    log = Log(format=form, columns={"y": "label", **kinds})
    content = {"y": [1, 0], "ab": ["p", "q"], "[red]": ["r", "s"], "*": [3, 4], "^a.$": ["t", "u"]}
    file = tmp_path / "rows"
    if form == "csv":
        file.write_text("y,ab,[red],*,^a.$\n1,p,r,3,t\n0,q,s,4,u\n")
    else:
        pq.write_table(pa.table(content), file)
    rules = LogRules.of(log, {})
    found = rows(RowFile(file, kinds, rules, ReadOptions(), 10, keep=NAMES))
    assert found == [{n: content[n][row] for n in kinds} for row in (0, 1)]


def test_a_tab_as_a_shell_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    file.write_text("s\tx\na\t1\n")
    kinds: dict[str, FeatureKind] = {"s": "string", "x": "continuous"}
    rules = LogRules.of(Log(columns={"y": "label", **kinds}), {})
    found = rows(RowFile(file, kinds, rules, ReadOptions(separator="\\t"), 10))
    assert found == [{"s": "a", "x": 1.0}]
    with pytest.raises(DataError, match=r"'\\t' would separate them: give --delimiter"):
        RowFile(file, kinds, rules, ReadOptions(), 10)

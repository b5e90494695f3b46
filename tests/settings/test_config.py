from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plumbline.base.errors import ConfigError
from plumbline.columns.kinds import expand_ranges
from plumbline.settings.configuration import load_config

CONFIGS = Path(__file__).parents[2] / "configs"

BASE = """
name: base
log:
  columns: {clicked: label, I1..I3: continuous, C1..C2: hex, user: integer, at: time}
split: {by: rows, valid: 0.1, test: 0.2}
workflow: {graph: standard}
"""


def write(folder: Path, text: str, name: str = "config.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def message(file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(file.parent))
    return text


def extended(folder: Path, text: str) -> Path:
    """A file that extends BASE by `text`."""
    write(folder, BASE, "base.yaml")
    return write(folder, "extends: base.yaml\n" + text)


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_shipped_configurations_load(file: Path) -> None:
    assert load_config(file).name == file.stem


def test_ranges_are_spelt_out_in_order(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, BASE))
    assert list(config.log.columns) == ["clicked", "I1", "I2", "I3", "C1", "C2", "user", "at"]
    assert config.features == {
        "I1": "continuous",
        "I2": "continuous",
        "I3": "continuous",
        "C1": "hex",
        "C2": "hex",
        "user": "integer",
    }
    assert config.label_column == "clicked"


def test_flags_become_one_list_after_the_tables_other_features(tmp_path: Path) -> None:
    text = (
        'log: {list_separator: "|", columns: {F1..F3: flag, tags: string_list, ids: hex_list},'
        " multi_hot: {genres: [F3, F1..F2]}}\n"
        "tables: {users: {file: u, columns: {user: key, age: continuous}}}\n"
    )
    config = load_config(extended(tmp_path, text))
    assert config.log.multi_hot == {"genres": ("F3", "F1", "F2")}
    assert list(config.features.items())[-4:] == [
        ("tags", "string_list"),
        ("ids", "hex_list"),
        ("genres", "string_list"),
        ("age", "continuous"),
    ]


def test_a_list_column_of_a_parquet_table_needs_no_separator(tmp_path: Path) -> None:
    config = load_config(extended(tmp_path, "log: {format: parquet, columns: {t: integer_list}}"))
    assert config.features["t"] == "integer_list"


def test_extends_replaces_key_by_key(tmp_path: Path) -> None:
    config = load_config(extended(tmp_path, "name: other\nsplit: {test: 0.3}\n"))
    assert config.name == "other"
    assert config.split.model_dump(exclude_none=True) == {"by": "rows", "valid": 0.1, "test": 0.3}
    assert "I1" in config.features


@pytest.mark.parametrize(
    ("gap", "seconds"),
    [
        ("3600", 3600),
        ("'3600'", 3600),
        ("1.5", 1.5),
        ("90s", 90),
        ("90m", 5400),
        ("36h", 129_600),
        ("1d", 86_400),
        ("2w", 1_209_600),
        ("1d 12h", 129_600),
        ("1.5h", 5400),
        ("0", 0),
    ],
)
def test_a_gap_is_seconds_or_text(tmp_path: Path, gap: str, seconds: float) -> None:
    config = load_config(extended(tmp_path, f"split: {{by: time, gap: {gap}}}"))
    assert config.split.model_dump()["gap"] == seconds


def test_a_column_for_the_split_alone_is_no_feature(tmp_path: Path) -> None:
    config = load_config(
        extended(tmp_path, "split: {by: group, column: at}\nlog: {columns: {at: unused}}")
    )
    assert config.group_column == "at" and "at" not in config.features
    assert load_config(extended(tmp_path, "seed: 2")).group_column is None


def test_extends_through_two_files(tmp_path: Path) -> None:
    extended(tmp_path, "seed: 7\n")
    last = write(tmp_path, "extends: config.yaml\nname: last\n", "last.yaml")
    config = load_config(last)
    assert (config.seed, config.name) == (7, "last")


def test_a_file_that_extends_itself(tmp_path: Path) -> None:
    write(tmp_path, "extends: b.yaml\n", "a.yaml")
    assert "but it extends itself" in message(write(tmp_path, "extends: a.yaml\n", "b.yaml"))


def test_a_missing_base(tmp_path: Path) -> None:
    text = message(write(tmp_path, "extends: none.yaml\n"))
    assert text.endswith("none.yaml: wanted a YAML configuration, but there is no such file.")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: [1\n", "it is not valid YAML"),
        ("- a\n", "it is not a mapping of keys to values"),
        ("", "it is not a mapping of keys to values"),
    ],
)
def test_what_is_no_mapping(tmp_path: Path, content: str, expected: str) -> None:
    assert expected in message(write(tmp_path, content))


def test_a_missing_file(tmp_path: Path) -> None:
    assert "there is no such file" in message(tmp_path / "none.yaml")


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"name: \xff\n")
    text = message(file)
    assert (
        text.startswith(f"{file}:1: ") and "it is not UTF-8 text (found the byte b'\\xff')" in text
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("trainin: {epochs: 1}", "unknown key 'trainin', did you mean 'training'?"),
        ("training: {epoch: 1}", "training: unknown key 'epoch', did you mean 'epochs'?"),
        ("log: {seperator: x}", "log: unknown key 'seperator', did you mean 'separator'?"),
        ("label: {x: 1}", "label: unknown key 'x', known: at_least"),
        ("training: {epochs: 0}", "training.epochs: wanted a number above 0, got 0 (line 2)"),
        ("training: {epochs: many}", "training.epochs: wanted a whole number, got 'many'"),
        ("seed: -1", "seed: wanted a number of at least 0, got -1"),
        ("log: {columns: {user: number}}", "log.columns.user: wanted one of continuous,"),
        ("log: {columns: {I2: integer}}", "log.columns: column 'I2' is declared twice"),
        ("log: {columns: {A3..A1: integer}}", "log.columns: range 'A3..A1': wanted the form"),
        ("log: {columns: {A1..B3: integer}}", "log.columns: range 'A1..B3': wanted the form"),
        ("log: {columns: {click: integer}}", "a feature cannot be named 'click'"),
        ("log: {columns: {clicked: unused}}", "wanted exactly one column of kind 'label'"),
        ("log: {columns: {user: key}}", "kind 'key' is for tables; in the log give the real kind"),
        ("log: {separator: 123456789a}", "log.separator: wanted text of at most 8 characters"),
        ("log: {separator: ¦}", "log.separator: wanted ASCII characters, no line end, got '¦'"),
        ('log: {separator: "\\n"}', "log.separator: wanted ASCII characters, no line end"),
        ('log: {quote: "é"}', "log.quote: wanted ASCII characters"),
        ("log: {encoding: base64}", "log.encoding: wanted utf-8, utf-16, latin-1 or such, got"),
        ("log: {encoding: utf8x}", "log.encoding: wanted utf-8, utf-16, latin-1 or such, got"),
        ("split: {test: 1.5}", "split.test: wanted a number below 1.0, got 1.5"),
        ("split: {valid: 0.9}", "split: valid 0.9 and test 0.2 leave no rows to train on"),
        ("split: {by: size}", "split: by: wanted one of file, rows, hash, time, group, got"),
        ("split: {by: file, valid: [1], test: [2, 1]}", "file 1 is in valid and in test"),
        (
            "split: {by: time}\nlog: {columns: {at: unused}}",
            "exactly one log column of kind 'time'",
        ),
        ("workflow: {graph: 5}", "workflow.graph: wanted text, got 5"),
        ("workflow: {grap: x}", "workflow: unknown key 'grap', did you mean 'graph'?"),
        (
            "workflow: {buckets: 5}",
            "workflow: unknown key 'buckets', options of the graph are keys of options: 'options:",
        ),
        ("workflow: {options: 5}", "workflow.options: wanted a mapping of keys to values, got 5"),
        (
            "split: {by: file, train: [0], valid: [1], test: [0]}",
            "file 0 is in train and in test",
        ),
        (
            "split: {by: file, train: [], valid: [1], test: [0]}",
            "split: train has no files: leave it out to train on all other files",
        ),
        (
            "split: {train: 0.8}",
            "split: train 0.8, valid 0.1 and test 0.2 are 1.1 of the rows together: wanted",
        ),
        ("split: {train: 0}", "split.train: wanted a number above 0.0, got 0"),
        ("split: {tran: 0.5}", "split: unknown key 'tran', did you mean 'train'?"),
        (
            "split: {gap: 1h}",
            "split: gap is for a split by time, and this one is by rows: leave it out, or",
        ),
        (
            "split: {by: file, valid: [1], test: [0], gap: 1h}",
            "split: gap is for a split by time, and this one is by file",
        ),
        (
            "split: {by: hash, column: user}",
            "split: column is for a split by group, and this one is by hash: leave it out",
        ),
        ("split: {by: time, gap: 3 days}", "split.gap: wanted seconds, or text such as 90s"),
        ("split: {by: time, gap: ''}", "split.gap: wanted seconds, or text such as 90s, 90m"),
        ("split: {by: time, gap: 1h30}", "text such as 90s, 90m, 36h, 1d or 2w, got '1h30'"),
        ("split: {by: time, gap: yes}", "split.gap: wanted seconds, or text such as"),
        (
            "split: {by: time, gap: -1}",
            "split.gap: wanted a number of at least 0.0, got -1",
        ),
        ("split: {by: time, gap: nan}", "split.gap: wanted seconds, or text such as 90s"),
        ("split: {by: time, gap: .nan}", "split.gap: wanted a "),
        ("split: {by: time, gap: .inf}", "split.gap: wanted a finite number, got inf"),
        ("split: {keep_negatives: 0}", "keep_negatives: wanted a number above 0.0, got 0"),
        ("split: {keep_negatives: 1}", "keep_negatives: wanted a number below 1.0, got 1"),
        ("split: {keep_negatives: .nan}", "split.keep_negatives: wanted a"),
        ("split: {by: group}", "split.column: wanted, but it is missing"),
        (
            "split: {by: group, column: usr}",
            "split.column: log.columns has no 'usr' (did you mean 'user'?); declare a column",
        ),
        (
            "split: {by: group, column: tags}\n"
            "log: {format: parquet, columns: {tags: string_list}}",
            "split.column 'tags' is string_list: wanted a column of single values",
        ),
        (
            "split: {by: group, column: clicked}",
            "split.column 'clicked' is of kind label: wanted continuous, integer,",
        ),
        (
            "split: {by: group, column: at}",
            "split.column 'at' is of kind time: wanted continuous, integer,",
        ),
        (
            "split: {by: group, column: age}\n"
            "tables: {users: {file: u, columns: {user: key, age: continuous}}}",
            "split.column 'age' is a column of tables.users: wanted one of the log, such as 'user'",
        ),
        (
            "split: {by: group, column: g}\nlog: {columns: {F1: flag}, multi_hot: {g: [F1]}}",
            "split.column 'g' is a list made of flags: wanted single values",
        ),
        ("model: {bottom_mlp: [8]}", "bottom_mlp has to end in embedding_dim 16, got [8]"),
        ("serving: {probe_rows: 10}", "probe_rows: wanted a number of at least 1000, got 10"),
        (
            "tables: {users: {file: u, columns: {user: integer}}}",
            "tables.users: wanted exactly one column of kind 'key'",
        ),
        (
            "tables: {users: {file: u, columns: {item: key}}}",
            "tables.users: the log has no column 'item' to join on",
        ),
        (
            "tables: {users: {file: u, columns: {I1: key}}}",
            "tables.users: the log's column 'I1' is continuous, wanted integer, hex or string",
        ),
        (
            "tables: {users: {file: u, columns: {user: key, C1: hex}}}",
            "column 'C1' is in two tables",
        ),
        ("tables: {users: {columns: {user: key}}}", "tables.users.file: wanted, but it is missing"),
        (
            "log: {columns: {tags: string_list}}",
            "log: column 'tags' is string_list: wanted list_separator",
        ),
        ('log: {list_separator: ","}', "log: list_separator ',' is the separator or the quote too"),
        ("log: {list_separator: ab}", "log.list_separator: wanted text of at most 1 character"),
        ("log: {list_separator: ¦}", "log.list_separator: wanted ASCII characters"),
        (
            "log: {columns: {F1: flag}}",
            "log: column 'F1' is a flag in no multi_hot: name it in one",
        ),
        (
            "log: {columns: {F1: flag}, multi_hot: {g: [F1], h: [F1]}}",
            "log: column 'F1' is in multi_hot.g and again in multi_hot.h: wanted one use",
        ),
        ("log: {multi_hot: {g: [F1]}}", "log: multi_hot.g: column 'F1' is not in the table"),
        (
            "log: {multi_hot: {g: [I1]}}",
            "multi_hot.g: column 'I1' is continuous, wanted kind 'flag",
        ),
        ("log: {multi_hot: {g: []}}", "log: multi_hot.g: wanted columns of kind 'flag', got none"),
        ('log: {multi_hot: {"a\\x1fb": [F1]}}', "a name is text, without NUL and unit separators"),
        (
            "log: {columns: {F1: flag}, multi_hot: {user: [F1]}}",
            "log: multi_hot.user: the table has a column of that name",
        ),
        (
            "log: {columns: {F1: flag}, multi_hot: {click: [F1]}}",
            "a feature cannot be named 'click'",
        ),
        (
            "model: {bag: min}",
            "model.bag: wanted one of mean, sum, max, position_weighted, got 'min'",
        ),
        (
            "model: {bag: sum, bag_positions: 9}",
            "bag_positions is only for bag: position_weighted, got 9 with bag: sum; leave it out",
        ),
        ("model: {bag: position_weighted, bag_positions: 0}", "model.bag_positions: wanted"),
    ],
)
def test_wrong_settings(tmp_path: Path, change: str, expected: str) -> None:
    assert expected in message(extended(tmp_path, change))


@pytest.mark.parametrize("key", ["name", "log", "split", "workflow"])
def test_missing_keys(tmp_path: Path, key: str) -> None:
    settings = yaml.safe_load(BASE)
    del settings[key]
    assert f"{key}: wanted, but it is missing" in message(write(tmp_path, yaml.safe_dump(settings)))


def test_a_missing_key_of_a_split(tmp_path: Path) -> None:
    text = BASE.replace("valid: 0.1, ", "")
    assert "split.valid: wanted, but it is missing (line 5)" in message(write(tmp_path, text))


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = message(extended(tmp_path, "training: {epochs: 0, batch_size: 0}\nseed: -1"))
    assert "training.epochs" in text
    assert "training.batch_size" in text
    assert "seed" in text


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, BASE))
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 2  # type: ignore[misc]


@pytest.mark.parametrize("name", ["", "a\0b", "\x1ftime", "\ud800"])
def test_refused_column_names(name: str) -> None:
    with pytest.raises(ValueError, match=r"wanted a name|a name is text"):
        expand_ranges({name: "integer"})


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("name: a\nseed: 1\nname: b\n", ":3: the key 'name' is here and in line 1"),
        ("log:\n  columns:\n    a: hex\n    'a': hex\n", ":4: the key 'log.columns.a' is here"),
        ("log: {columns: {on: hex}}\n", "log.columns.on: YAML reads on as a boolean, wanted text"),
        ("log:\n  columns:\n    Yes: hex\n", ":3: log.columns.Yes: YAML reads Yes as a boolean"),
        ("log: {columns: {2020: hex}}\n", "YAML reads 2020 as a number, wanted text for a key"),
        ("log: {columns: {1.5: hex}}\n", "put it in quotes, '1.5'"),
        ("log: {columns: {null: hex}}\n", "YAML reads null as null"),
        ("log: {columns: {~: hex}}\n", "YAML reads ~ as null"),
        ("log: {columns: {2020-01-01: hex}}\n", "YAML reads 2020-01-01 as a date"),
        ("log: {columns: {[a, b]: hex}}\n", "wanted text for a key, found a list or a mapping"),
        ("log: {columns: {? {a: 1} : hex}}\n", "wanted text for a key"),
        ("name: !!python/object:os.system x\n", "the tag !!python/object:os.system has no meaning"),
        ("log: !mine {columns: {}}\n", "log: the tag !mine has no meaning"),
        ("seed: 2020-99-99\n", ":1: seed: YAML cannot read 2020-99-99: put it in quotes"),
        (
            "log:\n\theader: true\n",
            ":2: wanted a YAML configuration, but it is not valid YAML (there is a tab",
        ),
        ("name: a\x00b\n", "the character '\\x00' is not allowed"),
        ("name: *none\n", "found undefined alias"),
        ("name: &a [*a]\n", "a value contains itself"),
        ("name: a\n---\nname: b\n", "it is not valid YAML"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("extends: [a]\n", "extends: wanted the name of a file"),
    ],
)
def test_yaml_that_is_not_a_configuration(tmp_path: Path, text: str, reported: str) -> None:
    assert reported in message(write(tmp_path, text))


def test_anchors_that_multiply_are_stopped(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "more than 100,000 values" in message(write(tmp_path, "\n".join(lines)))


def test_anchors_and_merged_mappings_can_be_used(tmp_path: Path) -> None:
    text = BASE + (
        "tables:\n"
        "  users: &base {file: u, columns: {user: key, age: continuous}}\n"
        "  others: {<<: *base, columns: {user: key, town: string}}\n"
    )
    config = load_config(write(tmp_path, text))
    assert config.tables["others"].file == "u" and "town" in config.features


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        (
            "log: {missing: [NO, '-']}",
            "log.missing.0: wanted text, got false: YAML reads NO as a boolean; put it in",
        ),
        ("label: {click: word}", "label.click: wanted a list of words"),
        ("log: {files: day_1.csv}", "log.files: wanted a list, got 'day_1.csv': write [day_1.csv]"),
        ("name: ~", "name: wanted text, got nothing: YAML reads ~ as null"),
        ("name:", "name: wanted text, got nothing: the value is empty"),
        (
            "name: 2020-01-01",
            "got the date 2020-01-01: YAML reads 2020-01-01 as a date",
        ),
        ("log: {columns: [a, b]}", "log.columns: wanted a mapping of keys to values, got a list"),
        ("training: 3", "training: wanted a mapping of keys to values, got 3"),
        ("split: {by: hash, test: ~}", "split.test: wanted a number, got nothing"),
        ("log: {header: maybe}", "log.header: wanted true or false, got 'maybe'"),
        ("log: {columns: {user: intger}}", "got 'intger'; did you mean 'integer'?"),
        ("split: {by: hsah}", "got 'hsah'; did you mean 'hash'?"),
        ("name: [" + "x, " * 500 + "]", "name: wanted text, got a list"),
        ("seed: " + "x" * 5000, "x…"),
        ("log: {separator: '\\t'}", 'write "\\t" in double quotes'),
    ],
)
def test_values_of_the_wrong_type(tmp_path: Path, change: str, reported: str) -> None:
    text = message(extended(tmp_path, change))
    assert reported in text and "line 2" in text
    assert len(text) < 600


def test_a_wrong_value_of_the_base_is_reported_with_its_file(tmp_path: Path) -> None:
    write(tmp_path, BASE + "seed: -3\n", "base.yaml")
    text = message(write(tmp_path, "extends: base.yaml\nname: other\n"))
    assert "seed: wanted a number of at least 0, got -3 (base.yaml, line 7)" in text


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_one_line(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(ConfigError) as caught:
            load_config(file)
    assert "\n" not in str(caught.value)

"""The rules of the log in a repository's configs, which every version has its own set of."""

import json

import pytest

from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.contract.versions import (
    Version,
    parameters_of,
    versions_from_json,
    versions_to_json,
)
from plumbline.serving.errors import ServerError
from plumbline.settings import Log, SideTable

LOG = Log(
    columns={"y": "label", "größe": "continuous", "user": "hex", "red": "flag", "t": "string_list"},
    separator="|",
    quote="'",
    encoding="latin-1",
    header=False,
    missing=("NA", "\\N"),
    decimal=",",
    thousands=".",
    trim=True,
    list_separator=";",
    multi_hot={"colours": ("red",)},
    files=("clicks.txt",),
    malformed_limit=7,
)
USERS = SideTable(file="users.csv", columns={"user": "key", "age": "continuous"})
RULES = LogRules.of(LOG, {"users": USERS}, {"users": "ab" * 32})


def version(rules: LogRules | None, letter: str) -> Version:
    return Version(
        letter * 64, letter * 64, letter * 64, None if rules is None else rules.to_json()
    )


def test_they_are_read_as_they_were_written() -> None:
    found = LogRules.of_parameters("m", version(RULES, "a").rule_parameters)
    assert found is not None
    assert found.log == LOG.model_copy(update={"malformed_limit": Log(columns={}).malformed_limit})
    assert (found.tables["users"].settings, found.tables["users"].sha256) == (USERS, "ab" * 32)


def test_each_version_has_its_own_rules() -> None:
    other = LogRules.of(LOG.model_copy(update={"separator": ","}), {})
    text = versions_to_json(
        {"1": version(None, "a"), "2": version(RULES, "b"), "3": version(other, "c")}
    )
    assert versions_from_json("m", text)["2"] == version(RULES, "b")
    parameters = {"versions": text, **version(other, "c").rule_parameters}

    def of(number: str) -> LogRules | None:
        return LogRules.of_parameters("m", parameters_of("m", parameters, number)[0])

    assert of("1") is None, "an export before there were rules"
    first, second = of("2"), of("3")
    assert first is not None and second is not None
    assert (first.log.separator, second.log.separator) == ("|", ",")
    assert (list(first.tables), list(second.tables)) == (["users"], [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting"),
        ("[]", "valid dictionary"),
        (json.dumps({"columns": {"a": "integer"}, "colour": 1}), "unknown key 'colour'"),
        (json.dumps({"columns": {"a": "new kind"}}), r"columns\.a"),
    ],
)
def test_rules_of_a_newer_plumbline_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ServerError, match=rf"'m': .*{reason}.*Upgrade the client"):
        LogRules.of_parameters("m", {"log": text})

"""URLs of object stores: which are read, and that no credential in one is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from obstore import exceptions

from plumbline.base.stores import (
    Bucket,
    StoreError,
    is_url,
    local_path,
    relative_parts,
    store_errors,
)


def test_a_path_is_no_url_and_a_file_url_is_a_path() -> None:
    for text in ("logs", "/logs/day=1", "a:b", "C:/x", "//host/share"):
        assert not is_url(text) and local_path(text) == Path(text)
    assert local_path("file:///logs/a%20b.csv") == Path("/logs/a b.csv")
    assert local_path("s3://bucket/logs/*.csv") is None
    assert local_path("gs://bucket/day_?.csv") is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://me:hush@bucket/x", "s3://…: wanted a URL without a user and a password"),
        ("file://me:hush@/x", "file://…: wanted a URL without a user and a password"),
        ("s3://bucket/x?X-Amz-Signature=hush", "s3://…: wanted a URL without a query"),
        ("gs://bucket/x?token=hush#y", "gs://…: wanted a URL without a query"),
        ("file://host/x", "wanted file:///PATH, got a host in it"),
        ("ftp://host/x", "wanted a path, or a URL of file://, s3://, gs://"),
        ("https://host/x?a=hush", "https://…: wanted a URL without a query"),
    ],
)
def test_other_urls_are_refused_without_their_secrets(url: str, message: str) -> None:
    with pytest.raises(StoreError) as refused:
        local_path(url)
    assert message in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("url", ["s3://", "s3:///x/", "file:///x", "x"])
def test_a_url_needs_a_bucket(url: str) -> None:
    with pytest.raises(StoreError, match=r"wanted (the URL of a bucket|a path, or a URL)"):
        Bucket.of(url)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError("x"), "s3://b/x: there is no such bucket or object"),
        (exceptions.PermissionDeniedError("no"), r"s3://b/x: access is denied \(no\)\. Check the"),
        (exceptions.UnauthenticatedError("who"), r"s3://b/x: access is denied \(who\)"),
        (
            exceptions.GenericError("no answer of (http://h/x?X-Amz=hush)\n\nDebug source:\nhush"),
            r"s3://b/x: no answer of \(http://h/x\)\.$",
        ),
    ],
)
def test_the_errors_of_a_store_are_one_line(error: Exception, message: str) -> None:
    with pytest.raises(StoreError, match=message), store_errors("s3://b/x"):
        raise error


def test_other_errors_are_ours() -> None:
    with pytest.raises(ZeroDivisionError), store_errors("s3://bucket/x"):
        raise ZeroDivisionError


@pytest.mark.parametrize("path", ["b/../x", "b//x", "b/./x", "b/a\0"])
def test_no_object_is_copied_out_of_its_folder(path: str) -> None:
    with pytest.raises(StoreError, match="wanted names between the slashes"):
        relative_parts(path)

"""Guesses from the name of a column."""

from __future__ import annotations

import re

LABEL_NAMES = (
    "click", "clicked", "is_click", "isclick", "is_clicked", "clk", "label", "target", "y",
    "is_attributed", "conversion", "converted", "convert", "is_conversion", "purchase",
    "purchased", "bought", "is_purchase", "revenue", "income", "response", "responded",
    "subscribed", "subscribe", "deposit", "churn", "churned", "recommended", "recommended_ind",
    "like", "liked", "is_like", "install", "installed", "action", "outcome", "class", "survived",
)  # fmt: skip
"""Names of labels, the most certain first."""

RATING_WORDS = frozenset({"rating", "ratings", "stars", "score", "grade"})

_MEASURES = frozenset({
    "per", "count", "counts", "num", "nr", "amount", "total", "sum", "avg", "mean", "rate",
    "ratio", "price", "cost", "duration", "spent", "length", "len", "size", "age", "score",
    "weight", "hours", "minutes", "seconds", "days", "times", "views", "balance", "gain", "loss",
    "quantity", "qty", "frequency", "clicks", "height", "width", "daily", "percent", "pct",
    "income", "salary", "value", "distance", "temperature", "likes", "visits", "std", "min", "max",
})  # fmt: skip
_KEYS = frozenset({
    "id", "ids", "uid", "uuid", "guid", "pid", "cid", "sid", "iid", "sku", "key", "zip", "zipcode",
    "postcode", "code", "user", "item", "movie", "film", "customer", "visitor", "session",
    "product", "article", "query", "keyword", "ip", "phone",
})  # fmt: skip
_CODES = frozenset({
    "hour", "day", "weekday", "dayofweek", "dow", "month", "year", "week", "quarter", "type",
    "category", "cat", "class", "kind", "group", "segment", "cluster", "region", "country", "city",
    "state", "area", "district", "browser", "browsers", "os", "system", "systems", "device", "app",
    "channel", "site", "domain", "carrier", "model", "brand", "vendor", "store", "shop", "ad",
    "advertiser", "campaign", "creative", "banner", "slot", "position", "pos", "language", "locale",
    "gender", "sex", "version", "flag", "status", "level", "publisher", "section", "department",
    "source", "medium", "referrer", "occupation", "job",
})  # fmt: skip
_TIMES = frozenset({
    "time", "timestamp", "ts", "date", "datetime", "at", "when", "hour", "day", "utc", "clock",
})  # fmt: skip
_AFTERWARDS = frozenset({
    "duration", "dwell", "after", "attributed", "watched", "watch", "play", "scroll", "result",
    "outcome", "reward", "converted", "conversion", "feedback", "read", "rating", "review", "stars",
})  # fmt: skip
_USERS = frozenset({"user", "customer", "visitor", "member", "uid", "client", "viewer"})
_ROW_NUMBERS = frozenset(
    {"", "index", "unnamed: 0", "__index_level_0__", "row", "rownum", "row_id"}
)
_ANONYMOUS = re.compile(
    r"^[a-z]{0,3}_?\d+$|^(feature|feat|field|var|col|column)_?\d+$", re.IGNORECASE
)


def words(name: str) -> list[str]:
    """The words of a name, in lower case.

    >>> words("userId"), words("day_of_week"), words("Clicked on Ad")
    (['user', 'id'], ['day', 'of', 'week'], ['clicked', 'on', 'ad'])
    """
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [word for word in re.split(r"[^0-9a-z]+", spaced.lower()) if word]


def is_measure(name: str) -> bool:
    """Whether the name is of a quantity: a count, an amount, a share."""
    return not is_key(name) and bool(_MEASURES & set(words(name)))


def is_key(name: str) -> bool:
    """Whether the name is of an identifier."""
    found = words(name)
    return bool(found) and found[-1] in _KEYS


def is_code(name: str) -> bool:
    found = words(name)
    return is_key(name) or (bool(found) and (found[-1] in _CODES or "dayofweek" in found))


def is_time(name: str) -> bool:
    return bool(_TIMES & set(words(name)))


def is_known_afterwards(name: str) -> bool:
    return bool(_AFTERWARDS & set(words(name)))


def is_user(name: str) -> bool:
    return bool(_USERS & set(words(name)))


def is_row_number(name: str) -> bool:
    return name.strip().lower() in _ROW_NUMBERS


def is_anonymous(name: str) -> bool:
    """Whether the name has no meaning: c7, I3, V12, feature_4."""
    return bool(_ANONYMOUS.match(name))


def is_rating(name: str) -> bool:
    return bool(RATING_WORDS & set(words(name)))


def label_rank(name: str) -> int | None:
    """Rank among the known names of labels, the most certain first; None for any other name."""
    found = words(name)
    joined = "_".join(found)
    if joined in LABEL_NAMES:
        return LABEL_NAMES.index(joined)
    inside = [LABEL_NAMES.index(word) for word in found if word in LABEL_NAMES[:8]]
    return min(inside) + len(LABEL_NAMES) if inside else None

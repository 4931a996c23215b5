"""The address of a storage that machines share, and the password in it that nobody is shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_SCHEMES = ("postgresql", "postgresql+psycopg")
_RULE = "storage must be empty (a journal beside the results) or postgresql://USER@HOST/DATABASE"
_USER_PASSWORD = re.compile(r"(\w://[^\s:/@]*):[^\s/]*@")
_QUERY_PASSWORD = re.compile(r"([?&]password=)[^&\s'\"]*")


def check_address(address: str) -> None:
    """Raise ValueError unless `address` is empty or names a PostgreSQL database."""
    if address == "":
        return
    parts = urlsplit(address) if isinstance(address, str) else None
    if parts is None or parts.scheme not in _SCHEMES or not parts.path.strip("/"):
        raise ValueError(f"{_RULE}; got {redact_password(repr(address))}")
    if "password=" in parts.query:
        raise ValueError(
            "storage must have its password as USER:PASSWORD@HOST, or in PGPASSWORD or ~/.pgpass;"
            f" got {redact_password(address)}"
        )


def redact_password(text: str) -> str:
    """`text` with *** for the password of every address in it."""
    return _QUERY_PASSWORD.sub(r"\1***", _USER_PASSWORD.sub(r"\1:***@", text))


def split_password(address: str) -> tuple[str, str | None]:
    """An address without the password that stands before its host, and that password."""
    parts = urlsplit(address)
    user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
    if not colon:
        return address, None
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}@{host}")), password

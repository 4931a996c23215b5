"""Check the URL of a shared PostgreSQL storage, and redact the password in it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_SCHEMES = ("postgresql", "postgresql+psycopg")
_RULE = "storage must be empty (a journal beside the results) or postgresql://USER@HOST/DATABASE"
_USER_PASSWORD = re.compile(r"(\w://[^\s:/@]*):[^\s/]*@")
_QUERY_PASSWORD = re.compile(r"([?&]password=)[^&\s'\"]*")


def check_address(address: str) -> None:
    """Check that `address` is empty or the URL of a PostgreSQL database.

    Args:
        address: Empty for the local journal, or `postgresql://USER@HOST/DATABASE`.

    Raises:
        ValueError: If it is anything else, or has its password in the query string, which Optuna
            would log. The message never shows the password.
    """
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
    """Replace the password of every URL in `text` by ***.

    Example:
        >>> redact_password("postgresql://ada:secret@db/studies")
        'postgresql://ada:***@db/studies'
    """
    return _QUERY_PASSWORD.sub(r"\1***", _USER_PASSWORD.sub(r"\1:***@", text))


def split_password(address: str) -> tuple[str, str | None]:
    """Split a URL into the same URL without `:PASSWORD`, and the password (None if it has none).

    Example:
        >>> split_password("postgresql://ada:secret@db/studies")
        ('postgresql://ada@db/studies', 'secret')
    """
    parts = urlsplit(address)
    user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
    if not colon:
        return address, None
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}@{host}")), password

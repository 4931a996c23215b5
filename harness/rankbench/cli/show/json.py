"""JSON on standard output, in the form that docs/reference/json.md describes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any


def print_json(value: Any) -> None:
    """Print a value as indented JSON; what JSON does not support becomes null or text."""
    print(json.dumps(plain_value(value), indent=1, ensure_ascii=False, allow_nan=False))


def plain_value(value: Any) -> Any:
    """Convert a value to JSON types: no NaN or infinity, no tuples, dates in ISO 8601."""
    if isinstance(value, Mapping):
        return {str(key): plain_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value

"""The schema is complete and consistent: it is what every other part trusts."""

from __future__ import annotations

import pyarrow as pa
import pytest

from rankbench.store.schema import (
    FAILED,
    FINISHED,
    RUNS,
    SCHEMA_VERSION,
    STATUSES,
    TABLES,
    arrow_schema,
)

# A unit at the end of a name is the column's unit.
ENDINGS = {"ms": "ms", "mb": "MB", "s": "s", "mhz": "MHz", "flops": "FLOPs", "params": "parameters"}


@pytest.mark.parametrize("table", TABLES)
def test_names_are_unique_and_explained(table: str) -> None:
    names = [column.name for column in TABLES[table]]
    assert len(set(names)) == len(names)
    assert names[:2] == ["study", "run_id"]
    for column in TABLES[table]:
        assert column.meaning
        assert "\n" not in column.meaning


@pytest.mark.parametrize("table", TABLES)
def test_a_unit_in_a_name_is_the_unit(table: str) -> None:
    for column in TABLES[table]:
        ending = column.name.rpartition("_")[2]
        if ending in ENDINGS and column.type != pa.string():
            assert column.unit == ENDINGS[ending], column.name


@pytest.mark.parametrize("table", TABLES)
def test_arrow_schema_says_types_units_and_version(table: str) -> None:
    schema = arrow_schema(table)
    assert schema.names == [column.name for column in TABLES[table]]
    for field, column in zip(schema, TABLES[table], strict=True):
        assert field.type == column.type
        assert field.metadata == {
            b"unit": column.unit.encode(),
            b"meaning": column.meaning.encode(),
        }
    assert schema.metadata[b"table"] == table.encode()
    assert schema.metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()


def test_times_carry_their_zone() -> None:
    times = [column.type for column in RUNS if pa.types.is_timestamp(column.type)]
    assert times == [pa.timestamp("us", tz="UTC")]


def test_a_status_is_finished_or_failed() -> None:
    assert not set(FINISHED) & set(FAILED)
    assert set(STATUSES) == {*FINISHED, *FAILED}
    [status] = [column for column in RUNS if column.name == "status"]
    assert all(name in status.meaning for name in STATUSES)

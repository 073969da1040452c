"""A transaction of tables and of what memory holds of them."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from edge_gateway.store.transaction import transaction


class Count:
    """Holds the number of rows."""

    value = 0

    def snapshot(self) -> int:
        return self.value

    def restore(self, snapshot: int) -> None:
        self.value = snapshot


class Unreliable(sqlite3.Connection):
    """Cannot roll back."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "ROLLBACK":
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *parameters)


def test_what_is_restored_reads_the_tables_as_they_were() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.execute("CREATE TABLE row(id INTEGER)")
        rows = []

        class Reads(Count):
            def restore(self, snapshot: int) -> None:
                rows.append((snapshot, *db.execute("SELECT COUNT(*) FROM row").fetchone()))

        def insert() -> None:
            with transaction(db, (Reads(),)):
                db.execute("INSERT INTO row VALUES(1)")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            insert()
        assert rows == [(0, 0)]


def test_memory_is_restored_even_where_the_rollback_fails() -> None:
    count = Count()

    def insert() -> None:
        with transaction(db, (count,)):
            count.value += 1
            raise ZeroDivisionError

    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=Unreliable)) as db:
        with pytest.raises(sqlite3.OperationalError, match="disk"):
            insert()
        assert count.value == 0


def test_an_error_leaves_tables_and_memory_as_they_were() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.execute("CREATE TABLE row(id INTEGER)")
        count = Count()

        def insert(error: Exception | None = None) -> None:
            with transaction(db, (count,)):
                db.execute("INSERT INTO row VALUES(1)")
                count.value += 1
                if error is not None:
                    raise error

        insert()
        with pytest.raises(ZeroDivisionError):
            insert(ZeroDivisionError())
        assert (count.value, db.execute("SELECT COUNT(*) FROM row").fetchone()) == (1, (1,))
        assert not db.in_transaction

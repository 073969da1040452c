"""A transaction of tables and of what memory holds of them."""

import sqlite3
from contextlib import closing

import pytest

from edge_gateway.store.transaction import transaction


class Count:
    """Holds the number of rows."""

    value = 0

    def snapshot(self) -> int:
        return self.value

    def restore(self, snapshot: int) -> None:
        self.value = snapshot


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

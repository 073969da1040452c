"""`python -m schemas`: write every schema anew, and the tables of docs/operate.md."""

from edge_gateway.status.page_tables import with_tables
from schemas import DIRECTORY, PAGE, as_text, schemas

for name, schema in schemas().items():
    (DIRECTORY / name).write_text(as_text(schema), encoding="utf-8")
PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

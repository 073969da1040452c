"""`python -m schemas`: write every schema anew."""

from schemas import DIRECTORY, as_text, schemas

for name, schema in schemas().items():
    (DIRECTORY / name).write_text(as_text(schema), encoding="utf-8")

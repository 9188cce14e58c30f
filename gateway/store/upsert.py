"""Insert a row or put it in the place of the one with its key, in the SQL of both databases."""

from functools import lru_cache


@lru_cache(maxsize=64)
def upsert(table: str, columns: str, key: str) -> str:
    """Return the statement; it takes a value for each column.

    Args:
        table: The table.
        columns: All columns that are given, separated by commas.
        key: Those of them that are the primary key, separated by commas.
    """
    names = [name.strip() for name in columns.split(",")]
    keys = [name.strip() for name in key.split(",")]
    changed = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    marks = ", ".join("?" * len(names))
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changed}"
    )

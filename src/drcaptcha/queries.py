"""Queries that are asked for each visitor: building one and converting its rows takes Django longer than all else."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Expression

MOST = 512
"""For more keys than these a query is built each time."""

Rows = list[tuple[Any, ...]]


def raw(rows: Any) -> Rows:
    """Read the rows of a query set as the database gives them."""
    try:
        sql, parameters = rows.query.get_compiler(rows.db).as_sql()
    except EmptyResultSet:
        return []
    with connections[rows.db].cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def moment(time: datetime) -> Any:
    """Return a time as the database takes it."""
    return connection.ops.adapt_datetimefield_value(time)


def asked(sql: str, parameters: list[Any]) -> Rows:
    """Return what the database answers; SQLite is asked directly: it has answered before Django has made a cursor."""
    database = connections[DEFAULT_DB_ALIAS]  # Each look at Django's ``connection`` would find this thread's anew.
    if database.vendor == "sqlite" and not database.queries_logged:
        if database.connection is None:
            database.connect()
        with database.wrap_database_errors:
            return list(database.connection.execute(_native(sql), parameters).fetchall())
    with database.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


SOME = 500
"""Rows that one statement changes."""


def update(sql: str, keys: Sequence[int], *values: Any) -> None:
    """Change the rows with these keys by a statement with these values, which ends where the keys are to be named."""
    with connection.cursor() as cursor:
        for start in range(0, len(keys), SOME):
            some = keys[start : start + SOME]
            cursor.execute(f"{sql} IN ({', '.join(['%s'] * len(some))})", [*values, *some])


@cache
def _native(sql: str) -> str:
    """Return a query with places as SQLite marks them."""
    return sql.replace("%s", "?").replace("%%", "%")


class Blank(Expression):
    """Stands in a query for a value that is told when it is asked."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:  # noqa: ARG002 -- Django's names.
        """Leave a place for the value."""
        return "%s", (self,)


class Question:
    """A query that is built once, and asked with other values each time.

    ``build`` returns the query set, with the values that are wanted, for as many blanks as it takes. Values are told as
    the database takes them.
    """

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build
        self._built: tuple[str, tuple[Any, ...]] | None = None

    def __call__(self, *values: Any) -> Rows:
        """Return the rows for these values as the database gives them."""
        if self._built is None:
            rows = self._build(*map(Blank, range(len(values))))
            self._built = rows.query.get_compiler(rows.db).as_sql()
        sql, parameters = self._built
        return asked(sql, [values[one.place] if isinstance(one, Blank) else one for one in parameters])


class Prepared:
    """A query about keys, whole numbers above 0, that is built once for each power of two that holds them.

    Where they are fewer it is asked about one of them again. ``build`` returns the query set for some keys, with the
    values that are wanted; it names the keys in one place, and nothing else in it changes from one time to the next.
    """

    def __init__(self, build: Callable[[Collection[int]], Any]) -> None:
        self._build = build
        self._built: dict[int, tuple[str, list[Any], int]] = {}

    def __call__(self, keys: Collection[int]) -> Rows:
        """Return the rows for these keys as the database gives them."""
        different = list(dict.fromkeys(keys))
        if not different:
            return []
        if len(different) > MOST:
            return raw(self._build(different))
        count = 1 << (len(different) - 1).bit_length()
        sql, parameters, place = self._query(count)
        filled = different + different[-1:] * (count - len(different))
        return asked(sql, [*parameters[:place], *filled, *parameters[place + count :]])

    def _query(self, count: int) -> tuple[str, list[Any], int]:
        """Return the SQL for so many keys, its parameters, and where among these the keys begin."""
        if count not in self._built:
            stand_ins = list(range(-count, 0))
            rows = self._build(stand_ins)
            sql, parameters = rows.query.get_compiler(rows.db).as_sql()
            self._built[count] = (sql, list(parameters), parameters.index(-count))
        return self._built[count]

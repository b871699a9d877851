"""Queries that are asked for each visitor: building one and converting its rows takes Django longer than all else."""

from collections.abc import Callable, Collection
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, connections

MOST = 64
"""For more keys than these a query is built each time, so that not too many are kept."""


def raw(rows: Any) -> list[tuple[Any, ...]]:
    """Read the rows of a query set as the database gives them."""
    try:
        sql, parameters = rows.query.get_compiler(rows.db).as_sql()
    except EmptyResultSet:
        return []
    with connections[rows.db].cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


class Prepared:
    """A query about keys, whole numbers above 0, that is built once for each number of them.

    ``build`` returns the query set for some keys, with the values that are wanted; it names the keys in one place, and
    nothing else in it changes from one time to the next.
    """

    def __init__(self, build: Callable[[Collection[int]], Any]) -> None:
        self._build = build
        self._built: dict[int, tuple[str, list[Any], int]] = {}

    def __call__(self, keys: Collection[int]) -> list[tuple[Any, ...]]:
        """Return the rows for these keys as the database gives them."""
        different = list(dict.fromkeys(keys))
        if not different:
            return []
        if len(different) > MOST:
            return raw(self._build(different))
        sql, parameters, place = self._query(len(different))
        with connection.cursor() as cursor:
            cursor.execute(sql, [*parameters[:place], *different, *parameters[place + len(different) :]])
            return list(cursor.fetchall())

    def _query(self, count: int) -> tuple[str, list[Any], int]:
        """Return the SQL for so many keys, its parameters, and where among these the keys begin."""
        if count not in self._built:
            stand_ins = list(range(-count, 0))
            rows = self._build(stand_ins)
            sql, parameters = rows.query.get_compiler(rows.db).as_sql()
            self._built[count] = (sql, list(parameters), parameters.index(-count))
        return self._built[count]

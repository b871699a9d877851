"""Work with which threads come at the same moment, done as one: for the database that is little more than for one."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Task = TypeVar("Task")
Done = TypeVar("Done")

MOST = 12
"""So many tasks are done at once."""


class Together(Generic[Task, Done]):
    """Does a task together with those that other threads of this process come with meanwhile.

    While one thread works the others wait, and whoever is next does the tasks of all. Nobody waits for a crowd to
    gather, so a task that comes alone is done at once. ``work`` returns of each task what came of it, or its error.
    Where it fails as a whole, it is done again for each task alone, so that nobody suffers for what another has sent.
    """

    def __init__(self, work: Callable[[Sequence[Task]], Sequence[Done | Exception]]) -> None:
        self._work = work
        self._waiting: list[tuple[Task, Future[Done]]] = []
        self._guard = Lock()
        self._turn = Lock()

    def __call__(self, task: Task) -> Done:
        """Return what came of the task, or raise its error."""
        mine: Future[Done] = Future()
        with self._guard:
            self._waiting.append((task, mine))
        with self._turn:
            while not mine.done():
                with self._guard:
                    some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                self._do(some)
        return mine.result()

    def _do(self, some: Sequence[tuple[Task, Future[Done]]]) -> None:
        try:
            outcomes = self._work([task for task, _ in some])
        except Exception as error:  # noqa: BLE001 -- It is raised where the task came from.
            if len(some) > 1:
                for one in some:
                    self._do([one])
                return
            outcomes = [error]
        for (_, place), outcome in zip(some, outcomes, strict=True):
            if isinstance(outcome, Exception):
                place.set_exception(outcome)
            else:
                place.set_result(outcome)

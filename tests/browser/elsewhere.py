"""Pages of another host, which embed the widget."""

from typing import NamedTuple

from playwright.sync_api import Page


class Elsewhere(NamedTuple):
    """Pages on another origin than the server's. They allow themselves the widget and nothing else.

    With ``?workers`` after their address they let a worker run, too.
    """

    address: str
    pages: dict[str, str]

    def show(self, page: Page, body: str) -> None:
        """Let ``page`` go to a page with this body."""
        page.goto(self.address + self.add(body))

    def add(self, body: str) -> str:
        """Have a page with this body; return its path."""
        name = f"/{len(self.pages)}"
        self.pages[name] = (
            f'<!doctype html><html lang="en"><title>Elsewhere</title><main><h1>A form</h1>{body}</main></html>'
        )
        return name

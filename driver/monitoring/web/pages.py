"""The pages as HTML. Everything that comes from users is escaped by the templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2

from voltray.driver.monitoring.view import Choice, View
from voltray.driver.monitoring.visitors import Visitor
from voltray.driver.monitoring.web.dag import draw
from voltray.driver.monitoring.web.formats import FILTERS
from voltray.proto.status import STATES, ExecutorStatus, OperationStatus

PER_PAGE = 50
MOST_DRAWINGS = 20
TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """Writes them."""

    def __init__(self, form_token: Callable[[Visitor], str], takes_tokens: bool, cookie: str) -> None:
        self._form_token = form_token
        self._takes_tokens = takes_tokens
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(FILTERS)

    def operations(self, view: View, choice: Choice, page: int) -> str:
        """The list of operations."""
        found = view.operations(choice)
        pages = max(1, -(-len(found) // PER_PAGE))
        page = min(page, pages)
        shown = [notes.status() for notes in found[(page - 1) * PER_PAGE : page * PER_PAGE]]
        asked = {name: value for name in ("state", "user", "session", "text") if (value := getattr(choice, name))}

        def link(**changed: Any) -> str:
            query = {name: value for name, value in {**asked, **changed}.items() if value}
            return f"?{urlencode(query)}" if query else "./"

        return self._page(
            "operations.html", view, root="", here="operations", operations=shown, counts=view.counts(), states=STATES,
            choice=choice, page=page, pages=pages, found=len(found), link=link, live=page == 1,
        )  # fmt: skip

    def operation(self, view: View, operation: OperationStatus) -> str:
        """One operation, with its stages drawn and listed."""
        queries = [q for q in operation.queries if q.stages]
        drawings = [draw(query.stages) for query in queries[:MOST_DRAWINGS]]
        return self._page(
            "operation.html", view, root="../", here="operations", operation=operation, drawings=drawings,
            queries=queries, left_out=max(0, len(queries) - MOST_DRAWINGS), live=not operation.has_ended,
        )  # fmt: skip

    def sessions(self, view: View) -> str:
        """The sessions."""
        return self._page("sessions.html", view, root="", here="sessions", sessions=view.sessions(), live=True)

    def executors(self, view: View, executors: Sequence[ExecutorStatus]) -> str:
        """The executors."""
        return self._page("executors.html", view, root="", here="executors", executors=executors, live=True)

    def missing(self, view: View) -> str:
        """Nothing is here, or nothing that the visitor may see."""
        return self._page("missing.html", view, root="../", here="", live=False)

    def login(self, path: str, refusal: str) -> str:
        """What those see who have not proved who they are."""
        root = "../" * max(0, path.count("/") - 1)
        template = self._environment.get_template("login.html")
        return template.render(root=root, refusal=refusal, takes_tokens=self._takes_tokens)

    def _page(self, name: str, view: View, **variables: Any) -> str:
        server = view.server()
        return self._environment.get_template(name).render(
            server=server,
            visitor=view.visitor,
            form=self._form_token(view.visitor),
            may_log_out=self._takes_tokens and bool(view.visitor.user),
            **variables,
        )

"""Widget: one page of the viewer in a notebook's cell. Needs the extra `notebook`.

The page is the same document that `tomogram view` serves, in a frame of its own, so neither its
style nor its addresses meet the notebook's. Its questions come to the kernel as messages.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import anywidget
import traitlets

from tomogram.viewer import bundle
from tomogram.viewer.routes import Refused, Routes


@lru_cache(maxsize=1)
def _module() -> str:
    """The widget's module: what shows the frame, and the document it shows."""
    page = json.dumps(bundle.whole("frame"))
    return f"const page = {page};\n{bundle.asset('widget.js').decode()}"


class PageWidget(anywidget.AnyWidget):
    """A page of the viewer; what it asks is answered by `routes`."""

    _esm = traitlets.Unicode().tag(sync=True)
    address = traitlets.Unicode().tag(sync=True)
    """What stands behind the # of the page's address."""
    height = traitlets.Int().tag(sync=True)
    """In pixels."""

    def __init__(self, routes: Routes, address: str, height: int) -> None:
        super().__init__(_esm=_module(), address=address, height=height)
        self._routes = routes
        self.on_msg(self._asked)

    def _asked(self, _: Any, message: Any, buffers: Any) -> None:
        self.send({"id": message.get("id"), **answered(self._routes, message)})


def answered(routes: Routes, message: dict[str, Any]) -> dict[str, Any]:
    """The answer to a message of a page: `value`, or `error` in one sentence."""
    question = message.get("question")
    if not isinstance(question, dict):
        return {"error": "That is no question."}
    try:
        value = routes.answer(str(message.get("method")), str(message.get("path")), question)
    except Refused as error:
        return {"error": str(error)}
    except ValueError:
        return {"error": "The question makes no sense."}
    return {"value": value}

"""optuna-dashboard on a copy of a study, for this machine alone."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.storages import InMemoryStorage

from rankbench.engine.runner import StudyRun
from rankbench.engine.trials import copy_to

HOST = "127.0.0.1"
_READ = ("GET", "HEAD")

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def serve(execution: StudyRun, port: int, say: Callable[[str], object]) -> None:
    """Serve the study as it is stored now until Ctrl-C; `say` is told the address.

    Raises ValueError where the extra `dashboard` is missing, OSError for a port in use.
    """
    dashboard = _dashboard()
    storage = InMemoryStorage()
    number = copy_to(storage, execution)
    app = _guarded(dashboard.wsgi(storage))
    with make_server(HOST, port, app, server_class=_Server, handler_class=_Quiet) as server:
        say(f"{number} trials at http://{HOST}:{server.server_port}/ until Ctrl-C")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("ended")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A line for each request would bury the address."""


def _guarded(app: App) -> App:
    """`app` for readers of this very address: a page elsewhere can borrow a browser and a name."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        names = {f"{name}:{environ['SERVER_PORT']}" for name in (HOST, "localhost")}
        if environ.get("HTTP_HOST") not in names:
            start("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"this is served to " + HOST.encode() + b" alone\n"]
        if environ["REQUEST_METHOD"] not in _READ:
            start("405 Method Not Allowed", [("Content-Type", "text/plain")])
            return [b"this is a copy to read: nothing is changed by it\n"]
        return app(environ, start)

    return answer


def _dashboard() -> Any:  # a module without types
    try:
        return importlib.import_module("optuna_dashboard")
    except ImportError as error:
        raise ValueError(
            "--dashboard needs optuna-dashboard: pip install 'rankbench[dashboard]'"
        ) from error

"""Serve a copy of a study with optuna-dashboard, to this machine only."""

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
    """Serve a copy of the study as it is stored now, until Ctrl-C.

    Args:
        execution: The study.
        port: TCP port on this machine.
        say: Called with messages for the user, the address among them.

    Raises:
        ValueError: The extra `dashboard` is not installed.
        OSError: The port is in use.
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
        """Log nothing, because a line per request would hide the address."""


def _guarded(app: App) -> App:
    """Restrict `app` to reading, and to requests that name this machine as their host.

    Otherwise, a web page elsewhere could use DNS rebinding to read the study through the browser.
    """

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


def _dashboard() -> Any:  # The module has no types.
    try:
        return importlib.import_module("optuna_dashboard")
    except ImportError as error:
        raise ValueError(
            "--dashboard needs optuna-dashboard: pip install 'rankbench[dashboard]'"
        ) from error

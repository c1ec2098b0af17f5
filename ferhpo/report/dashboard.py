"""Optuna Dashboard in this process, on a read path: it can neither lock nor change a study that a search is writing.

A SQLite file is opened read-only (`study.store`), and its write-ahead mode lets readers and the one writer pass each
other; and every request that is not a read is answered here, before Optuna Dashboard sees it, whatever the database is.
"""

import errno
import json
import logging
import warnings
from collections.abc import Callable, Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from ferhpo.errors import FerhpoError
from ferhpo.study import store
from ferhpo.study.study import Study

HOST, PORT = "127.0.0.1", 8080
REFUSED = "this dashboard is read-only, so that it cannot disturb a search; nothing was changed"

StartResponse = Callable[..., Any]
App = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def serve(study: Study, *, port: int = PORT, ready: Callable[[str], None] | None = None) -> None:
    """Show a study in Optuna Dashboard until Ctrl-C.

    Args:
        study: its database is shown; other studies in it, too.
        port: of this machine to listen at; 0 takes a free one.
        ready: called once with the URL of the study's page, as soon as it can be opened.

    Raises:
        FerhpoError: the port is taken, or cannot be listened at.
        StudyError: the database cannot be read.
    """
    with listen(study, port=port) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna warns at every request that few trials make poor importances
        logging.getLogger("optuna_dashboard").setLevel(logging.CRITICAL)  # what fails is told in the browser
        try:
            if ready is not None:
                ready(server.url)
            server.serve_forever()
        except KeyboardInterrupt:
            return


def listen(study: Study, *, host: str = HOST, port: int = PORT) -> "DashboardServer":
    """Return the server, listening but not answering yet; arguments and errors as `serve`."""
    try:
        server = DashboardServer((host, port), _QuietHandler)
    except OSError as error:
        raise _cannot_listen(host, port, error) from None
    except OverflowError:
        msg = f"a port is from 0 (any free one) to 65535, got {port}; correct --port"
        raise FerhpoError(msg) from None
    try:
        server.show(study)
    except BaseException:
        server.server_close()
        raise
    return server


class DashboardServer(ThreadingMixIn, WSGIServer):
    """A web server with one thread a request, as Optuna Dashboard's own, that says nothing."""

    daemon_threads = True
    url: str = ""

    def server_bind(self) -> None:
        """Bind without asking the name service for this machine's name, which can take seconds offline."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def show(self, study: Study) -> None:
        """Answer with the dashboard of a study's database."""
        from optuna_dashboard import wsgi  # 2 s, so only once the port is ours

        self._storage = store.open_for_reading(study.url)
        self.set_app(read_only(wsgi(self._storage)))
        number = self._storage.get_study_id_from_name(study.name)
        self.url = f"http://{self.server_name}:{self.server_port}/dashboard/studies/{number}"

    def server_close(self) -> None:
        """Stop listening and drop the connections to the database."""
        super().server_close()
        storage = getattr(self, "_storage", None)
        if storage is not None:
            storage.engine.dispose()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away."""


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class
        """Write no access log."""


def read_only(app: App) -> App:
    """Return the application with every request that could write refused, in the form its page shows as a message."""

    def guarded(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in {"GET", "HEAD", "OPTIONS"}:
            return app(environ, start_response)
        content = json.dumps({"reason": REFUSED}).encode()
        start_response("403 Forbidden", [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
        return [content]

    return guarded


def _cannot_listen(host: str, port: int, error: OSError) -> FerhpoError:
    if error.errno == errno.EADDRINUSE:
        msg = f"the dashboard needs a free port, and {port} is in use; give another with --port (0: any free one)"
        return FerhpoError(msg)
    reason = error.strerror or error
    msg = f"the dashboard must be able to listen at {host}:{port}, which failed ({reason}); give another --port"
    return FerhpoError(msg)

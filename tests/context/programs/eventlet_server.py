"""Serves the Flask application as gunicorn's eventlet worker does: everything patched, a green thread a request."""

import eventlet

eventlet.monkey_patch()

from eventlet import wsgi  # noqa: E402
from flask_ways import app  # noqa: E402

socket = eventlet.listen(("127.0.0.1", 0))
print(f"Running on http://127.0.0.1:{socket.getsockname()[1]}", flush=True)
wsgi.server(socket, app)

"""A Flask application without a line of tracing; run as a program, it serves itself one request."""

import os
import sys

from flask import Flask

app = Flask(__name__)


@app.get("/hello/<name>")
def hello(name):
    return f"hello {name}"


@app.get("/pid")
def pid():
    return str(os.getpid())


if __name__ == "__main__":
    print(app.test_client().get(f"/hello/{sys.argv[1] if len(sys.argv) > 1 else 'you'}").text)

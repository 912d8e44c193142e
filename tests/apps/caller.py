"""Sends itself requests as others would, without a line of tracing: each argument is a JSON object of headers."""

import json
import sys

from flask import Flask

app = Flask(__name__)


@app.route("/<path:path>", methods=["GET", "POST"])
def answer(path):
    return "answer", 200, {"x-answer": "42", "set-cookie": "session=s3cr3t"}


client = app.test_client()
for argument in sys.argv[1:]:
    wanted = json.loads(argument)
    client.get(wanted.pop("path", "/hello"), headers=wanted)

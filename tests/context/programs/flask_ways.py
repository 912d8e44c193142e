"""Hands over in a request: ``GET /<way>``."""

import handing_over
from flask import Flask

app = Flask(__name__)


@app.get("/<way>")
def do(way: str) -> str:
    handing_over.hand_over(way)
    return "ok"

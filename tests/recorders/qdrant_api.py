"""Qdrant's search: no call of a model, and nothing in the ledger."""

from __future__ import annotations

import json

from tests.recorders.answers import Answer, Request


def search(request: Request) -> Answer:
    point = {
        "id": 1,
        "version": 1,
        "score": 0.9,
        "payload": {"text": "Paris is in France."},
        "vector": [0.25, -0.5, 0.125],
    }
    return Answer("application/json", json.dumps({"result": [point], "status": "ok", "time": 0.001}).encode())

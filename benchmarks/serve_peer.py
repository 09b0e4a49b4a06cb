"""What people write by hand: FastAPI in front of the question-answering pipeline of transformers 4.

    PEER/bin/python benchmarks/serve_peer.py MODEL PORT THREADS

`serve_load.py` starts it with the python of the peer's own environment.
"""

from __future__ import annotations

import sys
import threading

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline


class Inputs(BaseModel):
    """One question."""

    question: str
    context: str


class Call(BaseModel):
    """Hugging Face's task shape."""

    inputs: Inputs


def make_app(model: str) -> FastAPI:
    """The app; its pipeline answers one request at a time."""
    answer = pipeline("question-answering", model=model, dtype=torch.float32)
    # Its tokenizer changes its truncation in each call and is not safe between threads.
    lock = threading.Lock()
    app = FastAPI()

    @app.post("/")
    def ask(call: Call) -> dict[str, object]:
        with lock:
            return answer(question=call.inputs.question, context=call.inputs.context)

    @app.get("/ready")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    return app


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[3]))
    app = make_app(sys.argv[1])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)

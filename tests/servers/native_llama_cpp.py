"""llama.cpp's own HTTP server (`llama-server`), in the ready-built form of xllamacpp."""

from __future__ import annotations

import signal
import sys

import xllamacpp

from tests.servers.models import CONTEXT


def main() -> None:
    """Serve `sys.argv[1]` on port `sys.argv[2]` until stopped, with `sys.argv[3]` tokens and `sys.argv[4]` threads."""
    tokens, threads = map(int, sys.argv[3:5]) if len(sys.argv) > 3 else (2 * CONTEXT, 1)
    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.port = int(sys.argv[2])
    params.model_alias = {"tiny"}
    params.n_parallel = 2
    params.n_ctx = tokens
    params.cpuparams.n_threads = threads
    server = xllamacpp.Server(params)
    signal.pause()
    del server


if __name__ == "__main__":
    main()

"""Real servers in their own processes, which tests start, wait for, kill and start again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = REPOSITORY / ".venv-servers"
LOCAL_PYTHON = ENVIRONMENT / "local" / "bin" / "python"
GATEWAY = ENVIRONMENT / "gateway" / "bin" / "litellm"
MODELS = ENVIRONMENT / "models"
GATEWAY_KEY = "master-of-the-gateway"
_START_S = 120.0


@dataclass(frozen=True)
class Kind:
    """A kind of server and its observed abilities.

    :param name: readable name.
    :param needs: file that must exist for the server to start.
    :param command: makes the command line from the folder of the models and a port.
    :param model: name of the model on the server; None: the folder in the Hub's format.
    :param key: key that the server asks for.
    :param json: strictest supported form of an answer, `schema` or `text`.
    :param logprobs: whether text completions have log-probabilities.
    :param prompt_logprobs: whether they also have those of the prompt.
    :param bounds_prompts: whether the server refuses prompts beyond the window.
    :param checks_model: whether the server refuses an unknown model.
    :param behind: server to which it passes requests on.
    """

    name: str
    needs: Path
    command: Callable[[Path, int], list[str]]
    model: str | None = "tiny"
    key: str = ""
    json: str = "schema"
    logprobs: bool = True
    prompt_logprobs: bool = False
    bounds_prompts: bool = True
    checks_model: bool = True
    behind: Kind | None = None


def _llama_cpp(models: Path, port: int) -> list[str]:
    return [str(LOCAL_PYTHON), "-m", "tests.servers.native_llama_cpp", str(models / "model.gguf"), str(port)]


def _small_llama_cpp(models: Path, port: int) -> list[str]:
    command = [str(LOCAL_PYTHON), "-m", "tests.servers.native_llama_cpp", str(models / "small.gguf"), str(port)]
    return [*command, "8192", "2"]


def _llama_cpp_python(models: Path, port: int, file: str = "model.gguf", **more: Any) -> list[str]:
    from tests.servers.models import CONTEXT

    options = {"model": models / file, "model_alias": "tiny", "port": port, "n_ctx": CONTEXT}
    options |= {"n_threads": 1, "n_threads_batch": 1, **more}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return [str(LOCAL_PYTHON), "-m", "llama_cpp.server", *arguments]


def _transformers(models: Path, port: int) -> list[str]:
    script = "from transformers.cli.transformers import main; main()"
    arguments = ["serve", str(models / "hub"), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    return [str(LOCAL_PYTHON), "-c", script, *arguments]


def _litellm(models: Path, port: int) -> list[str]:
    return [str(GATEWAY), "--config", str(models / "gateway.yaml"), "--host", "127.0.0.1", "--port", str(port)]


LLAMA_CPP = Kind("llama.cpp", LOCAL_PYTHON, _llama_cpp, checks_model=False)
SMALL_LLAMA_CPP = Kind("llama.cpp, small model", LOCAL_PYTHON, _small_llama_cpp, checks_model=False)
LITELLM = Kind("litellm", GATEWAY, _litellm, key=GATEWAY_KEY, behind=LLAMA_CPP)
_COMPILED = ENVIRONMENT / "local" / ".llama-cpp-python"


def _bytes(name: str, file: str, logits_all: bool = True) -> Kind:
    command = partial(_llama_cpp_python, file=file, n_ctx=1024, logits_all=logits_all)
    return Kind(name, _COMPILED, command, prompt_logprobs=logits_all)


WITH_BOS = _bytes("with BOS", "bytes.gguf")
WITHOUT_BOS = _bytes("without BOS", "bytes-without-bos.gguf")
WITHOUT_LOGITS = _bytes("without logits", "bytes.gguf", logits_all=False)
KINDS = (
    LLAMA_CPP,
    Kind("llama-cpp-python", _COMPILED, _llama_cpp_python, checks_model=False, prompt_logprobs=True),
    Kind("transformers", LOCAL_PYTHON, _transformers, model=None, json="text", logprobs=False, bounds_prompts=False),
    LITELLM,
)


@dataclass
class RealServer:
    """A server on its own port.

    :param kind: kind of the server.
    :param models: folder with the models, and for the log of the server.
    """

    kind: Kind
    models: Path
    port: int = field(default_factory=lambda: _free_port())
    process: subprocess.Popen[bytes] | None = None
    backend: RealServer | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def model(self) -> str:
        return self.kind.model or str(self.models / "hub")

    @property
    def log(self) -> Path:
        return self.models / f"{self.kind.name}-{self.port}.log"

    def start(self, wait: bool = True) -> RealServer:
        """Start it.

        :param wait: whether to wait until it answers.
        """
        if self.kind.behind is not None and self.backend is None:
            self.backend = RealServer(self.kind.behind, self.models).start()
            (self.models / "gateway.yaml").write_text(_gateway_config(self.backend), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        environment |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.kind.command(self.models, self.port),
                cwd=REPOSITORY,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if wait:
            self.wait()
        return self

    def wait(self) -> None:
        """Wait until it answers a chat request."""
        assert self.process is not None
        deadline = time.monotonic() + _START_S
        body = {"model": self.model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
        while True:
            status, text = self.post("/chat/completions", body)
            if status == 200:
                return
            late = time.monotonic() > deadline
            if late or self.process.poll() is not None:
                raise RuntimeError(f"{self.kind.name} did not start ({status} {text}): {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def post(self, path: str, body: Any) -> tuple[int, str]:
        """Send a body, and return the response; its status is 0 if no server answers."""
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.kind.key or 'none'}"}
        request = urllib.request.Request(self.base_url + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def kill(self) -> None:
        """Kill it, like a crash."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it, and the server behind it."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if self.backend is not None:
            self.backend.stop()


def _gateway_config(backend: RealServer) -> str:
    behind = {"model": "openai/tiny", "api_base": backend.base_url, "api_key": "none"}
    config = {
        "model_list": [{"model_name": "tiny", "litellm_params": behind}],
        "general_settings": {"master_key": GATEWAY_KEY},
    }
    return json.dumps(config)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])

"""The parameters of an LLM in operators and scorers: names, defaults, allowed values and docs."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Optional

from mergeit_ops.constraints import (
    FLAG,
    MAPPING,
    OPTIONAL_PATH,
    OPTIONAL_TEXT,
    TEXT,
    Constraint,
    Number,
    OneOf,
    check,
)
from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.backend import BACKENDS
from mergeit_ops.llm.prices import Prices

__all__ = [
    "API_MODES",
    "BATCH_FOLDER_VARIABLE",
    "CACHE_AUTO",
    "DEFAULT_SAMPLING_PARAMS",
    "LLM_CONSTRAINTS",
    "LLMSettings",
    "takes_settings",
]

CACHE_AUTO = "auto"
"""Value of `cache_path` for the user's cache folder."""

DEFAULT_SAMPLING_PARAMS: Mapping[str, Any] = {"temperature": 0.25}

API_MODES = ("online", "batch")
"""How to ask a server: by one call for each request, or by its batch API."""

BATCH_FOLDER_VARIABLE = "MERGEIT_BATCH_FOLDER"
"""Environment variable that sets `api_mode: batch` and `batch_folder` in every operator that asks a server."""

LLM_CONSTRAINTS: Mapping[str, Constraint] = {
    "api_or_hf_model": TEXT,
    "is_hf_model": FLAG,
    "backend": OneOf(BACKENDS, optional=True),
    "api_endpoint": OPTIONAL_TEXT,
    "response_path": OPTIONAL_TEXT,
    "model_params": MAPPING,
    "sampling_params": MAPPING,
    "warm_up": FLAG,
    "try_num": Number(low=1, integer=True),
    # The limit of the openai package's connection pool.
    "max_concurrency": Number(low=1, high=10_000, integer=True),
    "timeout_s": Number(low=0, low_open=True),
    "cache_path": OPTIONAL_PATH,
    "max_failure_ratio": Number(low=0, high=1),
    "max_total_tokens": Number(low=1, integer=True, optional=True),
    "api_mode": OneOf(API_MODES),
    "batch_max_requests": Number(low=1, integer=True),
    "batch_max_mb": Number(low=0, low_open=True),
    "batch_poll_interval": Number(low=0, low_open=True),
    "batch_completion_window": TEXT,
    "batch_folder": OPTIONAL_PATH,
    "batch_price_ratio": Number(low=0),
    "price_per_1k_prompt": Number(low=0, optional=True),
    "price_per_1k_completion": Number(low=0, optional=True),
    "price_per_1k_cached_prompt": Number(low=0, optional=True),
}

_OWN_FIELDS = {
    "model": "use api_or_hf_model instead",
    "messages": "the operator writes them",
    "stream": "answers are not streamed",
    "stream_options": "answers are not streamed",
    "n": "use the operator's own parameter instead (num_candidates of the merger, n of llm_judge)",
    "timeout": "use timeout_s instead",
    "extra_headers": "use default_headers in model_params instead",
}
_OWN_BODY_FIELDS = ("model", "messages", "n", "stream", "stream_options")
_PARAMETER = re.compile(r"^:param (\w+): .*(?:\n .*)*", re.MULTILINE)


@dataclass(frozen=True)
class LLMSettings:
    """The model, how to ask it, and when a run stops. Nothing is opened or loaded.

    :param api_or_hf_model: name of the model on the server; for a local model, its name on the Hugging Face Hub or a
        folder.
    :param is_hf_model: false: an OpenAI-compatible server; true: a local Hugging Face model through transformers.
    :param backend: name of the back-end: `openai`, `huggingface`, or `recorded` for answers from a file; null: it
        follows `is_hf_model`.
    :param api_endpoint: path of the chat endpoint below the base URL; null: `/chat/completions`.
    :param response_path: path of the answer's text in the response; null: `choices.0.message.content`.
    :param model_params: arguments of the client, e.g. `base_url`. The key comes from the environment variable
        OPENAI_API_KEY, never from a recipe; without `base_url`, OPENAI_BASE_URL is used. For a local model: arguments
        of `from_pretrained`, e.g. `revision`, `dtype` or `device_map`, and `chat_template`, a text that replaces the
        model's own template.
    :param sampling_params: parameters sent with each request. null: only the default temperature, which is left out if
        a model refuses it: 0.25 for the merger, as in the released code, and for `instruction_rewrite_mapper` and
        `backtranslation_mapper`; 0 for `llm_judge`, or 0.7 if its `n` is above 1; 0 for `instruction_tag_mapper`. A
        local model refuses parameters that it does not know, and writes at most as many tokens as its prompt has,
        unless `max_tokens` is set.
    :param warm_up: whether to wait for the answer to the first request of a run before sending others. On a small
        machine the first prompt takes longest, and alone it takes half as long. A server whose cache serves all
        requests, such as vLLM, then reads the shared part of all requests only once.
    :param try_num: number of answers to ask for, if answers cannot be parsed, before a request counts as failed.
    :param max_concurrency: most requests in flight at once, over the whole run, also on Ray. For a local model it is
        the most conversations in a batch: on a GPU as many as fit into its memory, on a CPU up to 8.
    :param timeout_s: seconds until a request to a server counts as lost.
    :param cache_path: file of the journal of answers, on the machine that runs Data-Juicer; `auto`: below the user's
        cache folder; null: no journal.
    :param max_failure_ratio: share of failed requests, in [0, 1], above which the run stops.
    :param max_total_tokens: budget of prompt and completion tokens; null: no limit. When it is used up, no more
        requests are sent, and the remaining rows get the reason `budget`. It applies to the whole run, also on Ray.
    :param api_mode: `online`: each request is a separate call. `batch`: requests are written to files and submitted to
        the server's batch API, and their answers are fetched within a day; OpenAI charges half the price. After a stop,
        the next run continues with the pending batches. This mode needs a journal, a server and the default executor.
        The journal does not distinguish the answers of both modes.
    :param batch_max_requests: most requests in a batch; OpenAI's limit is 50,000.
    :param batch_max_mb: largest size of a batch's file, in MB (1,000,000 bytes); OpenAI's limit is 200.
    :param batch_poll_interval: seconds between the first two checks of a batch; the intervals grow up to ten times this
        value.
    :param batch_completion_window: time within which the server must complete a batch; OpenAI accepts only `24h`.
    :param batch_folder: with `api_mode: batch`, a folder for the files of requests, if you run them by hand. The run
        stops when the files are written, and says how to continue. null: they go to the server's batch API.
    :param batch_price_ratio: price of a token with `api_mode: batch`, as a share of the online price; 0.5 at OpenAI.
    :param price_per_1k_prompt: price of 1,000 prompt tokens, in any currency. If it and `price_per_1k_completion` are
        set, the run and the dry run report the cost. null: unknown.
    :param price_per_1k_completion: price of 1,000 completion tokens; null: unknown.
    :param price_per_1k_cached_prompt: price of 1,000 prompt tokens from the server's cache, if the server reports them;
        null: the same as other prompt tokens. A dry run cannot predict them.
    :raises RecipeError: if a parameter cannot work. The sentence names it, the allowed values and the given value.
    """

    api_or_hf_model: str = "gpt-4o"
    is_hf_model: bool = False
    backend: Optional[str] = None
    api_endpoint: Optional[str] = None
    response_path: Optional[str] = None
    model_params: Optional[dict[str, Any]] = None
    sampling_params: Optional[dict[str, Any]] = None
    warm_up: bool = False
    try_num: int = 3
    max_concurrency: int = 64
    timeout_s: float = 120.0
    cache_path: Optional[str] = CACHE_AUTO
    max_failure_ratio: float = 0.5
    max_total_tokens: Optional[int] = None
    api_mode: str = "online"
    batch_max_requests: int = 50_000
    batch_max_mb: float = 200.0
    batch_poll_interval: float = 30.0
    batch_completion_window: str = "24h"
    batch_folder: Optional[str] = None
    batch_price_ratio: float = 0.5
    price_per_1k_prompt: Optional[float] = None
    price_per_1k_completion: Optional[float] = None
    price_per_1k_cached_prompt: Optional[float] = None

    def __post_init__(self) -> None:
        check(LLM_CONSTRAINTS, vars(self))
        for name in ("try_num", "max_concurrency", "max_total_tokens", "batch_max_requests"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, int(getattr(self, name)))
        if self.cache_path is not None:
            object.__setattr__(self, "cache_path", os.fspath(self.cache_path))
        if self.batch_folder is not None:
            object.__setattr__(self, "batch_folder", os.fspath(self.batch_folder))
        self._check_batches()
        if self.is_hf_model and self.backend not in (None, "huggingface"):
            raise RecipeError(f"is_hf_model is true and backend is {self.backend!r}: take one of them out.")
        prices = {name: getattr(self, name) for name in ("price_per_1k_prompt", "price_per_1k_completion")}
        missing = [name for name, price in prices.items() if price is None]
        if len(missing) == 1:
            (given,) = set(prices) - set(missing)
            raise RecipeError(f"{given} needs {missing[0]} beside it: set both, 0 for what is free.")
        if self.price_per_1k_cached_prompt is not None and missing:
            raise RecipeError("price_per_1k_cached_prompt needs price_per_1k_prompt and price_per_1k_completion too.")
        _refuse_own_fields(self.sampling_params or {})

    @property
    def prices(self) -> Prices | None:
        """What tokens cost; None if it is unknown."""
        if self.price_per_1k_prompt is None or self.price_per_1k_completion is None:
            return None
        prices = Prices(self.price_per_1k_prompt, self.price_per_1k_completion, self.price_per_1k_cached_prompt)
        return prices.times(self.batch_price_ratio) if self.api_mode == "batch" else prices

    def _check_batches(self) -> None:
        local = self.is_hf_model or self.backend not in (None, "openai")
        folder = os.environ.get(BATCH_FOLDER_VARIABLE)
        if folder and not local:
            object.__setattr__(self, "api_mode", "batch")
            object.__setattr__(self, "batch_folder", folder)
        if self.api_mode == "online":
            if self.batch_folder is not None:
                raise RecipeError("batch_folder needs api_mode: batch beside it.")
            return
        if local:
            raise RecipeError(
                "api_mode: batch is for servers, but the recipe asks for a local model or recorded answers "
                "(is_hf_model or backend): remove api_mode."
            )
        if self.cache_path is None or self.cache_path == "":
            raise RecipeError(
                "api_mode: batch needs a journal, which remembers the batches under way: remove cache_path, or name a "
                "file."
            )


def takes_settings(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give an `__init__` the fields of `LLMSettings` as keyword arguments, with their defaults and docs.

    The decorated function receives them as one mapping, its keyword argument `llm`. Help texts, the command line and
    `inspect.signature` show each of them. A parameter of the function itself replaces the field of the same name.

    :param without: fields to leave out.
    """

    def decorated(init: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(init, eval_str=True).parameters
        fields = {
            name: parameter.replace(kind=parameter.KEYWORD_ONLY)
            for name, parameter in inspect.signature(LLMSettings, eval_str=True).parameters.items()
            if name not in own and name not in without
        }
        named = [parameter for name, parameter in own.items() if name not in ("llm", "kwargs")]
        signature = inspect.Signature([*named, *fields.values(), *filter(None, [own.get("kwargs")])])

        @wraps(init)
        def init_with_settings(*args: Any, **kwargs: Any) -> None:
            signature.bind(*args, **kwargs)
            llm = {name: kwargs.pop(name, parameter.default) for name, parameter in fields.items()}
            init(*args, llm=llm, **kwargs)

        docs = {match[1]: match[0] for match in _PARAMETER.finditer(inspect.getdoc(LLMSettings) or "")}
        lines = [inspect.getdoc(init) or "", *(docs[name] for name in fields)]
        init_with_settings.__doc__ = "\n".join(lines).strip()
        init_with_settings.__signature__ = signature  # type: ignore[attr-defined]
        return init_with_settings

    return decorated


def _refuse_own_fields(sampling: Mapping[str, Any]) -> None:
    for name, advice in _OWN_FIELDS.items():
        if name in sampling:
            raise RecipeError(f"sampling_params must not contain {name!r}: {advice}.")
    extra = sampling.get("extra_body")
    check({"extra_body in sampling_params": MAPPING}, {"extra_body in sampling_params": extra})
    for name in _OWN_BODY_FIELDS:
        if name in (extra or {}):
            raise RecipeError(f"extra_body in sampling_params must not contain {name!r}: {_OWN_FIELDS[name]}.")

"""All differences between OpenAI-compatible servers, in one place.

The rules come from tests with the servers (docs/servers.md lists them with their versions) or from their documentation.
The code in the body and the status decide. Messages for people are used only if these are not enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from mergeit_ops.llm.responses import value_at

__all__ = [
    "CAP_FIELDS",
    "THINKING_SWITCHES",
    "Complaint",
    "coded_complaint",
    "complaint_in",
    "echoed_tokens",
    "is_placeholder",
    "listed_logprobs",
    "prompt_logprobs",
    "refused_field",
    "reports_an_error",
    "response_formats",
    "same_model",
    "words_in",
]

CAP_FIELDS = ("max_tokens", "max_completion_tokens")
"""Names of the limit of an answer's tokens. Most servers know only the first, OpenAI's reasoning models only the
second."""

THINKING_SWITCHES = (
    "reasoning_effort: low (OpenAI, OpenRouter, Ollama), "
    "extra_body: {chat_template_kwargs: {enable_thinking: false}} (vLLM, SGLang, llama.cpp), "
    "extra_body: {enable_thinking: false} (DashScope), extra_body: {thinking: {type: disabled}} (DeepSeek, Zhipu)"
)
"""Entries of `sampling_params` that make a model think less."""


class Complaint(str, Enum):
    """The meaning of a failure beyond its status code."""

    TOO_LONG = "too_long"
    UNKNOWN_MODEL = "unknown_model"
    WRONG_KEY = "wrong_key"
    NO_CREDIT = "no_credit"
    RATE = "rate"
    LOADING = "loading"
    CONTENT = "content"
    ACCOUNT = "account"


# Compared in lower case, letters and digits only: `InsufficientBalance` and `insufficient_balance` are one code.
_CODE_NAMES = {
    # OpenAI, Azure and llama-cpp-python; llama.cpp; OpenAI for characters; Anthropic; LiteLLM; Zhipu.
    Complaint.TOO_LONG: "context_length_exceeded exceed_context_size_error string_above_max_length request_too_large "
    "ContextWindowExceededError context_window_exceeded context_window_size_exceeded tokens_limit_reached "
    "prompt_too_long input_too_long 1261",
    # OpenAI with 404, llama-cpp-python with 400; Azure; Groq; Mistral; Volcengine; Zhipu.
    Complaint.UNKNOWN_MODEL: "model_not_found model_not_exist model_not_exists unknown_model DeploymentNotFound "
    "model_decommissioned model_deprecated model_not_available model_not_supported invalid_model "
    "InvalidEndpointOrModel.NotFound ModelNotOpen NotFoundError 1211",
    # LiteLLM without a database, for every key except its master key; OpenAI; Google; Moonshot; Anthropic.
    Complaint.WRONG_KEY: "no_db_connection invalid_api_key incorrect_api_key_error API_KEY_INVALID API_KEY_EXPIRED "
    "expired_api_key api_key_expired key_expired token_expired expired_token invalid_token authentication_error "
    "invalid_authentication invalid_authentication_error AuthenticationError unauthorized unauthenticated "
    "account_deactivated invalid_credentials auth_error",
    # OpenAI and Azure; Moonshot; new-api; DashScope; Volcengine; LiteLLM; Anthropic; Zhipu; SiliconFlow; MiniMax.
    Complaint.NO_CREDIT: "insufficient_quota insufficient_user_quota insufficient_balance insufficient_credit "
    "insufficient_credits insufficient_funds insufficient_account_balance exceeded_current_quota_error "
    "exceeded_current_quota quota_exhausted billing_not_active billing_hard_limit_reached billing_error "
    "payment_required credit_balance_too_low credit_limit_exceeded credits_exhausted out_of_credits no_credits "
    "not_enough_credits balance_not_enough budget_exceeded spend_limit_reached usage_limit_reached "
    "usage_limit_exceeded pre_consume_token_quota_failed Arrearage PrepaidBillOverdue PostpaidBillOverdue "
    "AllocationQuota.FreeTierOnly AccountOverdueError SetLimitExceeded blocked_api_access 1113 1309 30001 1008",
    # Groq; others.
    Complaint.ACCOUNT: "organization_restricted organization_disabled account_suspended account_disabled "
    "account_banned access_terminated",
    # OpenAI; Moonshot; DashScope; Zhipu.
    Complaint.RATE: "rate_limit_exceeded rate_limit_error rate_limit_reached_error too_many_requests Throttling "
    "Throttling.RateQuota Throttling.AllocationQuota Throttling.BurstRate 1302 1303 1305",
    # Azure, whose filter refuses every prompt in the same words; OpenAI; DashScope; new-api; Google; Zhipu.
    Complaint.CONTENT: "content_filter content_policy_violation ResponsibleAIPolicyViolation DataInspectionFailed "
    "data_inspection_failed moderation_blocked sensitive_words_detected prohibited_content prompt_blocked "
    "invalid_prompt ContentPolicyViolationError content_filtered guardrail_intervened guardrail_violation 1301 1026",
}


def _plain(code: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(code).lower())


_CODES = {_plain(name): complaint for complaint, names in _CODE_NAMES.items() for name in names.split()}
_MINIMAX = {1002: Complaint.RATE, 1004: Complaint.WRONG_KEY, 2049: Complaint.WRONG_KEY, 2013: Complaint.TOO_LONG}
"""Its codes mean something else elsewhere."""
_CODE_FIELDS = ("code", "type", "status", "reason", "error_code", "error_type", "status_code")
_WORD_FIELDS = ("message", "detail", "msg", "error_msg", "error_message", "status_msg", "title", "error_description")
_IDENTIFIER = re.compile(r"\s*[A-Za-z][A-Za-z0-9]*([_.][A-Za-z0-9]+)*\s*")

_TOO_LONG = (
    # vLLM, DeepSeek, OpenRouter, Mistral, Fireworks; vLLM; SGLang; LM Studio; Ollama; llama.cpp; MiniMax; LiteLLM.
    r"maximum (?:context|model|prompt|input|sequence) length",
    r"(?:context|model)(?:'s)? (?:window|length|size|limit).{0,60}(?:exceed|overflow|too (?:small|long)|is only)",
    r"(?:exceed|overflow|longer than|greater than|larger than|beyond)\w*.{0,60}"
    r"(?:context|model)(?:'s)? (?:window|length|size|limit)",
    r"context of length only|context length of only|ContextWindowExceeded",
    # Anthropic, Fireworks, Ollama, Bedrock.
    r"(?:prompt|input|request|conversation|message)s? (?:is|are|was|were)? ?too (?:long|large)",
    # Google; TensorRT-LLM and SGLang; Moonshot; Cohere.
    r"(?:input|prompt) (?:token count|tokens?|length)\b.{0,60}(?:exceed|longer|greater|larger|cannot be more)",
    r"exceed\w*.{0,40}(?:model )?(?:token|input|prompt) (?:limit|length)",
    r"exceeds the maximum (?:number of tokens|allowed length|context|input|size)",
    r"too many (?:input |prompt )?tokens|reduce (?:the length|your prompt|the prompt)",
    # AI21; LMDeploy; TensorRT-LLM; Bedrock; vLLM, where nothing is left for an answer.
    r"tokens?,? which is too (?:long|many|large)|(?:input|prompt) length.{0,60}too long",
    r"exceed\w*.{0,40}\b(?:session_len|max_num_tokens)|expected maxLength|must be at least 1, got -\d",
    r"exceed\w*.{0,40}\bmax(?:imum)?[ _](?:input|prompt|context)\b",
    r"max(?:imum)?[ _](?:input|prompt)[ _]char(?:acter)?s?\b",
    r"context_window\w*exceeded",
    # Text Generation Inference, Together; DashScope; Zhipu.
    r"`?inputs`? (?:tokens \+|must have less than)|range of input length",
    r"(?:prompt|输入|上下文).{0,12}(?:超长|过长|超出)",
)
_UNKNOWN_MODEL = (
    # LiteLLM; `transformers serve MODEL`; Mistral; OpenRouter; DeepSeek; Groq; Google; Zhipu.
    r"Invalid model(?: name passed in model=|: )|Server is pinned to '|is not a valid model",
    r"unknown model|no such model",
    r"\bmodels?\b.{0,120}(?:does not exist|doesn't exist|do not exist|not exists?\b|(?:is|was) not found|\bnot found|"
    r"not available|no longer (?:available|supported)|unavailable|decommissioned|been (?:removed|retired|shut down)|"
    r"is not supported for)",
    r"模型.{0,20}不存在",
)
_WRONG_KEY = (
    # Google with 400; DashScope; Together; new-api.
    r"(?:api|access)[ _-]?(?:key|token)\b.{0,40}(?:not valid|invalid|expired|revoked|disabled|incorrect|not found|"
    r"does not exist|missing|required|unknown)",
    r"(?:invalid|incorrect|expired|unknown|missing|revoked|no) (?:api|access)[ _-]?(?:key|token)\b",
    r"(?:token|key|credentials?) (?:has |have |is |are )?(?:expired|revoked|been revoked)|account.{0,20}deactivated",
    r"(?:令牌|密钥).{0,12}(?:过期|无效|失效|不存在)|无效的令牌",
)
_NO_CREDIT = (
    # OpenAI, Azure, Moonshot; Google.
    r"exceeded (?:your|the|its|their) (?:current |monthly |account |usage )*(?:quota|budget|credits?|spend)",
    r"exceeded (?:your|the) monthly (?:included|usage|spend)",
    # DeepSeek, MiniMax, OpenRouter, SiliconFlow.
    r"(?:insufficient|not enough|no|out of|run out of|ran out of)[ _](?:\w+ )?(?:balance|credits?|funds?|quota)\b",
    r"out of call volume quota",
    r"(?:balance|credits?|quota|funds|budget)\b.{0,20}(?:insufficient|not enough|too low|exhausted|depleted|used up|"
    r"run out|ran out|been exceeded|negative)",
    r"(?:requires|need|purchase|buy|add|used all)\b.{0,30}\bcredits",
    r"exhausted (?:its|your|the|all)\b[\w ]{0,30}\b(?:quota|credits?|balance)\b",
    # DashScope, Volcengine; OpenAI; Hugging Face; xAI.
    r"arrearage|in arrears|overdue|payment (?:is )?required|good standing|"
    r"billing (?:hard )?limit|(?:spend|spending|credit|usage) (?:limit|cap)\b.{0,20}(?:reached|exceeded|hit)|"
    r"(?:reach(?:ed|ing)|exceeded|hit)\b.{0,30}(?:spend|spending|credit|usage|key) (?:limit|cap)|key limit exceeded|"
    r"billing (?:is )?not active|no active (?:subscription|payment)",
    r"余额不足|欠费|额度(?:不足|已用|用尽|耗尽)|请充值",
)
# These words mean a temporary limit. Google uses "You exceeded your current quota" for both kinds.
_PER_MINUTE = re.compile(r"per[ _-]?(?:minute|second|min\b|sec\b)|\b[RT]PM\b", re.IGNORECASE)
_PER_DAY = re.compile(r"Per(?:Day|Week|Month)")
_PASSES = re.compile(r"(?:retry|try again) (?:in|after) [\d.]+ ?(?:ms|s|m\d|sec|min)|retryDelay\W+\d", re.IGNORECASE)
_SECONDS = re.compile(r"([0-9.]*[0-9])s")
_SHORT_S = 120.0
"""A server that asks to wait no longer than this has a temporary limit."""
_CONTENT = (
    # Azure; DeepSeek; OpenRouter with 403; DashScope.
    r"content management policy|content exists risk|input was flagged|inappropriate content",
    # xAI with 403; OpenAI; Anthropic; LiteLLM and Bedrock; Moonshot.
    r"violat\w+ (?:\w+ ){0,3}(?:guideline|polic|terms)|ContentPolicyViolation|considered high risk",
    r"(?:blocked|filtered|rejected|refused|stopped|intercepted) (?:\w+ ){0,4}"
    r"(?:guardrails?|moderation|safety|content[ -](?:filter\w*|polic\w+))\b",
    r"guardrails? (?:\w+ )?(?:intervened|blocked|violat\w+|triggered|failed)",
    r"(?:failed|did not pass|flagged by) (?:\w+ )?(?:moderation|safety)",
    r"moderation (?:failed|blocked|flagged|check failed)",
)
_ACCOUNT = (
    # Fireworks with 412, Groq with 400, Anthropic and OpenAI with 403.
    r"\b(?:accounts?|organi[sz]ations?|teams?|projects?|workspaces?|tenants?|api access)\b[^.]{0,60}"
    r"\b(?:suspended|banned|disabled|terminated|restricted|blocked|locked|deactivated|closed)\b",
)
_ONE_TOO_LARGE = r"(?:request|payload|content)(?: body| entity)? too large"
"""Groq and GitHub with 413, OpenAI with 429: this request alone exceeds the tokens of a minute."""


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL)


_WORDINGS = {
    Complaint.TOO_LONG: _any(*_TOO_LONG, _ONE_TOO_LARGE),
    # Before the content, because an account may be closed for the content that it has sent.
    Complaint.ACCOUNT: _any(*_ACCOUNT),
    Complaint.CONTENT: _any(*_CONTENT),
    Complaint.UNKNOWN_MODEL: _any(*_UNKNOWN_MODEL),
    Complaint.WRONG_KEY: _any(*_WRONG_KEY),
    Complaint.NO_CREDIT: _any(*_NO_CREDIT),
}
_REFUSALS = (400, 413, 422)
# Complaints to look for in messages, by status; None is an error in a successful response. Other statuses are enough.
_LOOKED_FOR: dict[int | None, tuple[Complaint, ...]] = {
    **dict.fromkeys((*_REFUSALS, None), tuple(_WORDINGS)),
    412: (Complaint.NO_CREDIT, Complaint.WRONG_KEY, Complaint.ACCOUNT),
    403: (Complaint.ACCOUNT, Complaint.CONTENT, Complaint.WRONG_KEY, Complaint.NO_CREDIT, Complaint.UNKNOWN_MODEL),
    429: (Complaint.NO_CREDIT,),
    # Gateways pass on the messages of other servers.
    500: (Complaint.TOO_LONG, Complaint.CONTENT, Complaint.NO_CREDIT),
}
# llama.cpp; Text Generation Inference and Hugging Face's servers.
_LOADING = re.compile(r"loading model|is (?:currently |still )?loading", re.IGNORECASE)
_TOO_LARGE = 413
_UNAVAILABLE = 503
# Only the beginning of a message is used, because a server may repeat the prompt after it.
_WORDS_CHARS = 1_000
_MAX_DEPTH = 4


def complaint_in(status: int | None, body: object, retry_after_s: float | None = None) -> Complaint | None:
    """Return the complaint of a failed call, if the status code is not enough.

    :param status: status of the response; None for an error without a status in a successful response.
    :param body: the decoded body, of any shape.
    :param retry_after_s: seconds that the server asks to wait; None if it does not say.
    :return: the complaint; None if the status is enough.
    """
    words = words_in(body)[:_WORDS_CHARS]
    if status in (413, 429) and re.search(_ONE_TOO_LARGE, words, re.IGNORECASE):
        return Complaint.TOO_LONG
    if status == _UNAVAILABLE and _LOADING.search(words):
        # llama.cpp accepts connections before its model is loaded.
        return Complaint.LOADING
    field = refused_field(status, body)
    if status == _TOO_LARGE and field is None:
        return Complaint.TOO_LONG
    coded = coded_complaint(body)
    if coded is not None:
        return coded
    looked_for = _LOOKED_FOR.get(status, ())
    if field is not None:
        # Messages about a parameter often name the model too.
        looked_for = tuple(complaint for complaint in looked_for if complaint is Complaint.TOO_LONG)
    for complaint in looked_for:
        if _WORDINGS[complaint].search(words):
            if complaint is Complaint.NO_CREDIT and _quota_passes(body, words, retry_after_s):
                return Complaint.RATE
            return complaint
    return None


def reports_an_error(payload: Mapping[str, Any], answer_at: str) -> bool:
    """Return whether a successful response holds an error in place of its answer.

    :param payload: without choices.
    :param answer_at: field that holds the answer.
    """
    if payload.get("error") or coded_complaint(payload) is not None:
        return True
    code = value_at(payload, "base_resp.status_code")
    if isinstance(code, int) and code != 0:
        return True
    if payload.get(answer_at):
        return False
    # FastAPI and gateways report it only in words. Ollama's own answers have a message that is not a text.
    said = [payload.get(name) for name in ("detail", "message", "msg", "error_msg", "errors")]
    return any(isinstance(words, (str, list)) and words for words in said)


def _quota_passes(body: object, words: str, retry_after_s: float | None) -> bool:
    """Return whether an exhausted quota is per minute, and not per day or of the account."""
    quotas, delays = [words], []
    for detail in _details(body):
        quotas += [str(entry.get("quotaId")) for entry in _mappings(detail.get("violations"))]
        delays.append(str(detail.get("retryDelay", "")))
    said = " ".join(quotas)
    if _PER_MINUTE.search(said) or _PER_DAY.search(said):
        return _PER_MINUTE.search(said) is not None
    asked = [float(found[1]) for found in map(_SECONDS.fullmatch, delays) if found]
    asked += [] if retry_after_s is None else [retry_after_s]
    return _PASSES.search(words) is not None or any(seconds <= _SHORT_S for seconds in asked)


def _details(body: object) -> Iterator[Mapping[str, Any]]:
    """Yield the details that Google lists with an error, even if the error is in a list."""
    for error in _mappings(body if isinstance(body, list) else [body]):
        for place in _mappings([error, error.get("error")]):
            yield from _mappings(place.get("details"))


def _mappings(values: object) -> list[Mapping[str, Any]]:
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []


def coded_complaint(body: object) -> Complaint | None:
    """Return the complaint of a failed call, only from the codes in its body.

    :param body: the decoded body, of any shape.
    """
    of_minimax = value_at(body, "base_resp.status_code")
    if isinstance(of_minimax, int) and of_minimax in _MINIMAX:
        return _MINIMAX[of_minimax]
    found = (_CODES.get(_plain(code)) for code in _codes_in(body))
    return next((complaint for complaint in found if complaint is not None), None)


def words_in(body: object) -> str:
    """Return the message in the body of a failed response, without repeated parts of the request.

    :param body: decoded body, of any shape; a text is used unchanged.
    """
    found = list(dict.fromkeys(filter(None, (text.strip() for text in _words(body, 0)))))
    return ": ".join(found)


def _words(body: object, depth: int) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif isinstance(body, list) and depth < _MAX_DEPTH:
        for entry in body:
            yield from _words(entry, depth + 1)
    elif isinstance(body, Mapping) and depth < _MAX_DEPTH:
        for name in ("error", "errors"):
            yield from _words(body.get(name), depth + 1)
        for name in _WORD_FIELDS:
            text = body.get(name)
            # FastAPI lists each problem with its place.
            yield from (text,) if isinstance(text, str) else _words(text, depth + 1)
        place = body.get("loc")
        if isinstance(place, list) and place:
            yield repr(str(place[-1]))
        for inner in ("metadata", "base_resp"):
            if isinstance(body.get(inner), Mapping):
                # OpenRouter: only the provider's own message explains the error.
                raw = body[inner].get("raw") or body[inner].get("status_msg")
                yield from (raw,) if isinstance(raw, str) else ()


def _codes_in(body: object, depth: int = 0) -> Iterator[object]:
    """Yield possible codes, the nearest to the error first, including messages of one word with an underscore or a
    dot."""
    if isinstance(body, list) and depth < _MAX_DEPTH:
        for entry in body:
            yield from _codes_in(entry, depth + 1)
    if isinstance(body, str) and _IDENTIFIER.fullmatch(body):
        yield body
    if not isinstance(body, Mapping) or depth >= _MAX_DEPTH:
        return
    for name in ("error", "innererror"):
        yield from _codes_in(body.get(name), depth + 1)
    yield from (body[name] for name in _CODE_FIELDS if isinstance(body.get(name), (str, int)))
    for name in _WORD_FIELDS:
        if isinstance(body.get(name), str):
            yield from _codes_in(body[name], depth + 1)
    for name in ("details", "metadata", "base_resp", "detail"):
        if isinstance(body.get(name), (Mapping, list)):
            yield from _codes_in(body[name], depth + 1)
    if "flagged_input" in body:
        # OpenRouter, for a request that a moderation rejected with 403.
        yield "content_filter"


_FIELDS = (
    *CAP_FIELDS,
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "n",
    "seed",
    "stop",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "response_format",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "reasoning_effort",
    "chat_template_kwargs",
    "enable_thinking",
    "thinking",
    "extra_body",
)
_PLAIN_FIELDS = {_plain(name): name for name in _FIELDS}
_NO_PARAMETERS = ("messages", "model", "prompt", "input", "tools", "tool_choice")
"""Fields of a request that are not settings."""
_GATEWAY = (500, 502)
_UNSUPPORTED = re.compile(
    r"unsupported|unrecogni[sz]ed|(?:not|n't|no longer) (?:be )?(?:support|allow|permit|accept)", re.IGNORECASE
)
_NO_ENDPOINT = "no endpoints found that"
"""OpenRouter with 404, if no provider of a model accepts a parameter."""
_SHORT = ("n", "seed", "stop", "thinking")
_NAMED = re.compile(
    "|".join(
        rf"['\"`\[]{name}['\"`\]]|parameter:? {name}\b"
        if name in _SHORT
        # Also as one word: `maxTokens`, `topP`.
        else rf"(?<![\w.]){name.replace('_', '_?')}\b"
        for name in sorted(_FIELDS, key=len, reverse=True)
    ),
    re.IGNORECASE,
)
_NOT_TAKEN = re.compile(
    r"support|not (?:allowed|permitted|accepted|valid|compatible|implemented)|unrecogni[sz]ed|unknown|unexpected|"
    r"deprecated|cannot (?:both )?be|can't be|only|invalid|must be|extra (?:inputs|fields)|forbidden|too large|"
    r"at (?:most|least)|out of range|should be|cannot find|restricted|fixed",
    re.IGNORECASE,
)


def refused_field(status: int | None, body: object) -> str | None:
    """Return the sampling parameter that a server refuses; None if it refuses something else.

    :param status: of the response.
    :param body: decoded, of any shape.
    """
    words = words_in(body)[:_WORDS_CHARS]
    if status is not None and status not in _REFUSALS and not _passed_on(status, words):
        return None
    for error in (value_at(body, "error"), body):
        named = error.get("param") if isinstance(error, Mapping) else None
        # Such as `body.temperature` and `response_format.type`.
        parts = re.split(r"[.\[\]]+", named) if isinstance(named, str) else []
        known = next((_PLAIN_FIELDS[_plain(part)] for part in reversed(parts) if _plain(part) in _PLAIN_FIELDS), None)
        if known is not None:
            return known
        if parts and parts[0] in _NO_PARAMETERS:
            return None
    found = _NAMED.search(words)
    if found is None or not _NOT_TAKEN.search(words):
        return None
    return _PLAIN_FIELDS[_plain(re.sub(r"parameter:? ", "", found.group(), flags=re.IGNORECASE))]


def _passed_on(status: int, words: str) -> bool:
    """Return whether a gateway's error means that the server behind it refuses a parameter."""
    return _UNSUPPORTED.search(words) is not None if status in _GATEWAY else _NO_ENDPOINT in words.lower()


_SUFFIX = re.compile(
    r"(?:[-_@:.](?:latest|preview|exp|experimental|stable|free|beta|default|"
    r"v?20\d\d[-_.]?\d\d[-_.]?\d\d|20\d\d[-_.]\d\d|\d\d-\d\d(?:-20\d\d)?|\d{4}|\d{6}|00\d))+\Z"
)
_FILE_ENDING = re.compile(r"\.(?:gguf|bin|safetensors)$")


def same_model(asked: str, answered: str) -> bool:
    """Return whether two names mean one model, ignoring a path before and a date or an alias after the name.

    :param asked: the requested name.
    :param answered: the name in the response.
    """
    return _stem(asked) == _stem(answered)


_PLACEHOLDERS = frozenset(("local", "default", "model", "llm", "any", "none", "placeholder", "dummy"))


def is_placeholder(asked: str) -> bool:
    """Return whether a requested name means whatever model the server has, such as `local` in
    `mergeit_small_llm.yaml` or `local-model`.

    :param asked: the requested name.
    """
    return set(re.split(r"[-_ ]", asked.strip().lower())) <= _PLACEHOLDERS


def _stem(name: str) -> str:
    """Return a name without the path before it and the dates and aliases after it."""
    last = name.strip().lower().rstrip("/").rpartition("/")[2]
    return _SUFFIX.sub("", _FILE_ENDING.sub("", last))


def response_formats(schema: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, ...]:
    """Return the ways to ask for JSON, strictest first; None asks only in the prompt.

    :param schema: JSON schema of the answer.
    """
    return (
        # OpenAI, vLLM, llama.cpp, Ollama, LiteLLM; `transformers serve` accepts and ignores it.
        {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema), "strict": True}},
        # llama-cpp-python, which fails with 500 at the first form.
        {"type": "json_object", "schema": dict(schema)},
        {"type": "json_object"},
        None,
    )


def listed_logprobs(payload: object) -> Iterator[tuple[object, object]]:
    """Yield the most likely first tokens of a text completion with their log-probabilities, as the raw values.

    `top_logprobs.0` is a mapping of token to number (text completions of OpenAI, vLLM and llama-cpp-python),
    `content.0.top_logprobs` a list of `token` and `logprob` (llama.cpp, also behind LiteLLM).

    :param payload: the decoded body of a response.
    """
    logprobs = value_at(payload, "choices.0.logprobs")
    mapping = value_at(logprobs, "top_logprobs.0")
    if isinstance(mapping, Mapping):
        yield from mapping.items()
    listed = value_at(logprobs, "content.0.top_logprobs")
    if isinstance(listed, list):
        yield from ((entry.get("token"), entry.get("logprob")) for entry in listed if isinstance(entry, Mapping))


def echoed_tokens(payload: object) -> list[tuple[object, object]]:
    """Return the tokens that a text completion lists with their log-probabilities, as the raw values.

    With `echo`, these are the tokens of the prompt, followed by those of the completion: vLLM, llama-cpp-python, SGLang
    and OpenAI. llama-cpp-python leaves out the model's BOS.

    :param payload: the decoded body of a response.
    """
    tokens = value_at(payload, "choices.0.logprobs.tokens")
    logprobs = value_at(payload, "choices.0.logprobs.token_logprobs")
    if not isinstance(tokens, list) or not isinstance(logprobs, list) or len(tokens) != len(logprobs):
        return []
    return list(zip(tokens, logprobs, strict=True))


def prompt_logprobs(payload: object) -> list[tuple[object, object]]:
    """Return the tokens of the prompt with their log-probabilities, as vLLM lists them for `prompt_logprobs`.

    Each is a mapping of token ids: the token itself and, if it is another one, the likeliest token (rank 1). The first
    entry is null; its text is not given.

    :param payload: the decoded body of a response.
    """
    listed = value_at(payload, "choices.0.prompt_logprobs")
    found: list[tuple[object, object]] = []
    for entry in listed if isinstance(listed, list) else []:
        known = [token for token in entry.values() if isinstance(token, Mapping)] if isinstance(entry, Mapping) else []
        own = next((token for token in known if token.get("rank") != 1), known[0] if known else {})
        found.append((own.get("decoded_token"), own.get("logprob")))
    return found

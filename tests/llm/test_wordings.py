"""Bodies in which servers refuse, in their own words and codes, and what each means for a run."""

# ruff: noqa: E501 (what servers say is quoted in one piece)

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mergeit_ops.llm.classify import error_in
from mergeit_ops.llm.client import OpenAICompatibleFactory
from mergeit_ops.llm.failures import CallFailedError
from mergeit_ops.llm.masking import unmasked
from mergeit_ops.llm.servers import refused_field, same_model
from tests.llm_server import FakeLLMServer, Reply

BODIES: list[tuple[int, Any, str]] = [
    (
        429,
        {
            "error": {
                "message": "You exceeded your current quota, please check your plan and billing details.",
                "type": "insufficient_quota",
                "code": "insufficient_quota",
            }
        },
        "no_credit",
    ),
    (
        429,
        {
            "error": {
                "message": "Your account org-1 <ak-1> is suspended, please check your plan and billing details",
                "type": "exceeded_current_quota_error",
            }
        },
        "no_credit",
    ),
    (
        402,
        {
            "error": {
                "message": "Insufficient Balance",
                "type": "unknown_error",
                "param": None,
                "code": "invalid_request_error",
            }
        },
        "no_credit",
    ),
    (
        400,
        {
            "code": "Arrearage",
            "message": "Access denied, please make sure your account is in good standing.",
            "request_id": "1",
        },
        "no_credit",
    ),
    (
        400,
        {
            "error": {
                "code": "Arrearage",
                "param": None,
                "message": "Access denied, please make sure your account is in good standing.",
                "type": "Arrearage",
            }
        },
        "no_credit",
    ),
    (
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
            },
        },
        "no_credit",
    ),
    (
        403,
        {"error": {"message": "user quota is not enough", "type": "new_api_error", "code": "insufficient_user_quota"}},
        "no_credit",
    ),
    (429, {"error": {"code": "1113", "message": "您的账户已欠费,请充值后重试。"}}, "no_credit"),
    (429, {"error": {"code": "x", "message": "余额不足或无可用资源包,请充值。"}}, "no_credit"),
    (429, {"message": "insufficient_quota"}, "no_credit"),
    (429, {"detail": "insufficient_quota"}, "no_credit"),
    (429, {"error": "insufficient_quota"}, "no_credit"),
    (429, {"code": "insufficient_quota", "message": "x"}, "no_credit"),
    (429, {"error": {"status": "INSUFFICIENT_QUOTA", "message": "x"}}, "no_credit"),
    (403, {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None}, "no_credit"),
    (
        403,
        {
            "error": {
                "code": "AccountOverdueError",
                "message": "The request failed because your account has an overdue balance.",
                "param": "",
                "type": "Forbidden",
            }
        },
        "no_credit",
    ),
    (
        429,
        [
            {
                "error": {
                    "code": 429,
                    "message": "You exceeded your current quota, please check your plan and billing details. * Quota exceeded for metric: x/generate_content_free_tier_requests, limit: 10\nPlease retry in 34.07s.",
                    "status": "RESOURCE_EXHAUSTED",
                }
            }
        ],
        "rate_limited",
    ),
    (
        429,
        {
            "error": {
                "message": "Rate limit reached for gpt-4 in organization org-x on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.",
                "type": "requests",
                "code": "rate_limit_exceeded",
            }
        },
        "rate_limited",
    ),
    (
        429,
        {
            "error": {
                "message": "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 40000.",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            }
        },
        "too_long",
    ),
    (429, {"message": "Requests rate limit exceeded"}, "rate_limited"),
    (
        429,
        {
            "error": {
                "message": "Requests to the ChatCompletions_Create Operation have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 60 seconds.",
                "code": "429",
            }
        },
        "rate_limited",
    ),
    (
        403,
        {"statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 2.10:00:00."},
        "no_credit",
    ),
    (403, {"error": {"message": "Key limit exceeded (total limit).", "code": 403}}, "no_credit"),
    (
        400,
        {
            "error": {
                "message": "Budget has been exceeded! Current cost: 1.2, Max budget: 1.0",
                "type": "budget_exceeded",
                "param": None,
                "code": "400",
            }
        },
        "no_credit",
    ),
    (
        400,
        {
            "error": {
                "code": 400,
                "message": "API key not valid. Please pass a valid API key.",
                "status": "INVALID_ARGUMENT",
                "details": [{"reason": "API_KEY_INVALID"}],
            }
        },
        "unauthorized",
    ),
    (
        400,
        {"error": {"code": 400, "message": "API key expired. Please renew the API key.", "status": "INVALID_ARGUMENT"}},
        "unauthorized",
    ),
    (403, {"error": {"message": "This token has expired", "type": "x"}}, "unauthorized"),
    (403, {"error": {"message": "该令牌已过期"}}, "unauthorized"),
    (400, {"error": {"message": "Model Not Exist", "type": "invalid_request_error"}}, "not_found"),
    (
        400,
        {
            "error": {
                "message": "The model `llama3-70b` has been decommissioned and is no longer supported.",
                "code": "model_decommissioned",
            }
        },
        "not_found",
    ),
    (400, {"object": "error", "message": "Invalid model: foo", "type": "invalid_model", "code": "1500"}, "not_found"),
    (400, {"error": {"message": "foo/bar is not a valid model ID", "code": 400}}, "not_found"),
    (400, {"error": {"code": "1211", "message": "模型不存在,请检查模型代码。"}}, "not_found"),
    (503, {"error": {"message": "当前分组 default 下对于模型 x 无可用渠道", "code": "model_not_found"}}, "not_found"),
    (
        403,
        {"error": {"message": "Project `p` does not have access to model `gpt-4o`", "code": "model_not_found"}},
        "not_found",
    ),
    (400, {"error": {"message": "Content Exists Risk", "type": "invalid_request_error"}}, "refused"),
    (
        403,
        {
            "error": {
                "message": "Your chosen model requires moderation and your input was flagged",
                "code": 403,
                "metadata": {"reasons": ["violence"], "flagged_input": "..."},
            }
        },
        "refused",
    ),
    (
        400,
        {
            "error": {
                "message": "The response was filtered",
                "code": "content_filter",
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
        "refused",
    ),
    (400, {"code": "DataInspectionFailed", "message": "Input data may contain inappropriate content."}, "refused"),
    (
        400,
        {
            "object": "error",
            "message": "The input (42021 tokens) is longer than the model's context length (8192 tokens).",
            "type": "BadRequestError",
            "code": 400,
        },
        "too_long",
    ),
    (
        400,
        {
            "object": "error",
            "message": "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 9000 tokens",
            "code": 400,
        },
        "too_long",
    ),
    (
        400,
        {
            "message": "Input length (9000 tokens) exceeds the maximum allowed length (8191 tokens). Use a shorter input or enable --allow-auto-truncate."
        },
        "too_long",
    ),
    (
        422,
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`",
            "error_type": "validation",
        },
        "too_long",
    ),
    (
        422,
        {
            "error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000",
            "error_type": "validation",
        },
        "too_long",
    ),
    (
        400,
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            "type": "invalid_request_error",
            "code": "3051",
        },
        "too_long",
    ),
    (
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        "too_long",
    ),
    (
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 205000 tokens > 200000 maximum"},
        },
        "too_long",
    ),
    (
        413,
        {"type": "error", "error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}},
        "too_long",
    ),
    (
        400,
        {"error": {"message": "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"}},
        "too_long",
    ),
    (
        400,
        {
            "message": "The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller"
        },
        "too_long",
    ),
    (
        400,
        {
            "error": {
                "message": "You passed 8193 input tokens and requested 1 output tokens. However, the model's context length is only 8192 tokens"
            }
        },
        "too_long",
    ),
    (
        400,
        {
            "error": {
                "message": "the request exceeds the available context size. try increasing the context size or enable context shift"
            }
        },
        "too_long",
    ),
    (500, {"error": {"message": "input length exceeds the context length"}}, "too_long"),
    (400, {"error": {"message": "prompt too long; exceeded max context length by 100 tokens"}}, "too_long"),
    (
        400,
        {
            "error": {
                "message": "This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 tokens",
                "code": 400,
            }
        },
        "too_long",
    ),
    (
        400,
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {
                    "raw": '{"error":{"message":"prompt is too long: 9 tokens > 8 maximum"}}',
                    "provider_name": "A",
                },
            }
        },
        "too_long",
    ),
    (400, {"error": {"message": "Invalid request: Your request exceeded model token limit: 8192"}}, "too_long"),
    (400, {"code": "InvalidParameter", "message": "Range of input length should be [1, 30720]"}, "too_long"),
    (400, {"error": {"code": "1261", "message": "Prompt 超长"}}, "too_long"),
    (400, {"message": "Input is too long for requested model."}, "too_long"),
    (400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081"}, "too_long"),
    (
        400,
        {"error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."},
        "too_long",
    ),
    (
        400,
        {
            "message": "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough."
        },
        "too_long",
    ),
    (
        400,
        {"base_resp": {"status_code": 2013, "status_msg": "invalid params, context window exceeds limit (2013)"}},
        "too_long",
    ),
    (
        413,
        {
            "error": {
                "message": "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 7000",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            }
        },
        "too_long",
    ),
    (400, {"message": "Prompt length (5000) exceeds maximum input length (4096)."}, "too_long"),
    (
        400,
        {
            "error": {
                "message": "Unsupported value: 'temperature' does not support 0.25 with this model. Only the default (1) value is supported.",
                "type": "invalid_request_error",
                "param": "temperature",
                "code": "unsupported_value",
            }
        },
        "bad_request",
    ),
    (400, {"error": {"message": "'messages' must contain the word 'json' in some form"}}, "bad_request"),
    (
        422,
        {
            "detail": [
                {
                    "type": "missing",
                    "loc": ["body", "messages"],
                    "msg": "Field required",
                    "input": "insufficient balance; maximum context length",
                }
            ]
        },
        "bad_request",
    ),
    (429, {"error": {"message": "Throttled", "code": "Throttling.RateQuota"}}, "rate_limited"),
]
TOO_LONG: list[tuple[int, Any, str]] = [
    (413, "", "too_long"),
    (413, "Payload Too Large", "too_long"),
    (413, b"<html><title>413 Content Too Large</title></html>", "too_long"),
    (413, {"error": {"message": "nope", "code": "rate_limit_exceeded"}}, "too_long"),
    (413, {"error": "`max_tokens` must be <= 4096"}, "bad_request"),
    (413, {"error": {"message": "too much", "param": "max_tokens"}}, "bad_request"),
    (
        413,
        {
            "error": {
                "code": "tokens_limit_reached",
                "message": "Request body too large for gpt-4o. Max size: 8000 tokens.",
            }
        },
        "too_long",
    ),
    (400, {"error": {"code": "tokens_limit_reached", "message": "x"}}, "too_long"),
    (400, {"error": {"message": "Request body too large for gpt-4o model."}}, "too_long"),
    (422, {"detail": "Prompt has 300000 tokens, which is too long for the model (256000)."}, "too_long"),
    (400, {"message": "Input exceeds max input tokens (8192)"}, "too_long"),
    (400, {"message": "The input has more than the max input characters 30000"}, "too_long"),
    (400, {"message": "exceeded maximum input characters"}, "too_long"),
    (400, {"error": {"message": "context_window_size_exceeded: 9 > 8"}}, "too_long"),
    (400, {"error": {"message": "x", "type": "context_window_size_exceeded"}}, "too_long"),
    (400, {"message": "The input token ids length (5000) exceeds session_len"}, "too_long"),
    (400, {"message": "The sum of prompt length (5000.0) should not exceed max_num_tokens (4096)"}, "too_long"),
    (400, {"error": {"message": "input length too long, please reduce it"}}, "too_long"),
    (400, {"message": "Malformed input request: expected maxLength: 20000, actual: 30000"}, "too_long"),
    (400, {"error": {"message": "max_tokens must be at least 1, got -904."}}, "too_long"),
    (400, {"error": {"message": "max_tokens must be at least 1, got 0."}}, "bad_request"),
]
CONTENT: list[tuple[int, Any, str]] = [
    (
        403,
        {"code": "The caller does not have permission", "error": "Content violates usage guidelines. Failed check: X"},
        "refused",
    ),
    (
        400,
        {"error": {"message": "Invalid prompt: your prompt was flagged as potentially violating our usage policy."}},
        "refused",
    ),
    (400, {"error": {"message": "x", "code": "invalid_prompt"}}, "refused"),
    (400, {"type": "error", "error": {"message": "Output blocked by content filtering policy"}}, "refused"),
    (400, {"error": {"message": "litellm.ContentPolicyViolationError: blocked", "code": "400"}}, "refused"),
    (400, {"error": {"message": "x", "type": "ContentPolicyViolationError"}}, "refused"),
    (403, {"error": {"message": "Request blocked by guardrail"}}, "refused"),
    (400, {"error": {"message": "Blocked by the presidio guardrail"}}, "refused"),
    (400, {"error": {"message": "Bedrock guardrail intervened"}}, "refused"),
    (500, {"error": {"message": "litellm.ContentPolicyViolationError: blocked"}}, "refused"),
    (422, {"detail": "The request failed moderation."}, "refused"),
    (400, {"error": {"message": "The request was rejected because it was considered high risk"}}, "refused"),
    (400, {"error": {"message": "This request was rejected by our safety system."}}, "refused"),
    (451, {"error": {"message": "unavailable for legal reasons"}}, "refused"),
    (451, b"", "refused"),
    (403, {"error": {"message": "Your account has been suspended for violating our usage policies."}}, "forbidden"),
    (403, {"error": {"message": "Access denied by the firewall"}}, "forbidden"),
]
ACCOUNT: list[tuple[int, Any, str]] = [
    (
        412,
        {"error": {"message": "Account x is suspended, possibly due to reaching the monthly spending limit"}},
        "no_credit",
    ),
    (412, {"error": {"message": "Account x is suspended."}}, "forbidden"),
    (412, b"", "forbidden"),
    (400, {"error": {"message": "Organization has been restricted.", "code": "organization_restricted"}}, "forbidden"),
    (400, {"error": {"message": "The organization x has been restricted."}}, "forbidden"),
    (403, {"error": {"message": "This organization has been disabled."}}, "forbidden"),
    (400, {"error": {"message": "the spend alert threshold was met", "code": "blocked_api_access"}}, "no_credit"),
    (429, {"error": {"code": "SetLimitExceeded", "message": "has reached the set inference limit"}}, "no_credit"),
    (
        429,
        {"error": {"code": "QuotaExceeded", "message": "Your account has exhausted its free trial quota"}},
        "no_credit",
    ),
    (429, {"error": {"code": "1309", "message": "Your plan is over."}}, "no_credit"),
    (429, [{"error": {"message": "Resource has been exhausted (e.g. check quota)."}}], "rate_limited"),
    (429, {"error": {"message": "You have exhausted your capacity. Your quota resets after 3s"}}, "rate_limited"),
    (424, {"error": "x"}, "transient"),
    (498, {"error": "flex capacity exceeded"}, "transient"),
]
GOOGLE = "You exceeded your current quota, please check your plan and billing details."
MINUTE, DAY = (
    "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
    "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
)


def of_google(*quotas: str, delay: str | None = None) -> Any:
    details: list[Any] = [{"@type": "QuotaFailure", "violations": [{"quotaId": quota} for quota in quotas]}]
    details += [{"@type": "RetryInfo", "retryDelay": delay}] if delay else []
    return {"error": {"code": 429, "message": GOOGLE, "status": "RESOURCE_EXHAUSTED", "details": details}}


QUOTAS: list[tuple[str | None, Any, str]] = [
    (None, of_google(MINUTE), "rate_limited"),
    (None, [of_google(MINUTE)], "rate_limited"),
    (None, of_google(DAY, MINUTE, delay="34s"), "rate_limited"),
    (None, of_google(delay="34.07s"), "rate_limited"),
    (None, of_google(delay="86000s"), "no_credit"),
    (None, of_google(DAY), "no_credit"),
    ("1", of_google(DAY, delay="34s"), "no_credit"),
    ("1", of_google(), "rate_limited"),
    ("1", {"error": {"message": GOOGLE}}, "rate_limited"),
    ("86400", {"error": {"message": GOOGLE}}, "no_credit"),
    (None, {"error": {"message": GOOGLE}}, "no_credit"),
    ("1", {"error": {"message": GOOGLE, "code": "insufficient_quota"}}, "no_credit"),
    (None, {"error": {"message": f"Exception - {json.dumps(of_google(MINUTE, DAY))}"}}, "rate_limited"),
    (None, {"error": {"message": f"Exception - {json.dumps(of_google(DAY, delay='3s'))}"}}, "no_credit"),
    (None, {"error": {"message": f"Exception - {json.dumps(of_google(delay='3s'))}"}}, "rate_limited"),
    (None, {"error": {"message": GOOGLE, "details": ["x", {"violations": "x", "retryDelay": 3}]}}, "no_credit"),
]
REPORTED: list[tuple[Any, str | None]] = [
    ({"error": {"message": "overloaded"}}, "transient"),
    ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, "no_credit"),
    ({"code": "Arrearage", "message": "Access denied."}, "no_credit"),
    ({"error": {"message": "You exceeded your current quota."}}, "no_credit"),
    ({"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}}, "too_long"),
    ({"error": {"code": "invalid_api_key", "message": "x"}}, "unauthorized"),
    ({"detail": "insufficient_quota"}, "no_credit"),
    ({"base_resp": {"status_code": 1002, "status_msg": "too fast"}}, "rate_limited"),
    ({"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "unauthorized"),
    ({"choices": [], "base_resp": {"status_code": 2049, "status_msg": "x"}}, "unauthorized"),
    ({"base_resp": {"status_code": 2013, "status_msg": "x"}}, "too_long"),
    ({"base_resp": {"status_code": 1039, "status_msg": "x"}}, "transient"),
    ({"base_resp": {"status_code": 0, "status_msg": ""}}, None),
    ({"detail": "the house is on fire"}, "transient"),
    ({"detail": [{"loc": ["body"], "msg": "x"}]}, "transient"),
    ({"message": "the house is on fire"}, "transient"),
    ({"message": "the house is on fire", "choices": None}, "transient"),
    ({"text": "an answer of another kind"}, None),
    ({"message": {"content": "The bank says: insufficient balance."}}, None),
    ({"choices": [{"message": {"content": "insufficient_quota"}}], "code": "insufficient_quota"}, None),
]
FIELDS: list[tuple[int, Any, str | None]] = [
    (
        400,
        {
            "error": {
                "message": "Unsupported value: 'temperature' does not support 0.25 with this model.",
                "param": "temperature",
                "code": "unsupported_value",
            }
        },
        "temperature",
    ),
    (
        400,
        {"error": {"message": "Unsupported value: 'temperature' does not support 0.25 with this model."}},
        "temperature",
    ),
    (400, {"error": {"message": "Unsupported parameter: 'top_p' is not supported with this model."}}, "top_p"),
    (
        400,
        {
            "error": {
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
            }
        },
        "max_tokens",
    ),
    (
        400,
        {
            "error": {
                "message": "litellm.UnsupportedParamsError: gpt-5 models (including gpt-5-codex) don't support temperature=0.25. Only temperature=1 is supported."
            }
        },
        "temperature",
    ),
    (400, {"error": {"message": "`temperature` is deprecated for this model."}}, "temperature"),
    (
        422,
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "seed"],
                    "msg": "Extra inputs are not permitted",
                    "input": 1,
                }
            ]
        },
        "seed",
    ),
    (400, {"error": {"message": "invalid temperature: only 1 is allowed for this model"}}, "temperature"),
    (400, {"error": {"message": "Unrecognized request argument supplied: logprobs"}}, "logprobs"),
    (400, {"error": {"message": "'n' > 1 is not supported"}}, "n"),
    (400, [{"error": {"message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'}}], "seed"),
    (400, {"error": {"message": "This model does not support the parameter response_format.type"}}, "response_format"),
    (400, {"error": {"message": "response_format json_schema is not supported"}}, "response_format"),
    (422, {"detail": "Unexpected fields in the request: {'min_p'}"}, "min_p"),
    (400, {"error": {"message": "gpt-5 models don't support temperature=0.25.", "param": "None"}}, "temperature"),
    (400, {"error": {"message": "gpt-5 models don't support temperature=0.25.", "param": ""}}, "temperature"),
    (400, {"error": {"message": "Unsupported value", "param": "body.temperature"}}, "temperature"),
    (400, {"error": {"message": "Unsupported value", "param": "generationConfig.topP"}}, "top_p"),
    (400, {"error": {"message": "Unsupported value", "param": "response_format.type"}}, "response_format"),
    (400, {"message": "Unsupported value", "param": "body[seed]"}, "seed"),
    (400, {"error": {"message": "only user turns; temperature is fine", "param": "messages[0].content"}}, None),
    (400, {"error": "Model grok-4 does not support parameter maxTokens"}, "max_tokens"),
    (400, {"error": "Model x does not support topP"}, "top_p"),
    (400, {"error": "presencePenalty is not supported"}, "presence_penalty"),
    (
        404,
        {"error": {"message": "No endpoints found that support the requested parameters: temperature"}},
        "temperature",
    ),
    (404, {"error": {"message": "The requested model does not support temperature"}}, None),
    (500, {"error": {"message": "litellm.BadRequestError: temperature is not supported"}}, "temperature"),
    (502, {"error": {"message": "UnsupportedParamsError: seed", "param": "seed"}}, "seed"),
    (500, {"error": {"message": "temperature of the processor is too high"}}, None),
    (503, {"error": {"message": "temperature is not supported"}}, None),
    (400, {"error": {"message": "the flux capacitor is cold"}}, None),
    (400, {"error": {"message": "invalid model for n of m"}}, None),
]
NAMES: list[tuple[str, str, bool]] = [
    ("gpt-4o", "gpt-4o-2024-08-06", True),
    ("gpt-4o", "gpt-4o-mini", False),
    ("openai/gpt-4o", "gpt-4o-2024-08-06", True),
    ("gpt-4", "gpt-4-0613", True),
    ("gpt-4", "gpt-4.1", False),
    ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", True),
    ("gemini-1.5-pro", "models/gemini-1.5-pro-002", True),
    ("llama3", "llama3:latest", True),
    ("m", "/models/m.gguf", True),
    ("m", "fake", False),
    ("merger", "fake", False),
    ("qwen-max", "qwen-max-2025-01-25", True),
    ("meta-llama/Llama-3:free", "meta-llama/llama-3", True),
    ("kimi-k2-0905-preview", "kimi-k2", True),
    ("deepseek-chat", "deepseek-reasoner", False),
    ("qwen2.5-7b", "qwen2.5-72b", False),
    ("gpt-4", "gpt-4-1106-preview", True),
    ("llama-3.1-8b", "llama-3.1-70b", False),
    ("o1", "o1-2024-12-17", True),
]


def failures_of(replies: list[Reply]) -> list[CallFailedError]:
    """Ask once for each reply, with the real client over HTTP."""
    left = iter(replies)

    async def ask(url: str) -> list[CallFailedError]:
        client = OpenAICompatibleFactory("m", model_params={"base_url": url}, timeout_s=10.0).create(1)
        found = []
        try:
            for _ in replies:
                with pytest.raises(CallFailedError) as caught:
                    await client.complete([{"role": "user", "content": "hi"}], {})
                found.append(caught.value)
        finally:
            await client.aclose()
        return found

    with FakeLLMServer(lambda body: next(left)) as server:
        return asyncio.run(ask(server.base_url))


@pytest.mark.parametrize("table", [BODIES, TOO_LONG, CONTENT, ACCOUNT])
def test_what_servers_say_is_told_apart_by_code_and_status_and_then_by_words(table):
    found = failures_of([Reply(status=status, payload=body) for status, body, _ in table])
    wrong = [
        (status, body, failure.kind.value)
        for (status, body, kind), failure in zip(table, found, strict=True)
        if failure.kind.value != kind
    ]
    assert wrong == []


def test_words_beside_an_answer_in_another_place_are_no_error():
    assert error_in({"code": 0, "message": "success", "data": {"text": "x"}}, unmasked, "data") is None
    assert error_in({"message": "an answer"}, unmasked, "message") is None
    assert error_in({"code": 1, "message": "no", "data": None}, unmasked, "data") is not None


def test_an_error_in_words_alone_is_told_in_the_words_of_the_server():
    bodies = [
        {"detail": "on fire"},
        {"message": "on fire"},
        {"base_resp": {"status_code": 1039, "status_msg": "on fire"}},
    ]
    for failure in failures_of([Reply(payload=body) for body in bodies]):
        assert failure.detail.endswith("on fire")


def test_a_quota_of_a_minute_is_told_from_one_of_a_day_and_from_no_credit():
    replies = [
        Reply(status=429, payload=body, headers={} if wait is None else {"Retry-After": wait})
        for wait, body, _ in QUOTAS
    ]
    assert [failure.kind.value for failure in failures_of(replies)] == [kind for _, _, kind in QUOTAS]


@pytest.mark.parametrize(("body", "kind"), REPORTED)
def test_an_error_in_a_body_that_claims_to_be_good_is_read_like_any_other(body, kind):
    failure = error_in(body, unmasked)
    assert (None if failure is None else failure.kind.value) == kind


@pytest.mark.parametrize(("status", "body", "field"), FIELDS)
def test_a_parameter_that_is_refused_is_named(status, body, field):
    assert refused_field(status, body) == field


@pytest.mark.parametrize(("asked", "answered", "same"), NAMES)
def test_a_path_a_date_and_an_alias_make_no_other_model(asked, answered, same):
    assert same_model(asked, answered) is same
    assert same_model(answered, asked) is same


def test_the_words_of_a_server_are_one_line_without_keys_and_terminal_codes():
    words = "\x1b[31mno\x1b[0m\u202e credit\x07 for\nBearer abcdef123 and sk-abcdef123456\x00" + "x" * 1000
    (failure,) = failures_of([Reply(status=402, payload={"error": {"message": words}})])
    assert failure.detail.startswith("HTTP 402: no credit for Bearer *** and *** xxx")
    assert failure.detail.isprintable()
    assert len(failure.detail) < 320

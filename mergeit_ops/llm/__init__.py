"""The only place that awaits: client, retries, answer cache, token budget, and the engine that drives them."""

from mergeit_ops.llm.engine import EngineSettings, LLMEngine, build_engine
from mergeit_ops.llm.requests import LLMOutcome, LLMRequest
from mergeit_ops.llm.usage import Usage

__all__ = ["EngineSettings", "LLMEngine", "LLMOutcome", "LLMRequest", "Usage", "build_engine"]

"""The only place that awaits: client, retries, answer cache, token budget, and the engine that drives them."""

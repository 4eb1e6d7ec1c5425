"""The only asynchronous part: client, retries, answer cache, token budget, and the engine that drives them."""

"""Pure functions and small value types: the method itself, without Data-Juicer, openai or torch."""

"""Pure functions and small value types of the methods, without Data-Juicer, openai or torch."""

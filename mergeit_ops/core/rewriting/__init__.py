"""Rewrite rows with a language model: the questions, the reading of replies, and the checks of replies."""

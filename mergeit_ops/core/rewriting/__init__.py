"""Rewriting rows with a language model: what is asked, how replies are read, and what they must fulfil."""

"""Merging rows: pairs, prompts, answers, and checks of a merge against its parents."""

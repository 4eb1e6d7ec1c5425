"""The quality gate's decisions."""

"""Patina's library: damage to learn from, and how to undo it. Nothing here reads argv, the working
folder or prints."""

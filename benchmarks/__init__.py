"""Measurements beside a peer: `python -m benchmarks NAME`. None of them is a test."""

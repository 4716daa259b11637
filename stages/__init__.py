"""One thin command a file; the only place that prints and knows default paths."""

"""The exercises and what judges an answer, one file a subject."""

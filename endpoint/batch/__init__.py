"""Many askers at once: rows of one batch share each reading of the weights."""

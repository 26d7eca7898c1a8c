"""Many askers at once: the slots of one batch share each reading of the weights."""

"""The teaching wing: plots, exercises, quizzes, widgets. Everything here reads records; nothing here loads a model."""

"""What lab.py stands on: the machine, running other programs, the .venv, packages, and waiting for them.

The standard library alone, in the syntax of Python 3.6: an old Python gets as far as the sentence that says so.
"""

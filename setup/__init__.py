"""What lab.py stands on: what differs between machines, and running other programs. The standard library alone."""

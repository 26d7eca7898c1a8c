"""A server on this machine over one of the course's models, and the protocols of the services that it can practise."""

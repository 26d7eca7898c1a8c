"""What keeps the repository: notebooks regenerated in their normal form, and run as tests without a network."""

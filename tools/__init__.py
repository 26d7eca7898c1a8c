"""What keeps the repository: notebooks in their normal form, and run as tests without a network; README's pictures."""

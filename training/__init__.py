"""The scripts that made the small models in data/, each reproducible from a seed. No lesson needs them."""

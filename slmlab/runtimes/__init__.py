"""Runtimes of the bundled model, a small file each with the contract of `contract.Runtime`; a race over them, and a
question to each. A file lists its RUNTIMES: a name, to what makes it."""

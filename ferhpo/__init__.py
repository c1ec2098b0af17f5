"""ferhpo: hyperparameter search and ensembling for image classification.

Importing this package imports nothing heavy; each folder is one step of the way
space -> data -> models -> training -> (search writes) study -> ensemble -> report -> cli.
"""

__version__ = "0.1.0"

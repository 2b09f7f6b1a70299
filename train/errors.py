"""The error of the training data."""


class DataError(Exception):
    """A data set that cannot be trained on; the message is one sentence that names the file and the remedy."""

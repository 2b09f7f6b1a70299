"""Errors a caller can act on; each message is one sentence that names the input and the remedy."""


class D3SError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(D3SError, ValueError):
    """An image, region or option that cannot be used as given."""


class CheckpointError(D3SError):
    """A weights file that is missing, damaged, unsafe or of another network."""

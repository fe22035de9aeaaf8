"""What Parcelle says when it cannot go on: what was found, where, and what to do."""


class ParcelleError(Exception):
    """An error whose message is meant for the user."""


class SettingsError(ParcelleError):
    """A setting is unknown, missing or out of bounds."""


class InputError(ParcelleError):
    """An image, a reference file or a nomenclature is not what it should be."""


class StaleError(ParcelleError):
    """A file of the results is not the one that was written."""

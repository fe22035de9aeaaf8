"""Settings of hypothesis for all unit tests."""

from hypothesis import settings

# The same examples in every run, on slow machines too; the first call of a compiled function takes seconds.
settings.register_profile("parcelle", deadline=None, derandomize=True)
settings.load_profile("parcelle")

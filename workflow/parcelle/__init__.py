"""Land-cover maps of a country from a year of satellite images: what the scripts are made of."""

__version__ = "0.1.0"

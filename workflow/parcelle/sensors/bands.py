"""Bands that several formats of one satellite share."""

from parcelle.sensors.base import Band

SENTINEL2 = (
    Band("b2", "blue", 10),
    Band("b3", "green", 10),
    Band("b4", "red", 10),
    Band("b5", "rededge071", 20),
    Band("b6", "rededge075", 20),
    Band("b7", "rededge078", 20),
    Band("b8", "nir", 10),
    Band("b8a", "nir08", 20),
    Band("b11", "swir16", 20),
    Band("b12", "swir22", 20),
)

# The numbers of the bands differ from satellite to satellite; hence common names.
LANDSAT = (
    Band("blue", "blue", 30),
    Band("green", "green", 30),
    Band("red", "red", 30),
    Band("nir08", "nir", 30),
    Band("swir16", "swir16", 30),
    Band("swir22", "swir22", 30),
)

"""A generated country with a known truth: what ``make demo`` maps, and what the tests are made of.

``python -m parcelle.demo FOLDER`` writes it; ``python -m parcelle.demo.truth FOLDER RESULTS`` compares it
with the maps made of it. A step is a module: `covers` (what grows when), `spectra` (what that looks like),
`landscape` (what lies where), `fields` (each field's own season), `clouds`, `scenes` (what a satellite sees),
`reference` (what is declared), `products` (files); `country` says what there is and calls them in this order.
"""

"""Writes the parts of pages in ``docs/`` that say what is said in the code already."""

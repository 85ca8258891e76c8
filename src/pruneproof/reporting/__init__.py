"""Figures, tables, claims and one HTML page, drawn from the score and cost tables alone."""

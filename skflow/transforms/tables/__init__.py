"""Transforms of a mixed table: its columns as variables, and the density of those."""

"""Marts as files and as tables of a paper."""

"""Kills and damage at random moments and places, against a run that nobody disturbed."""

"""The tiny models of `tests.helpers.families`, where the shared cases look for them."""

from tests.helpers.families import *  # noqa: F403

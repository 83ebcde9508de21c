"""The configuration of a job that is made up for a test."""

from __future__ import annotations

from pydantic import ConfigDict

from compute.plugin import JobConfig


class AnyConfig(JobConfig):
    """Any fields."""

    model_config = ConfigDict(extra="allow")

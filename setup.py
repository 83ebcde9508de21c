"""Puts the dbt package, which is the repository itself, into the wheel; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PACKAGE = ("dbt_project.yml", "profiles.yml", "models", "dbt_project", "studies", "examples")


class BuildWithPackage(build_py):
    """Copies the dbt package beside the modules, as the folder transfer_warehouse."""

    def run(self) -> None:
        """Build; an editable install needs no copy, since its modules lie in the repository."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "transfer_warehouse")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in PACKAGE:
            if Path(name).is_dir():
                shutil.copytree(name, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", ".*"))
            else:
                shutil.copy2(name, target / name)


setup(cmdclass={"build_py": BuildWithPackage})

"""Build hook: lay driver/, executors/ and proto/ below one import package, `voltray`.

The repository keeps the three folders at its top. `driver/package.py` is the source of `voltray/__init__.py`,
`driver/py.typed` that of `voltray/py.typed`. A wheel gets real files; an editable install gets links below
`.editable/voltray`, so that one .pth line serves Python and the type checkers alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("driver", "executors", "proto")
PACKAGE_FILES = {"driver/package.py": "__init__.py", "driver/py.typed": "py.typed"}


class PackageLayout(BuildHookInterface):
    """Add the package's own two files to a wheel, or the links to an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Lay out the package before a wheel is built; a source distribution stays as the repository is."""
        if self.target_name != "wheel":
            return
        if version == "editable":
            self._link()
            return
        for source, name in PACKAGE_FILES.items():
            build_data["force_include"][source] = f"voltray/{name}"

    def _link(self) -> None:
        """Create `.editable/voltray/<name>` links to the folders and files."""
        package = Path(self.root, ".editable", "voltray")
        package.mkdir(parents=True, exist_ok=True)
        for source, name in {**{folder: folder for folder in FOLDERS}, **PACKAGE_FILES}.items():
            link = package / name
            link.unlink(missing_ok=True)
            link.symlink_to(Path("..", "..", source))

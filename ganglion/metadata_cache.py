"""Metadata kept on disk between runs, by genesis hash and spec version."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

DEFAULT_FOLDER = "~/.cache/ganglion/metadata"


@dataclass(frozen=True, slots=True)
class MetadataCache:
    """A folder of metadata files. What cannot be read or written is simply not cached."""

    folder: Path

    @classmethod
    def default(cls) -> MetadataCache:
        """The user's own cache folder."""
        return cls(Path(DEFAULT_FOLDER).expanduser())

    def _path(self, genesis: str, spec_version: int) -> Path:
        return self.folder / f"{genesis.removeprefix('0x')[:32]}-{spec_version}.scale"

    def get(self, genesis: str, spec_version: int) -> bytes | None:
        """The metadata of a runtime, or None."""
        try:
            return self._path(genesis, spec_version).read_bytes()
        except OSError:
            return None

    def put(self, genesis: str, spec_version: int, raw: bytes) -> None:
        """Keep the metadata of a runtime; readers see all of it or nothing."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as draft:
                draft.write(raw)
            os.replace(draft.name, self._path(genesis, spec_version))
        except OSError:
            return

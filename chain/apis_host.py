"""Runtime APIs that describe the runtime itself: Core and Metadata."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from chain.pallets.system_types import RuntimeVersionType
from chain.runtime.apis import Api
from chain.runtime.metadata import metadata_bytes
from chain.runtime.runtime import Runtime
from chain.runtime.state import State
from ganglion.scale import u32

METADATA_VERSIONS = (14, 15)


def version_type(runtime: Runtime) -> RuntimeVersionType:
    """A runtime's version as the Core API and System.Version give it."""
    v = runtime.version
    return RuntimeVersionType(
        v.spec_name,
        v.impl_name,
        v.authoring_version,
        v.spec_version,
        v.impl_version,
        v.apis,
        v.transaction_version,
        v.system_version,
    )


def host_apis(runtime: Callable[[], Runtime]) -> tuple[Api, ...]:
    """Core and Metadata of the runtime that the function returns once it exists."""
    core = Api("Core", 5, "The Core runtime api that every Substrate runtime needs to implement.")
    meta = Api("Metadata", 2, "The Metadata api trait that returns metadata for the runtime.")

    @cache
    def blob(number: int) -> bytes:
        return metadata_bytes(runtime(), number)

    @core.method
    def version(s: State) -> RuntimeVersionType:
        """Returns the version of the runtime."""
        return version_type(runtime())

    @meta.method
    def metadata(s: State) -> bytes:
        """Returns the metadata of a runtime."""
        return blob(14)

    @meta.method
    def metadata_at_version(s: State, version: u32) -> bytes | None:
        """Returns the metadata at a given version."""
        return blob(version) if version in METADATA_VERSIONS else None

    @meta.method
    def metadata_versions(s: State) -> tuple[u32, ...]:
        """Returns the supported metadata versions."""
        return METADATA_VERSIONS

    return core, meta

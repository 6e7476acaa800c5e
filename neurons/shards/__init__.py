"""One model served by several machines, each holding a span of its blocks; see docs/sharding.md."""

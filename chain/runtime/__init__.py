"""The pallet framework: declarations in, codec, storage, dispatch and metadata out."""

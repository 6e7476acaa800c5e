"""SubtensorModule: one on-chain pallet assembled from many modules."""

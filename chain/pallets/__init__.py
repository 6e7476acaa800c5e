"""One module (or folder) per pallet."""

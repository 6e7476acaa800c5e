"""Playing disputes about answers of the exact class, as their miner or against it."""

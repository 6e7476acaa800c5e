"""The state trie: nodes, updates, reading, proofs. Pure: no disk, clock or random."""

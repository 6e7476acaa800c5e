"""What travels between callers and neurons: requests, answers, event streams, signed receipts."""

"""JSON-RPC: what every client of the chain talks to. One port, HTTP and WebSocket."""

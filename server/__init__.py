"""The MCP surface and the processes."""

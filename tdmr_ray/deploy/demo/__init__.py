"""A page that runs an exported model in a browser: one HTML file, no server, no request."""

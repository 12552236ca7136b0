"""How targets are started, asked and ended, a module for each ASGI server. It makes no load."""

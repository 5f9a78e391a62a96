"""The HTTP and WebSocket API: one ASGI application, made by :func:`api.app.create_app`."""

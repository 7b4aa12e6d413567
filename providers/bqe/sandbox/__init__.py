"""A stand-in for the outside system: identity server and business API in one runnable ASGI app."""

"""One module per object of BQE CORE; each offers build(provider, obj, http)."""

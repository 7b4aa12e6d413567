"""What the metadata declares: schemas, loader, registry, record decoders."""

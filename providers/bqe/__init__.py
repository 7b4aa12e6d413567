"""BQE CORE: metadata, authorisation and the Projects fetcher."""

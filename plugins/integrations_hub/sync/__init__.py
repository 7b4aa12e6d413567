"""One file per stage of a run: plan, fetch, filter_parents, map_fields, upsert, finish."""

"""Results on disk: schema, Parquet files in a folder or an object store, queries, export."""

"""Store results as Parquet files in a folder or an object store; query and export them."""

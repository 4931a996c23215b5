"""What the measurements mean: tables and figures from results in Parquet."""

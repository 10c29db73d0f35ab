"""Arrow tables in Parquet files, which the store checks whole: pages have no checksums of their own."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as one row group, for `read_table`."""
    pq.write_table(table, path, row_group_size=max(1, len(table)))


def read_table(path: Path) -> pa.Table:
    """Read a file column by column, each into one chunk.

    Reading all columns at once would take twice the memory, and importing `pq.read_table`'s modules a second.

    Raises:
        OSError: The file is missing or truncated.
        pa.ArrowException: It is not a Parquet file.
    """
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        columns = [file.read([name]).combine_chunks().column(0) for name in schema.names]
    return pa.table(columns, schema=schema)

"""Arrow tables in Parquet files, with a sum of every page: a bit that flips on the disk is an OSError."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as one row group, from which `read_table` reads it."""
    pq.write_table(table, path, row_group_size=max(1, len(table)), write_page_checksum=True)


def read_table(path: Path) -> pa.Table:
    """Read a file column by column, each into one chunk.

    All columns at once would take twice the memory, and `pq.read_table` imports a second's worth of modules.

    Raises:
        OSError: The file is missing, cut short, or a page does not fit its sum.
        pa.ArrowException: It is no Parquet file.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        schema = file.schema_arrow
        columns = [file.read([name]).combine_chunks().column(0) for name in schema.names]
    return pa.table(columns, schema=schema)

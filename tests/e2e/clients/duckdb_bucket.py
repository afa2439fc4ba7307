"""DuckDB over a bucket, as docs/guide/storage.md has it: `duckdb_bucket.py ENDPOINT KEY SECRET BLOCKS`, a line of
JSON for each service: its name, its spans, its errors. Without times: DuckDB reads them from 2.0 on, and what it
takes for buckets is to be had as a package for 1.5."""

import importlib.util
import json
import pathlib
import sys

import duckdb

endpoint, key, secret, blocks = sys.argv[1:]
package = pathlib.Path(importlib.util.find_spec("duckdb_extension_httpfs").origin).parent
extension = package / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
with duckdb.connect() as database:
    database.execute(f"LOAD '{extension}'")
    database.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', REGION 'us-east-1', "
        f"ENDPOINT '{endpoint}', URL_STYLE 'path', USE_SSL false)"
    )
    rows = database.execute(
        """
        SELECT service_name, count(*) AS spans, count(*) FILTER (status_code = 2) AS errors
        FROM read_parquet(?, union_by_name = true)
        GROUP BY ALL ORDER BY spans DESC
        """,
        [blocks],
    ).fetchall()
for row in rows:
    print(json.dumps(row))

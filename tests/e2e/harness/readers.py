"""What DuckDB, pyarrow and Polars answer about one file of spans, each in the way of its users.

A reader is a function of a path and a moment; it returns the same keys as `Known.truth`.
"""

import collections

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

EXCEPTION = "event.exception.type"
METHOD = "span.http.request.method"
STATUS = "span.http.response.status_code"
RATIO = "span.custom.ratio"


def _key(column):
    """The attribute of a column: `span.KEY`, or `span.KEY:TYPE` where a key has several types."""
    return column.removeprefix("span.").split(":")[0]


def _counter(rows):
    """Counts by all but the last of a row."""
    return collections.Counter({row[0] if len(row) == 2 else tuple(row[:-1]): row[-1] for row in rows})


def with_duckdb(path, middle):
    with duckdb.connect() as database:
        database.execute(f"CREATE VIEW spans AS FROM read_parquet('{path}', file_row_number = true)")

        def rows(query):
            return database.execute(query).fetchall()

        (spans, ratios, statuses, first, last), = rows(f"""
            SELECT count(*), sum("{RATIO}"), sum("{STATUS}"),
                min(epoch_ns(start_time_unix_nano)), max(epoch_ns(start_time_unix_nano)) FROM spans""")
        columns = [name for name, *_ in rows("DESCRIBE spans") if name.startswith("span.")]
        keys = collections.Counter()
        counts = ", ".join(f'count("{name}")' for name in columns)
        for name, count in zip(columns, rows(f"SELECT {counts} FROM spans")[0]):
            keys[_key(name)] += count
        keys.update(_counter(rows(
            "SELECT a.key, count(*) FROM (SELECT unnest(other_attributes) AS a FROM spans) GROUP BY ALL")))
        events = "FROM (SELECT start_time_unix_nano AS start, unnest(events) AS e FROM spans)"
        moment = f"make_timestamp_ns({middle}) AT TIME ZONE 'UTC'"
        return {
            "spans": spans,
            "errors": rows("SELECT count(*) FROM spans WHERE status_code = 2")[0][0],
            "services": _counter(rows("SELECT service_name, count(*) FROM spans GROUP BY ALL")),
            "failed by service": _counter(rows(
                "SELECT service_name, count(*) FROM spans WHERE status_code = 2 GROUP BY ALL")),
            "nanos by service": _counter(rows("SELECT service_name, sum(duration_nano) FROM spans GROUP BY ALL")),
            "before the middle": rows(
                f"SELECT count(*) FROM spans WHERE start_time_unix_nano < {moment}")[0][0],
            "first and last start": (first, last),
            "ids": [trace + span for trace, span in rows("SELECT trace_id, span_id FROM spans")],
            "events": _counter(rows(f'SELECT e.name, e."{EXCEPTION}", count(*) {events} GROUP BY ALL')),
            "event times": rows(f"SELECT sum(epoch_ns(e.time_unix_nano) - epoch_ns(start)) {events}")[0][0],
            "links": _counter(rows(
                "SELECT l.trace_id, count(*) FROM (SELECT unnest(links) AS l FROM spans) GROUP BY ALL")),
            "methods": _counter(rows(
                f'SELECT "{METHOD}", count(*) FROM spans WHERE "{METHOD}" IS NOT NULL GROUP BY ALL')),
            "sum of status codes": statuses or 0,
            "sum of ratios": ratios,
            "keys": keys,
        }


def parents_with_duckdb(path):
    """(trace, span) -> parent, as the reference says: by the distance, or else by name."""
    with duckdb.connect() as database:
        rows = database.execute(f"""
            SELECT trace_id, span_id, CASE WHEN parent_distance > 0
                THEN lag(span_id, parent_distance) OVER (ORDER BY file_row_number) ELSE parent_span_id END AS parent
            FROM read_parquet('{path}', file_row_number = true)""").fetchall()
    return {trace + span: parent for trace, span, parent in rows if parent is not None}


def with_pyarrow(path, middle):
    table = pq.read_table(path)

    def grouped(by, aggregate=([], "count_all"), of=table):
        group = of.group_by(by).aggregate([aggregate]).to_pydict()
        last = group.pop("count_all" if not aggregate[0] else f"{aggregate[0]}_{aggregate[1]}")
        return _counter(zip(*(group[name] for name in by), last))

    def filtered(*condition):
        return pq.read_table(path, columns=["service_name"], filters=[condition])

    def elements(column, table=table):
        return pa.concat_arrays([pc.list_flatten(chunk) for chunk in table[column].chunks])

    starts = table["start_time_unix_nano"].cast(pa.int64())
    events = elements("events")
    event = {name: pc.struct_field(events, [name]) for name in ("name", EXCEPTION, "time_unix_nano")}
    of_events = starts.take(pc.list_parent_indices(table["events"].combine_chunks()))
    keys = collections.Counter()
    for name in table.column_names:
        if name.startswith("span."):
            keys[_key(name)] += pc.count(table[name]).as_py()
    rest = pc.struct_field(elements("other_attributes"), ["key"])
    keys.update(grouped(["key"], of=pa.table({"key": rest})))
    bounds = pc.min_max(starts).as_py()
    return {
        "spans": pq.ParquetFile(path).metadata.num_rows,
        "errors": filtered("status_code", "=", 2).num_rows,
        "services": grouped(["service_name"]),
        "failed by service": grouped(["service_name"], of=filtered("status_code", "=", 2)),
        "nanos by service": grouped(["service_name"], ("duration_nano", "sum")),
        "before the middle": filtered(
            "start_time_unix_nano", "<", pa.scalar(middle, pa.timestamp("ns", tz="UTC"))).num_rows,
        "first and last start": (bounds["min"], bounds["max"]),
        "ids": [t + s for t, s in zip(table["trace_id"].to_pylist(), table["span_id"].to_pylist())],
        "events": grouped(["name", "type"], of=pa.table({"name": event["name"], "type": event[EXCEPTION]})),
        "event times": pc.sum(pc.subtract(event["time_unix_nano"].cast(pa.int64()), of_events)).as_py() or 0,
        "links": grouped(["to"], of=pa.table({"to": pc.struct_field(elements("links"), ["trace_id"])})),
        "methods": grouped([METHOD], of=table.filter(pc.field(METHOD).is_valid())),
        "sum of status codes": pc.sum(table[STATUS]).as_py() or 0,
        "sum of ratios": pc.sum(table[RATIO]).as_py(),
        "keys": keys,
    }


def with_polars(path, middle):
    spans = pl.scan_parquet(path)

    def grouped(frame, *by, value=None):
        value = pl.len() if value is None else value
        return _counter(frame.group_by(by).agg(value.alias("a value")).collect().rows())

    def one(frame, value):
        return frame.select(value).collect().item()

    start = pl.col("start_time_unix_nano")
    failed = spans.filter(pl.col("status_code") == 2)
    # Empty lists are none, not one of null.
    events = spans.select(start.alias("start"), "events").filter(pl.col("events").list.len() > 0)
    events = events.explode("events").unnest("events")
    links = spans.select("links").filter(pl.col("links").list.len() > 0).explode("links").unnest("links")
    rest = spans.select("other_attributes").filter(pl.col("other_attributes").list.len() > 0)
    rest = rest.explode("other_attributes").unnest("other_attributes")
    keys = grouped(rest, "key")
    columns = [name for name in spans.collect_schema().names() if name.startswith("span.")]
    for name, count in zip(columns, spans.select(pl.col(columns).count()).collect().row(0)):
        keys[_key(name)] += count
    moment = pl.lit(middle).cast(pl.Datetime("ns", "UTC"))
    ids = spans.select("trace_id", "span_id").collect().rows()
    return {
        "spans": one(spans, pl.len()),
        "errors": one(failed, pl.len()),
        "services": grouped(spans, "service_name"),
        "failed by service": grouped(failed, "service_name"),
        "nanos by service": grouped(spans, "service_name", value=pl.col("duration_nano").sum()),
        "before the middle": one(spans.filter(start < moment), pl.len()),
        "first and last start": (one(spans, start.min().cast(pl.Int64)), one(spans, start.max().cast(pl.Int64))),
        "ids": [trace + span for trace, span in ids],
        "events": grouped(events, "name", EXCEPTION),
        "event times": one(events, (pl.col("time_unix_nano").cast(pl.Int64) - pl.col("start").cast(pl.Int64)).sum()),
        "links": grouped(links, "trace_id"),
        "methods": grouped(spans.drop_nulls(METHOD), METHOD),
        "sum of status codes": one(spans, pl.col(STATUS).sum()),
        "sum of ratios": one(spans, pl.col(RATIO).sum()),
        "keys": keys,
    }


READERS = {"DuckDB": with_duckdb, "pyarrow": with_pyarrow, "Polars": with_polars}


# Of several blocks at once, as the reference says: spans by service, events by name and exception, and how
# many spans have some attributes that have columns in some of the blocks only.


def _together_with_duckdb(paths):
    spans = f"read_parquet({[str(path) for path in paths]}, union_by_name = true)"
    with duckdb.connect() as database:
        services = database.execute(f"SELECT service_name, count(*) FROM {spans} GROUP BY ALL").fetchall()
        events = database.execute(f'''SELECT e.name, e."{EXCEPTION}", count(*)
            FROM (SELECT unnest(events) AS e FROM {spans}) GROUP BY ALL''').fetchall()
        one, two = database.execute(
            f'SELECT count("span.custom.one"), count("span.custom.two") FROM {spans}').fetchall()[0]
    return _counter(services), _counter(events), {"custom.one": one, "custom.two": two}


def _together_with_pyarrow(paths):
    schema = pa.unify_schemas([pq.read_schema(path) for path in paths], promote_options="permissive")
    table = ds.dataset(paths, schema=schema).to_table()
    services = table.group_by(["service_name"]).aggregate([([], "count_all")]).to_pydict()
    events = pa.concat_arrays([pc.list_flatten(chunk) for chunk in table["events"].chunks])
    events = zip(pc.struct_field(events, ["name"]).to_pylist(), pc.struct_field(events, [EXCEPTION]).to_pylist())
    keys = {key: pc.count(table[f"span.{key}"]).as_py() for key in ("custom.one", "custom.two")}
    return _counter(zip(services["service_name"], services["count_all"])), collections.Counter(events), keys


def _together_with_polars(paths):
    spans = pl.scan_parquet(
        paths, missing_columns="insert", extra_columns="ignore",
        cast_options=pl.ScanCastOptions(missing_struct_fields="insert", extra_struct_fields="ignore"))
    services = spans.group_by("service_name").len().collect().rows()
    events = spans.select("events").filter(pl.col("events").list.len() > 0).explode("events").unnest("events")
    events = events.group_by("name", EXCEPTION).len().collect().rows()
    columns = [name for name in ("custom.one", "custom.two") if f"span.{name}" in spans.collect_schema()]
    keys = {key: spans.select(pl.col(f"span.{key}").count()).collect().item() for key in columns}
    return _counter(services), _counter(events), keys


TOGETHER = {"DuckDB": _together_with_duckdb, "pyarrow": _together_with_pyarrow, "Polars": _together_with_polars}


def total(answers):
    """The answers about several files as those about all of them."""
    whole = dict(answers[0])
    for answer in answers[1:]:
        for question, value in answer.items():
            if question == "first and last start":
                whole[question] = (min(whole[question][0], value[0]), max(whole[question][1], value[1]))
            else:
                whole[question] = whole[question] + value
    return whole


def plain(value):
    """An answer without what is zero, and without an order that nobody asked for."""
    if isinstance(value, collections.Counter):
        return {key: count for key, count in value.items() if count}
    return sorted(value) if isinstance(value, list) else value

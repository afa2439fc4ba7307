"""DuckDB, pyarrow and Polars read files of spans as they are: what they count is what was sent."""

import re
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from harness.known import Known
from harness.readers import READERS, TOGETHER, parents_with_duckdb, plain, total, with_duckdb

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "block-format.md"
SEED = 20
# One L0 file, and blocks when they are asked for; little memory for a merge, so that the large one has several
# row groups.
SETTINGS = {"l0.window": "1h", "l0.merge_bytes_max": "16MiB", "head.seal.rows": "100000"}


@pytest.fixture(scope="module")
def written(new_gateway):
    """What was sent, and the files of it: blocks that differ in their columns, and an L0 file."""
    gateway, known = new_gateway(**SETTINGS).start(), Known(SEED)

    def send(requests, traces, key):
        for _ in range(requests):
            gateway.post("otlp_http", "/v1/traces", known.request(traces, key).SerializeToString())

    send(120, 40, "custom.one")
    gateway.post("admin", "/flush?level=l1")
    send(4, 10, "custom.two")
    gateway.post("otlp_http", "/v1/traces", known.old_request().SerializeToString())
    gateway.post("admin", "/flush?level=l1")
    send(40, 40, "custom.three")
    gateway.post("admin", "/flush?level=l0")
    gateway.stop()
    l0 = sorted((gateway.directory / "l0").glob("*.parquet"))
    blocks = gateway.blocks()
    assert len(l0) == 1 and len(blocks) >= 3, (l0, blocks)
    return known, l0, blocks


@pytest.mark.parametrize("reader", READERS)
def test_answers_are_the_truth(written, reader):
    known, l0, blocks = written
    answers = total([READERS[reader](path, known.middle) for path in [*l0, *blocks]])
    assert answers.keys() == known.truth.keys()
    for question, truth in known.truth.items():
        assert plain(answers[question]) == plain(truth), question


def test_parents_are_where_the_distance_says(written):
    known, l0, blocks = written
    found = {}
    for path in [*l0, *blocks]:
        found.update(parents_with_duckdb(path))
    assert found == known.parents


def test_both_levels_have_several_row_groups(written):
    for files in written[1:]:
        assert max(pq.ParquetFile(path).metadata.num_row_groups for path in files) > 1


def test_the_queries_of_the_reference_run_as_they_stand(written):
    """Over all blocks of a tenant at once, whose columns differ."""
    known, _, blocks = written
    truth = total([with_duckdb(path, known.middle) for path in blocks])
    text, = re.findall(r"```sql\n(.*?)```", REFERENCE.read_text(), re.S)
    place = "'data/blocks/default/*.parquet'"
    assert place in text
    text = text.replace(place, f"'{blocks[0].parent}/*.parquet'")
    services, events = (duckdb.sql(query).fetchall() for query in text.split(";") if query.strip())
    assert {name: (spans, errors) for name, spans, errors in services} == {
        name: (spans, truth["failed by service"][name]) for name, spans in truth["services"].items()}
    found = plain(truth["events"])
    assert len(events) == sum(found.values())
    assert {(name, kind) for _, name, kind in events} == set(found)


def test_blocks_that_differ_are_read_at_once(written):
    known, _, blocks = written
    truth = total([with_duckdb(path, known.middle) for path in blocks])
    for reader, answer in TOGETHER.items():
        services, events, keys = answer(blocks)
        assert plain(services) == plain(truth["services"]), reader
        assert plain(events) == plain(truth["events"]), reader
        for key, count in keys.items():
            assert count == truth["keys"][key], (reader, key)

"""A bucket behind a bad way, under load: nothing acknowledged is lost, nothing doubled, no answer is wrong.

Two processes on one bucket take spans, merge, compact and delete, while requests are slow, refused, cut off before or
after they did what they should, and answers are cut short, old or have a flipped bit. What they answer meanwhile is
compared with what was sent: it is whole, or says that it is not. `TRACEWEIR_PROVE_BUCKET_FAULTS` is for how many
seconds; then processes are killed, too.
"""

import collections
import concurrent.futures
import json
import os
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest
from harness.bad_way import SHARES, BadWay, now
from harness.known import SPANS_PER_TRACE, Known
from harness.ledger import Ledger
from harness.proxy import Proxy
from harness.wait import until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

SECONDS = float(os.environ.get("TRACEWEIR_PROVE_BUCKET_FAULTS", "20"))
IS_LONG = SECONDS > 60
SEED = int(os.environ.get("TRACEWEIR_SEED", "1"))
GATEWAYS = 2
TRACES = 4
# Requests that a search is about: few different searches, each asked again and again.
RANGE = 10
# Of each kind of fault, before it ends.
FAULTS_MIN = 1
METRICS = ["duplicate_spans", "conflicting_spans", "stored_duplicate_spans", "quarantined", "misread", "compactions"]
METRICS += ["followed", "deleted_blocks", "merge_failed", "compaction_failed", "damaged_manifest_entries"]


class Process:
    """A gateway, who sends to it, who asks it, and who kills it."""

    def __init__(self, number, gateway, ledger, over):
        self.number, self.gateway, self.ledger, self.over = number, gateway, ledger, over
        self.known = Known(100 * SEED + number)
        self.totals = collections.Counter()
        # Traces that it has found, and in which of its lives: what others have sent is known to one.
        self.found = {}

    def send(self):
        draw = random.Random(f"{SEED} send {self.number}")
        while not self.over.wait(draw.uniform(0.1, 0.4)):
            request = self.known.request(TRACES, "custom.key")
            sent = self.ledger.begin(self.number, request)
            try:
                answer = self.gateway.post("otlp_http", "/v1/traces", request.SerializeToString())
            except urllib.error.HTTPError as error:
                assert error.code == 503, (error.code, error.read())
                self.ledger.count("pushed back")
            except (OSError, HTTPException):
                # Killed meanwhile: it may be there or not.
                self.ledger.count("not answered")
            else:
                assert ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans == 0
                sent.is_acked = True

    def flush(self):
        draw = random.Random(f"{SEED} flush {self.number}")
        while not self.over.wait(draw.uniform(0.5, 2.5)):
            self.flush_once(draw.choice(["l0", "l1"]))

    def flush_once(self, level):
        try:
            self.gateway.post("admin", f"/flush?level={level}")
            self.ledger.count("flushes")
        except (OSError, HTTPException):
            # Killed, or the bucket was away for too long; the next one does it.
            self.ledger.count("flushes failed")

    def ask(self, path, accept="application/json"):
        """(status, why it may not be whole, body); nothing where there was no answer."""
        url = f"http://{self.gateway.addresses['http']}{path}"
        try:
            request = urllib.request.Request(url, headers={"Accept": accept})
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers.get("x-traceweir-partial"), answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return 404, error.headers.get("x-traceweir-partial"), error.read()
            assert error.code >= 500, (path, error.code, error.read())
            self.ledger.count("answers refused")
        except (OSError, HTTPException):
            self.ledger.count("answers missed")
        return None

    def query(self):
        draw = random.Random(f"{SEED} query {self.number}")
        while not self.over.wait(draw.uniform(0, 0.1)):
            of = self.ledger.sent[draw.randrange(GATEWAYS)]
            if not of:
                continue
            # What is new is in motion.
            at = len(of) - 1 - min(int(draw.expovariate(1 / 30)), len(of) - 1)
            sent = of[draw.choice([at, draw.randrange(len(of))])]
            ask = draw.choices([self.ask_trace, self.ask_search, self.ask_metrics], [4, 1, 1])[0]
            ask(sent, draw)

    def ask_trace(self, sent, draw):
        trace = draw.choice(sent.traces)
        starts = self.gateway.starts
        has_to = sent.is_acked and sent.sender == self.number or self.found.get(trace) == starts
        answer = self.ask(f"/api/traces/{trace}", "application/protobuf")
        if answer is None or self.gateway.starts != starts:
            return
        status, why, body = answer
        data = TracesData.FromString(body) if status == 200 else TracesData()
        what = f"{now()} {trace} of {sent.sender} by {self.number} (status {status}, partial: {why}, start {starts})"
        is_whole = sent.is_whole(trace, data, what)
        if why is not None:
            self.ledger.count("answers partial")
            return
        assert is_whole or status == 404, f"a part of {what}"
        assert is_whole or not has_to, f"missing: {what}"
        self.ledger.count("answers checked")
        if is_whole:
            self.found[trace] = starts

    def range(self, sent):
        """Requests beside this one of the same sender: TraceQL, those that have to be found, those that may be."""
        low = sent.number // RANGE * RANGE
        several = self.ledger.sent[sent.sender][low : low + RANGE]
        acked = [sent for sent in several if sent.is_acked and sent.sender == self.number]
        return f"span.sender = {sent.sender} && span.request >= {low} && span.request < {low + RANGE}", acked, low

    def ask_search(self, sent, _):
        which, acked, low = self.range(sent)
        query = {"q": f"{{ {which} && status = error }}", "limit": 1_000}
        answer = self.ask(f"/api/search?{urllib.parse.urlencode(query)}")
        if answer is None:
            return
        status, why, body = answer
        assert status == 200, body
        may = {trace: of for of in self.ledger.sent[sent.sender][low : low + RANGE] for trace in of.traces}
        what = f"{now()} {query['q']} of {self.number} (partial: {why}, start {self.gateway.starts})"
        found = {}
        for trace in json.loads(body)["traces"]:
            trace_id = trace["traceID"].zfill(32)
            assert trace_id not in found, f"{trace_id} twice: {what}"
            found[trace_id] = matched = trace["spanSets"][0]["matched"]
            of = may.get(trace_id)
            assert of is not None, f"{trace_id} is none of them: {what}"
            assert matched == of.failed[trace_id] or why is not None and matched < of.failed[trace_id], (trace, what)
            assert trace["rootTraceName"] == of.roots[trace_id] or why is not None, (trace, what)
        if why is not None:
            self.ledger.count("answers partial")
            return
        wanted = {trace for of in acked for trace, failed in of.failed.items() if failed}
        assert found.keys() >= wanted, f"{sorted(wanted - found.keys())} missing: {what}"
        self.ledger.count("answers checked")

    def ask_metrics(self, sent, _):
        which, acked, low = self.range(sent)
        end = int(time.time())
        query = {"q": f"{{ {which} }} | count_over_time()", "start": end - 7_200, "end": end + 3_600}
        answer = self.ask(f"/api/metrics/query?{urllib.parse.urlencode(query)}")
        if answer is None:
            return
        status, why, body = answer
        assert status == 200, body
        value = sum(series.get("value", 0) for series in json.loads(body)["series"])
        of = TRACES * SPANS_PER_TRACE
        most = of * len(self.ledger.sent[sent.sender][low : low + RANGE])
        what = f"{now()} {value} for {query['q']} of {self.number} (partial: {why}, start {self.gateway.starts})"
        assert 0 <= value <= most, f"at most {most}: {what}"
        if why is not None:
            self.ledger.count("answers partial")
            return
        assert value >= of * len(acked), f"at least {of * len(acked)}: {what}"
        self.ledger.count("answers checked")

    def kill(self):
        """Kills it now and then, and starts it again: with lists that do not know what it wrote last."""
        draw = random.Random(f"{SEED} kill {self.number}")
        while not self.over.wait(draw.uniform(5, 40)):
            self.flush_once("l1")
            self.note()
            self.gateway.kill()
            self.start()
            self.ledger.count("kills")

    def start(self):
        """Whoever runs it starts it again where it finds no bucket."""
        while True:
            try:
                return self.gateway.start()
            except AssertionError:
                if self.gateway.process.poll() != 1:
                    raise
                self.gateway.process = None
                self.ledger.count("starts failed")

    def metrics(self):
        status, page = self.gateway.get("/metrics", listener="admin")
        assert status == 200
        lines = [line.split() for line in page.decode().splitlines() if line.startswith("traceweir_store_")]
        values = {line[0].removeprefix("traceweir_store_").removesuffix("_total"): float(line[-1]) for line in lines}
        return collections.Counter({name: int(values[name]) for name in [*METRICS, "blocks"]})

    def note(self):
        """Adds what it has counted, before it ends."""
        values = self.metrics()
        self.totals.update({name: values[name] for name in METRICS})


def stress(processes, way, over):
    """Runs all of them for so long, and until each kind of fault has happened; whoever fails ends it."""
    work = [step for of in processes for step in (of.send, of.flush, of.query, of.query)]
    work += [of.kill for of in processes if IS_LONG]
    with ThreadPoolExecutor(len(work)) as pool:
        running = [pool.submit(step) for step in work]
        try:
            first = concurrent.futures.FIRST_EXCEPTION
            ended = concurrent.futures.wait(running, SECONDS, first).done

            def is_enough():
                return ended or any(one.done() for one in running) or all_met(processes, way)

            until(f"each kind of fault, and a block that is read wrong ({way.counts})", 120, is_enough)
        finally:
            over.set()
        for one in running:
            one.result()


def all_met(processes, way):
    """Whether each kind of fault has happened, and a block was read wrong."""
    if min(way.counts.values()) < FAULTS_MIN:
        return False
    # Who is killed now and then tells it at its end.
    return IS_LONG or any(process.metrics()["misread"] or process.metrics()["quarantined"] for process in processes)


def missing(process, traces):
    """Those that are not whole, or may not be."""
    found = []
    for sent, trace in traces:
        status, why, body = process.ask(f"/api/traces/{trace}", "application/protobuf") or (503, None, b"")
        what = f"{trace} of {sent.sender} by {process.number} in the end (status {status}, partial: {why})"
        data = TracesData.FromString(body) if status == 200 else TracesData()
        if not sent.is_whole(trace, data, what) or why is not None:
            found.append((sent, trace))
    return found


def settled(processes, acked):
    """All goes well again: everybody finds what was acknowledged."""
    for process in processes:
        until("a flush", 60, lambda: flushed(process))
    for process in processes:
        # What others have acknowledged is known to all soon; nothing of it goes again.
        lost = [(sent, trace) for sent in acked for trace in sent.traces]

        def none_lost():
            lost[:] = missing(process, lost)
            return not lost

        try:
            until("what was acknowledged", 30, none_lost)
        except AssertionError as error:
            some = [trace for _, trace in lost[:10]]
            raise AssertionError(f"{len(lost)} traces are missing of {process.number}, {some}: {error}") from None


def flushed(process):
    try:
        process.gateway.post("admin", "/flush?level=l1")
        return True
    except urllib.error.HTTPError:
        return False


@pytest.mark.parametrize("kind", ["s3", "azure"] if IS_LONG else ["s3"])
def test_faults_of_a_bucket_lose_nothing_and_make_no_answer_wrong(kind, request, new_gateway, tmp_path_factory):
    bucket = request.getfixturevalue(kind)
    prefix, ledger, over = "faults", Ledger(GATEWAYS), threading.Event()
    # In a long proof many blocks are joined, each read from end to end: not each time in vain.
    shares = {**SHARES, "flipped": 0.003, "short": 0.003} if IS_LONG else SHARES
    way = BadWay(SEED, tmp_path_factory.mktemp("faults") / "faults.log", shares)
    with Proxy(bucket.port, way.script) as proxy:
        settings = {
            **bucket.settings(prefix, proxy.port),
            "bucket.retry": "5s",
            "bucket.poll": "1s",
            # Longer than lists are old.
            "bucket.grace": "5s",
            "l0.window": "0s",
            "head.seal.age": "1s",
        }
        # The second one asks the bucket for most of what it reads.
        bytes_max = "16MiB" if IS_LONG else "8MiB"
        little = {"cache.memory_bytes_max": bytes_max, "cache.disk_bytes_max": "0B", "query.cache_bytes_max": "1MiB"}
        made = [new_gateway(**settings, **cache) for cache in ({}, little)]
        processes = [Process(number, gateway, ledger, over) for number, gateway in enumerate(made)]
        for process in processes:
            process.start()
        stress(processes, way, over)
        way.heal()
        acked = ledger.acked()
        some = random.Random(SEED).sample(acked, min(50, len(acked)))
        settled(processes, some)
        for process in processes:
            process.note()
            process.gateway.stop()
            # What it wrote and never named is known to nobody but itself.
            process.gateway.start()
        settled(processes, acked)

        def none_left():
            there = [name for name in bucket.names(f"{prefix}/blocks/") if name.endswith(".parquet")]
            values = [process.metrics() for process in processes]
            compactions = sum(of["compactions"] for of in [*values, *(process.totals for process in processes)])
            return compactions > 0 and {of["blocks"] for of in values} == {len(there)}

        until("compaction, and blocks that nobody needs to go", 90, none_left)
        settled(processes, some)
        for process in processes:
            process.note()
            process.gateway.stop()
        totals = sum((process.totals for process in processes), collections.Counter())
    entries = sorted(int(name.rsplit("/", 1)[-1]) for name in bucket.names(f"{prefix}/manifest/"))
    counts = ledger.counts
    faults = ", ".join(f"{kind} {way.counts[kind]}" for kind in SHARES)
    print(
        f"{bucket.scheme}, {SECONDS:.0f} s: {way.requests} requests ({faults}); "
        f"{len(acked) * TRACES} traces acknowledged, {counts['pushed back']} requests pushed back, "
        f"{counts['not answered']} not answered; {counts['answers checked']} answers checked, "
        f"{counts['answers partial']} partial, {counts['answers refused']} refused, {counts['answers missed']} missed; "
        f"{counts['kills']} kills, {counts['starts failed']} starts failed, "
        f"{counts['flushes']} flushes, {counts['flushes failed']} failed; "
        + ", ".join(f"{totals[name]} {name.replace('_', ' ')}" for name in METRICS)
    )
    for name in ["duplicate_spans", "conflicting_spans", "quarantined", "damaged_manifest_entries"]:
        assert totals[name] == 0, f"{totals[name]} {name}"
    assert bucket.names(f"{prefix}/quarantine/") == [], "blocks were set aside that were well"
    assert entries == list(range(entries[0], entries[-1] + 1)), "the manifest has a gap"
    for name in ["misread", "compactions", "followed", "deleted_blocks"]:
        assert totals[name] > 0, f"nothing was to prove: no {name}"

"""Many tenants with few spans each on one bucket: what each costs in requests, memory, open files and at a start.

`TRACEWEIR_PROVE_TENANTS` is how many there are. Each sends a trace in every round, and each round is merged: a block
and an entry of the manifest for each tenant.
"""

import json
import os
import urllib.request

from harness.known import SPANS_PER_TRACE, Known

TENANTS = int(os.environ.get("TRACEWEIR_PROVE_TENANTS", "40"))
ROUNDS = 3


def send(gateway, tenant, known):
    """Sends a trace; its id."""
    request = known.request(1, "custom.key")
    headers = {"Content-Type": "application/x-protobuf", "X-Scope-OrgID": tenant}
    url = f"http://{gateway.addresses['otlp_http']}/v1/traces"
    sent = urllib.request.Request(url, request.SerializeToString(), headers, method="POST")
    with urllib.request.urlopen(sent, timeout=60) as answer:
        assert answer.status == 200
    spans = [span for of in request.resource_spans for scope in of.scope_spans for span in scope.spans]
    return spans[0].trace_id.hex()


def spans_of(gateway, tenant, trace):
    url = f"http://{gateway.addresses['http']}/api/traces/{trace}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"X-Scope-OrgID": tenant}), timeout=60) as answer:
        batches = json.load(answer)["batches"]
        assert answer.headers.get("x-traceweir-partial") is None
    return sum(len(scope["spans"]) for batch in batches for scope in batch["scopeSpans"])


NAMES = ["puts", "gets", "lists"]


def measured(gateway):
    with urllib.request.urlopen(f"http://{gateway.addresses['admin']}/metrics", timeout=30) as answer:
        lines = [line.split() for line in answer.read().decode().splitlines() if not line.startswith("#")]
    values = {name: float(value) for name, value in (line[:2] for line in lines)}
    counts = {name: values[f"traceweir_bucket_{name}_total"] for name in NAMES}
    process = {"rss": values["process_resident_memory_bytes"], "files": values["process_open_fds"]}
    return {**counts, **process, "cpu": values["process_cpu_seconds_total"]}


def told(what, after, before=None):
    costs = {name: after[name] - (before[name] if before else 0) for name in [*NAMES, "cpu"]}
    per = ", ".join(f"{costs[name] / TENANTS:.2f} {name}" for name in NAMES)
    print(f"{what}: for each tenant {per}; {costs['cpu']:.2f} CPU-s in all, "
          f"{after['rss'] / 2**20:.0f} MiB, {after['files']:.0f} open files")
    return costs


def test_many_small_tenants_stay_cheap(s3, new_gateway):
    settings = {"tenancy": "header", "l0.window": "60s", "bucket.poll": "1h", "compaction.enabled": "false"}
    gateway = new_gateway(**s3.settings("tenants"), **settings).start()
    tenants = [(f"team-{number}", Known(number)) for number in range(TENANTS)]
    traces = {}
    empty = measured(gateway)
    print(f"{TENANTS} tenants, {SPANS_PER_TRACE} spans each a round")
    for number in range(ROUNDS):
        before = measured(gateway)
        for tenant, known in tenants:
            traces.setdefault(tenant, []).append(send(gateway, tenant, known))
        gateway.post("admin", "/flush?level=l1")
        costs = told(f"round {number}", measured(gateway), before)
        # A block, and an entry that names it; whether the entry counts.
        assert costs["puts"] <= 2 * TENANTS + 4, costs
        assert costs["gets"] <= 2 * TENANTS + 4, costs
        assert costs["lists"] <= 8, costs
    now = measured(gateway)
    # 256 blocks are held open at most, and in a bucket none has a file.
    assert now["files"] <= empty["files"] + 16, (empty, now)
    gateway.kill()
    gateway.start()
    after = measured(gateway)
    told("a start", after)
    assert after["gets"] <= 2 * TENANTS + 4 and after["lists"] <= 8 + TENANTS * ROUNDS // 250, after
    for tenant, _ in tenants[:: max(1, TENANTS // 20)]:
        assert [spans_of(gateway, tenant, trace) for trace in traces[tenant]] == [SPANS_PER_TRACE] * ROUNDS, tenant
    ready = [json.loads(line) for line in gateway.log.read_text().splitlines() if '"ready"' in line]
    print(f"ready after {ready[-1]['millis']} ms")
    gateway.stop()

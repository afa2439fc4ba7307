// Writes the known set of spans with the OpenTelemetry JS SDK.
//
// usage: js_sdk.cjs grpc|http-proto|http-json none|gzip URL OUT
//
// OUT gets what the SDK exported, as OTLP/JSON, for the test to compare with.
"use strict";

const fs = require("node:fs");
const { SpanKind, SpanStatusCode, TraceFlags, trace, context, createTraceState, ROOT_CONTEXT } =
  require("@opentelemetry/api");
const { CompressionAlgorithm } = require("@opentelemetry/otlp-exporter-base");
const { JsonTraceSerializer } = require("@opentelemetry/otlp-transformer");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BasicTracerProvider, BatchSpanProcessor, InMemorySpanExporter, SimpleSpanProcessor } =
  require("@opentelemetry/sdk-trace-base");

const NAME = "naïve – 測試 🧵";

const ATTRIBUTES = {
  "string": "value",
  "empty": "",
  "unicode": NAME,
  "control": 'line\nquote" back\\slash \u0001',
  "long": "é".repeat(50_000),
  "int": 42,
  "int.negative": -1,
  "int.safe": Number.MAX_SAFE_INTEGER,
  "double": Math.PI,
  "double.tiny": 5e-324,
  "bool.true": true,
  "bool.false": false,
  "strings": ["a", "", NAME],
  "ints": [1, -2, 2 ** 40],
  "doubles": [0.5, -1.25],
  "bools": [true, false],
  "array.empty": [],
};

function exporter(protocol, coding, endpoint) {
  const compression = coding === "gzip" ? CompressionAlgorithm.GZIP : CompressionAlgorithm.NONE;
  if (protocol === "grpc") {
    const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-grpc");
    return new OTLPTraceExporter({ url: endpoint, compression });
  }
  const { OTLPTraceExporter } = protocol === "http-proto"
    ? require("@opentelemetry/exporter-trace-otlp-proto")
    : require("@opentelemetry/exporter-trace-otlp-http");
  return new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, compression });
}

// Tells the exporter's verdict: the batch processor only logs it.
function watched(inner, results) {
  return {
    export(spans, done) {
      inner.export(spans, (result) => {
        results.push(result);
        done(result);
      });
    },
    forceFlush: () => inner.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => inner.shutdown(),
  };
}

function write(provider) {
  const plain = provider.getTracer("bare");
  const tracer = provider.getTracer("e2e.scope", "1.2.3", { schemaUrl: "https://example.test/scope/1" });
  const root = tracer.startSpan("root", { kind: SpanKind.SERVER, attributes: ATTRIBUTES }, ROOT_CONTEXT);
  root.addEvent("first", { "event.string": "e", "event.ints": [1, 2] }, [1_700_000_000, 1]);
  root.addEvent(NAME, { "event.bool": true });
  root.addEvent("bare event");
  const inside = trace.setSpan(ROOT_CONTEXT, root);

  const links = [
    { context: root.spanContext(), attributes: { "link.kind": "child", "n": 1 } },
    { context: { traceId: "10000000000000000000000000000000", spanId: "0004000000000000",
                 traceFlags: TraceFlags.NONE, isRemote: true, traceState: createTraceState("a=1,b=2") } },
  ];
  const client = tracer.startSpan("client", { kind: SpanKind.CLIENT, links }, inside);
  client.setStatus({ code: SpanStatusCode.ERROR, message: `failed: ${NAME}` });
  client.recordException(new Error("boom"));
  client.end();

  const internal = plain.startSpan("internal", {}, inside);
  internal.setStatus({ code: SpanStatusCode.OK });
  for (let n = 0; n < 40; n++) internal.setAttribute(`many.${n}`, n);
  for (let n = 0; n < 20; n++) {
    internal.addEvent(`event ${n}`, Object.fromEntries([...Array(6).keys()].map((i) => [`of.${i}`, i])));
  }
  internal.end();
  plain.startSpan("producer", { kind: SpanKind.PRODUCER }, inside).end();
  plain.startSpan("consumer", { kind: SpanKind.CONSUMER, startTime: [0, 1] }, inside).end([0, 2]);
  root.end();

  const stranger = trace.setSpanContext(ROOT_CONTEXT, {
    traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", isRemote: true,
    traceFlags: TraceFlags.SAMPLED, traceState: createTraceState("vendor=t61rcWkgMzE,other=00f067aa0ba902b7"),
  });
  tracer.startSpan("child of a stranger", {}, stranger).end();
  tracer.startSpan("", {}, ROOT_CONTEXT).end();
}

async function main() {
  const [protocol, coding, endpoint, out] = process.argv.slice(2);
  const kept = new InMemorySpanExporter();
  const results = [];
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes(
      { "service.name": `js-${protocol}-${coding}`, "resource.double": 0.1, "resource.zones": ["a", "北"] },
      { schemaUrl: "https://example.test/resource/1" }),
    spanLimits: { attributeCountLimit: 32, eventCountLimit: 16, attributePerEventCountLimit: 4, linkCountLimit: 8 },
    spanProcessors: [
      new SimpleSpanProcessor(kept),
      new BatchSpanProcessor(watched(exporter(protocol, coding, endpoint), results)),
    ],
  });
  write(provider);
  await provider.forceFlush();
  const spans = kept.getFinishedSpans();
  fs.writeFileSync(out, JsonTraceSerializer.serializeRequest(spans));
  await provider.shutdown();
  const failed = results.find((result) => result.code !== 0);
  if (failed || results.length === 0) throw failed?.error ?? new Error("nothing was exported");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

// Sends many spans at once with the OpenTelemetry JS SDK, in batches as its processor makes them.
//
// usage: js_burst.cjs grpc|http-proto|http-json SPANS URL OUT
//
// OUT gets what was exported, as OTLP/JSON. The last line says how many spans the exporter gave up on.
"use strict";

const fs = require("node:fs");
const { ROOT_CONTEXT, diag, DiagLogLevel, trace } = require("@opentelemetry/api");
const { JsonTraceSerializer } = require("@opentelemetry/otlp-transformer");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BasicTracerProvider, BatchSpanProcessor, InMemorySpanExporter, SimpleSpanProcessor } =
  require("@opentelemetry/sdk-trace-base");

const SPANS_PER_TRACE = 16;

function exporter(protocol, endpoint) {
  const kind = { "grpc": "grpc", "http-proto": "proto", "http-json": "http" }[protocol];
  const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${kind}`);
  const url = protocol === "grpc" ? endpoint : `${endpoint}/v1/traces`;
  return new OTLPTraceExporter({ url, timeoutMillis: 30_000 });
}

// Counts what the exporter gave up on: the batch processor only logs it.
function watched(inner, count) {
  return {
    export(spans, done) {
      inner.export(spans, (result) => {
        if (result.code !== 0) count.lost += spans.length;
        done(result);
      });
    },
    forceFlush: () => inner.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => inner.shutdown(),
  };
}

async function main() {
  const [protocol, spans, endpoint, out] = process.argv.slice(2);
  diag.setLogger({ error: console.error, warn: console.error, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN);
  const kept = new InMemorySpanExporter();
  const count = { lost: 0 };
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": `burst-js-${protocol}` }),
    spanProcessors: [
      new SimpleSpanProcessor(kept),
      new BatchSpanProcessor(watched(exporter(protocol, endpoint), count),
        { maxQueueSize: Number(spans) * 2, exportTimeoutMillis: 60_000 }),
    ],
  });
  const tracer = provider.getTracer("burst");
  for (let n = 0; n < Number(spans) / SPANS_PER_TRACE; n++) {
    const root = tracer.startSpan("root", {}, ROOT_CONTEXT);
    const inside = trace.setSpan(ROOT_CONTEXT, root);
    for (let n = 1; n < SPANS_PER_TRACE; n++) tracer.startSpan(`child ${n}`, {}, inside).end();
    root.end();
  }
  // It rejects when a batch is given up on, which is counted.
  await provider.forceFlush().catch(() => {});
  fs.writeFileSync(out, JsonTraceSerializer.serializeRequest(kept.getFinishedSpans()));
  await provider.shutdown();
  console.log(`lost ${count.lost}`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

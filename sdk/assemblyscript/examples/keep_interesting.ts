// A head sampler: keeps what failed, what was slow, and a share of the rest. All spans that a batch has of a trace share
// their fate.

import * as codes from "../codes";
import { Batch, Decisions, answered, badInput, configured, described, refused, text } from "../traceweir";
import { Config } from "../config";

export { cabi_realloc, configureRead, describeRead, sampleRead } from "../traceweir";

let slowNano: u64 = 0;
let ratio: f64 = 0;

export function describe(): usize {
  return described(
    "keep-interesting",
    "0.1.0",
    "keeps traces with errors, slow ones, and a share of the rest",
    `{
      "type": "object",
      "properties": {
        "slow_ms": { "type": "integer", "minimum": 0, "maximum": 4294967295 },
        "ratio": { "type": "number", "minimum": 0, "maximum": 1 }
      },
      "additionalProperties": false
    }`,
    true,
  );
}

export function configure(at: usize, len: usize): usize {
  const config = new Config(text(at, len));
  let slowMs: u32 = 500;
  ratio = 0.1;
  while (config.next()) {
    if (config.key == "slow_ms") {
      slowMs = config.uint(u32.MAX_VALUE);
    } else if (config.key == "ratio") {
      ratio = config.number();
      if (!(ratio >= 0 && ratio <= 1)) config.wrong("must be from 0 to 1");
    } else {
      config.unknown();
    }
  }
  if (config.failed) return refused(config.path, config.message);
  slowNano = <u64>slowMs * 1_000_000;
  return configured([<u8>codes.BATCH_TRACE_ID, <u8>codes.BATCH_DURATION, <u8>codes.BATCH_STATUS_CODE]);
}

/** Why a trace is kept, from the weakest reason to the strongest. */
const BY_RATIO: u8 = 0;
const SLOW: u8 = 1;
const FAILED: u8 = 2;

export function sample(at: usize, len: usize): usize {
  const batch = new Batch(at, <u32>len);
  const durations = batch.durations(), statuses = batch.statusCodes();
  const traces = batch.traceGroups();
  if (batch.error.length > 0) return badInput(batch.error);
  const whys = new StaticArray<u8>(traces.count);
  for (let row: u32 = 0; row < batch.rows; row++) {
    let why = BY_RATIO;
    if (load<u8>(statuses + row) == codes.STATUS_ERROR) why = FAILED;
    else if (load<u64>(durations + 8 * row) >= slowNano) why = SLOW;
    const trace = traces.of[row];
    if (whys[trace] < why) whys[trace] = why;
  }
  const decisions = new Decisions(batch);
  for (let row: u32 = 0; row < batch.rows; row++) {
    const why = whys[traces.of[row]];
    if (why == FAILED) decisions.decide(row, codes.VERDICT_KEEP, 0, "error");
    else if (why == SLOW) decisions.decide(row, codes.VERDICT_KEEP, 0, "slow");
    else decisions.decide(row, codes.VERDICT_PROBABILITY, ratio, "ratio");
  }
  return answered(decisions.encode());
}

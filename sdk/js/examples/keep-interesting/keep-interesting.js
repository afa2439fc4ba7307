// A head sampler: keeps what failed, what was slow, and a share of the rest. All spans that a batch has of a trace share
// their fate.

import {
  Decisions, HeadSampler, Intrinsic, KEEP, Projection, Status, probability, rowsAtLeast, rowsEqual,
} from '@traceweir/plugin';

const SCHEMA = JSON.stringify({
  type: 'object',
  properties: {
    slow_ms: { type: 'integer', minimum: 0, maximum: 4294967295 },
    ratio: { type: 'number', minimum: 0, maximum: 1 },
  },
});

export default class KeepInteresting extends HeadSampler {
  describe() {
    return {
      name: 'keep-interesting',
      version: '0.1.0',
      description: 'keeps traces with errors, slow ones, and a share of the rest',
      configSchema: SCHEMA,
    };
  }

  configure(config) {
    this.slowNano = config.integer('slow_ms', { fallback: 500, least: 0, most: 4294967295 }) * 1_000_000;
    this.ratio = probability(config.number('ratio', { fallback: 0.1, least: 0, most: 1 }));
    return new Projection({ reads: [Intrinsic.TRACE_ID, Intrinsic.DURATION, Intrinsic.STATUS_CODE] });
  }

  sample(batch) {
    const traces = batch.traceIds;
    const slow = rowsAtLeast(batch.durations, this.slowNano);
    const failed = rowsEqual(batch.statusCodes, Status.ERROR);
    const decisions = new Decisions(batch);
    decisions.decideAll(this.ratio, 'ratio');
    decisions.decideRows(traces.rowsLike(slow), KEEP, 'slow');
    decisions.decideRows(traces.rowsLike(failed), KEEP, 'error');
    return decisions;
  }
}

// @ts-check
// Keeps traces with errors, those that take long, and a share of the rest.

import { Decisions, KEEP, Projection, TailSampler, probability } from '@traceweir/plugin';

export default class MyPlugin extends TailSampler {
  /** The table of traces says enough: no column of their spans is read. @type {'summary'} */
  level = 'summary';
  slowNano = 0;
  ratio = KEEP;

  describe() {
    return {
      name: 'my-plugin',
      version: '0.1.0',
      description: 'keeps traces with errors, slow ones, and a share of the rest',
    };
  }

  /** @param {import('@traceweir/plugin').Config} config */
  configure(config) {
    this.slowNano = config.integer('slow_ms', { fallback: 500, least: 0, most: 4294967295 }) * 1_000_000;
    // The host draws, by the id of the trace.
    this.ratio = probability(config.number('ratio', { fallback: 0.1, least: 0, most: 1 }));
    return new Projection();
  }

  /** @param {import('@traceweir/plugin').Batch} batch */
  decide(batch) {
    const { traces } = batch;
    const decisions = Decisions.ofTraces(batch);
    for (let trace = 0; trace < traces.length; trace++) {
      if (traces.errors[trace] > 0) decisions.decide(trace, KEEP, 'error');
      else if (traces.durations.number(trace) >= this.slowNano) decisions.decide(trace, KEEP, 'slow');
      else decisions.decide(trace, this.ratio, 'ratio');
    }
    return decisions;
  }
}

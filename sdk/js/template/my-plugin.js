// @ts-check
// Drops the spans of health checks.

import { Edits, Intrinsic, Processor, Projection } from '@traceweir/plugin';

const SCHEMA = JSON.stringify({
  type: 'object',
  properties: { names: { type: 'array', items: { type: 'string' } } },
});

export default class MyPlugin extends Processor {
  /** @type {Set<string>} */
  names = new Set();

  describe() {
    return {
      name: 'my-plugin',
      version: '0.1.0',
      description: 'drops the spans of health checks',
      configSchema: SCHEMA,
    };
  }

  /** @param {import('@traceweir/plugin').Config} config */
  configure(config) {
    this.names = new Set(config.texts('names', ['GET /healthz']));
    // What is not named here is not sent.
    return new Projection({ reads: [Intrinsic.NAME] });
  }

  /** @param {import('@traceweir/plugin').Batch} batch */
  process(batch) {
    const edits = new Edits(batch);
    // `map` asks once for each name, however many spans have it.
    const unwanted = batch.names.map((name) => this.names.has(name));
    for (let row = unwanted.indexOf(true); row >= 0; row = unwanted.indexOf(true, row + 1)) {
      edits.drop(row, 'health check');
    }
    return edits;
  }
}

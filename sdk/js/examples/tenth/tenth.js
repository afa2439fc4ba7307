// A processor: keeps a share of all traces by their ids, and drops the spans of the others.

import { Edits, Intrinsic, Processor, Projection } from '@traceweir/plugin';

/** What the last 56 bits of an id are below. */
const ALL = 2n ** 56n;

export default class Tenth extends Processor {
  describe() {
    return { name: 'tenth', version: '0.1.0', description: 'keeps a share of all traces by their ids' };
  }

  configure(config) {
    // The least of these bits that is kept.
    this.threshold = ALL - ALL / BigInt(config.integer('one_in', { least: 1, most: 4294967295 }));
    return new Projection({ reads: [Intrinsic.TRACE_ID] });
  }

  process(batch) {
    const edits = new Edits(batch);
    edits.dropWhere(batch.traceIds.below(this.threshold));
    return edits;
  }
}

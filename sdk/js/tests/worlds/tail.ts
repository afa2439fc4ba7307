// Keeps traces with errors; says so in log and metrics, and looks a table up. In TypeScript, for the types.

import {
  type Batch, type Config, DROP, Decisions, type Info, Intrinsic, Owner, Projection, TailSampler, attribute, clock, log,
  metrics, tables,
} from '@traceweir/plugin';

function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

export default class Tail extends TailSampler {
  override level = 'projected-spans' as const;
  private seen = 0;
  private sizes = 0;

  describe(): Info {
    return { name: 'tail', version: '1', description: '' };
  }

  configure(_config: Config): Projection {
    this.seen = metrics.counter('seen', 'Traces.');
    this.sizes = metrics.histogram('sizes', 'Spans.', [1, 10]);
    const per = attribute(Owner.RESOURCE, 'service.name');
    return new Projection({
      reads: [Intrinsic.NAME],
      matchResource: [{ key: 'service.name', anyOf: ['shop'] }],
      budgets: [{ name: 'each', limit: 10, windowMs: 1000, per }],
      maxBatchRows: 100,
    });
  }

  decide(batch: Batch): Decisions {
    const { traces } = batch;
    log.info(`${traces.length} traces`);
    metrics.add(this.seen, traces.length);
    metrics.observe(this.sizes, 2.5);
    const [team, none] = tables.lookup('teams', ['shop', 'x']);
    expect(team === 'checkout' && none === undefined, 'the table has other values');
    expect(tables.generation('teams') === 7n, 'another generation');
    let message = '';
    try {
      clock.nowUnixNano();
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message === 'the world of this plugin has no clock', 'a tail sampler has no clock');
    const decisions = Decisions.ofTraces(batch);
    decisions.count(this.seen, 2);
    for (let trace = 0; trace < traces.length; trace++) {
      if (traces.errors[trace] === 0) decisions.decide(trace, DROP, 'dull');
    }
    return decisions;
  }
}

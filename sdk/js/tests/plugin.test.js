// What surrounds the buffers: configurations, errors, the bases of plugins, values, the host.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  Authenticator, BadInput, ConfigError, DROP, Decisions, Denied, EMPTY, FetchError, Instance, Internal, NotReady, Owner,
  Processor, Projection, Refresher, Router, TailSampler, attribute, attributes, cache, clock, exportsOf, fetch, log, metrics, random,
  tables,
} from '@traceweir/plugin';
import { encode as encodeBatch, host, resetHost, run } from '@traceweir/plugin/kit';

import { use } from '../src/host.js';
import { decode, encode } from '../src/values.js';
import { PLUGINS } from './examples.js';

/** Reads a configuration of all types; fails as its text says. */
class Everything extends Processor {
  describe() {
    return { name: 'everything', version: '0', description: '' };
  }

  configure(config) {
    this.text = config.text('text');
    this.rest = [
      config.integer('integer', { fallback: 3, least: 0, most: 9 }),
      config.number('number', { fallback: 0.5, least: 0, most: 1 }),
      config.texts('list', []),
      config.mapping('map', new Map()),
      config.object('inner').boolean('flag', false),
      config.objects('rules').map((rule) => rule.text('key')),
    ];
    return new Projection();
  }

  process() {
    if (this.text === 'bad') throw new BadInput('told so');
    if (this.text === 'type') undefined.x;
    if (this.text === 'text') throw 'a text';
  }
}

test('values of a configuration are read', () => {
  const plugin = new Everything();
  new Instance(plugin).configure('{"text": "x", "inner": {"flag": true}, "number": 1, "list": ["a"], "map": {"k": "v"}, "rules": [{"key": "a"}, {"key": "b"}]}');
  assert.deepEqual(plugin.rest, [3, 1, ['a'], new Map([['k', 'v']]), true, ['a', 'b']]);
});

test('faults of a configuration are named by their path', () => {
  for (const [config, path] of [
    [[], '$'],
    [null, '$'],
    [{}, '$.text'],
    [{ text: 1 }, '$.text'],
    [{ text: 'x', integer: 10 }, '$.integer'],
    [{ text: 'x', integer: true }, '$.integer'],
    [{ text: 'x', integer: 1.5 }, '$.integer'],
    [{ text: 'x', number: '1' }, '$.number'],
    [{ text: 'x', number: 1.5 }, '$.number'],
    [{ text: 'x', list: 'a' }, '$.list'],
    [{ text: 'x', list: ['a', 1] }, '$.list[1]'],
    [{ text: 'x', map: { a: 1 } }, '$.map.a'],
    [{ text: 'x', inner: 1 }, '$.inner'],
    [{ text: 'x', inner: { flag: 1 } }, '$.inner.flag'],
    [{ text: 'x', rules: {} }, '$.rules'],
    [{ text: 'x', rules: [{ key: 'a' }, 1] }, '$.rules[1]'],
    [{ text: 'x', rules: [{ key: 'a' }, {}] }, '$.rules[1].key'],
    [{ text: 'x', rules: [{ key: 'a', foo: 1 }] }, '$.rules[0].foo'],
    [{ text: 'x', foo: 1 }, '$.foo'],
    [{ text: 'x', inner: { foo: 1 } }, '$.inner.foo'],
  ]) {
    const instance = new Instance(new Everything());
    const isThat = (error) => error instanceof ConfigError && error.path === path && error.payload.path === path;
    assert.throws(() => instance.configure(JSON.stringify(config)), isThat, path);
  }
});

test('what is no JSON is refused', () => {
  for (const text of ['', '{', '{"text": NaN}', '['.repeat(100_000)]) {
    assert.throws(() => new Instance(new Everything()).configure(text), (error) => error.path === '$');
  }
});

function answer(text) {
  const instance = new Instance(new Everything());
  instance.configure(JSON.stringify({ text }));
  return instance.answer(encodeBatch({}, new Projection()));
}

test('errors of a plugin reach the host as the WIT has them', () => {
  assert.throws(() => answer('bad'), (error) => error instanceof BadInput && error.payload.tag === 'bad-input');
});

test('any other error is internal and says where', () => {
  assert.throws(() => answer('type'), (error) => error instanceof Internal && /TypeError: .*plugin\.test\.js:\d+\)/.test(error.message));
  assert.throws(() => answer('text'), (error) => error instanceof Internal && error.payload.val === 'a text');
});

test('nothing to say is an answer without sections', () => {
  assert.equal(answer('').length, 32);
});

test('no batch before a configuration', () => {
  assert.throws(() => new Instance(new Everything()).answer(new Uint8Array()), NotReady);
});

test('what the projection reads is there, and of whom it says', () => {
  const { team: Team } = PLUGINS;
  const instance = new Instance(new Team());
  instance.configure('{}');
  const data = { spans: [{}], resources: [{}, {}] };
  for (const reads of [[], [attribute(Owner.SPAN, 'k8s.namespace.name')], [attributes(Owner.RESOURCE, '')]]) {
    assert.throws(() => instance.answer(encodeBatch(data, new Projection({ reads }))), BadInput);
  }
});

class Tail extends TailSampler {
  configure() {
    return new Projection();
  }

  decide(batch) {
    const decisions = Decisions.ofTraces(batch);
    batch.traces.errors.forEach((errors, trace) => {
      if (errors === 0) decisions.decide(trace, DROP, 'dull');
    });
    return decisions;
  }
}

test('a tail sampler drops dull traces', () => {
  const outcome = run(new Tail(), {}, { spans: [{ statusCode: 2 }, { traceId: '0'.repeat(32) }, {}] });
  assert.deepEqual(outcome.verdicts, [1, 0]);
  assert.deepEqual(outcome.reasons, [undefined, 'dull']);
});

class Tenants extends Router {
  configure() {
    const projection = new Projection();
    this.tenant = projection.read(attribute(Owner.RESOURCE, 'tenant'));
    return projection;
  }

  route(batch) {
    return batch.column(this.tenant).map((tenant) => ({ a: 0, b: 1 })[tenant]);
  }
}

test('a router names a route for each resource', () => {
  const instance = new Instance(new Tenants());
  const projection = instance.configure('{}');
  const resources = [{ attributes: { tenant: 'b' } }, {}, { attributes: { tenant: 'a' } }];
  const routes = instance.answer(encodeBatch({ resources }, projection));
  assert.deepEqual([...new Uint16Array(routes.buffer)], [1, 0xffff, 0]);
});

test('a head sampler is run by the kit', () => {
  const spans = [{ duration: 600_000_000 }, { traceId: '0'.repeat(32) }];
  const outcome = run(new PLUGINS['keep-interesting'](), { ratio: 0.25 }, { spans });
  assert.deepEqual(outcome.reasons, ['slow', 'ratio']);
  assert.deepEqual(outcome.probabilities, [0, 0.25]);
});

class Door extends Authenticator {
  authenticate(request) {
    if (request.header('authorization') === 'Bearer bug') undefined.x;
    if (request.header('authorization') !== 'Bearer sesame') throw new Denied(403, 'no');
    return { tenants: ['a'], permissions: ['ingest'] };
  }
}

class Fetcher extends Refresher {
  refresh() {
    if (this.fails) throw new Error('no network');
    return new Map([['teams', new Map([['shop', 'checkout']])]]);
  }
}

test('exports have the form of the WIT', () => {
  const { authenticator } = exportsOf(Door, host.imports, 'authenticator');
  const request = (token) => ({ method: 'GET', path: '/', peerIp: '', headers: [['authorization', new TextEncoder().encode(token)]] });
  const identity = { tenants: ['a'], permissions: ['ingest'], rateClass: '', cluster: '', ttlSeconds: 60 };
  assert.deepEqual(authenticator.authenticate(request('Bearer sesame')), identity);
  assert.throws(() => authenticator.authenticate(request('x')), (error) => error.payload.status === 403);
  // Not to know somebody is to deny them.
  assert.throws(() => authenticator.authenticate(request('Bearer bug')), (error) => error.payload.status === 401);

  const { refresher } = exportsOf(Fetcher, host.imports, 'refresher');
  assert.deepEqual(refresher.refresh(), [{ name: 'teams', entries: [['shop', 'checkout']] }]);

  const { lifecycle, spanProcessor } = exportsOf(Everything, host.imports, 'spanProcessor');
  assert.deepEqual(lifecycle.describe(), { name: 'everything', version: '0', description: '', configSchema: '', stateless: true });
  assert.throws(() => lifecycle.configure('{}'), (error) => error.payload.path === '$.text');
  assert.throws(() => spanProcessor.process(new Uint8Array()), (error) => error.payload.tag === 'not-ready');
});

test('a plugin is what its world wants', () => {
  assert.throws(() => exportsOf(Door, host.imports, 'router'), /Door is no Router, as its world wants/);
});

test('fields and budgets have the form of the WIT, each once', () => {
  const per = attribute(Owner.RESOURCE, 'service.name');
  const projection = new Projection({ reads: [6, per, 6], budgets: [{ name: 'b', limit: 5, windowMs: 100, per }] });
  assert.deepEqual(projection.reads, [
    { tag: 'intrinsic', val: 'name' },
    { tag: 'attribute', val: { owner: 'resource', key: 'service.name', complex: false } },
  ]);
  assert.deepEqual(projection.budgets, [{ name: 'b', per: per.val, limit: 5n, windowMs: 100 }]);
  assert.equal(projection.read(attribute(Owner.RESOURCE, 'service.name')), 1);
});

test('values come back as they were', () => {
  for (const value of [
    'größe', true, -1n, 2n ** 63n - 1n, -(2n ** 63n), 0.5, 5, Uint8Array.of(0, 255), EMPTY, ['x', [1n, 2.5], new Map()],
    new Map([['a', new Uint8Array()], ['b', new Map([['c', [EMPTY]]])]]),
  ]) {
    assert.deepEqual(decode(encode(value)), value);
  }
});

test('depth has a limit', () => {
  let value = [];
  for (let i = 0; i < 100; i++) value = [value];
  assert.throws(() => decode(encode(value)), BadInput);
});

test('the kit stands in for the host', () => {
  resetHost();
  log.warn('careful');
  const seen = metrics.counter('seen', '');
  metrics.add(seen, 2);
  metrics.add(seen);
  metrics.observe(metrics.histogram('sizes', '', [1, 2]), 1.5);
  host.tables.set('teams', new Map([['shop', 'checkout']]));
  cache.set('k', Uint8Array.of(1), 1);
  assert.deepEqual(tables.lookup('teams', ['shop', 'x']), ['checkout', undefined]);
  assert.deepEqual(tables.lookup('none', ['shop']), [undefined]);
  assert.equal(tables.generation('teams'), 0n);
  assert.deepEqual([cache.get('k'), cache.get('x')], [Uint8Array.of(1), undefined]);
  assert.deepEqual(random.fill(2), Uint8Array.of(0, 0));
  assert.equal(clock.nowUnixNano(), 0n);
  assert.deepEqual(host.lines, [['warn', 'careful']]);
  assert.deepEqual(host.counters, new Map([['seen', 3n]]));
  assert.deepEqual(host.observed, new Map([['sizes', [1.5]]]));
});

test('what the stand-in does not know is not fetched', () => {
  resetHost();
  host.responses.set('http://a', { status: 200, headers: [], body: Uint8Array.of(1) });
  assert.equal(fetch('http://a').status, 200);
  assert.throws(() => fetch('http://b'), (error) => error instanceof FetchError && error.message === 'not-allowed');
});

test('what a world does not have says so', () => {
  use({ log: host.imports.log });
  assert.throws(() => clock.nowUnixNano(), /the world of this plugin has no clock/);
  resetHost();
});

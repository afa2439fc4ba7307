// A batch in which everything is.

import { EMPTY, Intrinsic, Owner, Projection, attribute, attributes } from '@traceweir/plugin';

export const ATTRIBUTES = {
  a: 'x',
  ab: -1n,
  b: 0.5,
  c: true,
  d: ['x', 1n],
  e: EMPTY,
};

export const DATA = {
  spans: [
    {
      traceId: '000102030405060708090a0b0c0d0e0f',
      spanId: '0101010101010101',
      traceState: 'a=b',
      traceFlags: 1,
      name: 'GET /',
      kind: 2,
      startTime: 1000,
      duration: 2n ** 63n,
      statusCode: 2,
      statusMessage: 'größe 🦊',
      attributes: ATTRIBUTES,
      events: [{ name: 'e0', time: 7, attributes: { a: 'event' } }, { name: 'e1', time: 8 }],
    },
    {
      traceId: '0102030405060708090a0b0c0d0e0f10',
      spanId: '0202020202020202',
      parentSpanId: '0101010101010101',
      name: 'GET /',
      duration: 5,
      resource: 1,
      attributes: { ab: 2n ** 63n - 1n, d: Uint8Array.of(1, 2) },
      links: [{ attributes: { a: 'link' } }],
    },
  ],
  resources: [
    { attributes: { 'service.name': 'shop' }, peerAddress: '10.0.0.1' },
    { attributes: { 'service.name': 'pay', team: 'x' } },
  ],
  scopes: [{ name: 'lib', version: '1.0' }],
  budgets: [{ '': [100, 3] }, { pay: [10, 12] }],
};

export function everything() {
  const projection = new Projection({ reads: Object.values(Intrinsic) });
  for (const owner of Object.values(Owner)) {
    for (const complex of [false, true]) {
      projection.read(attribute(owner, 'd', { complex }));
      projection.read(attributes(owner, '', { complex }));
    }
  }
  projection.read(attribute(Owner.RESOURCE, 'team'));
  projection.budget({ name: 'all', limit: 100, windowMs: 1000 });
  const per = attribute(Owner.RESOURCE, 'service.name');
  projection.budget({ name: 'each', limit: 10, windowMs: 1000, per });
  return projection;
}

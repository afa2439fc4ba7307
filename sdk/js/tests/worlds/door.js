// Knows one token, and whoever has a certificate.

import { Authenticator, Denied, Projection, cache, clock } from '@traceweir/plugin';

export default class Door extends Authenticator {
  describe() {
    return { name: 'door', version: '1', description: '' };
  }

  configure() {
    return new Projection();
  }

  authenticate(request) {
    const { clientCertificate } = request;
    if (clientCertificate) return { tenants: clientCertificate.names, permissions: ['query'], ttlSeconds: 60 };
    if (request.header('authorization') !== 'Bearer sesame') throw new Denied(401, 'no token');
    cache.set('last', new TextEncoder().encode(String(clock.nowUnixNano())), 60);
    if (cache.get('none') !== undefined) throw new Error('the cache has what nobody put there');
    return { tenants: ['a'], permissions: ['ingest', 'admin'], rateClass: 'gold', cluster: 'east', ttlSeconds: 5 };
  }
}

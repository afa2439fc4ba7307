// @ts-check
// Knows keys in the header x-api-key, and whose they are.

import { Authenticator, Denied, Projection } from '@traceweir/plugin';

/** For so many seconds the host keeps an answer. */
const TTL_SECONDS = 300;

export default class MyPlugin extends Authenticator {
  /** @type {Map<string, string>} Tenants, by key. */
  keys = new Map();

  describe() {
    return { name: 'my-plugin', version: '0.1.0', description: 'lets in who shows a key that is known' };
  }

  /** @param {import('@traceweir/plugin').Config} config */
  configure(config) {
    this.keys = config.mapping('keys');
    return new Projection();
  }

  /**
   * Once for each credential, not for each request.
   * @param {import('@traceweir/plugin').Request} request
   * @returns {import('@traceweir/plugin').Identity}
   */
  authenticate(request) {
    const tenant = this.keys.get(request.header('x-api-key') ?? '');
    if (tenant === undefined) throw new Denied(401, 'no key that is known here', TTL_SECONDS);
    return { tenants: [tenant], permissions: ['ingest', 'query'], ttlSeconds: TTL_SECONDS };
  }
}

// @ts-check
// Says whose spans they are, by the namespace of their resource.

import { Owner, Projection, Router, attribute } from '@traceweir/plugin';

export default class MyPlugin extends Router {
  /** @type {Map<string, string>} Tenants, by namespace. */
  tenants = new Map();
  /** Where it is among what is read. */
  namespace = 0;

  describe() {
    return { name: 'my-plugin', version: '0.1.0', description: 'says whose spans they are, by their namespace' };
  }

  /** @param {import('@traceweir/plugin').Config} config */
  configure(config) {
    this.tenants = config.mapping('tenants');
    // What is not read is not sent.
    const projection = new Projection();
    this.namespace = projection.read(attribute(Owner.RESOURCE, 'k8s.namespace.name'));
    return projection;
  }

  routes() {
    return [...new Set(this.tenants.values())];
  }

  /** @param {import('@traceweir/plugin').Batch} batch */
  route(batch) {
    const places = new Map(this.routes().map((tenant, place) => [tenant, place]));
    return batch.column(this.namespace).map((namespace) => places.get(this.tenants.get(namespace) ?? ''));
  }
}

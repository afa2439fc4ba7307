// Routes by an attribute.

import { Owner, Projection, Router, attribute } from '@traceweir/plugin';

export default class Tenants extends Router {
  describe() {
    return { name: 'tenants', version: '1', description: '' };
  }

  configure() {
    const projection = new Projection();
    this.tenant = projection.read(attribute(Owner.RESOURCE, 'tenant'));
    return projection;
  }

  routes() {
    return ['a', 'b'];
  }

  route(batch) {
    return batch.column(this.tenant).map((tenant) => ({ a: 0, b: 1 })[tenant]);
  }
}

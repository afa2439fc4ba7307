// A processor: tells which team a resource belongs to, by its Kubernetes namespace.

import { Edits, Owner, Processor, Projection, attribute } from '@traceweir/plugin';

const SCHEMA = JSON.stringify({
  type: 'object',
  properties: {
    key: { type: 'string', minLength: 1, maxLength: 512 },
    teams: { type: 'object', additionalProperties: { type: 'string' } },
  },
});

export default class Team extends Processor {
  describe() {
    return {
      name: 'team',
      version: '0.1.0',
      description: 'tells which team a resource belongs to, by its namespace',
      configSchema: SCHEMA,
    };
  }

  configure(config) {
    const key = config.text('key', 'team');
    const size = new TextEncoder().encode(key).length;
    if (size < 1 || size > 512) config.fail('key', 'must have 1 to 512 bytes');
    this.teams = config.mapping('teams', new Map());

    const projection = new Projection();
    this.namespace = projection.read(attribute(Owner.RESOURCE, 'k8s.namespace.name'));
    this.team = projection.write(attribute(Owner.RESOURCE, key));
    return projection;
  }

  process(batch) {
    // Looked up once for each namespace, not for each resource.
    const teams = batch.column(this.namespace).map((namespace) => this.teams.get(namespace));
    const edits = new Edits(batch);
    edits.set(this.team, Owner.RESOURCE).putTexts(teams);
    return edits;
  }
}

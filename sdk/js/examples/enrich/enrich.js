// A processor: tells each span the team of its resource's namespace.

import { Edits, Owner, Processor, Projection, attribute } from '@traceweir/plugin';

export default class Enrich extends Processor {
  describe() {
    return { name: 'enrich', version: '0.1.0', description: 'tells spans the team of their namespace' };
  }

  configure(config) {
    this.teams = config.mapping('teams');

    const projection = new Projection();
    this.namespace = projection.read(attribute(Owner.RESOURCE, 'k8s.namespace.name'));
    this.team = projection.write(attribute(Owner.SPAN, 'team'));
    return projection;
  }

  process(batch) {
    const teams = batch.column(this.namespace).map((namespace) => this.teams.get(namespace));
    const edits = new Edits(batch);
    // Each resource says it for all its spans.
    edits.set(this.team, Owner.RESOURCE).putTexts(teams);
    return edits;
  }
}

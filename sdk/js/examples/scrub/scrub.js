// A processor: masks what follows `token=` in `url.full`, and removes `http.request.header.*`.

import { Edits, Owner, Processor, Projection, attribute, attributes } from '@traceweir/plugin';

const HEADERS = 'http.request.header.';

/** A token ends where the text does, too, which `\0` says. */
const TOKEN = /token=[^&# \0]*/g;

export default class Scrub extends Processor {
  describe() {
    return { name: 'scrub', version: '0.1.0', description: 'masks tokens in URLs and removes headers' };
  }

  configure() {
    const url = attribute(Owner.SPAN, 'url.full');
    const projection = new Projection();
    this.url = projection.read(url);
    this.to = projection.write(url);
    projection.write(attributes(Owner.SPAN, HEADERS));
    return projection;
  }

  process(batch) {
    const edits = new Edits(batch);
    edits.deleteStarting(Owner.SPAN, HEADERS);
    // All at once, and not a call for each.
    const urls = batch.column(this.url).rewrite((texts) => texts.replace(TOKEN, 'token=***'));
    edits.set(this.to, Owner.SPAN).putTexts(urls);
    return edits;
  }
}

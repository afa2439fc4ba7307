// Makes a table of what a server says.

import { Projection, Refresher, fetch } from '@traceweir/plugin';

export default class Fetcher extends Refresher {
  describe() {
    return { name: 'fetcher', version: '1', description: '' };
  }

  configure(config) {
    this.url = config.text('url');
    return new Projection();
  }

  intervalSeconds() {
    return 30;
  }

  refresh() {
    const { body } = fetch(this.url, { headers: [['accept', 'text/plain']] });
    const lines = new TextDecoder().decode(body).split(/\s+/).filter((line) => line !== '');
    return new Map([['teams', new Map(lines.map((line) => line.split('=')))]]);
  }
}

// @ts-check
// Makes the table teams of the lines that a server says, such as shop=checkout.

import { Projection, Refresher, fetch } from '@traceweir/plugin';

export default class MyPlugin extends Refresher {
  url = '';
  interval = 60;

  describe() {
    return { name: 'my-plugin', version: '0.1.0', description: 'makes a table of what a server says' };
  }

  /** @param {import('@traceweir/plugin').Config} config */
  configure(config) {
    // The definition of the plugin has to allow its host.
    this.url = config.text('url');
    this.interval = config.integer('interval_seconds', { fallback: 60, least: 5, most: 604800 });
    return new Projection();
  }

  intervalSeconds() {
    return this.interval;
  }

  /** What it returns replaces the tables that it names; what it throws leaves them as they are. */
  refresh() {
    const { status, body } = fetch(this.url, { headers: [['accept', 'text/plain']], timeoutMs: 10_000 });
    if (status !== 200) throw new Error(`${this.url} answers ${status}`);
    /** @type {Map<string, string>} */
    const teams = new Map();
    for (const line of new TextDecoder().decode(body).split('\n')) {
      const at = line.indexOf('=');
      if (at > 0) teams.set(line.slice(0, at), line.slice(at + 1));
    }
    return new Map([['teams', teams]]);
  }
}

/**
 * What the host offers to plugins: log, metrics, tables; and, where the world of the plugin has them, cache, clock,
 * random and fetch. In a component these are its imports, which the entry that `build-plugin` writes hands over. Elsewhere a
 * stand-in answers, which tests fill: `host` of the kit.
 * @module
 */

export class FetchError extends Error {
  constructor(reason) {
    super(reason);
    this.name = 'FetchError';
  }
}

export class StandIn {
  constructor() {
    this.lines = [];
    this.names = [];
    this.counters = new Map();
    this.observed = new Map();
    this.tables = new Map();
    this.generations = new Map();
    this.cached = new Map();
    this.nowUnixNano = 0n;
    this.random = Uint8Array.of(0);
    this.responses = new Map();
    this.imports = {
      log: { write: (level, message) => this.lines.push([level, message]) },
      metrics: {
        counter: (name) => this.register(name),
        histogram: (name) => this.register(name),
        add: (id, delta) => {
          const name = this.names[id];
          this.counters.set(name, (this.counters.get(name) ?? 0n) + delta);
        },
        observe: (id, value) => {
          const name = this.names[id];
          this.observed.set(name, [...(this.observed.get(name) ?? []), value]);
        },
      },
      tables: {
        lookup: (table, keys) => keys.map((key) => this.tables.get(table)?.get(key)),
        generation: (table) => this.generations.get(table) ?? 0n,
      },
      cache: {
        get: (key) => this.cached.get(key),
        set: (key, value) => this.cached.set(key, value),
      },
      clock: { nowUnixNano: () => this.nowUnixNano },
      random: { fill: (length) => Uint8Array.from({ length }, (_, i) => this.random[i % this.random.length]) },
      fetch: {
        send: ({ url }) => {
          const response = this.responses.get(url);
          if (response === undefined) throw { tag: 'not-allowed' };
          return response;
        },
      },
    };
  }

  register(name) {
    if (!this.names.includes(name)) this.names.push(name);
    return this.names.indexOf(name);
  }
}

let imports = new StandIn().imports;

/** Whoever answers from now on. */
export function use(others) {
  imports = others;
}

function imported(name) {
  const found = imports[name];
  if (found === undefined) throw new Error(`the world of this plugin has no ${name}`);
  return found;
}

export const log = {
  debug: (message) => imported('log').write('debug', message),
  info: (message) => imported('log').write('info', message),
  warn: (message) => imported('log').write('warn', message),
  error: (message) => imported('log').write('error', message),
};

export const metrics = {
  counter: (name, help) => imported('metrics').counter(name, help),
  histogram: (name, help, bounds) => imported('metrics').histogram(name, help, bounds),
  add: (metric, delta = 1) => imported('metrics').add(metric, BigInt(delta)),
  observe: (metric, value) => imported('metrics').observe(metric, value),
};

export const tables = {
  lookup: (table, keys) => imported('tables').lookup(table, keys),
  generation: (table) => imported('tables').generation(table),
};

export const cache = {
  get: (key) => imported('cache').get(key),
  set: (key, value, ttlSeconds) => imported('cache').set(key, value, ttlSeconds),
};

export const clock = {
  nowUnixNano: () => imported('clock').nowUnixNano(),
};

export const random = {
  fill: (length) => imported('random').fill(length),
};

export function fetch(url, { method = 'GET', headers = [], body = new Uint8Array(), timeoutMs = 10_000 } = {}) {
  try {
    return imported('fetch').send({ method, url, headers, body, timeoutMs });
  } catch (thrown) {
    // componentize-js throws the case of the WIT, or an error that has it.
    const failure = thrown?.payload ?? thrown;
    if (failure?.tag === undefined) throw thrown;
    throw new FetchError(failure.tag === 'network' ? `network: ${failure.val}` : failure.tag);
  }
}

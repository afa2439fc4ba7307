/**
 * What a plugin is: a class that extends one of these, and how it is exported.
 * @module
 */

import { Edits } from './answer.js';
import { Batch } from './batch.js';
import { Config } from './config.js';
import { ConfigError, Denied, Internal, NotReady, PluginError, words } from './errors.js';
import { use } from './host.js';
import { wanted } from './projection.js';

export class Plugin {}
export class Processor extends Plugin {}
export class HeadSampler extends Plugin {}
export class TailSampler extends Plugin {
  level = 'summary';
}
export class Router extends Plugin {}
export class Authenticator extends Plugin {}
export class Refresher extends Plugin {}

/** A resource stays where it is. */
const STAY = 0xffff;

/** A plugin as the host sees it: bytes in, bytes out, and no errors but those of `errors.js`. */
export class Instance {
  constructor(plugin) {
    this.plugin = plugin;
    /** What a batch has to have; `null` until there is a configuration. */
    this.wanted = null;
  }

  configure(json) {
    try {
      const config = Config.parse(json);
      const projection = this.plugin.configure(config);
      config.refuseUnknown();
      this.wanted = wanted(projection);
      return projection;
    } catch (error) {
      throw error instanceof ConfigError ? error : new ConfigError('$', words(error));
    }
  }

  answer(bytes) {
    if (this.wanted === null) throw new NotReady('it is not configured');
    try {
      const batch = new Batch(bytes);
      batch.hold(this.wanted);
      return answerOf(this.plugin, batch);
    } catch (error) {
      throw error instanceof PluginError ? error : new Internal(words(error));
    }
  }
}

function answerOf(plugin, batch) {
  if (plugin instanceof Processor) return (plugin.process(batch) ?? new Edits(batch)).encode();
  if (plugin instanceof HeadSampler) return plugin.sample(batch).encode();
  if (plugin instanceof TailSampler) return plugin.decide(batch).encode();
  if (plugin instanceof Router) {
    const routes = plugin.route(batch);
    if (routes.length !== batch.resources) {
      throw new Internal(`${routes.length} routes for ${batch.resources} resources`);
    }
    return new Uint8Array(Uint16Array.from(routes, (to) => to ?? STAY).buffer);
  }
  throw new Internal('this plugin takes no batches');
}

/** What makes a plugin of each interface. */
const BASES = {
  spanProcessor: Processor,
  headSampler: HeadSampler,
  tailSampler: TailSampler,
  router: Router,
  authenticator: Authenticator,
  refresher: Refresher,
};

/**
 * The interfaces that a component exports, by their names in JavaScript. `imports` is what its world has, `wanted` the
 * interface that it has beside `lifecycle`.
 */
export function exportsOf(Type, imports, wanted) {
  use(imports);
  const plugin = new Type();
  if (!(plugin instanceof BASES[wanted])) throw new Error(`${Type.name} is no ${BASES[wanted].name}, as its world wants`);
  const instance = new Instance(plugin);
  const answer = (bytes) => instance.answer(bytes);
  return {
    lifecycle: {
      describe: () => ({ configSchema: '', stateless: true, ...plugin.describe() }),
      configure: (json) => instance.configure(json),
    },
    spanProcessor: { process: answer },
    headSampler: { sample: answer },
    tailSampler: { level: () => plugin.level, decide: answer },
    router: { routes: () => plugin.routes(), route: answer },
    authenticator: { authenticate: (request) => authenticate(plugin, request) },
    refresher: { intervalSeconds: () => plugin.intervalSeconds(), refresh: () => refresh(plugin) },
  };
}

function authenticate(plugin, { clientCert, headers, ...request }) {
  const header = (name) => {
    const found = headers.find(([there]) => there === name);
    return found && new TextDecoder().decode(found[1]);
  };
  try {
    const identity = plugin.authenticate({ ...request, headers, header, clientCertificate: clientCert });
    return { rateClass: '', cluster: '', ttlSeconds: 60, ...identity };
  } catch (error) {
    // Not to know somebody is no fault of theirs, but neither are they let in.
    throw error instanceof Denied ? error : new Denied(401, words(error));
  }
}

function refresh(plugin) {
  try {
    return Array.from(plugin.refresh(), ([name, table]) => ({ name, entries: Array.from(table) }));
  } catch (error) {
    throw Object.assign(new Error(words(error)), { payload: words(error) });
  }
}

/**
 * Plugins for Traceweir in JavaScript and TypeScript.
 *
 * A plugin is the default export of a module: a class that extends one of the bases below. See `README.md`.
 */

/** Rows, resources and so on, by their numbers. */
export type Rows = ArrayLike<number>;

// What a plugin answers when it cannot answer.

/**
 * A failure that the plugin has noticed itself: it is counted, `on_failure` of the attachment applies, and the instance
 * lives on. Throw one of the three below; anything else that is thrown becomes `Internal`.
 */
export class PluginError extends Error {
  protected constructor();
}
/** The buffer is malformed, or a column that was asked for is not there. */
export class BadInput extends PluginError {
  constructor(message: string);
}
/** Something that the plugin needs is not there yet. */
export class NotReady extends PluginError {
  constructor(message: string);
}
/** The plugin's own fault. */
export class Internal extends PluginError {
  constructor(message: string);
}
/** What is wrong with a configuration: the JSON path of the value (`$.keys[2]`; `$` is the whole), and why. */
export class ConfigError extends Error {
  constructor(path: string, message: string);
  readonly path: string;
}

// Values of attributes.

/** An attribute without a value. */
export const EMPTY: unique symbol;
/** In answers: the attribute goes. Empties a tracestate or a status message. */
export const REMOVE: unique symbol;
/** In batches: an array, a map or bytes, which were not asked for with `complex`. */
export const UNREAD: unique symbol;

/** A value. A number is a double, a bigint an int: what was read and is written again has the type that it had. */
export type Value = string | number | bigint | boolean | Uint8Array | Value[] | Map<string, Value> | typeof EMPTY;

// What a plugin says of itself, and what it asks for.

/** What every span has, and what the host knows of it. */
export const Intrinsic: {
  readonly TRACE_ID: 1;
  readonly SPAN_ID: 2;
  readonly PARENT_SPAN_ID: 3;
  /** May be written. */
  readonly TRACE_STATE: 4;
  readonly TRACE_FLAGS: 5;
  /** May be written. */
  readonly NAME: 6;
  /** May be written. */
  readonly KIND: 7;
  readonly START_TIME: 8;
  readonly DURATION: 9;
  /** May be written. */
  readonly STATUS_CODE: 10;
  /** May be written. */
  readonly STATUS_MESSAGE: 11;
  readonly SCOPE_NAME: 12;
  readonly SCOPE_VERSION: 13;
  readonly EVENT_NAME: 14;
  readonly EVENT_TIME: 15;
  readonly EVENT_COUNT: 16;
  readonly LINK_COUNT: 17;
  readonly RESOURCE_INDEX: 18;
  readonly SCOPE_INDEX: 19;
  readonly EVENT_SPAN: 20;
  readonly SPAN_ATTRIBUTE_KEYS: 21;
  readonly PEER_ADDRESS: 22;
};
export type Intrinsic = (typeof Intrinsic)[keyof typeof Intrinsic];

/** Of which kind a span is, in `Batch.kinds`. */
export const SpanKind: {
  readonly UNSPECIFIED: 0;
  readonly INTERNAL: 1;
  readonly SERVER: 2;
  readonly CLIENT: 3;
  readonly PRODUCER: 4;
  readonly CONSUMER: 5;
};
export type SpanKind = (typeof SpanKind)[keyof typeof SpanKind];

/** How a span ended, in `Batch.statusCodes`. */
export const Status: {
  readonly UNSET: 0;
  readonly OK: 1;
  readonly ERROR: 2;
};
export type Status = (typeof Status)[keyof typeof Status];

/** Whose attribute it is. */
export const Owner: {
  readonly SPAN: 0;
  readonly RESOURCE: 1;
  readonly SCOPE: 2;
  readonly EVENT: 3;
  readonly LINK: 4;
};
export type Owner = (typeof Owner)[keyof typeof Owner];

/** One attribute. */
export interface Attribute {
  readonly tag: 'attribute';
  readonly val: { readonly owner: string; readonly key: string; readonly complex: boolean };
}
/** Every attribute whose key starts so. */
export interface Attributes {
  readonly tag: 'attributes';
  readonly val: { readonly owner: string; readonly key: string; readonly complex: boolean };
}
/** What is read or written. */
export type Field = Intrinsic | Attribute | Attributes;

/** One attribute: a column. With `complex` arrays, maps and bytes are passed, too; else only their type is seen. */
export function attribute(owner: Owner, key: string, options?: { complex?: boolean }): Attribute;
/** Every attribute whose key starts so, the empty text for all: a table of pairs. */
export function attributes(owner: Owner, prefix: string, options?: { complex?: boolean }): Attributes;

/** A resource matches when its attribute by this key is one of these texts. */
export interface MatchRule {
  key: string;
  anyOf: string[];
}

/** So many rows may be kept in a stretch of time; the host counts. */
export interface Budget {
  name: string;
  /** Rows in the stretch. */
  limit: number | bigint;
  /** From 100 to 3,600,000. */
  windowMs: number;
  /** Each value of this attribute (of span or resource) has a budget of its own; else there is one for all. */
  per?: Attribute;
}

/**
 * What the plugin reads and what it may write: nothing else crosses, and one edit of something else fails the whole
 * answer.
 */
export class Projection {
  constructor(parts?: {
    reads?: Field[];
    writes?: Field[];
    /** Only spans of resources that match every rule are passed. */
    matchResource?: MatchRule[];
    budgets?: Budget[];
    /** Most rows in a batch; 0 leaves it to the host. */
    maxBatchRows?: number;
  });
  /** Reads a field, once however often it is asked for, and says by which place its column is found. */
  read(field: Field): number;
  /** May write a field, and says by which place it is set. */
  write(field: Field): number;
  /** Has the host count, and says by which place the counts are found. */
  budget(budget: Budget): number;
}

/** What a plugin says of itself. */
export interface Info {
  name: string;
  version: string;
  /** One line for whoever chooses. */
  description: string;
  /** JSON Schema (2020-12) of what `configure` takes; without it everything is passed. */
  configSchema?: string;
  /** Same input, same output, and nothing remembered from one call for the next; true if it is not said. */
  stateless?: boolean;
}

/**
 * An object of a configuration. What is not there has its default, or is refused where there is none; so is what is there
 * but was never asked for, once `configure` has returned.
 */
export class Config {
  private constructor();
  /** Refuses the value at `key`. */
  fail(key: string, message: string): never;
  text(key: string, fallback?: string): string;
  boolean(key: string, fallback?: boolean): boolean;
  /** A whole number within these limits. */
  integer(key: string, options: { fallback?: number; least: number; most: number }): number;
  /** A number within these limits. */
  number(key: string, options: { fallback?: number; least: number; most: number }): number;
  /** A list of texts. */
  texts(key: string, fallback?: string[]): string[];
  /** An object whose values are texts. */
  mapping(key: string, fallback?: Map<string, string>): Map<string, string>;
  /** An object in this one; empty where it is not there. */
  object(key: string): Config;
  /** A list of objects; empty where it is not there. */
  objects(key: string): Config[];
}

// What a plugin is.

/** What every plugin does. An instance is made when the component is built. */
export abstract class Plugin {
  /** Says what it is. Of the host only the log may be called. */
  abstract describe(): Info;
  /** Reads its configuration, once, before any batch, and says what it reads and writes. */
  abstract configure(config: Config): Projection;
}
/** Sees every batch on ingest: enriches, redacts, renames, drops. */
export abstract class Processor extends Plugin {
  /** Edits a batch; nothing returned: everything stays as it is. */
  abstract process(batch: Batch): Edits | undefined | void;
}
/** Sees every batch on ingest, before all processors, and decides on each row: rows of one trace alike. */
export abstract class HeadSampler extends Plugin {
  abstract sample(batch: Batch): Decisions;
}
/** Decides on whole traces, by configuration and batch alone. */
export abstract class TailSampler extends Plugin {
  /** Whether it is given the table of traces alone, or the columns that it reads, too, of all spans. */
  level: 'summary' | 'projected-spans';
  /** Decides on the traces of a batch, with `Decisions.ofTraces`. */
  abstract decide(batch: Batch): Decisions;
}
/** Chooses the tenant of each resource. */
export abstract class Router extends Plugin {
  /** The tenants that it may name, at most 65,535; asked once, after `configure`. */
  abstract routes(): string[];
  /** A place in `routes` for each resource; `undefined` leaves it where it is. */
  abstract route(batch: Batch): (number | undefined)[];
}

/** A request whose sender is to be known. */
export interface Request {
  method: string;
  path: string;
  peerIp: string;
  /** Those that the attachment names, in lower case. */
  headers: [string, Uint8Array][];
  /** What stands in a client certificate that was verified. */
  clientCertificate?: { subject: string; names: string[] };
  /** The first header with this name, in lower case. */
  header(name: string): string | undefined;
}
/** Who somebody is. */
export interface Identity {
  tenants: string[];
  permissions: ('ingest' | 'query' | 'admin')[];
  /** The class of limits. */
  rateClass?: string;
  /** The cluster whose spans these are. */
  cluster?: string;
  /** For how long the host keeps the answer; 60 if it is not said. */
  ttlSeconds?: number;
}
/** Why somebody is nobody: 401 or 403, and for how long the host keeps the answer. */
export class Denied extends Error {
  constructor(status: 401 | 403, message: string, ttlSeconds?: number);
}
/** Says who somebody is, once per credential. */
export abstract class Authenticator extends Plugin {
  /** Throws `Denied`. */
  abstract authenticate(request: Request): Identity;
}
/** Fetches what tables are made of, off the path of data. */
export abstract class Refresher extends Plugin {
  /** How often it is called; asked once, after `configure`. */
  abstract intervalSeconds(): number;
  /** Makes tables, by their names, which replace those before them. What is thrown leaves them as they are. */
  abstract refresh(): Map<string, Map<string, string>>;
}

/** A plugin as the host sees it: bytes in, bytes out, and no errors but those above. */
export class Instance {
  constructor(plugin: Plugin);
  configure(json: string): Projection;
  answer(bytes: Uint8Array): Uint8Array;
}
/** The interfaces that a component exports. `build-plugin` calls it; so does who makes a component in another way. */
export function exportsOf(type: new () => Plugin, imports: object, wanted: string): Record<string, object>;

// What a plugin is given.

import type { Batch, Pairs } from './given.js';

export * from './given.js';

// What a plugin answers.

/** A column of an answer: for each entry a new value, a removal, or nothing. */
export class Values {
  private constructor();
  readonly length: number;
  /** Gives entry `i` a value; `undefined` leaves it as it is. */
  put(i: number, value: Value | typeof REMOVE | undefined): void;
  /** Gives each entry a text, or for `undefined` leaves it as it is. */
  putTexts(texts: (string | undefined)[]): void;
  remove(i: number): void;
}

/** What edits and decisions have in common. */
declare abstract class Answer {
  /**
   * New values of a field, by its place in `writes`: an entry for each `per`. That is the owner of the field; or, for
   * attributes of spans, the resource.
   */
  set(place: number, per: Owner): Values;
  /** Raises a counter. */
  count(counter: number, by?: number | bigint): void;
  /** The buffer. */
  encode(): Uint8Array;
}

/** What a sampler says of a row or trace: `KEEP`, `DROP`, or `probability(…)`. */
export interface Verdict {
  readonly code: number;
  readonly probability: number;
}
export const KEEP: Verdict;
export const DROP: Verdict;
/** It stays with this probability, from 0 to 1: the host draws, by the trace id. */
export function probability(share: number): Verdict;

/** Decisions of a sampler, one for each row; until something is said, it is kept. Reasons are 32 at most. */
export class Decisions extends Answer {
  constructor(batch: Batch);
  /** Decisions of a tail sampler, one for each trace. */
  static ofTraces(batch: Batch): Decisions;
  decide(i: number, verdict: Verdict, reason?: string): void;
  decideAll(verdict: Verdict, reason?: string): void;
  decideRows(rows: Uint32Array | number[], verdict: Verdict, reason?: string): void;
}

/** Edits of a processor: until something is said, everything stays as it is. */
export class Edits extends Answer {
  constructor(batch: Batch);
  /** Drops a span, and says why, in one of 32 reasons at most. */
  drop(row: number, reason?: string): void;
  /** Drops the spans whose flag is true, of as many as there are rows: what `map` of a column of spans gives, or `Ids.below`. */
  dropWhere(flags: Uint8Array | readonly unknown[], reason?: string): void;
  /**
   * Gives attributes of `owner` another key, wherever they are. Where there is one with that key already, it is replaced,
   * or else nothing is renamed.
   */
  rename(owner: Owner, from: string, to: string, options?: { replace?: boolean }): void;
  /** Removes attributes of `owner` by their key, wherever they are. */
  deleteKey(owner: Owner, key: string): void;
  /** Removes all attributes whose keys begin so, wherever they are: `writes` must have them, and they need not be read. */
  deleteStarting(owner: Owner, start: string): void;
  /** New values of pairs that were read: an entry for each pair. */
  setPairs(pairs: Pairs): Values;
  /** Gives one span, resource, scope, event or link (whose the field at `place` in `writes` says) an attribute. */
  add(place: number, owner: number, key: string, value: Value): void;
}

// What the host offers. What the world of a plugin does not have throws.

/** Lines in the host's log: ten in a second and a hundred at once, what is more is counted. */
export const log: Record<'debug' | 'info' | 'warn' | 'error', (message: string) => void>;
/** Metrics on the host's page, registered in `configure`, 64 at most. */
export const metrics: {
  counter(name: string, help: string): number;
  histogram(name: string, help: string, bounds: number[]): number;
  /** Raises a counter; `count` of an answer costs no call. */
  add(metric: number, delta?: number | bigint): void;
  observe(metric: number, value: number): void;
};
/** Tables that the host keeps fresh: whoever looks up never waits for a network. */
export const tables: {
  /** The values of these keys, in their order: one call per batch, not one per span. */
  lookup(table: string, keys: string[]): (string | undefined)[];
  /** Goes up when the table changes; 0 where there is none. */
  generation(table: string): bigint;
};
/** A memory of the plugin and tenant in the host, bounded in bytes. Not for samplers. */
export const cache: {
  get(key: string): Uint8Array | undefined;
  set(key: string, value: Uint8Array, ttlSeconds: number): void;
};
/** Not for samplers; `Date` has no clock here. */
export const clock: { nowUnixNano(): bigint };
/** Not for samplers; `Math.random` begins alike in every instance. */
export const random: { fill(length: number): Uint8Array };
/** What a server has answered. */
export interface Response {
  status: number;
  headers: [string, string][];
  body: Uint8Array;
}
/** Nothing was fetched: `not-allowed`, `timeout`, `too-large`, or `network: …`. */
export class FetchError extends Error {}
/** Sends a request to a host that the attachment allows. For refreshers alone. Throws `FetchError`. */
export function fetch(
  url: string,
  options?: { method?: string; headers?: [string, string][]; body?: Uint8Array; timeoutMs?: number },
): Response;

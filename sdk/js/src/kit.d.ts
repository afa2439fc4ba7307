/** To test plugins without Wasm and without a host: spans in, what becomes of them out. */

import type { Owner, Plugin, Projection, REMOVE, Response, UNREAD, Value } from './index.d.ts';

export type Attributes = Record<string, Value>;

export interface Span {
  /** 32 digits. */
  traceId?: string;
  /** 16 digits. */
  spanId?: string;
  /** 16 digits; zeros for a root. */
  parentSpanId?: string;
  traceState?: string;
  traceFlags?: number;
  name?: string;
  kind?: number;
  startTime?: number | bigint;
  duration?: number | bigint;
  statusCode?: number;
  statusMessage?: string;
  /** Its place among the resources. */
  resource?: number;
  scope?: number;
  attributes?: Attributes;
  events?: { name?: string; time?: number | bigint; attributes?: Attributes }[];
  links?: { attributes?: Attributes }[];
}

/** What a batch is made of. */
export interface Data {
  spans?: Span[];
  /** One without attributes, if none are given. */
  resources?: { attributes?: Attributes; peerAddress?: string }[];
  scopes?: { name?: string; version?: string; attributes?: Attributes }[];
  /** For each budget of the projection, limit and use by the values of its attribute. */
  budgets?: Record<string, [limit: number | bigint, used: number | bigint]>[];
}

/** What an answer says. */
export interface Outcome {
  /** For each span. */
  kept: boolean[];
  /** For each span or trace. */
  reasons: (string | undefined)[];
  /** For each span or trace: 0 drop, 1 keep, 2 with the probability. */
  verdicts: number[];
  probabilities: number[];
  renamed: { owner: Owner; from: string; to: string; replace: boolean }[];
  deleted: { owner: Owner; key: string }[];
  deletedStarting: { owner: Owner; start: string }[];
  /** By place in `reads`. */
  setPairs: Map<number, Written[]>;
  /** By place in `writes` and who has an entry each. */
  sets: { place: number; owner: Owner; values: Written[] }[];
  added: { place: number; owner: number; key: string; value: Written }[];
  counts: Map<number, bigint>;
}
export type Written = Value | typeof REMOVE | typeof UNREAD | undefined;

/** Configures a plugin, has it answer one batch, and reads the answer. Throws what the host would be told. */
export function run(plugin: Plugin, config: object, data?: Data): Outcome;

/** The batch that a host would make for a projection; `byTrace` with the table of traces, as tail samplers get it. */
export function encode(data: Data, projection: Projection, options?: { byTrace?: boolean }): Uint8Array;
/** Reads an answer in the form that the SDKs write. */
export function decodeAnswer(bytes: Uint8Array): Outcome;

/** What answers in place of a host. */
export const host: {
  /** Level and message of what was logged. */
  lines: [string, string][];
  /** Names of metrics, by their ids. */
  names: string[];
  counters: Map<string, bigint>;
  observed: Map<string, number[]>;
  /** What `tables.lookup` finds. */
  tables: Map<string, Map<string, string>>;
  generations: Map<string, bigint>;
  cached: Map<string, Uint8Array>;
  nowUnixNano: bigint;
  /** What `random.fill` repeats. */
  random: Uint8Array;
  /** What `fetch` answers, by URL. */
  responses: Map<string, Response>;
};
/** Forgets what plugins have logged and counted, and what they were to find. */
export function resetHost(): void;

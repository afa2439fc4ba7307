/** What a plugin is given: typed views over the buffer. A part of `index.d.ts`. */

import type { Rows, UNREAD, Value } from './index.js';

/** Numbers of 64 bits without sign. */
export class U64s {
  private constructor();
  readonly length: number;
  /** As bigints, each of which is an object. */
  readonly words: BigUint64Array;
  /** As halves, the lower one first, which cost less. */
  readonly halves: Uint32Array;
  get(i: number): bigint;
  /** As a number, exact up to 2 ** 53. */
  number(i: number): number;
}
/** The rows where a column of bytes, such as `statusCodes`, has this value. */
export function rowsEqual(column: Uint8Array, value: number): Uint32Array;
/** The rows where a column such as `durations` has `limit` or more. Costs some ns a row, not the 100 of a loop. */
export function rowsAtLeast(column: U64s, limit: number | bigint): Uint32Array;

/** Ids of traces (16 bytes) or spans (8). */
export class Ids {
  private constructor();
  readonly length: number;
  /** All bytes, id after id. */
  readonly bytes: Uint8Array;
  get(i: number): Uint8Array;
  hex(i: number): string;
  /** The rows that have the same id as one of these, and these: all spans of their traces. */
  rowsLike(rows: Rows): Uint32Array;
  /**
   * For each row 1 where the last 56 bits of its id are less than `limit`, else 0. They are random (W3C Trace Context, level
   * 2): `2n ** 56n / 10n` is the limit of a tenth of all traces.
   */
  below(limit: number | bigint): Uint8Array;
}

/**
 * Texts or blobs: values that each stand once, and which of them each entry has; or a value for each entry. An entry
 * without a value is `undefined`.
 */
declare class Dictionary<T> {
  protected constructor();
  /** Entries. */
  readonly length: number;
  /** How many values there are. */
  readonly distinct: number;
  /** The values. Made when first asked for. */
  readonly values: T[];
  get(i: number): T | undefined;
  /** Which of `values` entry `i` has; -1 for none. */
  indexOf(i: number): number;
  /** One value, without making all of them. */
  value(number: number): T;
  /** `work` done for each entry, but called only once for each value. */
  map<R>(work: (value: T) => R): (R | undefined)[];
}
export class Texts extends Dictionary<string> {
  /**
   * The new text of each entry; `undefined` where there is none, or it stays what it is. `work` is given all values at once,
   * each with a `'\0'` behind it, and gives them back so: one call of a regular expression, and not one for each. A `'\0'` in
   * a value is passed as `'\ud800'`, which no text has.
   */
  rewrite(work: (texts: string) => string): (string | undefined)[];
}
/** Each an OTLP `AnyValue`. */
export class Blobs extends Dictionary<Uint8Array> {}

/** One attribute: the value that each of its owners has. */
export class Column {
  private constructor();
  readonly length: number;
  /** The type of each value. */
  readonly tags: Uint8Array;
  /** The texts that occur: what depends on the text alone is worked out once for each. */
  readonly values: string[];
  /** Which of `values` owner `i` has; -1 where the value is no text. */
  indexOf(i: number): number;
  /** The text of owner `i`, if its value is one. */
  text(i: number): string | undefined;
  /** The number of owner `i`, if its value is one; ints beyond 2 ** 53 rounded. */
  number(i: number): number | undefined;
  value(i: number): Value | typeof UNREAD | undefined;
  /** `work` done for the text of each owner, but called only once for each text. */
  map<R>(work: (text: string) => R): (R | undefined)[];
  /** The new text of each owner; `undefined` where the value is no text, or stays what it is. See `Texts.rewrite`. */
  rewrite(work: (texts: string) => string): (string | undefined)[];
}

/** Every attribute whose key begins so: a list of key and value, owner after owner. */
export class Pairs {
  private constructor();
  readonly length: number;
  /** Owner `i` has the pairs `start(i)` to `end(i)`. */
  readonly ends: Uint32Array;
  readonly keys: Texts;
  readonly values: Column;
  start(owner: number): number;
  end(owner: number): number;
  key(pair: number): string;
  value(pair: number): Value | typeof UNREAD;
}

/** What may be kept in the window, and what was: by the values of the budget's attribute. */
export class BudgetView {
  private constructor();
  /** One empty text where there is one budget for all. */
  readonly keys: Texts;
  readonly limits: U64s;
  readonly used: U64s;
  /** Which key each row (or trace) counts for; -1: none. */
  readonly index: Int32Array;
  /** Rows that may still be kept. */
  left(key: number): bigint;
}

/** The traces that a tail sampler decides on; an entry of each list for each. */
export class Traces {
  private constructor();
  readonly length: number;
  /** Trace `i` has the rows `start(i)` to `end(i)`; none where only the table is given. */
  readonly ends: Uint32Array;
  readonly ids: Ids;
  /** Nanoseconds since 1970. */
  readonly starts: U64s;
  /** From the first start to the last end, nanoseconds. */
  readonly durations: U64s;
  readonly spans: Uint32Array;
  /** Spans whose status is error. */
  readonly errors: Uint32Array;
  readonly services: Uint32Array;
  /** Empty where no root was seen. */
  readonly rootNames: Texts;
  readonly rootServices: Texts;
  readonly states: Uint8Array;
  start(trace: number): number;
  end(trace: number): number;
  /** Whether every parent of its spans is there. */
  complete(trace: number): boolean;
  /** Whether it was decided before. */
  late(trace: number): boolean;
}

/**
 * A batch: columns of spans, resources, scopes and events, of which a plugin sees those that it reads. What is not there
 * throws `BadInput`: the host sends whatever was in `reads`. Columns are views over the buffer, without copies.
 */
export class Batch {
  /** Throws `BadInput` when the buffer breaks a rule of `docs/reference/plugin-buffer.md`. */
  constructor(bytes: Uint8Array);
  /** Spans. */
  readonly rows: number;
  readonly resources: number;
  readonly scopes: number;
  readonly events: number;
  /** If anything of links is read. */
  readonly links: number;
  /** The column of an attribute, by its place in `reads`. */
  column(place: number): Column;
  /** All attributes whose key begins so, by the field's place in `reads`. */
  pairs(place: number): Pairs;
  /** A budget, by its place in `budgets`. */
  budget(place: number): BudgetView;
  /** The table of traces that a tail sampler decides on. */
  readonly traces: Traces;
  readonly traceIds: Ids;
  readonly spanIds: Ids;
  /** Zeros for roots. */
  readonly parentSpanIds: Ids;
  /** W3C tracestates. */
  readonly traceStates: Texts;
  readonly traceFlags: Uint32Array;
  readonly names: Texts;
  /** Each a `SpanKind`. */
  readonly kinds: Uint8Array;
  /** Nanoseconds since 1970. */
  readonly startTimes: U64s;
  /** Nanoseconds. */
  readonly durations: U64s;
  /** Each a `Status`. */
  readonly statusCodes: Uint8Array;
  readonly statusMessages: Texts;
  /** One per scope. */
  readonly scopeNames: Texts;
  /** One per scope. */
  readonly scopeVersions: Texts;
  /** One per event. */
  readonly eventNames: Texts;
  /** One per event, nanoseconds since 1970. */
  readonly eventTimes: U64s;
  readonly eventCounts: Uint32Array;
  readonly linkCounts: Uint32Array;
  /** Which resource each span is of. */
  readonly resourceIndices: Uint32Array;
  /** Which scope each span is of. */
  readonly scopeIndices: Uint32Array;
  /** Which span each event is of. */
  readonly eventSpans: Uint32Array;
  /** The keys of all span attributes of the batch, each once. */
  readonly spanAttributeKeys: Texts;
  /** One per resource: the address of whoever sent it, without the port. */
  readonly peerAddresses: Texts;
}

// What a plugin in AssemblyScript needs: the canonical ABI by hand, a reader of batches, a writer of decisions.
//
// Memory: nothing is collected while a call runs (asc --runtime minimal), so what is returned needs no care; when the host
// has read it, it calls the ...Read function, and everything that nobody holds is collected.

import * as codes from "./codes";

// ==== The canonical ABI

export function cabi_realloc(old: usize, from: usize, alignment: usize, to: usize): usize {
  const fresh = changetype<usize>(new ArrayBuffer(<i32>to));
  if (from > 0) memory.copy(fresh, old, from);
  return fresh;
}

export function describeRead(result: usize): void { __collect(); }
export function configureRead(result: usize): void { __collect(); }
export function processRead(result: usize): void { __collect(); }
export function sampleRead(result: usize): void { __collect(); }
export function decideRead(result: usize): void { __collect(); }

@external("traceweir:plugin/log@0.1.0", "write")
declare function importLog(level: u32, at: usize, len: usize): void;

/** 0 debug, 1 info, 2 warn, 3 error. */
export function log(level: u32, message: string): void {
  const utf8 = String.UTF8.encode(message);
  importLog(level, changetype<usize>(utf8), utf8.byteLength);
}

/** The text that the host has passed. */
export function text(at: usize, len: usize): string {
  return String.UTF8.decodeUnsafe(at, len);
}

/** Memory of a record, all 0. */
function record(size: i32): usize {
  return changetype<usize>(new ArrayBuffer(size));
}

function putText(at: usize, value: string): void {
  const utf8 = String.UTF8.encode(value);
  store<usize>(at, changetype<usize>(utf8));
  store<usize>(at, utf8.byteLength, 4);
}

/** The result of `describe`. */
export function described(name: string, version: string, description: string, schema: string, stateless: bool): usize {
  const result = record(36);
  putText(result, name);
  putText(result + 8, version);
  putText(result + 16, description);
  putText(result + 24, schema);
  store<u8>(result, stateless, 32);
  return result;
}

/** The result of `configure` of a plugin that reads these intrinsic fields, `codes.BATCH_...`, and writes nothing. */
export function configured(reads: u8[]): usize {
  const result = record(40);
  // A field is a variant of 20 bytes: 0, and its place in the WIT's enum.
  const fields = record(20 * reads.length);
  for (let i = 0; i < reads.length; i++) store<u8>(fields + 20 * i, reads[i] - 1, 4);
  store<usize>(result, fields, 4);
  store<u32>(result, reads.length, 8);
  return result;
}

/** The result of `configure` that refuses: the JSON path of the value, and why. */
export function refused(path: string, message: string): usize {
  const result = record(40);
  store<u8>(result, 1);
  putText(result + 4, path);
  putText(result + 12, message);
  return result;
}

/** The result of a call with a batch. */
export function answered(buffer: ArrayBuffer): usize {
  const result = record(16);
  store<usize>(result, changetype<usize>(buffer), 4);
  store<u32>(result, buffer.byteLength, 8);
  return result;
}

/** The result of a call with a batch that breaks the contract. */
export function badInput(message: string): usize {
  const result = record(16);
  store<u8>(result, 1);
  putText(result + 8, message);
  return result;
}

// ==== A batch

/** A section, where it lies. Entries are read with load: `load<u64>(column.at + 8 * i)`. */
export class Section {
  constructor(public kind: u16, public layout: u8, public domain: u8, public argument: u32, public at: usize, public len: u32) {}
}

/**
 * What a plugin is given. What is asked for is held against the rules of docs/reference/plugin-buffer.md when it is asked
 * for; `error` is the first rule that is broken, and what is read after it is empty.
 */
export class Batch {
  rows: u32 = 0;
  resources: u32 = 0;
  scopes: u32 = 0;
  events: u32 = 0;
  traces: u32 = 0;
  error: string = "";
  private sections: Section[] = [];

  constructor(at: usize, len: u32) {
    if (len < codes.HEADER_BYTES) {
      this.error = "the buffer is shorter than a header";
    } else if (load<u32>(at) != codes.BATCH_MAGIC || load<u16>(at, 4) != codes.VERSION) {
      this.error = "the buffer has another magic or version";
    } else {
      this.rows = load<u32>(at, 8);
      this.resources = load<u32>(at, 12);
      this.scopes = load<u32>(at, 16);
      this.events = load<u32>(at, 20);
      this.traces = load<u32>(at, 24);
      this.readTable(at, len);
    }
  }

  private readTable(at: usize, len: u32): void {
    const count = load<u32>(at, 28);
    if (count > (len - codes.HEADER_BYTES) / codes.ENTRY_BYTES) {
      this.error = "the table of sections reaches out of the buffer";
      return;
    }
    for (let i: u32 = 0; i < count; i++) {
      const row = at + codes.HEADER_BYTES + i * codes.ENTRY_BYTES;
      const offset = load<u32>(row, 8), bytes = load<u32>(row, 12);
      const inside = <u64>offset + bytes <= <u64>len;
      this.sections.push(
        new Section(load<u16>(row), load<u8>(row, 2), load<u8>(row, 3), load<u32>(row, 4), inside ? at + offset : 0, bytes),
      );
    }
  }

  /** The section of a kind (`codes.BATCH_...`) and argument, which must have this type and so many entries of a width each. */
  column(kind: u16, argument: u32, layout: u8, width: u32, entries: u32): usize {
    if (this.error.length > 0) return 0;
    for (let i = 0; i < this.sections.length; i++) {
      const s = this.sections[i];
      if (s.kind != kind || s.argument != argument || (kind == codes.BATCH_ATTRIBUTE && s.layout != layout)) continue;
      if (s.layout != layout) this.error = `section ${kind} has another type`;
      else if (s.at == 0) this.error = `section ${kind} reaches out of the buffer`;
      else if (s.len / width < entries) this.error = `section ${kind} has too few entries`;
      else return s.at;
      return 0;
    }
    this.error = `the batch lacks section ${kind}`;
    return 0;
  }

  /** Intrinsic fields of spans. */
  traceIds(): usize { return this.column(codes.BATCH_TRACE_ID, 0, codes.LAYOUT_ID16, 16, this.rows); }
  kinds(): usize { return this.column(codes.BATCH_KIND, 0, codes.LAYOUT_U8, 1, this.rows); }
  startTimes(): usize { return this.column(codes.BATCH_START_TIME, 0, codes.LAYOUT_U64, 8, this.rows); }
  durations(): usize { return this.column(codes.BATCH_DURATION, 0, codes.LAYOUT_U64, 8, this.rows); }
  statusCodes(): usize { return this.column(codes.BATCH_STATUS_CODE, 0, codes.LAYOUT_U8, 1, this.rows); }

  /** Which trace each row is of, numbered in the order of their first rows. */
  traceGroups(): Groups { return new Groups(this.traceIds(), this.error.length > 0 ? 0 : this.rows); }
}

export class Groups {
  of: StaticArray<u32>;
  count: u32 = 0;

  constructor(ids: usize, rows: u32) {
    const groups = new StaticArray<u32>(rows);
    this.of = groups;
    let places: u32 = 16;
    while (places < 2 * rows) places *= 2;
    // Each place has the first row of a trace, plus 1; at most half are taken.
    const table = new StaticArray<u32>(places);
    for (let row: u32 = 0; row < rows; row++) {
      const high = load<u64>(ids + 16 * row), low = load<u64>(ids + 16 * row, 8);
      const hash = ((high * 0x9e3779b97f4a7c15) ^ low) * 0x9e3779b97f4a7c15;
      let place = <u32>(hash ^ (hash >> 32)) & (places - 1);
      for (;;) {
        const first = table[place];
        if (first == 0) {
          table[place] = row + 1;
          groups[row] = this.count++;
          break;
        }
        const there = ids + 16 * (first - 1);
        if (load<u64>(there) == high && load<u64>(there, 8) == low) {
          groups[row] = groups[first - 1];
          break;
        }
        place = (place + 1) & (places - 1);
      }
    }
  }
}

// ==== An answer

/** The decisions of a sampler on rows: until something is said, they are kept. */
export class Decisions {
  private verdicts: StaticArray<u8>;
  private probabilities: StaticArray<f64>;
  private index: StaticArray<u32>;
  private reasons: string[] = [];
  private drawn: u32 = 0;

  constructor(private batch: Batch) {
    const rows = batch.rows;
    this.verdicts = new StaticArray<u8>(rows);
    this.probabilities = new StaticArray<f64>(rows);
    this.index = new StaticArray<u32>(rows);
    for (let row: u32 = 0; row < rows; row++) {
      this.verdicts[row] = codes.VERDICT_KEEP;
      this.index[row] = codes.NONE;
    }
  }

  /** A verdict is a `codes.VERDICT_...`; the probability counts with VERDICT_PROBABILITY alone. Once for each row. */
  decide(row: u32, verdict: u8, probability: f64, reason: string): void {
    this.verdicts[row] = verdict;
    if (verdict == codes.VERDICT_PROBABILITY) {
      this.probabilities[row] = probability;
      this.drawn++;
    }
    let at = this.reasons.indexOf(reason);
    if (at < 0) at = this.reasons.push(reason) - 1;
    this.index[row] = at;
  }

  /** The buffer, written in the one way that docs/reference/plugin-buffer.md describes. */
  encode(): ArrayBuffer {
    const rows = this.batch.rows;
    const reasons = this.encodeReasons();
    const count = 1 + u32(reasons.byteLength > 0) + u32(this.drawn > 0);
    const start: u32 = codes.HEADER_BYTES + count * codes.ENTRY_BYTES;
    const reasonAt = start, verdictAt = reasons.byteLength > 0 ? align(reasonAt + reasons.byteLength) : start;
    const probabilityAt = align(verdictAt + rows);
    const buffer = new ArrayBuffer(this.drawn > 0 ? probabilityAt + 8 * rows : verdictAt + rows);
    const at = changetype<usize>(buffer);
    const header: u32[] = [
      codes.ANSWER_MAGIC, codes.VERSION, rows, this.batch.resources, this.batch.scopes, this.batch.events, this.batch.traces, count,
    ];
    for (let i = 0; i < header.length; i++) store<u32>(at + 4 * i, header[i]);
    let row = at + codes.HEADER_BYTES;
    if (reasons.byteLength > 0) {
      row = putEntry(row, codes.ANSWER_REASON, codes.LAYOUT_TEXT, reasonAt, reasons.byteLength);
      memory.copy(at + reasonAt, changetype<usize>(reasons), reasons.byteLength);
    }
    row = putEntry(row, codes.ANSWER_VERDICT, codes.LAYOUT_U8, verdictAt, rows);
    memory.copy(at + verdictAt, changetype<usize>(this.verdicts), rows);
    if (this.drawn > 0) {
      putEntry(row, codes.ANSWER_PROBABILITY, codes.LAYOUT_F64, probabilityAt, 8 * rows);
      memory.copy(at + probabilityAt, changetype<usize>(this.probabilities), 8 * rows);
    }
    return buffer;
  }

  /** The section of reasons; empty where there are none. */
  private encodeReasons(): ArrayBuffer {
    if (this.reasons.length == 0) return new ArrayBuffer(0);
    const heap = String.UTF8.encode(this.reasons.join(""));
    const rows = this.batch.rows, values = this.reasons.length;
    const section = new ArrayBuffer(8 + 4 * rows + 4 * (values + 1) + heap.byteLength);
    let at = changetype<usize>(section);
    store<u32>(at, values);
    store<u32>(at, rows, 4);
    memory.copy(at + 8, changetype<usize>(this.index), 4 * rows);
    at += 8 + 4 * rows;
    let end = 0;
    for (let i = 0; i < values; i++) {
      end += String.UTF8.byteLength(this.reasons[i]);
      store<u32>(at + 4 * (i + 1), end);
    }
    memory.copy(at + 4 * (values + 1), changetype<usize>(heap), heap.byteLength);
    return section;
  }
}

function align(offset: u32): u32 {
  return (offset + 7) & ~7;
}

/** Writes a row of the table, and says where the next one is. */
function putEntry(at: usize, kind: u16, layout: u8, offset: u32, len: u32): usize {
  store<u16>(at, kind);
  store<u8>(at, layout, 2);
  store<u8>(at, codes.DOMAIN_SPANS, 3);
  store<u32>(at, offset, 8);
  store<u32>(at, len, 12);
  return at + codes.ENTRY_BYTES;
}

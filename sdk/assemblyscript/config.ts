// Configurations that are one object of numbers, strings and booleans: { "slow_ms": 500, "ratio": 0.1 }.

/** Reads members one after the other; `path` and `message` say what is wrong first, and nothing is read after it. */
export class Config {
  path: string = "";
  message: string = "";
  /** The key of the member whose value is next. */
  key: string = "";
  private at: i32 = 0;
  private members: i32 = -1;

  constructor(private json: string) {}

  get failed(): bool { return this.path.length > 0; }

  fail(path: string, message: string): void {
    if (this.failed) return;
    this.path = path;
    this.message = message;
  }

  /** The value that was read last cannot be used. */
  wrong(message: string): void { this.fail("$." + this.key, message); }
  unknown(): void { this.wrong("unknown"); }

  /** Goes to the next member; false behind the last, or when something is wrong. */
  next(): bool {
    if (this.failed) return false;
    if (this.members++ < 0 && !this.take(0x7b /* { */)) this.fail("$", "must be an object");
    if (this.failed || this.take(0x7d /* } */)) return this.end();
    if (this.members > 0 && !this.take(0x2c /* , */)) this.fail("$", "is not JSON: a comma is missing");
    this.key = this.string("$");
    if (!this.take(0x3a /* : */)) this.wrong("is not JSON: a colon is missing");
    return !this.failed;
  }

  /** A number, as JSON has them. */
  number(): f64 {
    const start = this.skip();
    let at = start;
    while (at < this.json.length && isPartOfNumber(this.json.charCodeAt(at))) at++;
    const digits = this.json.substring(start, at);
    const value = F64.parseFloat(digits);
    if (!isNumber(digits) || !isFinite<f64>(value)) {
      this.wrong("must be a number");
      return 0;
    }
    this.at = at;
    return value;
  }

  /** A whole number from 0 to max. */
  uint(max: u32): u32 {
    const start = this.skip();
    const value = this.number();
    if (this.failed) return 0;
    for (let at = start; at < this.at; at++) {
      if (!isDigit(this.json.charCodeAt(at))) this.wrong("must be a whole number");
    }
    if (value > <f64>max) this.wrong("is too large");
    return this.failed ? 0 : <u32>value;
  }

  boolean(): bool {
    const start = this.skip();
    const is = this.json.startsWith("true", start);
    if (is) this.at = start + 4;
    else if (this.json.startsWith("false", start)) this.at = start + 5;
    else this.wrong("must be true or false");
    return is;
  }

  /** A string without escapes: those are refused. */
  string(path: string = "$." + this.key): string {
    if (!this.take(0x22 /* " */)) {
      this.fail(path, "must be a string");
      return "";
    }
    const end = this.json.indexOf('"', this.at);
    const value = end < 0 ? "" : this.json.substring(this.at, end);
    if (end < 0 || value.includes("\\")) this.fail(path, "is not JSON, or has an escape");
    this.at = end + 1;
    return value;
  }

  private end(): bool {
    if (this.skip() < this.json.length) this.fail("$", "there is more after its end");
    return false;
  }

  private skip(): i32 {
    while (this.at < this.json.length && isSpace(this.json.charCodeAt(this.at))) this.at++;
    return this.at;
  }

  private take(char: i32): bool {
    if (this.skip() >= this.json.length || this.json.charCodeAt(this.at) != char) return false;
    this.at++;
    return true;
  }
}

function isSpace(char: i32): bool {
  return char == 0x20 || char == 0x09 || char == 0x0a || char == 0x0d;
}

function isDigit(char: i32): bool {
  return char >= 0x30 && char <= 0x39;
}

function isPartOfNumber(char: i32): bool {
  return isDigit(char) || char == 0x2b || char == 0x2d || char == 0x2e || char == 0x45 || char == 0x65;
}

/** -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
function isNumber(text: string): bool {
  let at = text.startsWith("-") ? 1 : 0;
  const whole = at;
  at = digits(text, at);
  if (at == whole || (at > whole + 1 && text.charCodeAt(whole) == 0x30)) return false;
  if (at < text.length && text.charCodeAt(at) == 0x2e) {
    const fraction = ++at;
    at = digits(text, at);
    if (at == fraction) return false;
  }
  if (at < text.length && (text.charCodeAt(at) | 0x20) == 0x65) {
    at++;
    if (at < text.length && (text.charCodeAt(at) == 0x2b || text.charCodeAt(at) == 0x2d)) at++;
    const exponent = at;
    at = digits(text, at);
    if (at == exponent) return false;
  }
  return at == text.length;
}

function digits(text: string, at: i32): i32 {
  while (at < text.length && isDigit(text.charCodeAt(at))) at++;
  return at;
}

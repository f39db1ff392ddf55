/** A shorter line of a value may well be a line of other text. */
const SHORTEST_LINE = 16;

/**
 * Takes values out of what a tool says, before any of it is kept: as they are, line by line, in base64 and base64url (wherever
 * they begin in what was encoded), in hex, URL-encoded and JSON-escaped. What a tool does otherwise with a value it was given,
 * nobody can recognize.
 */
export class Redactor {
  /** Bytes as characters (latin1), so that any output can be searched, text or not. */
  private readonly pattern: RegExp | undefined;
  private readonly labels = new Map<string, string>();
  /** The length of the longest form: what may still be the beginning of one at the end of a chunk is one less. */
  private readonly longest: number = 0;

  /** @param secrets values by their keys */
  constructor(secrets: ReadonlyMap<string, string>) {
    for (const [key, value] of secrets) {
      for (const form of formsOf(value)) if (!this.labels.has(form)) this.labels.set(form, `[secret:${key}]`);
    }
    // The longest first: one value may be a part of another.
    const forms = [...this.labels.keys()].sort((a, b) => b.length - a.length);
    this.longest = forms[0]?.length ?? 0;
    if (forms.length > 0) this.pattern = new RegExp(forms.map(escapeForPattern).join('|'), 'g');
  }

  bytes(data: Buffer): Buffer {
    return this.pattern ? Buffer.from(this.replace(data.toString('latin1')), 'latin1') : data;
  }

  text(text: string): string {
    return this.pattern ? this.bytes(Buffer.from(text, 'utf8')).toString('utf8') : text;
  }

  /** All texts of a JSON value, names of fields included. */
  json<T>(value: T): T {
    return this.pattern ? (this.walk(value) as T) : value;
  }

  /** A chunk after another: whatever is split between two is found. `end` gives what was held back. */
  stream(): { write(chunk: Buffer): Buffer; end(): Buffer } {
    let held = '';
    const { pattern } = this;
    if (!pattern) return { write: (chunk) => chunk, end: () => Buffer.alloc(0) };
    return {
      write: (chunk) => {
        const text = held + chunk.toString('latin1');
        // A match that begins behind this point may go on in the next chunk.
        const safe = Math.max(0, text.length - this.longest + 1);
        let done = '';
        let from = 0;
        for (const match of text.matchAll(pattern)) {
          if (match.index >= safe) break;
          done += text.slice(from, match.index) + (this.labels.get(match[0]) ?? '');
          from = match.index + match[0].length;
        }
        const to = Math.max(from, safe);
        held = text.slice(to);
        return Buffer.from(done + text.slice(from, to), 'latin1');
      },
      end: () => {
        const rest = this.replace(held);
        held = '';
        return Buffer.from(rest, 'latin1');
      },
    };
  }

  private replace(text: string): string {
    return this.pattern ? text.replace(this.pattern, (form) => this.labels.get(form) ?? '') : text;
  }

  private walk(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return value.map((one) => this.walk(one));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [this.text(name), this.walk(one)]));
  }
}

/** Redacts nothing. */
export const NOTHING_SECRET = new Redactor(new Map());

function formsOf(value: string): Set<string> {
  const bytes = Buffer.from(value, 'utf8');
  const url = encodeURIComponent(value);
  const form = new URLSearchParams({ x: value }).toString().slice('x='.length);
  const json = JSON.stringify(value).slice(1, -1);
  // A key in PEM is printed line by line, each perhaps behind something.
  const lines = value.includes('\n') ? value.split('\n').map((line) => line.trim()) : [];
  const forms = [
    value,
    ...[0, 1, 2].flatMap((offset) => {
      const inner = base64Inside(bytes, offset);
      return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')];
    }),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    url,
    form,
    ...[url, form].map((text) => text.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())),
    json,
    json.replaceAll('/', '\\/'),
    ...lines.filter((line) => line.length >= SHORTEST_LINE),
  ];
  return new Set(forms.map((text) => Buffer.from(text).toString('latin1')));
}

/** The characters of base64 that come of these bytes alone, when `offset` others stand before them. */
function base64Inside(bytes: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  return encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
}

function escapeForPattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

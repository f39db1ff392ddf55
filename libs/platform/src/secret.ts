import { inspect } from 'node:util';

const REDACTED = '[redacted]';

/**
 * A text that must not reach a log line, an error message or a JSON document by accident. Printing it in any way gives
 * `[redacted]`; `reveal()` is the only way to the text, so that every use can be found by searching for it.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself. Hand it to the receiver at once; do not store it. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}

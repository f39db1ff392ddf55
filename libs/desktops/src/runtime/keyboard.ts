/** Runs one of the tools that a screen is worked with, by its command line. */
export type RunTool = (command: readonly string[], signal: AbortSignal, input?: string) => Promise<Buffer>;

/** Between two keys, in ms: programs that draw each one lose some when they come faster. */
const DELAY_MS = '8';
/** Runs of characters that the keyboard has, and of those it has not. */
const RUNS = /[\x20-\x7e\n\t]+|[^\x20-\x7e\n\t]+/g;
const PLAIN = /^[\x20-\x7e\n\t]/;

/**
 * Types on a screen whose keyboard is that of the United States. A character it does not have is given a key that stands for nothing, and
 * keeps it until another needs it. Tools that lend a key for one stroke and take it back lose characters where programs are slow: a
 * program hears that keys have changed before it hears of the stroke, but looks up what they are only then.
 */
export class Keyboard {
  private spare: number[] | undefined;
  /** By character; the one lent longest ago comes first. */
  private readonly lent = new Map<string, number>();

  constructor(private readonly run: RunTool) {}

  async type(text: string, signal: AbortSignal): Promise<void> {
    for (const part of text.match(RUNS) ?? []) {
      if (!PLAIN.test(part)) await this.typeForeign(part, signal);
      // On standard input: what is typed may be a password, and arguments are seen by others.
      else await this.run(['xdotool', 'type', '--clearmodifiers', '--delay', DELAY_MS, '--file', '-'], signal, part);
    }
  }

  private async typeForeign(text: string, signal: AbortSignal): Promise<void> {
    this.spare ??= spareKeys((await this.run(['xmodmap', '-pke'], signal)).toString());
    const characters = [...text];
    for (let begin = 0, end = 0; begin < characters.length; begin = end) {
      // As many as there are keys for at a time.
      const distinct = new Set<string>();
      for (; end < characters.length; end += 1) {
        distinct.add(characters[end] as string);
        if (distinct.size > this.spare.length) break;
      }
      if (end === begin) throw new Error('the keyboard has no key to spare');
      const codes = await this.keysOf(characters.slice(begin, end), signal);
      await this.run(['xdotool', 'key', '--clearmodifiers', '--delay', DELAY_MS, ...codes], signal);
    }
  }

  /** The keys of characters, after those that have none were lent one. */
  private async keysOf(characters: readonly string[], signal: AbortSignal): Promise<string[]> {
    const lines: string[] = [];
    const needed = new Set(characters);
    for (const character of needed) {
      const key = this.lent.get(character) ?? this.takeKey(needed);
      if (!this.lent.has(character)) lines.push(`keycode ${key} = ${keysymOf(character)} ${keysymOf(character)}`);
      this.lent.delete(character);
      this.lent.set(character, key);
    }
    if (lines.length > 0) await this.run(['xmodmap', '-'], signal, `${lines.join('\n')}\n`);
    return characters.map((character) => String(this.lent.get(character)));
  }

  /** A key that nobody has, or else the one that was lent longest ago for none of those needed now. */
  private takeKey(needed: ReadonlySet<string>): number {
    const taken = new Set(this.lent.values());
    const free = this.spare?.find((key) => !taken.has(key));
    if (free !== undefined) return free;
    for (const [character, key] of this.lent) {
      if (needed.has(character)) continue;
      this.lent.delete(character);
      return key;
    }
    throw new Error('there are as many keys as characters');
  }
}

/** The keys that stand for nothing, from a table as `xmodmap -pke` prints it. */
export function spareKeys(table: string): number[] {
  return [...table.matchAll(/^keycode +(\d+) =\s*$/gm)].map(([, code]) => Number(code)).filter((code) => code >= 100);
}

/** A character as X names it: U20AC. */
function keysymOf(character: string): string {
  return `U${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

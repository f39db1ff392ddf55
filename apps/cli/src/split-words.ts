import { UsageError } from './exit-codes';

/**
 * Splits a command line into words as a POSIX shell does, and does nothing else: single and double quotes, backslashes and
 * white space mean what they mean there; `$`, `*`, `~`, `|`, `;` and the like are ordinary characters, because no shell will
 * see them. @throws {UsageError} for a quote that is not closed, or a backslash at the end
 */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  // undefined between words: `''` is a word although it is empty.
  let word: string | undefined;
  let quote: '"' | "'" | undefined;
  for (let i = 0; i < line.length; i += 1) {
    const char = line.charAt(i);
    if (char === quote) {
      quote = undefined;
    } else if (char === '\\' && quote !== "'") {
      const escaped = line.charAt((i += 1));
      if (escaped === '') throw new UsageError('--cli: the command ends with a lone backslash');
      // Between double quotes a backslash is itself before anything but these.
      const isKept = quote === '"' && !'"\\$`\n'.includes(escaped);
      word = (word ?? '') + (isKept ? `\\${escaped}` : escaped === '\n' ? '' : escaped);
    } else if (quote === undefined && (char === '"' || char === "'")) {
      quote = char;
      word ??= '';
    } else if (quote === undefined && /[ \t\r\n]/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote !== undefined) throw new UsageError(`--cli: a ${quote} is not closed`);
  return word === undefined ? words : [...words, word];
}

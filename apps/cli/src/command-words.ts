/**
 * Splits a command as a shell splits words: at white space, with single quotes, double quotes and backslashes. Nothing is
 * expanded; a command that wants a shell says `sh -c '…'`. @throws {Error} for a quote that is not closed
 */
export function commandWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let i = 0; i < line.length; i += 1) {
    const char = line[i] as string;
    if (quote) {
      if (char === quote) quote = undefined;
      else if (char === '\\' && quote === '"' && /["\\$`]/.test(line[i + 1] ?? '')) word += line[++i] as string;
      else word += char;
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word ??= '';
      if (char === "'" || char === '"') quote = char;
      else if (char === '\\' && i + 1 < line.length) word += line[++i] as string;
      else word += char;
    }
  }
  if (quote) throw new Error(`the command has a ${quote} that is not closed`);
  if (word !== undefined) words.push(word);
  return words;
}

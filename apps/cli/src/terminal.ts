/** Where a command writes. Results go to `out`, everything said about them to `err`, so that a pipe gets results only. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
}

/** Columns aligned by their widest cell, two spaces apart; no line ends in spaces. Empty rows give the header alone. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows].map((row) => row.map(onOneLine));
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd())
    .map((line) => `${line}\n`)
    .join('');
}

/** Names and values below one another; a pair without a value is left out. */
export function fields(pairs: readonly (readonly [string, string | undefined | null])[]): string {
  const shown = pairs.filter((pair): pair is [string, string] => typeof pair[1] === 'string');
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${onOneLine(value)}\n`).join('');
}

/**
 * Text of others, safe to print: control characters could move the cursor and rewrite what stands above. Used for names
 * and messages; a command's own output is printed as it is.
 */
export function onOneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}]+/gu, ' ');
}

import type { Action } from '@tyrum/protocol';

/**
 * The names by which policies know an action's tool: its type, and the type with what it does: `Filesystem.write`, `Http.POST`,
 * `Node.tyrum.fs.read`, `Mcp.github.create_issue`.
 */
export function toolIdsOf({ type, args }: Action): readonly string[] {
  const fields = args as Readonly<Record<string, unknown>>;
  const verb = type === 'Http' ? String(fields['method']).toUpperCase() : (fields['capability'] ?? fields['op']);
  const name = type === 'Mcp' ? [fields['server'], fields['tool']].join('.') : verb;
  return typeof name === 'string' ? [type, `${type}.${name}`] : [type];
}

/** What a pattern of a standing answer is held against: one line, in which no two different actions of the kind look alike. */
export function subjectOf({ type, args }: Action): string {
  const fields = args as Readonly<Record<string, unknown>>;
  switch (type) {
    case 'CLI':
      return [fields['cmd'], ...((fields['args'] as unknown[] | undefined) ?? [])].map(quoted).join(' ');
    case 'Http':
      return `${String(fields['method']).toUpperCase()} ${String(fields['url'])}`;
    case 'Filesystem':
      return [fields['op'], fields['path'] ?? fields['pattern'] ?? ''].map(quoted).join(' ');
    default:
      return JSON.stringify(fields);
  }
}

/** A pattern that only this action matches. */
export function exactPattern(action: Action): string {
  return subjectOf(action).replace(/[\\*]/g, '\\$&');
}

/** Whether a pattern matches the whole of `text`: `*` is any number of characters, `\` takes the next one literally. */
export function matchesPattern(pattern: string, text: string): boolean {
  const pieces: string[] = [''];
  for (let i = 0; i < pattern.length; i += 1) {
    const char = pattern[i] as string;
    if (char === '*') pieces.push('');
    else pieces[pieces.length - 1] += char === '\\' && i + 1 < pattern.length ? (pattern[(i += 1)] as string) : char;
  }
  const [first = '', ...rest] = pieces;
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  // Without a regular expression: nobody's pattern may take longer than pattern × text.
  let at = first.length;
  const end = text.length - last.length;
  for (const piece of rest) {
    const found = text.indexOf(piece, at);
    if (found === -1 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}

/** A word as it is, or in JSON's quotes where it could be taken for several or for none. */
function quoted(word: unknown): string {
  const text = String(word);
  return /^[^\s"'\\]+$/.test(text) ? text : JSON.stringify(text);
}

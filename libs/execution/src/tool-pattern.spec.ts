import type { Action } from '@tyrum/protocol';
import { exactPattern, matchesPattern, subjectOf, toolIdsOf } from './tool-pattern';

const cli = (cmd: string, ...args: string[]) => ({ type: 'CLI', args: { cmd, args } }) as Action;

it.each([
  [['CLI'], cli('ls')],
  [['Filesystem', 'Filesystem.write'], { type: 'Filesystem', args: { op: 'write', path: 'x', content: '' } }],
  [['Http', 'Http.POST'], { type: 'Http', args: { method: 'post', url: 'http://x/' } }],
  [['Node', 'Node.tyrum.fs.read'], { type: 'Node', args: { capability: 'tyrum.fs.read', op: 'x' } }],
  [['Mcp', 'Mcp.github.create'], { type: 'Mcp', args: { server: 'github', tool: 'create' } }],
])('calls a tool %j', (names, action) => expect(toolIdsOf(action as Action)).toEqual(names));

it('tells one argument from two, and an argument from its quotes', () => {
  const lines = [
    cli('echo', 'a b'),
    cli('echo', 'a', 'b'),
    cli('echo', '"a b"'),
    cli('echo', 'a', ''),
    cli('echo', 'a'),
  ];
  expect(new Set(lines.map(subjectOf)).size).toBe(lines.length);
});

it.each([
  [true, 'git *', 'git status'],
  [true, '*', ''],
  [true, 'a*b*c', 'aXbYc'],
  [true, 'a*a', 'aa'],
  [true, 'a\\*b', 'a*b'],
  [true, 'x\\', 'x\\'],
  [false, 'a\\*b', 'aXb'],
  [false, 'git *', 'github'],
  [false, 'git *', ' git status'],
  [false, 'git', 'git status'],
  [false, 'a*a', 'a'],
  [false, 'a*bb*b', 'abb'],
  [false, '*x*', 'abc'],
])('says %s of %s for %s', (expected, pattern, text) => expect(matchesPattern(pattern, text)).toBe(expected));

it('matches exactly the action an exact pattern was made from', () => {
  const action = cli('rm', '*', 'a\\b');
  expect(matchesPattern(exactPattern(action), subjectOf(action))).toBe(true);
  expect(matchesPattern(exactPattern(action), subjectOf(cli('rm', 'x', 'a\\b')))).toBe(false);
});

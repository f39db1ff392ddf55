import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { ALLOWED, EXTERNAL_BANS } from './boundaries.mjs';

interface Snippet {
  /** An existing file, whose place in the workspace and types count; its text does not. */
  readonly filePath: string;
  readonly text: string;
}

interface Problem {
  readonly line: number;
  readonly rule: string;
}

const ROOT = join(__dirname, '..', '..');
const LIBS = Object.keys(ALLOWED);
const PACKAGES = EXTERNAL_BANS.flatMap(({ packages }) => packages);

function lint(snippets: readonly Snippet[]): Problem[][] {
  const output = execFileSync(process.execPath, [join(__dirname, 'lint-snippets.mjs')], {
    cwd: ROOT,
    input: JSON.stringify(snippets),
    encoding: 'utf8',
    env: { ...process.env, NX_DAEMON: 'false' },
  });
  return JSON.parse(output) as Problem[][];
}

/** Imports each of `names` on a line of its own in `filePath`; answers those that `rule` refuses. */
function refusedImports(files: readonly string[], names: readonly string[], rule: string): string[][] {
  const text = names.map((name) => `import '${name}';\n`).join('');
  return lint(files.map((filePath) => ({ filePath, text }))).map((problems) =>
    problems.filter((problem) => problem.rule === rule).map(({ line }) => names[line - 1] as string),
  );
}

const indexOf = (lib: string) => `libs/${lib}/src/index.ts`;

describe('lint', () => {
  it('refuses every import of a library that the table does not allow, and only those', () => {
    const refused = refusedImports(
      LIBS.map(indexOf),
      LIBS.map((lib) => `@tyrum/${lib}`),
      '@nx/enforce-module-boundaries',
    );
    const expected = LIBS.map((lib) => LIBS.filter((to) => !ALLOWED[lib]?.includes(to)).map((to) => `@tyrum/${to}`));
    expect(Object.fromEntries(refused.map((names, i) => [LIBS[i], names]))).toEqual(
      Object.fromEntries(expected.map((names, i) => [LIBS[i], names])),
    );
  });

  it('lets an app import every library, and nothing an app', () => {
    const everything = LIBS.map((lib) => `@tyrum/${lib}`);
    const [fromApp] = refusedImports(['apps/edge/src/main.ts'], everything, '@nx/enforce-module-boundaries');
    expect(fromApp).toEqual([]);
    const app = '../../../apps/edge/src/edge.module';
    const [fromLib] = refusedImports([indexOf('gateway')], [app], '@nx/enforce-module-boundaries');
    expect(fromLib).toEqual([app]);
  });

  it('keeps each npm package with its owner, subpaths included', () => {
    const files = [...LIBS.map(indexOf), 'apps/edge/src/main.ts'];
    const names = PACKAGES.flatMap((name) => [name, `${name}/sub/path`]);
    const refused = refusedImports(files, names, 'no-restricted-imports');
    const expected = [...LIBS, 'app'].map((lib) =>
      EXTERNAL_BANS.filter(({ only }) => !only.includes(lib))
        .flatMap(({ packages }) => packages)
        .flatMap((name) => [name, `${name}/sub/path`]),
    );
    expect(Object.fromEntries(refused.map((found, i) => [files[i], found]))).toEqual(
      Object.fromEntries(expected.map((found, i) => [files[i], found])),
    );
  });

  it('keeps test code out of production code', () => {
    const names = ['@tyrum/protocol', '@tyrum/statestore/testing', '@tyrum/test-services', './testing', './testing/x'];
    const files = [indexOf('leases'), 'apps/edge/src/main.ts', 'apps/edge/src/edge.module.ts'];
    const [, ...testCode] = names;
    expect(refusedImports(files, names, 'no-restricted-imports')).toEqual([testCode, testCode, testCode]);
    const tests = ['libs/leases/src/leases.int.spec.ts', 'libs/statestore/src/testing/index.ts'];
    expect(refusedImports(tests, names, 'no-restricted-imports')).toEqual([[], []]);
  });

  it('keeps Nest bindings of others out of the domain', () => {
    const files = [indexOf('gateway'), 'libs/gateway/src/gateway.module.ts', 'apps/edge/src/edge.module.ts'];
    const name = '@tyrum/execution/nest';
    expect(refusedImports(files, [name], 'no-restricted-imports')).toEqual([[name], [], []]);
  });

  it.each([
    ['a floating promise', 'export async function f() {}\nf();', '@typescript-eslint/no-floating-promises', 2],
    [
      'a promise as a condition',
      'export async function f() {}\nif (f()) f;',
      '@typescript-eslint/no-misused-promises',
      2,
    ],
    ['the environment outside of configuration', '\nexport const e = process.env;', 'no-restricted-properties', 2],
    ['a focused test', `describe.only('x', () => {});`, 'no-restricted-syntax', 1],
    ['a skipped test', `it.skip('x', () => {});`, 'no-restricted-syntax', 1],
    ['a skipped table', `it.skip.each([1])('x', () => {});`, 'no-restricted-syntax', 1],
    ['a test skipped by its name', `xit('x', () => {});`, 'no-restricted-syntax', 1],
    ['six parameters', 'export const f = (a: 1, b: 1, c: 1, d: 1, e: 1, g: 1) => [a, b, c, d, e, g];', 'max-params', 1],
    ['401 lines', `${'//\n'.repeat(400)}export {};`, 'max-lines', 401],
  ])('refuses %s', (_what, text, rule, line) => {
    const [problems] = lint([{ filePath: indexOf('leases'), text }]);
    expect(problems).toContainEqual({ line, rule });
  });

  it('lets main.ts and config.ts read the environment', () => {
    const text = 'export const e = process.env;';
    const files = ['apps/edge/src/main.ts', 'apps/cli/src/config.ts'];
    expect(lint(files.map((filePath) => ({ filePath, text })))).toEqual([[], []]);
  });
});

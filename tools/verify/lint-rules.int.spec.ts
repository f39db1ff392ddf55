import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
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
const SUBPATH = '/sub/path';
const PACKAGES = EXTERNAL_BANS.flatMap(({ packages }) => packages).flatMap((name) => [name, name + SUBPATH]);

const BOUNDARIES = '@nx/enforce-module-boundaries';
const IMPORTS = 'no-restricted-imports';
const EVERY_LIB = LIBS.map((lib) => `@tyrum/${lib}`);

// Loading ESLint, the types and the project graph takes seconds: all snippets are linted at once, before the first test.
const snippets: Snippet[] = [];
let problems: Problem[][] = [];

/** Has `text` linted as the contents of `filePath`; the answer is there when a test runs. */
function lint(filePath: string, text: string): () => Problem[] {
  const index = snippets.push({ filePath, text }) - 1;
  return () => problems[index] as Problem[];
}

/** Imports each of `names` in `filePath`; answers those that `rule` refuses. */
function lintImports(filePath: string, names: readonly string[], rule: string): () => string[] {
  const found = lint(filePath, names.map((name) => `import '${name}';\n`).join(''));
  return () =>
    found()
      .filter((problem) => problem.rule === rule)
      .map(({ line }) => names[line - 1] as string);
}

const indexOf = (lib: string) => `libs/${lib}/src/index.ts`;

describe('lint', () => {
  // As on a fresh clone: where nx has no project graph, its boundary rule would check nothing.
  const nxData = mkdtempSync(join(tmpdir(), 'tyrum-lint-'));
  afterAll(() => rmSync(nxData, { recursive: true, force: true }));

  beforeAll(() => {
    const output = execFileSync(process.execPath, [join(__dirname, 'lint-snippets.mjs')], {
      cwd: ROOT,
      input: JSON.stringify(snippets),
      encoding: 'utf8',
      env: { ...process.env, NX_DAEMON: 'false', NX_WORKSPACE_DATA_DIRECTORY: nxData },
    });
    problems = JSON.parse(output) as Problem[][];
  });

  describe.each(LIBS)('in libs/%s', (lib) => {
    const libs = lintImports(indexOf(lib), EVERY_LIB, BOUNDARIES);
    it('refuses every import of a library that the table does not allow, and only those', () => {
      expect(libs()).toEqual(EVERY_LIB.filter((name) => !ALLOWED[lib]?.includes(name.slice('@tyrum/'.length))));
    });

    const packages = lintImports(indexOf(lib), PACKAGES, IMPORTS);
    it('keeps each npm package with its owner, subpaths included', () => {
      expect(packages()).toEqual(bannedFor(lib));
    });
  });

  const fromApp = lintImports('apps/edge/src/main.ts', [...EVERY_LIB, ...PACKAGES], BOUNDARIES);
  const packagesInApp = lintImports('apps/edge/src/main.ts', PACKAGES, IMPORTS);
  it('lets an app import every library, and none of their packages', () => {
    expect(fromApp()).toEqual([]);
    expect(packagesInApp()).toEqual(bannedFor('app'));
  });

  const ofPages = [...EVERY_LIB, ...PACKAGES, 'node:fs', './app', 'react', 'react-dom/client'];
  const inConsole = lintImports('apps/console/src/main.tsx', ofPages, '@typescript-eslint/no-restricted-imports');
  it('keeps everything out of the console but React and its own files; of the protocol it has types', () => {
    expect(inConsole()).toEqual([...EVERY_LIB, ...PACKAGES, 'node:fs']);
  });

  const app = '../../../apps/edge/src/edge.module';
  const appInLib = lintImports(indexOf('gateway'), [app], BOUNDARIES);
  it('lets nothing import an app', () => {
    expect(appInLib()).toEqual([app]);
  });

  const signals = lint(
    indexOf('gateway'),
    `export const mayBeLost = AbortSignal.any([AbortSignal.timeout(1)]);\nexport const kept = AbortSignal.timeout(1);\n`,
  );
  it('refuses a time limit that nothing holds', () => {
    expect(signals()).toEqual([{ line: 1, rule: 'no-restricted-syntax' }]);
  });

  const testCode = ['@tyrum/statestore/testing', '@tyrum/test-services', './testing', './testing/x'];
  it.each(
    [indexOf('leases'), 'apps/edge/src/main.ts', 'apps/edge/src/edge.module.ts'].map(
      (file) => [file, lintImports(file, ['@tyrum/protocol', ...testCode], IMPORTS)] as const,
    ),
  )('keeps test code out of %s', (_file, refused) => {
    expect(refused()).toEqual(testCode);
  });

  it.each(
    ['libs/leases/src/leases.int.spec.ts', 'libs/statestore/src/testing/index.ts'].map(
      (file) => [file, lintImports(file, testCode, IMPORTS)] as const,
    ),
  )('lets %s import test code', (_file, refused) => {
    expect(refused()).toEqual([]);
  });

  const binding = '@tyrum/execution/nest';
  it.each(
    [
      ['domain', indexOf('gateway'), [binding]],
      ['module', 'libs/gateway/src/gateway.module.ts', []],
      ['app', 'apps/edge/src/edge.module.ts', []],
    ].map(([what, file, expected]) => [what, lintImports(file as string, [binding], IMPORTS), expected] as const),
  )('keeps Nest bindings of other libraries out of the domain: %s', (_what, refused, expected) => {
    expect(refused()).toEqual(expected);
  });

  it.each(
    (
      [
        ['a floating promise', 'export async function f() {}\nf();', '@typescript-eslint/no-floating-promises', 2],
        [
          'a promise as a condition',
          'export async function f() {}\nif (f()) f;',
          '@typescript-eslint/no-misused-promises',
          2,
        ],
        ['the environment outside of configuration', 'export const e = process.env;', 'no-restricted-properties', 1],
        ['a focused test', `describe.only('x', () => {});`, 'no-restricted-syntax', 1],
        ['a skipped test', `it.skip('x', () => {});`, 'no-restricted-syntax', 1],
        ['a skipped table', `it.skip.each([1])('x', () => {});`, 'no-restricted-syntax', 1],
        ['a test skipped by its name', `xit('x', () => {});`, 'no-restricted-syntax', 1],
        [
          'six parameters',
          'export const f = (a: 1, b: 1, c: 1, d: 1, e: 1, g: 1) => [a, b, c, d, e, g];',
          'max-params',
          1,
        ],
        ['401 lines', `${'//\n'.repeat(400)}export {};`, 'max-lines', 401],
      ] as const
    ).map(([what, text, rule, line]) => [what, lint(indexOf('leases'), text), { line, rule }] as const),
  )('refuses %s', (_what, found, expected) => {
    expect(found()).toContainEqual(expected);
  });

  it.each(
    ['apps/edge/src/main.ts', 'apps/cli/src/config.ts'].map(
      (file) => [file, lint(file, 'export const e = process.env;')] as const,
    ),
  )('lets %s read the environment', (_file, found) => {
    expect(found()).toEqual([]);
  });
});

function bannedFor(lib: string): string[] {
  const packages = EXTERNAL_BANS.filter(({ only }) => !only.includes(lib)).flatMap((ban) => ban.packages);
  return PACKAGES.filter((name) => packages.includes(name.replace(SUBPATH, '')));
}

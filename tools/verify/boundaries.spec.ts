import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { ALLOWED } from './boundaries.mjs';

const ROOT = join(__dirname, '..', '..');
const LIBS = Object.keys(ALLOWED);
const IMPORT = /(?:\bfrom|\bimport|\brequire\()\s*\(?\s*'([^']+)'/g;

interface Import {
  readonly file: string;
  readonly name: string;
}

/** Every import in the production code below a folder. */
function importsIn(folder: string): Import[] {
  const files = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts') && !file.split(sep).includes('testing'))
    .map((file) => join(folder, file));
  return files.flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(IMPORT)].map(([, name]) => ({ file, name: name as string })),
  );
}

const project = (folder: string) =>
  JSON.parse(readFileSync(join(ROOT, folder, 'project.json'), 'utf8')) as { readonly tags: readonly string[] };

describe('the import rules', () => {
  it('name every library, by the tag it carries', () => {
    expect(readdirSync(join(ROOT, 'libs')).sort()).toEqual([...LIBS].sort());
    for (const lib of LIBS) expect([lib, project(`libs/${lib}`).tags]).toEqual([lib, [`lib:${lib}`]]);
    for (const app of readdirSync(join(ROOT, 'apps')))
      expect([app, project(`apps/${app}`).tags]).toEqual([app, ['app']]);
  });

  it('have no cycle', () => {
    const reach = (from: string, path: readonly string[]): void => {
      if (path.includes(from)) throw new Error(`cycle: ${[...path, from].join(' → ')}`);
      for (const to of ALLOWED[from] ?? []) reach(to, [...path, from]);
    };
    for (const lib of LIBS) expect(() => reach(lib, [])).not.toThrow();
  });

  it('are the table in docs/architecture.md', () => {
    const text = readFileSync(join(ROOT, 'docs', 'architecture.md'), 'utf8');
    const rows = [...text.matchAll(/^\| `([a-z]+)`\s*\|[^|]*\|([^|]*)\|$/gm)].filter(([, lib]) =>
      LIBS.includes(lib ?? ''),
    );
    const shown = rows.map(([, lib, cell]) => {
      const names = (cell as string).trim().split(/,\s*/);
      return [lib, names[0] === 'nothing' ? [] : names.sort()];
    });
    expect(Object.fromEntries(shown)).toEqual(
      Object.fromEntries(LIBS.map((lib) => [lib, [...(ALLOWED[lib] ?? [])].sort()])),
    );
  });

  it.each(LIBS)('hold in libs/%s', (lib) => {
    const folder = join('libs', lib);
    const imports = importsIn(folder);
    expect(imports.length).toBeGreaterThan(0);
    const problems = imports.filter(({ file, name }) => {
      if (name.startsWith('.')) return relative(folder, join(dirname(file), name)).startsWith('..');
      const target = /^@tyrum\/([^/]+)/.exec(name)?.[1];
      return target !== undefined && !ALLOWED[lib]?.includes(target);
    });
    expect(problems).toEqual([]);
  });
});

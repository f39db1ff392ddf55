import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { transformSync } from '@swc/core';

const SOURCE = join(__dirname, '..', 'runner');
/** Below node_modules, so that the compiled runner finds its packages as the bundled one does. */
const CACHE = join(__dirname, '..', '..', '..', '..', 'node_modules', '.cache');

/** The ToolRunner as a script of plain JavaScript, compiled from the sources at hand. `remove` it after the tests. */
export function buildToolRunner(): { readonly script: string; remove(): void } {
  const folder = join(CACHE, `tyrum-tool-runner-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(SOURCE).filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))) {
    const { code } = transformSync(readFileSync(join(SOURCE, name), 'utf8'), {
      filename: name,
      swcrc: false,
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type: 'commonjs' },
    });
    writeFileSync(join(folder, `${basename(name, '.ts')}.js`), code);
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"commonjs"}');
  return { script: join(folder, 'main.js'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

const ROOT = join(__dirname, '..', '..', '..', '..');
/** Below node_modules, so that the runner finds its packages as the built one does. */
const CACHE = join(ROOT, 'node_modules', '.cache');

/** The ToolRunner as a script of plain JavaScript, bundled from the sources at hand. `remove` it after the tests. */
export function buildToolRunner(): { readonly script: string; remove(): void } {
  const folder = join(CACHE, `tyrum-tool-runner-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  const script = join(folder, 'main.cjs');
  buildSync({
    entryPoints: [join(__dirname, '..', 'runner', 'main.ts')],
    outfile: script,
    bundle: true,
    platform: 'node',
    target: 'es2022',
    format: 'cjs',
    tsconfig: join(ROOT, 'tsconfig.base.json'),
  });
  return { script, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

// Makes the console in dist/apps/console: a page, one script and one style sheet, whose names change with what is in them.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, parse } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, '..', '..', 'dist', 'apps', 'console');

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const { metafile } = await build({
  entryPoints: ['main.tsx', 'styles.css'].map((name) => join(here, 'src', name)),
  tsconfig: join(here, 'tsconfig.json'),
  outdir: out,
  entryNames: '[name]-[hash]',
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  define: { 'process.env.NODE_ENV': '"production"' },
  metafile: true,
  logLevel: 'warning',
});

let page = readFileSync(join(here, 'src', 'index.html'), 'utf8');
for (const [path, { entryPoint }] of Object.entries(metafile.outputs)) {
  if (!entryPoint) throw new Error(`${path} is more than the page loads`);
  const { name, ext } = parse(entryPoint);
  page = page.replace(`"${name}.${ext === '.css' ? 'css' : 'js'}"`, `"${basename(path)}"`);
}
writeFileSync(join(out, 'index.html'), page);

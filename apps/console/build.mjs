// Makes the console in dist/apps/console: a page, one script and one style sheet, whose names change with what is in them.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, '..', '..', 'dist', 'apps', 'console');

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const { metafile } = await build({
  entryPoints: [join(here, 'src', 'main.tsx')],
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

const names = Object.keys(metafile.outputs).map((path) => relative(out, path));
let page = readFileSync(join(here, 'src', 'index.html'), 'utf8');
for (const extension of ['js', 'css']) {
  const found = names.filter((name) => name.endsWith(`.${extension}`));
  if (found.length !== 1) throw new Error(`there must be one .${extension}, not ${found.join(', ') || 'none'}`);
  page = page.replace(`main.${extension}`, found[0]);
}
writeFileSync(join(out, 'index.html'), page);

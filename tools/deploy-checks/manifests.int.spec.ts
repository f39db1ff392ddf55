import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ofKind, parseObjects, type Deployment } from './chart';
import { inWorkspace } from './workspace';

jest.setTimeout(60_000);

const run = promisify(execFile);

function stored(mode: string) {
  return parseObjects(readFileSync(inWorkspace('k8s', 'manifests', `${mode}.yaml`), 'utf8'));
}

test('the plain manifests are what the chart renders', async () => {
  await run(process.execPath, [inWorkspace('tools', 'helm', 'render-manifests.mjs'), '--check']);
});

test('they hold no Secret, and every object of the mode', () => {
  expect(ofKind<Deployment>(stored('single'), 'Deployment')).toHaveLength(1);
  expect(ofKind<Deployment>(stored('cluster'), 'Deployment')).toHaveLength(3);
  expect(ofKind<Deployment>(stored('cluster'), 'StatefulSet')).toHaveLength(1);
  expect(ofKind([...stored('single'), ...stored('cluster')], 'Secret')).toEqual([]);
});

test('a stub on PATH is passed over for the bundled tools, which run', async () => {
  const stubs = await mkdtemp(join(tmpdir(), 'stubs-'));
  try {
    for (const [tool, args, answer] of [
      ['helm', ['version', '--short'], /^v\d/],
      ['kubectl', ['version', '--client'], /^Client Version: v\d/],
    ] as const) {
      // Answers every call with success and says nothing.
      await writeFile(join(stubs, tool), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
      const script = inWorkspace('tools', 'helm', 'helm.mjs');
      const { stdout } = await run(process.execPath, [script, '--path', tool], { env: { PATH: stubs } });
      expect(stdout).toContain('tyrum-helm');
      await expect(run(stdout.trim(), args)).resolves.toMatchObject({ stdout: expect.stringMatching(answer) });
    }
  } finally {
    await rm(stubs, { recursive: true, force: true });
  }
});

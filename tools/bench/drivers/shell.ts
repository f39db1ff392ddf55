import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArtifactStore, DirectoryBlobStore } from '@tyrum/evidence';
import { DEFAULT_TENANT_ID, type Action } from '@tyrum/protocol';
import { SecretStore } from '@tyrum/secrets';
import { StepSecrets, ToolRunnerClient, WorkspaceExecutor } from '@tyrum/tools';
import { Engine, toRequest } from '../engine';
import { median } from '../statistics';
import type { Driver } from './driver';

const TTL_MS = 30_000;
const COMMAND = 'true';
const ACTION = { type: 'CLI', args: { cmd: COMMAND, args: [], effect: 'read' } } as Action;

/**
 * Shell steps through the worker's loop and its ToolRunner, once that runs; and what one step costs over spawning the same
 * command here.
 */
export const shell: Driver = async ({ database, number }) => {
  const engine = await Engine.open(database);
  const folder = mkdtempSync(join(tmpdir(), 'tyrum-bench-shell-'));
  const stamps = { newId: randomUUID, nowMs: () => Date.now() };
  const client = new ToolRunnerClient({
    script: join(__dirname, 'tool-runner.js'),
    workspaceRoot: join(folder, 'workspaces'),
    leaseTtlMs: TTL_MS,
    env: process.env,
    onExit: () => undefined,
  });
  const executor = new WorkspaceExecutor(
    client,
    new ArtifactStore(engine.store, new DirectoryBlobStore(join(folder, 'artifacts')), stamps),
    new StepSecrets(new SecretStore(engine.store, undefined)),
  );
  try {
    const samples = number('samples');
    await alone(executor); // starts the runner
    const through = await inTurn(samples, () => alone(executor));
    const bare = await inTurn(samples, spawned);
    return {
      rate: await throughLoop(engine, executor, number('jobs'), number('concurrency')),
      step_ms: median(through),
      spawn_ms: median(bare),
      overhead: median(through) - median(bare),
    };
  } finally {
    client.close();
    await engine.close();
    rmSync(folder, { recursive: true, force: true });
  }
};

async function throughLoop(engine: Engine, executor: WorkspaceExecutor, jobs: number, concurrency: number) {
  for (let i = 0; i < jobs; i += 1) {
    // Agents of their own: commands of one workspace run one after the other.
    await engine.intake.accept(toRequest({ id: randomUUID(), key: `k${i}` }, () => ACTION));
  }
  let settled = 0;
  const startedAt = performance.now();
  let worker: { stop(): Promise<void> } | undefined;
  await new Promise<void>((resolve) => {
    const onSettled = (): void => {
      settled += 1;
      if (settled === jobs) resolve();
    };
    worker = engine.startProcessor(executor, { concurrency, onSettled });
  });
  const elapsedMs = performance.now() - startedAt;
  await worker?.stop();
  return jobs / (elapsedMs / 1_000);
}

let fencingToken = 0;

async function alone(executor: WorkspaceExecutor): Promise<void> {
  const outcome = await executor.execute(
    {
      tenantId: DEFAULT_TENANT_ID,
      conversationKey: 'agent:default:dm:alone',
      agentKey: 'default',
      turnId: randomUUID(),
      stepIndex: 0,
      attempt: 1,
      action: ACTION,
      chosenBy: 'caller',
      effect: 'read',
      idempotencyKey: randomUUID(),
      fencingToken: ++fencingToken,
      transcript: () => Promise.resolve([]),
    },
    { signal: new AbortController().signal, stream: () => undefined },
  );
  if (outcome.kind !== 'succeeded') throw new Error(`the step came to ${JSON.stringify(outcome)}`);
}

async function spawned(): Promise<void> {
  await once(spawn(COMMAND, [], { stdio: ['ignore', 'pipe', 'pipe'] }), 'close');
}

async function inTurn(count: number, action: () => Promise<void>): Promise<number[]> {
  const took: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const startedAt = performance.now();
    await action();
    took.push(performance.now() - startedAt);
  }
  return took;
}

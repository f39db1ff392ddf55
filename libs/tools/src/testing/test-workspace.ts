import { randomUUID } from 'node:crypto';
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StepOutcome, StepRequest } from '@tyrum/execution';
import { DEFAULT_TENANT_ID, defaultEffectOf, validateAction, type Action } from '@tyrum/protocol';

/** A workspace root of one test, and steps to run in it. */
export class TestWorkspace {
  readonly root = mkdtempSync(join(tmpdir(), 'tyrum-workspaces-'));
  /** The workspace of the agent `default`. */
  readonly path = join(this.root, DEFAULT_TENANT_ID, 'default');

  constructor() {
    mkdirSync(this.path, { recursive: true });
  }

  /** A step of a turn of its own, unless `fields` say otherwise. */
  step(action: Action, fields: Partial<StepRequest> = {}): StepRequest {
    return {
      tenantId: DEFAULT_TENANT_ID,
      conversationKey: 'agent:default:main',
      agentKey: 'default',
      turnId: randomUUID(),
      stepIndex: 0,
      attempt: 1,
      action,
      chosenBy: 'caller',
      effect: defaultEffectOf(action),
      idempotencyKey: randomUUID(),
      fencingToken: 1,
      transcript: () => Promise.resolve([]),
      ...fields,
    };
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

export function cli(cmd: string, args: readonly string[] = [], more: object = {}): Action {
  return validateAction({ type: 'CLI', args: { cmd, args, ...more } });
}

export function fs(op: string, args: object): Action {
  return validateAction({ type: 'Filesystem', args: { op, ...args } });
}

/** The result of a step that must have succeeded. @throws with the whole outcome when it did not */
export function resultOf(outcome: StepOutcome): Record<string, unknown> {
  if (outcome.kind !== 'succeeded') throw new Error(`expected success, got ${JSON.stringify(outcome)}`);
  return outcome.result;
}

/** The code of a step that must have failed. @throws with the whole outcome when it did not */
export function codeOf(outcome: StepOutcome): string {
  if (outcome.kind !== 'failed') throw new Error(`expected failure, got ${JSON.stringify(outcome)}`);
  return outcome.error.code;
}

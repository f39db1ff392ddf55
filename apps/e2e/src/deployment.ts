import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { eventually, spawnApp, type AppProcess, type SpawnOptions } from '@tyrum/test-services';

/** What `GET /v1/turns/:id` answers, as far as these tests look. */
export interface TurnAnswer {
  readonly turn: {
    readonly turn_id: string;
    readonly status: string;
    readonly attempt: number;
    readonly blocked_reason?: string;
    readonly blocked_detail?: string;
  };
  readonly steps: readonly {
    readonly step_index: number;
    readonly status: string;
    readonly attempts: number;
    readonly result?: { readonly output?: string };
    readonly artifacts: readonly {
      readonly external_url: string;
      readonly kind: string;
      readonly mime_type?: string;
    }[];
  }[];
  readonly waiting?: { readonly kind: string; readonly detail: string };
}

export interface Action {
  readonly type: string;
  readonly args: Record<string, unknown>;
}

type AppName = 'edge' | 'worker' | 'scheduler' | 'desktop-runtime';

const ENDED = ['succeeded', 'failed', 'cancelled'];

/** Some Tyrum processes around one database, and a client's view of them. */
export class Deployment {
  readonly home = mkdtempSync(join(tmpdir(), 'tyrum-e2e-'));
  readonly token = `tyrum-token.v1.${randomUUID()}.${'e2e'.padEnd(43, 'x')}`;
  private readonly processes: AppProcess[] = [];
  private edge: AppProcess | undefined;

  constructor(private readonly env: Record<string, string>) {}

  /** The workspace of the default tenant's default agent. */
  get workspace(): string {
    return join(this.home, 'workspaces', '00000000-0000-4000-8000-000000000001', 'default');
  }

  async start(app: AppName, env: Record<string, string> = {}, options: SpawnOptions = {}): Promise<AppProcess> {
    const own = {
      TYRUM_HOME: this.home,
      ...(app === 'edge' ? { TYRUM_BOOTSTRAP_TOKEN: this.token } : {}),
      ...this.env,
      ...env,
    };
    const started = await spawnApp(app, own, options);
    this.processes.push(started);
    if (app === 'edge') this.edge = started;
    return started;
  }

  async stop(): Promise<void> {
    await Promise.all(this.processes.map((app) => app.stop()));
    rmSync(this.home, { recursive: true, force: true });
  }

  /** One HTTP request to the edge. */
  async call(method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.edge?.port}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json', ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  }

  /** Starts a workflow and returns its turn's id. Throws unless it was accepted. */
  async startTurn(
    conversationKey: string,
    steps: readonly Action[],
    idempotencyKey: string = randomUUID(),
  ): Promise<string> {
    const answer = await this.call(
      'POST',
      '/v1/workflows',
      { conversation_key: conversationKey, steps },
      { 'idempotency-key': idempotencyKey },
    );
    if (answer.status !== 202) throw new Error(`not accepted: ${answer.status} ${await answer.text()}`);
    return ((await answer.json()) as { workflow_run_id: string }).workflow_run_id;
  }

  async turn(turnId: string): Promise<TurnAnswer> {
    const answer = await this.call('GET', `/v1/turns/${turnId}`);
    if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
    return (await answer.json()) as TurnAnswer;
  }

  /** Waits until the turn has one of these statuses. */
  async until(turnId: string, statuses: readonly string[], timeoutMs = 60_000): Promise<TurnAnswer> {
    return eventually(
      async () => {
        const answer = await this.turn(turnId);
        if (!statuses.includes(answer.turn.status)) throw new Error(`turn ${turnId} is ${answer.turn.status}`);
        return answer;
      },
      { timeoutMs, intervalMs: 50 },
    );
  }

  ended(turnId: string, timeoutMs?: number): Promise<TurnAnswer> {
    return this.until(turnId, ENDED, timeoutMs);
  }
}

/** A shell command as a step; `effect` as the caller declares it. */
export function shell(script: string, effect?: 'read' | 'idempotent' | 'once'): Action {
  return { type: 'CLI', args: { cmd: 'sh', args: ['-c', script], ...(effect ? { effect } : {}) } };
}

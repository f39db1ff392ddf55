import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '@tyrum/test-services';
import { shell } from './deployment';

export interface CallersOptions {
  readonly port: number;
  readonly token: string;
  readonly conversationKeys: readonly string[];
  /** Between an answer and the next request of the same caller, in ms. */
  readonly pauseMs: number;
}

/**
 * Callers of `POST /v1/workflows` that never ask twice: whatever goes wrong is a failure. Half of them keep their connection,
 * half open one for each request.
 */
export class Callers {
  readonly failures: string[] = [];
  accepted = 0;
  private stopped = false;
  private readonly running: Promise<void>[];
  private readonly agents: Agent[] = [];

  constructor(private readonly options: CallersOptions) {
    this.running = options.conversationKeys.map((key, i) => this.call(key, i % 2 === 0));
  }

  async progress(turns: number): Promise<void> {
    const goal = this.accepted + turns;
    await eventually(() => expect(this.accepted).toBeGreaterThanOrEqual(goal), { timeoutMs: 60_000 });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.running);
    for (const agent of this.agents) agent.destroy();
  }

  private async call(conversationKey: string, keepsConnection: boolean): Promise<void> {
    const agent = new Agent({ keepAlive: keepsConnection, maxSockets: 1 });
    this.agents.push(agent);
    const body = JSON.stringify({ conversation_key: conversationKey, steps: [shell('true', 'read')] });
    while (!this.stopped) {
      try {
        const status = await this.post(agent, body);
        if (status === 202) this.accepted += 1;
        else this.failures.push(`answered ${status}`);
      } catch (error) {
        const { code = 'error', message } = error as NodeJS.ErrnoException;
        this.failures.push(`${code}: ${message} (${keepsConnection ? 'kept' : 'new'} connection)`);
      }
      await pause(this.options.pauseMs);
    }
  }

  private async post(agent: Agent, body: string): Promise<number | undefined> {
    const { port, token } = this.options;
    const call = request({
      agent,
      host: '127.0.0.1',
      port,
      method: 'POST',
      path: '/v1/workflows',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'idempotency-key': randomUUID(),
      },
    });
    call.end(body);
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    answer.resume();
    await once(answer, 'end');
    return answer.statusCode;
  }
}

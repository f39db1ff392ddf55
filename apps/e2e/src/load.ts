import { randomUUID } from 'node:crypto';
import { askServer, eventually } from '@tyrum/test-services';
import { shell, type Deployment } from './deployment';

/** Clients that start one short turn after the other, and ask again under the same key as long as there is no answer. */
export class Load {
  /** Turns that were accepted, as their clients were told. */
  readonly acknowledged: string[] = [];
  private stopped = false;
  private readonly clients: Promise<void>[];

  constructor(
    private readonly tyrum: Deployment,
    conversationKeys: readonly string[],
  ) {
    this.clients = conversationKeys.map((key) => this.client(key));
  }

  /** Resolves when so many more have been accepted. */
  async progress(turns = 20): Promise<void> {
    const before = this.acknowledged.length;
    await eventually(() => expect(this.acknowledged.length).toBeGreaterThan(before + turns), { timeoutMs: 60_000 });
  }

  /** Ends once every client has its last answer, so that no outcome is left unknown. */
  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.clients);
  }

  /** Every accepted turn has succeeded, and there is no other: none was lost, none was made twice. */
  async expectAllThere(databaseUrl: string): Promise<void> {
    for (const id of this.acknowledged) expect((await this.tyrum.ended(id)).turn.status).toBe('succeeded');
    const turns = await askServer<{ turn_id: string }>(databaseUrl, `select turn_id from turn`);
    expect(turns.map((turn) => turn.turn_id).sort()).toEqual([...this.acknowledged].sort());
  }

  private async client(conversationKey: string): Promise<void> {
    while (!this.stopped) {
      const key = randomUUID();
      const start = () => this.tyrum.startTurn(conversationKey, [shell('true', 'idempotent')], key);
      this.acknowledged.push(await eventually(start, { timeoutMs: 60_000, intervalMs: 200 }));
    }
  }
}

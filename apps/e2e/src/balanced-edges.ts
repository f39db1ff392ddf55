import { createPostgresDatabase, eventually, type AppProcess, type TestDatabase } from '@tyrum/test-services';
import { Balancer } from './balancer';
import { Deployment } from './deployment';

/** Longer than the balancer takes to notice. */
const NOTICE_MS = 2_500;

/** Edges and a worker on one Postgres, behind a balancer. */
export class BalancedEdges {
  private readonly edges = new Map<string, AppProcess>();

  private constructor(
    readonly tyrum: Deployment,
    readonly database: TestDatabase,
    readonly balancer: Balancer,
  ) {}

  /** With a worker and no edge yet. */
  static async create(): Promise<BalancedEdges> {
    const database = await createPostgresDatabase();
    const tyrum = new Deployment({ TYRUM_DATABASE_URL: database.url });
    return new BalancedEdges(tyrum, database, await Balancer.start());
  }

  get socketUrl(): string {
    return `ws://127.0.0.1:${this.balancer.port}/ws`;
  }

  edge(name: string): AppProcess {
    const edge = this.edges.get(name);
    if (!edge) throw new Error(`there is no edge ${name}`);
    return edge;
  }

  /** Resolves when the balancer sends connections there. */
  async start(name: string): Promise<AppProcess> {
    const env = { TYRUM_INSTANCE_ID: name, TYRUM_DRAIN_NOTICE_MS: String(NOTICE_MS) };
    const edge = await this.tyrum.start('edge', env);
    this.edges.set(name, edge);
    await this.balancer.add(edge.port);
    await eventually(() => expect(this.balancer.ready).toContain(edge.port));
    return edge;
  }

  /** As an orchestrator does it: the new one comes when the old one has gone. */
  async restart(name: string): Promise<void> {
    const old = this.edge(name);
    old.kill('SIGTERM');
    expect(await old.exited).toEqual({ code: 0, signal: null });
    this.balancer.remove(old.port);
    await this.start(name);
  }

  /** Resolves when no turn is under way any more. */
  async rest(): Promise<void> {
    await eventually(
      async () => {
        const answer = await this.tyrum.call('GET', '/v1/turns?limit=200');
        const { turns } = (await answer.json()) as { turns: { turn: { status: string } }[] };
        const open = turns.filter(({ turn: { status } }) => status === 'queued' || status === 'running');
        expect(open).toEqual([]);
      },
      // Callers may be quicker than a slow machine's worker, for as long as the restarts take.
      { timeoutMs: 240_000, intervalMs: 250 },
    );
  }

  async stop(): Promise<void> {
    await this.balancer.stop();
    await this.tyrum.stop();
    await this.database.drop();
  }
}

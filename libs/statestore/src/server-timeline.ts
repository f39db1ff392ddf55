import { StaleServerError } from './errors';
import { askTimeline, seeTimeline } from './sql/see-timeline';

/** A connection of `pg`, as far as this needs it. */
export interface TimelineClient {
  query(text: string): Promise<{ rows: unknown[] }>;
}

interface Server {
  readonly identity: string;
  readonly timeline: number;
}

/**
 * Keeps this process off servers that have been left behind. When a standby is promoted, the primary before it may still run,
 * or come back, and it takes writes as ever; nobody will see them again. Which of two servers is the later one shows in
 * their timelines: a promotion begins a new one, and a server keeps its own for as long as it runs as a primary.
 *
 *     connect ──▶ ask ──┬─ the timeline we know ─────────────▶ use
 *                       ├─ a higher one ──▶ note it there ───▶ use; connections with the one before are given up
 *                       └─ a lower one, a standby, another cluster ──▶ refused: the pool tries again
 *
 * A process knows what it has seen since it started, and in the beginning what its database says. Started anew before an old
 * primary that nobody fenced off, it cannot tell.
 */
export class ServerTimeline {
  private known: Server | undefined;
  private readonly timelines = new WeakMap<object, number>();

  /** The highest timeline seen; 0 before the schema knows of timelines. */
  get highest(): number {
    return this.known?.timeline ?? 0;
  }

  /** Once the schema is there: begins with what this server says. @throws {StaleServerError} it is a standby */
  async begin(client: TimelineClient): Promise<void> {
    await this.refuseStandby(client);
    this.known = await ask(client, seeTimeline);
    this.timelines.set(client, this.known.timeline);
  }

  /** Asked of every new connection before anybody gets it. @throws {StaleServerError} */
  async admit(client: TimelineClient): Promise<void> {
    if (!this.known) return this.refuseStandby(client);
    const server = await ask(client, askTimeline);
    if (server.timeline === 0) throw standby();
    if (server.identity !== this.known.identity) {
      const why =
        'the server is of another cluster than the one this process began with: if the data moved, restart it';
      throw new StaleServerError('other_cluster', why);
    }
    if (server.timeline > this.known.timeline) await ask(client, seeTimeline);
    // Meanwhile another connection may have seen more.
    if (server.timeline < this.known.timeline) throw olderTimeline(server.timeline, this.known.timeline);
    if (server.timeline > this.known.timeline) this.known = server;
    this.timelines.set(client, server.timeline);
  }

  /** The timeline a connection was made on; it cannot outlive it, because a primary that is demoted restarts. */
  of(client: object): number {
    return this.timelines.get(client) ?? this.highest;
  }

  /** Whether a server with a higher timeline was seen since this connection was made. */
  isBehind(client: object): boolean {
    return this.of(client) < this.highest;
  }

  private async refuseStandby(client: TimelineClient): Promise<void> {
    const { rows } = await client.query('select pg_is_in_recovery() as standby');
    if ((rows[0] as { standby: boolean }).standby) throw standby();
  }
}

async function ask(client: TimelineClient, text: string): Promise<Server> {
  const { rows } = await client.query(text);
  const { identity, timeline } = rows[0] as { identity: string; timeline: number | string };
  return { identity, timeline: Number(timeline) };
}

function standby(): StaleServerError {
  return new StaleServerError('standby', 'the server is a standby and takes no writes');
}

function olderTimeline(found: number, seen: number): StaleServerError {
  const why = `the server is on timeline ${found}, and ${seen} has been seen: it was left behind by a failover`;
  return new StaleServerError('older_timeline', why);
}

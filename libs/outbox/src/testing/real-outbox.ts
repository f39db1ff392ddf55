import type { StateStore, Tx } from '@tyrum/statestore';
import { act, type Act, type Real } from '@tyrum/statestore/testing';
import fc from 'fast-check';
import { appendEvents } from '../append-events';
import { EdgeSlot, pruneEdgeSlots } from '../edge-slot';
import type { OutboxEvent, Position } from '../outbox-event';
import { OutboxReader } from '../outbox-reader';
import { beginEpoch, pruneOutbox } from '../outbox-retention';
import { decodePosition, encodePosition } from '../position';
import { EVENTS_A_ROW, RETENTION_HOURS, type Edge, type OutboxModel, type Page, type Writer } from './outbox-model';
import { storedEvents, testEvent } from './test-event';

const HOUR_MS = 3_600_000;

const sql = (name: string, postgres: string) => ({ name, postgres, sqlite: postgres.replaceAll('$', '?') });
const forget = ['outbox', 'outbox_cursor', 'edge_slot'].map((table) => sql(`forget-${table}`, `delete from ${table}`));
const silence = sql('silence', 'update edge_slot set expires_at = 0 where slot = $1');
const listSlots = {
  name: 'list-slots',
  postgres: 'select slot, holder, expires_at, epoch, xid::text as xid, id::text as id from edge_slot order by slot',
  sqlite: `select slot, holder, expires_at, epoch, cast(xid as text) as xid, cast(id as text) as id
    from edge_slot order by slot`,
};

/** So much that `EVENTS_A_ROW` events fit into a row, and no more. */
const FILLER = 'x'.repeat(3_000 / EVENTS_A_ROW);

const nameOf = ({ payload }: OutboxEvent): number => (payload as { name: number }).name;

class RolledBack extends Error {}

/** A transaction that stays open until it is told what to do. */
class OpenTransaction {
  private decide: (commit: boolean) => void = () => {};
  private done: Promise<void> = Promise.resolve();

  /** Resolves once it is open. */
  static async begin(store: StateStore): Promise<OpenTransaction & { readonly tx: Tx }> {
    const open = new OpenTransaction();
    const decided = new Promise<boolean>((resolve) => (open.decide = resolve));
    const tx = await new Promise<Tx>((opened, failed) => {
      open.done = store.transaction(async (inside) => {
        opened(inside);
        if (!(await decided)) throw new RolledBack();
      });
      open.done.catch(failed);
    });
    return Object.assign(open, { tx });
  }

  async finish(commit: boolean): Promise<void> {
    this.decide(commit);
    await this.done.catch((error: unknown) => {
      if (!(error instanceof RolledBack)) throw error;
    });
  }
}

/** An edge's process: its slot, and how far it has read. */
interface Process {
  readonly slot: EdgeSlot;
  position: Position;
}

/** The outbox of a database nobody else uses: a foreign transaction on the same server would hold readers back. */
export class RealOutbox implements Real {
  private readonly open = new Map<Writer, Awaited<ReturnType<typeof OpenTransaction.begin>>>();
  private readonly processes = new Map<Edge, Process[]>();
  private readonly reader: OutboxReader;
  private readonly lost: number[] = [];
  private client: string | undefined;
  private names = 0;
  private holders = 0;

  private constructor(private readonly store: StateStore) {
    this.reader = new OutboxReader(store);
  }

  static async begin(store: StateStore): Promise<RealOutbox> {
    for (const statement of forget) await store.execute(statement);
    return new RealOutbox(store);
  }

  async end(): Promise<void> {
    for (const open of this.open.values()) await open.finish(false);
  }

  async seen(): Promise<unknown> {
    type SlotRow = Position & { slot: string; holder: string; expires_at: number };
    const slots = await this.store.read((db) => db.query<SlotRow>(listSlots));
    const shown = [];
    for (const { slot, holder, expires_at, ...place } of slots) {
      const state = expires_at === 0 ? 'gone' : expires_at > Date.now() + HOUR_MS / 2 ? 'alive' : 'left';
      shown.push({ edge: slot, holder: Number(holder), state, next: (await this.pageAfter(place, 100)).page });
    }
    return {
      rows: (await this.store.read(storedEvents)).map(nameOf),
      slots: shown,
      client: this.client && (await this.pageAfter(this.clientPosition(), 100)).page,
      lost: [...this.lost].sort((a, b) => a - b),
    };
  }

  async beginTransaction(writer: Writer): Promise<void> {
    this.open.set(writer, await OpenTransaction.begin(this.store));
  }

  async append(writer: Writer, ages: readonly number[]): Promise<void> {
    const now = Date.now();
    const events = ages.map((hours) => {
      const name = (this.names += 1);
      return testEvent({ payload: { name, filler: FILLER }, occurredAt: now - hours * HOUR_MS });
    });
    const open = this.open.get(writer);
    if (open) await appendEvents(open.tx, events);
  }

  async finish(writer: Writer, commit: boolean): Promise<void> {
    await this.open.get(writer)?.finish(commit);
    this.open.delete(writer);
  }

  async subscribe(): Promise<void> {
    this.client = encodePosition(await this.reader.head());
  }

  async readAsClient(limit: number): Promise<Page | undefined> {
    if (this.client === undefined) return undefined;
    const { events, position, gap, waiting } = await this.reader.take(this.clientPosition(), limit);
    this.client = encodePosition(position);
    return { events: events.map(nameOf), gap, waiting };
  }

  async start(edge: Edge): Promise<void> {
    const holder = (this.holders += 1);
    const slot = await EdgeSlot.take(this.store, {
      slot: edge,
      holder: String(holder),
      ttlMs: HOUR_MS,
      onError: (error) => {
        throw error;
      },
      onLost: () => this.lost.push(holder),
    });
    this.processes.set(edge, [...(this.processes.get(edge) ?? []).slice(-1), { slot, position: slot.from }]);
  }

  async read(edge: Edge, ago: number, limit: number, crash: boolean): Promise<Page | undefined> {
    const process = this.process(edge, ago);
    if (!process) return undefined;
    const { page, position } = await this.pageAfter(process.position, limit);
    if (crash) return page;
    process.position = position;
    process.slot.passed(position);
    return page;
  }

  async ack(edge: Edge, ago: number): Promise<void> {
    await this.process(edge, ago)?.slot.ack();
  }

  async leave(edge: Edge, ago: number): Promise<void> {
    await this.process(edge, ago)?.slot.leave();
  }

  async silence(edge: Edge): Promise<void> {
    await this.store.execute(silence, [edge]);
  }

  forgetSlots(): Promise<number> {
    return pruneEdgeSlots(this.store, HOUR_MS, 100);
  }

  prune(limit: number): Promise<number> {
    return pruneOutbox(this.store, RETENTION_HOURS * HOUR_MS, limit);
  }

  beginEpoch(): Promise<void> {
    return beginEpoch(this.store);
  }

  private process(edge: Edge, ago: number): Process | undefined {
    return this.processes.get(edge)?.at(-1 - ago);
  }

  /** Clients keep the opaque text. */
  private clientPosition(): Position {
    const position = decodePosition(this.client ?? '');
    if (!position) throw new Error('a cursor of ours can be read');
    return position;
  }

  private async pageAfter(place: Position, limit: number): Promise<{ page: Page; position: Position }> {
    const { events, position, gap, waiting } = await this.reader.readAfter(place, limit);
    return { page: { events: events.map(nameOf), gap, waiting }, position };
  }
}

const writer = fc.constantFrom<Writer>('v', 'w');
const edge = fc.constantFrom<Edge>('e', 'f');
const ago = fc.nat(1);
const ages = fc.array(fc.constantFrom(0, 15, 25), { minLength: 1, maxLength: 3 });
const limit = fc.integer({ min: 1, max: 4 });
const both = fc.record({ edge, ago });

export const OUTBOX_ACTS: readonly Act<OutboxModel, RealOutbox>[] = [
  act('begin', writer, {
    fits: (model, w) => !model.hasOpen(w) && model.mayWrite,
    expected: (model, w) => model.begin(w),
    actual: (real, w) => real.beginTransaction(w),
  }),
  act('append', fc.record({ writer, ages }), {
    fits: (model, a) => model.hasOpen(a.writer),
    expected: (model, a) => model.append(a.writer, a.ages),
    actual: (real, a) => real.append(a.writer, a.ages),
  }),
  act('finish', fc.record({ writer, commit: fc.boolean() }), {
    fits: (model, a) => model.hasOpen(a.writer),
    expected: (model, a) => model.finish(a.writer, a.commit),
    actual: (real, a) => real.finish(a.writer, a.commit),
  }),
  act('write', fc.record({ writer, ages }), {
    fits: (model, a) => !model.hasOpen(a.writer) && model.mayWrite,
    expected: (model, a) => {
      model.begin(a.writer);
      model.append(a.writer, a.ages);
      model.finish(a.writer, true);
    },
    actual: async (real, a) => {
      await real.beginTransaction(a.writer);
      await real.append(a.writer, a.ages);
      await real.finish(a.writer, true);
    },
  }),
  act('subscribe', fc.constant(null), {
    expected: (model) => model.subscribe(),
    actual: (real) => real.subscribe(),
  }),
  act('readAsClient', limit, {
    expected: (model, n) => model.readAsClient(n),
    actual: (real, n) => real.readAsClient(n),
  }),
  act('start', edge, {
    fits: (model) => model.mayWrite,
    expected: (model, e) => model.start(e),
    actual: (real, e) => real.start(e),
  }),
  act('read', fc.record({ edge, ago, limit, crash: fc.boolean() }), {
    fits: (model, a) => model.hasProcess(a.edge, a.ago),
    expected: (model, a) => model.read(a.edge, a.ago, a.limit, a.crash),
    actual: (real, a) => real.read(a.edge, a.ago, a.limit, a.crash),
  }),
  act('ack', both, {
    fits: (model, a) => model.mayWrite && model.hasProcess(a.edge, a.ago),
    expected: (model, a) => model.ack(a.edge, a.ago),
    actual: (real, a) => real.ack(a.edge, a.ago),
  }),
  act('leave', both, {
    fits: (model, a) => model.mayWrite && model.hasProcess(a.edge, a.ago),
    expected: (model, a) => model.leave(a.edge, a.ago),
    actual: (real, a) => real.leave(a.edge, a.ago),
  }),
  act('silence', edge, {
    fits: (model) => model.mayWrite,
    expected: (model, e) => model.silence(e),
    actual: (real, e) => real.silence(e),
  }),
  act('forgetSlots', fc.constant(null), {
    fits: (model) => model.mayWrite,
    expected: (model) => model.forgetSlots(),
    actual: (real) => real.forgetSlots(),
  }),
  act('prune', limit, {
    fits: (model) => model.mayWrite,
    expected: (model, n) => model.prune(n),
    actual: (real, n) => real.prune(n),
  }),
  act('beginEpoch', fc.constant(null), {
    fits: (model) => model.isCalm,
    expected: (model) => model.beginEpoch(),
    actual: (real) => real.beginEpoch(),
  }),
];

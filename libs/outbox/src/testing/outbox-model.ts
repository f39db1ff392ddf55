import type { Model } from '@tyrum/statestore/testing';

export type Writer = 'v' | 'w';
export type Edge = 'e' | 'f';

/** A place between two events: behind the first `taken` of row `row` of transaction `tx`, or behind all of them, in an epoch. */
interface Place {
  readonly epoch: number;
  readonly tx: number;
  readonly row: number;
  readonly taken?: number;
}

interface Row {
  readonly row: number;
  /** Its events, by the order in which they were appended. */
  readonly names: readonly number[];
  /** When its transaction first wrote, among all transactions: readers go by that. */
  tx: number;
  readonly ageHours: number;
  committed: boolean;
}

/** What a slot's row says. `left`: its edge went in order; `gone`: it has been silent for long. */
interface Slot {
  readonly holder: number;
  readonly place: Place;
  readonly state: 'alive' | 'left' | 'gone';
}

/** An edge's process as it knows itself. */
interface Process {
  readonly holder: number;
  position: Place;
  acked: Place;
  lost: boolean;
}

export interface Page {
  readonly events: readonly number[];
  readonly gap: boolean;
  readonly waiting: boolean;
}

/** Events that fit into a row, as large as the real ones are made. */
export const EVENTS_A_ROW = 2;

/** What retention is asked for: events older than this may go, and those twice as old must. */
export const RETENTION_HOURS = 10;

/** What the outbox is, without a database: rows by transaction, open ones hidden, and places in between. */
export class OutboxModel implements Model {
  private rows: Row[] = [];
  /** The open transactions, by the order of their first write; undefined before it. */
  private readonly open = new Map<Writer, number | undefined>();
  private readonly slots = new Map<Edge, Slot>();
  /** The last two processes of each edge, the newest last. */
  private readonly processes = new Map<Edge, Process[]>();
  private readonly lost: number[] = [];
  private client: Place | undefined;
  private epoch = 1;
  private pruned: Place | undefined;
  private transactions = 0;
  private names = 0;
  private rowCount = 0;
  private holders = 0;

  /** `overlapping`: several transactions may write at once. Where they may not, whoever writes waits. */
  constructor(readonly overlapping: boolean) {}

  seen(): unknown {
    return {
      rows: this.committed().flatMap(({ names }) => names),
      slots: [...this.slots]
        .sort(([a], [b]) => a.localeCompare(b))
        .map(([edge, { holder, place, state }]) => ({ edge, holder, state, next: this.pageAfter(place, 100).page })),
      client: this.client && this.pageAfter(this.client, 100).page,
      lost: [...this.lost].sort((a, b) => a - b),
    };
  }

  get mayWrite(): boolean {
    return this.overlapping || this.open.size === 0;
  }

  get isCalm(): boolean {
    return this.open.size === 0;
  }

  hasOpen(writer: Writer): boolean {
    return this.open.has(writer);
  }

  hasProcess(edge: Edge, ago: number): boolean {
    return this.process(edge, ago) !== undefined;
  }

  begin(writer: Writer): void {
    this.open.set(writer, undefined);
  }

  append(writer: Writer, ages: readonly number[]): void {
    const tx = this.open.get(writer) ?? (this.transactions += 1);
    this.open.set(writer, tx);
    let last: { names: number[]; ageHours: number } | undefined;
    for (const ageHours of ages) {
      const name = (this.names += 1);
      if (last?.ageHours === ageHours && last.names.length < EVENTS_A_ROW) {
        last.names.push(name);
        continue;
      }
      const row = { row: (this.rowCount += 1), names: [name], tx, ageHours, committed: false };
      this.rows.push(row);
      last = row;
    }
  }

  finish(writer: Writer, commit: boolean): void {
    const tx = this.open.get(writer);
    this.open.delete(writer);
    if (commit) for (const row of this.rows.filter((one) => one.tx === tx)) row.committed = true;
    this.rows = this.rows.filter((row) => row.committed || row.tx !== tx);
  }

  subscribe(): void {
    this.client = this.head();
  }

  readAsClient(limit: number): Page | undefined {
    if (!this.client) return undefined;
    const { page, ends } = this.pageAfter(this.client, limit);
    const events = page.events.slice(0, limit);
    this.client = ends[events.length - 1] ?? this.pageAfter(this.client, limit).position;
    return { ...page, events };
  }

  /** A new process under the edge's name; the one before may still be there and does not know. */
  start(edge: Edge): void {
    const holder = (this.holders += 1);
    const place = this.slots.get(edge)?.place ?? this.head();
    this.slots.set(edge, { holder, place, state: 'alive' });
    const process = { holder, position: place, acked: place, lost: false };
    this.processes.set(edge, [...(this.processes.get(edge) ?? []).slice(-1), process]);
  }

  /** `crash`: it dies between handing on what it read and saying so; the same comes again. */
  read(edge: Edge, ago: number, limit: number, crash: boolean): Page | undefined {
    const process = this.process(edge, ago);
    if (!process) return undefined;
    const { page, position } = this.pageAfter(process.position, limit);
    if (!crash) process.position = position;
    return page;
  }

  ack(edge: Edge, ago: number): void {
    const process = this.process(edge, ago);
    if (process && !same(process.position, process.acked)) this.write(edge, process, 'alive');
  }

  leave(edge: Edge, ago: number): void {
    const process = this.process(edge, ago);
    if (process) this.write(edge, process, 'left');
  }

  silence(edge: Edge): void {
    const slot = this.slots.get(edge);
    if (slot) this.slots.set(edge, { ...slot, state: 'gone' });
  }

  forgetSlots(): number {
    const gone = [...this.slots].filter(([, { state }]) => state === 'gone');
    for (const [edge] of gone) this.slots.delete(edge);
    return gone.length;
  }

  prune(limit: number): number {
    const alive = [...this.slots.values()].filter((slot) => slot.state === 'alive' && slot.place.epoch === this.epoch);
    const gone = this.committed()
      .filter((row) => row.tx < this.horizon())
      .slice(0, limit)
      .filter((row) => row.ageHours > RETENTION_HOURS)
      .filter((row) => row.ageHours > 2 * RETENTION_HOURS || alive.every(({ place }) => !this.isAfter(row, place)));
    for (const row of gone) {
      if (!this.pruned || this.isAfter(row, this.pruned)) this.pruned = this.placeOf(row);
    }
    this.rows = this.rows.filter((row) => !gone.includes(row));
    return gone.length;
  }

  /** As after a restore: every place of before means nothing, and everything there is can be read. */
  beginEpoch(): void {
    this.epoch += 1;
    this.pruned = undefined;
    for (const row of this.rows) row.tx = 0;
  }

  private write(edge: Edge, process: Process, state: 'alive' | 'left'): void {
    if (process.lost) return;
    process.acked = process.position;
    const slot = this.slots.get(edge);
    if (slot?.holder === process.holder) return void this.slots.set(edge, { ...slot, place: process.position, state });
    process.lost = true;
    this.lost.push(process.holder);
  }

  private process(edge: Edge, ago: number): Process | undefined {
    return this.processes.get(edge)?.at(-1 - ago);
  }

  private committed(): Row[] {
    return this.rows.filter(({ committed }) => committed).sort((a, b) => a.tx - b.tx || a.row - b.row);
  }

  /** Nothing from here on may be read: an older transaction is open and may still write before it. */
  private horizon(): number {
    const open = [...this.open.values()].filter((tx) => tx !== undefined);
    return Math.min(this.transactions + 1, ...open);
  }

  private head(): Place {
    return { epoch: this.epoch, tx: this.horizon(), row: 0 };
  }

  /** The events of the next `limit` rows, and the places behind each of them. */
  private pageAfter(place: Place, limit: number): { page: Page; position: Place; ends: readonly Place[] } {
    if (place.epoch !== this.epoch) {
      return { page: { events: [], gap: true, waiting: false }, position: this.head(), ends: [] };
    }
    const readable = this.committed().filter((row) => row.tx < this.horizon());
    const rows = readable.filter((row) => this.isAfter(row, place)).slice(0, limit);
    const found = rows.flatMap((row) =>
      row.names.flatMap((name, i) => (this.isTaken(row, i, place) ? [] : [{ name, end: this.placeIn(row, i + 1) }])),
    );
    const { pruned } = this;
    const gap = pruned !== undefined && this.isAfter(pruned, place);
    const waiting = this.overlapping && this.committed().length > readable.length;
    const last = rows.at(-1);
    return {
      page: { events: found.map(({ name }) => name), gap, waiting },
      position: last ? this.placeOf(last) : gap ? pruned : place,
      ends: found.map(({ end }) => end),
    };
  }

  private placeOf({ tx, row }: Row): Place {
    return { epoch: this.epoch, tx, row };
  }

  private placeIn(row: Row, taken: number): Place {
    return taken === row.names.length ? this.placeOf(row) : { ...this.placeOf(row), taken };
  }

  /** Whether something of the row lies behind the place. */
  private isAfter({ tx, row }: Pick<Row, 'tx' | 'row'>, place: Place): boolean {
    return tx > place.tx || (tx === place.tx && (row > place.row || (row === place.row && place.taken !== undefined)));
  }

  private isTaken({ tx, row }: Row, index: number, { taken = 0, ...place }: Place): boolean {
    return tx === place.tx && row === place.row && index < taken;
  }
}

function same(a: Place, b: Place): boolean {
  return a.epoch === b.epoch && a.tx === b.tx && a.row === b.row;
}

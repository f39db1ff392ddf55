import type { Backplane } from '@tyrum/backplane';
import { DirectedMail } from '@tyrum/outbox';
import { fingerprintUuid, type Action, type EffectClass, type StepError, type StepResult } from '@tyrum/protocol';
import type { StateStore, Tx } from '@tyrum/statestore';
import { demandOf } from './capabilities';
import type { DispatchJournal } from './peer-directory';
import {
  abandonDispatch,
  assignDispatch,
  cancelDispatch,
  describeWait,
  findCapable,
  findDispatch,
  findNodeConnection,
  findUnsettled,
  insertDispatch,
  measureOpen,
  noteAbandoned,
  settleDispatch,
  unassignReturned,
} from './sql/dispatches';

/** A step that a node is to carry out. */
export interface DispatchRequest {
  readonly tenantId: string;
  readonly conversationKey: string;
  readonly turnId: string;
  readonly stepIndex: number;
  readonly attempt: number;
  readonly action: Action;
  readonly effect: EffectClass;
}

/** What came of it; the part of a step's outcomes that a node can bring about. */
export type DispatchOutcome =
  | { readonly kind: 'succeeded'; readonly result: StepResult }
  | { readonly kind: 'failed'; readonly error: StepError; readonly retryable: boolean }
  | { readonly kind: 'unknown'; readonly detail: string };

/** Hands an outcome to the turn that waits for it, together with what `alongside` writes; nothing if that says no. */
export interface WaitingTurns {
  arrive(
    arrival: { tenantId: string; kind: 'node'; id: string; outcome: DispatchOutcome },
    alongside: (tx: Tx) => Promise<boolean>,
  ): Promise<'ready' | 'kept' | 'already'>;
}

export interface DispatchPorts {
  readonly store: StateStore;
  readonly backplane: Backplane;
  readonly waits: WaitingTurns;
  readonly newId: () => string;
}

export interface DispatchRow {
  readonly dispatch_id: string;
  readonly tenant_id: string;
  readonly conversation_key: string;
  readonly turn_id: string;
  readonly step_index: number;
  readonly action: string;
  readonly effect: EffectClass;
  readonly capabilities: string;
  readonly wanted_node: string | null;
  readonly state: 'waiting' | 'sent' | 'settled' | 'cancelled';
  readonly node_id: string | null;
  readonly connection_id: string | null;
  readonly journal: string | null;
  readonly sends: number;
  readonly created_at: number;
}

interface Unsettled extends DispatchRow {
  readonly is_awaited: boolean | number;
  readonly is_late: boolean | number;
  /** Its turn has ended. */
  readonly is_over: boolean | number;
  readonly remaining_ms: number;
}

type Place = Pick<DispatchRow, 'created_at' | 'dispatch_id'>;

interface Routed {
  readonly late: readonly Unsettled[];
  readonly sent: number;
  /** Where to go on; undefined when there is no more. */
  readonly last: Place | undefined;
}

interface Capable {
  readonly connection_id: string;
  readonly device_id: string;
  readonly slot: string;
  readonly journal: string | null;
}

/** To whom directed messages of dispatches come back. */
const ORIGIN = 'dispatch';
const START: Place = { created_at: 0, dispatch_id: '00000000-0000-0000-0000-000000000000' };
const BATCH = 100;
/** How long an edge has to hand a message over before another way is looked for, in ms. */
const DELIVER_WITHIN_MS = 30_000;

/**
 * Actions on their way to nodes. A row is committed together with the turn's wait, and lives until there is an outcome:
 *
 *            open                route                        settle
 *     turn ───────▶ waiting ────────────▶ sent (node, connection) ──────▶ settled ──▶ the turn goes on
 *                      │                   │   ▲                            ▲
 *                      │                   └───┘ connection gone: routed again, see `mayGoTo`
 *                      └── deadline ───────┴───────── late ─────────────────┘
 *                                          └── its turn ended: cancelled, what came of it unknown until the node says so
 *
 * Who is late, or whose turn ended, is told to stop (`task.cancel`).
 * The id names one attempt of one step, and a node does nothing twice under one id. `once` is kept even for nodes that
 * forget: what such a node may have begun goes to no other node, and not again to a process that cannot remember it.
 */
export class Dispatches {
  private readonly mail: DirectedMail;

  constructor(private readonly ports: DispatchPorts) {
    this.mail = new DirectedMail(ports.store);
  }

  /** What the turn waits for: the same id for the same attempt, whoever asks. */
  static idOf({ tenantId, turnId, stepIndex, attempt }: DispatchRequest): string {
    return fingerprintUuid(['dispatch', tenantId, turnId, stepIndex, attempt]);
  }

  /** Notes the request in the commit in which the turn parks, and sends it if a node is there. Publish `directed` afterwards. */
  async openIn(tx: Tx, request: DispatchRequest): Promise<void> {
    const { tenantId, conversationKey, turnId, stepIndex, action, effect } = request;
    const { capabilities, nodeId, deadlineMs } = demandOf(action);
    const about = [Dispatches.idOf(request), tenantId, conversationKey, turnId, stepIndex];
    const what = [JSON.stringify(action), effect, JSON.stringify(capabilities), nodeId ?? null, deadlineMs];
    const [row] = await tx.query<DispatchRow>(insertDispatch, [...about, ...what]);
    if (row)
      await this.routeIn(tx, { ...row, remaining_ms: deadlineMs, is_awaited: true, is_late: false, is_over: false });
  }

  find(tenantId: string, dispatchId: string): Promise<DispatchRow | undefined> {
    return this.ports.store.read(async (db) => (await db.query<DispatchRow>(findDispatch, [tenantId, dispatchId]))[0]);
  }

  /**
   * A node's own word about what it was asked. False: it is nothing that this node was asked for, or it is settled already.
   * May come by any edge and over any connection, long after the one it was asked on.
   */
  async settle(
    from: { readonly tenantId: string; readonly nodeId: string },
    dispatchId: string,
    outcome: DispatchOutcome,
  ): Promise<boolean> {
    if (await this.bringIn(from.tenantId, dispatchId, { nodeId: from.nodeId, outcome })) return true;
    // The turn did not wait for it. What became of the action is kept with the dispatch all the same.
    await this.ports.store.execute(noteAbandoned, [from.tenantId, dispatchId, from.nodeId, JSON.stringify(outcome)]);
    return false;
  }

  /**
   * One look at everything that is open: sends what can be sent now, takes back what edges could not deliver, and ends what is
   * late. Any process may look; each row is one's at a time. Returns when the next deadline is.
   */
  async lookAfter(): Promise<{ more: boolean; nextDueInMs?: number }> {
    const { store, backplane } = this.ports;
    const [measured] = await store.read((db) => db.query<{ open: number; next_in_ms: number | null }>(measureOpen));
    if (!measured || Number(measured.open) === 0) return { more: false };
    await store.transaction(async (tx) => {
      const returned = await this.mail.collect(tx, ORIGIN, BATCH);
      if (returned.length > 0)
        await tx.query(unassignReturned, [JSON.stringify(returned.map(({ messageId }) => messageId))]);
    });
    const nobody = new Set<string>();
    for (let last: Place | undefined = START; last;) {
      const some: Routed = await this.routeSome(last, nobody);
      if (some.sent > 0) backplane.publish('directed');
      for (const row of some.late) await this.expire(row);
      last = some.last;
    }
    return { more: false, nextDueInMs: Math.max(50, Number(measured.next_in_ms ?? 0)) };
  }

  /** @param nobody demands that nobody can meet at the moment: not asked again for each that waits for the same */
  private routeSome(after: Place, nobody: Set<string>): Promise<Routed> {
    return this.ports.store.transaction(async (tx) => {
      const rows = await tx.query<Unsettled>(findUnsettled, [BATCH, after.created_at, after.dispatch_id]);
      const late: Unsettled[] = [];
      let sent = 0;
      for (const row of rows) {
        if (row.is_over && row.state === 'sent') sent += await this.abandonIn(tx, row);
        else if (!row.is_awaited) await tx.query(cancelDispatch, [row.dispatch_id]);
        else if (row.is_late) late.push(row);
        else if (nobody.has(demandKey(row))) continue;
        else if (await this.routeIn(tx, row)) sent += 1;
        else nobody.add(demandKey(row));
      }
      return { late, sent, last: rows.length < BATCH ? undefined : rows.at(-1) };
    });
  }

  /** Sends it to whoever can do it now. The turn shows where it is. */
  private async routeIn(tx: Tx, row: Unsettled): Promise<boolean> {
    const bound = boundTo(row);
    const [capable] = await tx.query<Capable>(findCapable, [row.tenant_id, row.capabilities, bound]);
    if (!capable || !mayGoTo(row, capable)) {
      await this.describe(tx, row, whyNot(row));
      return false;
    }
    const messageId = this.ports.newId();
    await tx.query(assignDispatch, [
      row.dispatch_id,
      capable.device_id,
      capable.connection_id,
      messageId,
      capable.journal,
    ]);
    const payload = {
      request_id: row.dispatch_id,
      type: 'task.execute',
      payload: {
        turn_id: row.turn_id,
        dispatch_id: row.dispatch_id,
        action: JSON.parse(row.action) as Action,
      },
    };
    const deliverWithinMs = Math.max(1, Math.min(row.remaining_ms, DELIVER_WITHIN_MS));
    await this.mail.send(tx, [
      {
        messageId,
        tenantId: row.tenant_id,
        slot: capable.slot,
        connectionId: capable.connection_id,
        origin: ORIGIN,
        payload: JSON.stringify(payload),
        deliverWithinMs,
      },
    ]);
    await this.describe(tx, row, `sent to node ${capable.device_id}`);
    return true;
  }

  /** The turn ended while a node was at it: the node is told to stop. Returns how many messages that took. */
  private async abandonIn(tx: Tx, row: DispatchRow): Promise<number> {
    const outcome: DispatchOutcome =
      row.effect === 'once'
        ? { kind: 'unknown', detail: `its turn ended while node ${row.node_id} was at it` }
        : failed('cancelled', 'its turn ended');
    const abandoned = await tx.query(abandonDispatch, [row.dispatch_id, JSON.stringify(outcome)]);
    return abandoned.length > 0 ? this.tellToStop(tx, row, 'its turn has ended') : 0;
  }

  /**
   * Asks the node to stop, on whatever connection it has now. One that is not connected goes on to its end, and so does one that
   * knows no `task.cancel`: whether it stops is never relied on. A message that comes back is of no use to anybody.
   */
  private async tellToStop(tx: Tx, row: DispatchRow, reason: string): Promise<number> {
    const [place] = await tx.query<Pick<Capable, 'connection_id' | 'slot'>>(findNodeConnection, [
      row.tenant_id,
      row.node_id,
    ]);
    if (!place) return 0;
    const messageId = this.ports.newId();
    const payload = { turn_id: row.turn_id, dispatch_id: row.dispatch_id, reason };
    await this.mail.send(tx, [
      {
        messageId,
        tenantId: row.tenant_id,
        slot: place.slot,
        connectionId: place.connection_id,
        origin: ORIGIN,
        payload: JSON.stringify({ request_id: messageId, type: 'task.cancel', payload }),
        deliverWithinMs: DELIVER_WITHIN_MS,
      },
    ]);
    return 1;
  }

  private async describe(tx: Tx, row: Unsettled, detail: string): Promise<void> {
    await tx.query(describeWait, [row.tenant_id, row.turn_id, row.dispatch_id, detail]);
  }

  private async expire(row: Unsettled): Promise<void> {
    const outcome: DispatchOutcome =
      row.state === 'waiting'
        ? failed('no_capable_node', `${whyNot(row)}: none came in time`)
        : row.effect === 'once'
          ? { kind: 'unknown', detail: `node ${row.node_id} gave no answer in time` }
          : failed('node_timeout', `node ${row.node_id} gave no answer in time`);
    let told = 0;
    await this.bringIn(row.tenant_id, row.dispatch_id, { nodeId: null, outcome }, async (tx) => {
      told = row.state === 'sent' ? await this.tellToStop(tx, row, 'its time is over') : 0;
    });
    if (told > 0) this.ports.backplane.publish('directed');
  }

  private async bringIn(
    tenantId: string,
    dispatchId: string,
    { nodeId, outcome }: { nodeId: string | null; outcome: DispatchOutcome },
    alongside?: (tx: Tx) => Promise<void>,
  ): Promise<boolean> {
    const arrival = { tenantId, kind: 'node', id: dispatchId, outcome } as const;
    const came = await this.ports.waits.arrive(arrival, async (tx) => {
      const settled = await tx.query(settleDispatch, [tenantId, dispatchId, nodeId, JSON.stringify(outcome)]);
      if (settled.length > 0) await alongside?.(tx);
      return settled.length > 0;
    });
    return came !== 'already';
  }
}

/** The only node it may go to: what may have begun on one must not begin on another, too. */
function boundTo(row: DispatchRow): string | null {
  return row.state === 'sent' && row.effect === 'once' ? row.node_id : row.wanted_node;
}

/** What is sent again depends on the row; what was never sent, on what it asks for alone. */
function demandKey(row: DispatchRow): string {
  return row.state === 'sent' ? row.dispatch_id : JSON.stringify([row.tenant_id, row.capabilities, boundTo(row)]);
}

/** Whether a node may be asked again what it may have begun: if doing so twice does no harm, or if it remembers. */
function mayGoTo(row: DispatchRow, capable: Capable): boolean {
  if (row.state !== 'sent' || row.effect !== 'once') return true;
  if (row.journal === null || capable.journal === null) return false;
  const then = JSON.parse(row.journal) as DispatchJournal;
  const now = JSON.parse(capable.journal) as DispatchJournal;
  return then.kind === now.kind && then.instance === now.instance;
}

function whyNot(row: DispatchRow): string {
  if (row.state === 'sent') return `waits for node ${row.node_id} to come back with what it knows`;
  const [capability] = JSON.parse(row.capabilities) as string[];
  const where = row.wanted_node === null ? 'an approved node' : `node ${row.wanted_node}`;
  return `waits for ${where} with ${capability}`;
}

function failed(code: string, message: string): DispatchOutcome {
  return { kind: 'failed', error: { code, message }, retryable: false };
}

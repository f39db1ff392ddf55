import type { Param, StateStore, Statement, Tx } from '../state-store';
import { TableWalk, type Deleted, type WalkedTable } from '../table-walk';
import { deleteMessages, findOldMessages } from './sql/sweep-messages';
import {
  findIdleConversations,
  holdIdleConversations,
  raiseLeaseFloor,
  removeConversation,
} from './sql/sweep-conversations';
import {
  deleteWithTurn,
  findOldTurns,
  findStepsWithoutTurn,
  forgetLastTurns,
  nextTenantWithOldTurns,
} from './sql/sweep-turns';
import { deleteWaits, findOldWaits } from './sql/sweep-waits';
import type { RefColumns } from './ref-columns';
import type { WaitRow } from './turn-rows';

interface Found {
  /** SQLite answers with 0 and 1. */
  readonly past: boolean | number;
}
interface OldTurn extends Found, RefColumns {
  readonly turn_id: string;
  readonly created_at: number;
  readonly steps: number;
}
interface OldMessage extends Found, RefColumns {
  readonly message_seq: number;
  readonly created_at: number;
}
type OldWait = Found & Pick<WaitRow, 'tenant_id' | 'kind' | 'wait_id' | 'created_at'>;
type StepsOfTurn = Found & Pick<OldTurn, 'tenant_id' | 'turn_id'>;
type IdleConversation = Found & RefColumns;

/** Comes before every id. */
const ZERO = '00000000-0000-0000-0000-000000000000';
/** Steps that one batch deletes with their turns at the most, for each row of the batch; a single turn always fits. */
const STEPS_PER_ROW = 10;

/** What retention does with the tables of the conversations' work. */
export class TurnRetention {
  constructor(private readonly store: StateStore) {}

  /** Turns that ended so long ago, with their steps, artifacts and dead letters. */
  turns(olderThanMs: number): TableWalk<OldTurn> {
    return new TableWalk<OldTurn>({
      find: (after, limit) => this.oldTurns(after, olderThanMs, limit),
      remove: (rows) => this.removeTurns(rows),
    });
  }

  /** Messages that are so old and whose turn is not kept any more. */
  messages(olderThanMs: number): TableWalk<OldMessage> {
    return this.byAge<OldMessage>('message', { find: findOldMessages, remove: deleteMessages }, olderThanMs);
  }

  /** Waits that are over, and arrivals that nobody came to wait for. */
  waits(olderThanMs: number): TableWalk<OldWait> {
    return this.byAge<OldWait>('wait', { find: findOldWaits, remove: deleteWaits }, olderThanMs);
  }

  /** Conversations of which nothing is kept and to which nobody has written for so long. */
  conversations(idleForMs: number): TableWalk<IdleConversation> {
    return new TableWalk<IdleConversation>({
      find: async (after, limit) => {
        const params = [after?.tenant_id ?? ZERO, after?.conversation_key ?? '', idleForMs, limit];
        return page(await this.rows<IdleConversation>(findIdleConversations, params), limit);
      },
      remove: (rows) => this.removeConversations(rows, idleForMs),
    });
  }

  /** Steps whose turn is not there: nothing of ours leaves them behind. */
  stepsWithoutTurn(): TableWalk<StepsOfTurn> {
    return new TableWalk<StepsOfTurn>({
      find: async (after, limit) => {
        const params = [after?.tenant_id ?? ZERO, after?.turn_id ?? ZERO, limit];
        return page(await this.rows<StepsOfTurn>(findStepsWithoutTurn, params), limit);
      },
      remove: async (rows) => ({
        step: (await this.store.execute(deleteWithTurn.step, [JSON.stringify(rows)])).length,
      }),
    });
  }

  private async oldTurns(after: OldTurn | undefined, olderThanMs: number, limit: number) {
    let place = { tenant_id: ZERO, created_at: 0, turn_id: ZERO, ...after };
    for (;;) {
      const params = [place.tenant_id, place.created_at, place.turn_id, olderThanMs, limit];
      const rows = await this.rows<OldTurn>(findOldTurns, params);
      if (rows.length > 0) return { rows: bounded(rows, limit * STEPS_PER_ROW), more: true };
      const [next] = await this.rows<OldTurn>(nextTenantWithOldTurns, [place.tenant_id, olderThanMs]);
      if (!next) return { rows: [], more: false };
      place = { tenant_id: next.tenant_id, created_at: 0, turn_id: ZERO };
    }
  }

  /** Under the conversations' locks: a dead turn must not be redriven from steps that are half gone. */
  private removeTurns(rows: readonly OldTurn[]): Promise<Deleted> {
    const list = [JSON.stringify(rows.map(({ tenant_id, turn_id }) => ({ tenant_id, turn_id })))];
    return this.store.transaction(async (tx) => {
      await tx.lockConversations(rows.map(ref));
      await tx.query(forgetLastTurns, list);
      return countEach(tx, deleteWithTurn, list);
    });
  }

  private removeConversations(rows: readonly IdleConversation[], idleForMs: number): Promise<Deleted> {
    return this.store.transaction(async (tx) => {
      await tx.lockConversations(rows.map(ref));
      const idle = await tx.query<RefColumns>(holdIdleConversations, [JSON.stringify(rows), idleForMs]);
      if (idle.length === 0) return {};
      const list = [JSON.stringify(idle)];
      await tx.query(raiseLeaseFloor, list);
      return countEach(tx, removeConversation, list);
    });
  }

  private byAge<Row extends Found & { readonly created_at: number }>(
    table: string,
    statements: { readonly find: Statement; readonly remove: Statement },
    olderThanMs: number,
  ): TableWalk<Row> {
    const walked: WalkedTable<Row> = {
      find: async (after, limit) => {
        const rows = await this.rows<Row>(statements.find, [placeAfter(after), olderThanMs, limit]);
        return page(rows, limit);
      },
      remove: async (rows) => ({
        [table]: (await this.store.execute(statements.remove, [JSON.stringify(rows)])).length,
      }),
    };
    return new TableWalk(walked);
  }

  private rows<Row>(statement: Statement, params: readonly Param[]): Promise<Row[]> {
    return this.store.read((db) => db.query<Row>(statement, params));
  }
}

/** Behind a row that went, its moment is looked at again, for there may be more of it; behind one that stays it is not. */
function placeAfter(row: (Found & { readonly created_at: number }) | undefined): number {
  if (!row) return 0;
  return row.past ? row.created_at : row.created_at + 1;
}

function page<Row>(rows: readonly Row[], limit: number): { rows: readonly Row[]; more: boolean } {
  return { rows, more: rows.length === limit };
}

/** As many of the first turns as have that many steps together, and one at least. */
function bounded(rows: readonly OldTurn[], maxSteps: number): readonly OldTurn[] {
  let steps = 0;
  const end = rows.findIndex((row, i) => (steps += row.past ? row.steps : 0) > maxSteps && i > 0);
  return end < 0 ? rows : rows.slice(0, end);
}

async function countEach(tx: Tx, statements: Record<string, Statement>, params: readonly Param[]): Promise<Deleted> {
  const deleted: Record<string, number> = {};
  for (const [table, statement] of Object.entries(statements)) {
    deleted[table] = (await tx.query(statement, params)).length;
  }
  return deleted;
}

function ref({ tenant_id, conversation_key }: RefColumns) {
  return { tenantId: tenant_id, conversationKey: conversation_key };
}

import type { DatabaseView } from './database';
import type { FinalState, FinalTurn } from './history';
import { opOf } from './ledger';

interface TurnRow {
  turn_id: string;
  conversation_key: string;
  trigger_kind: string;
  status: string;
  input: string;
  error: string | null;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
}

/** Reads out everything the checker wants to know of the database. */
export async function readFinalState(view: DatabaseView, store: 'sqlite' | 'postgres'): Promise<FinalState> {
  const turns = await view.query<TurnRow>(
    `select turn_id, conversation_key, trigger_kind, status, input, error, created_at, started_at, finished_at from turn`,
  );
  const steps = await view.query<{ turn_id: string; step_index: number; effect: string; status: string }>(
    `select turn_id, step_index, effect, status from step order by turn_id, step_index`,
  );
  const order = store === 'postgres' ? 'xid, id' : 'id';
  const outbox = await view.query<{ events: string }>(`select events from outbox order by ${order}`);
  const firings = await view.query<Record<string, string>>(`select schedule_id, instant, turn_id from firing`);
  const takeovers = await view.query<Record<string, string>>(
    `select name, token, owner, taken_from, at from lease_history
     where kind = 'conversation' and reason = 'taken_over' order by id`,
  );
  const stepsOf = new Map<string, FinalTurn['steps'][number][]>();
  for (const { turn_id, step_index, effect, status } of steps) {
    stepsOf.set(turn_id, [...(stepsOf.get(turn_id) ?? []), { step: step_index, effect, status }]);
  }
  const integrity =
    store === 'sqlite' ? await view.query<{ integrity_check: string }>('pragma integrity_check') : undefined;
  return {
    turns: turns.map((turn) => toTurn(turn, stepsOf.get(turn.turn_id) ?? [])),
    outbox: outbox.flatMap(eventsOf),
    firings: firings.map((row) => ({
      schedule: row['schedule_id'] ?? '',
      instant: Number(row['instant']),
      turn: row['turn_id'] ?? '',
    })),
    takeovers: takeovers.map((row) => ({
      // Named `<tenant>/<conversation>`, and a key may hold no slash.
      conversation: (row['name'] ?? '').split('/').slice(1).join('/'),
      token: Number(row['token']),
      owner: row['owner'] ?? '',
      takenFrom: row['taken_from'] ?? '',
      at: Number(row['at']),
    })),
    ...(integrity ? { integrity: integrity.map((row) => row.integrity_check).join('; ') } : {}),
  };
}

interface EventJson {
  readonly event_id: string;
  readonly type: string;
  readonly conversation_key?: string;
  readonly conversation_seq?: number;
  readonly turn_id?: string;
}

/** The events of conversations in a row of the outbox. */
export function eventsOf({ events }: { readonly events: string }): FinalState['outbox'] {
  return (JSON.parse(events) as EventJson[]).flatMap((event) =>
    event.conversation_key === undefined
      ? []
      : {
          event: event.event_id,
          type: event.type,
          conversation: event.conversation_key,
          seq: Number(event.conversation_seq),
          turn: event.turn_id ?? null,
        },
  );
}

function toTurn(row: TurnRow, steps: FinalTurn['steps']): FinalTurn {
  const error = row.error ? (JSON.parse(row.error) as { code?: string }).code : undefined;
  return {
    turn: row.turn_id,
    op: opOf(row.input),
    conversation: row.conversation_key,
    trigger: row.trigger_kind,
    status: row.status,
    ...(error ? { error } : {}),
    createdAt: Number(row.created_at),
    startedAt: row.started_at === null ? null : Number(row.started_at),
    finishedAt: row.finished_at === null ? null : Number(row.finished_at),
    steps,
  };
}

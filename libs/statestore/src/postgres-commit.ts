import type { QueryRunner } from 'typeorm';
import { classifyError, StoreUnavailableError, UnknownCommitError } from './errors';
import type { BoundParam } from './row-lists';
import type { Notice, Send, TypeOrmTx } from './typeorm-reader';

/** How long a caller should wait before it tries again, in ms. */
export const RETRY_AFTER_MS = 500;

/** A pooled connection, past TypeORM's runner. */
export interface Connection {
  query(
    query: string | { name?: string; text: string; values: BoundParam[] },
  ): Promise<{ command: string; rows: unknown[] }>;
  end(): Promise<void>;
}

/**
 * Commits, with what is to follow the commit sent in the same write.
 * @throws {UnknownCommitError} COMMIT was sent and not answered; any other error: nothing was committed
 */
export async function commit(runner: QueryRunner, connection: Connection, tx: TypeOrmTx, send: Send): Promise<void> {
  // TypeORM releases a runner when its connection breaks: COMMIT has not been sent then, and nothing is unknown.
  if (runner.isReleased) throw new StoreUnavailableError('the connection went before COMMIT', RETRY_AFTER_MS);
  tx.assertSound();
  const committed = connection.query('commit');
  for (const notice of tx.notices) void notify(send, notice);
  const [answer] = await Promise.allSettled([committed, tx.finish()]);
  if (answer.status === 'rejected') {
    if (classifyError(answer.reason) === 'connection') throw new UnknownCommitError({ cause: answer.reason });
    throw answer.reason;
  }
  // The server's answer to COMMIT after a statement failed is success, with this tag.
  if (answer.value.command !== 'ROLLBACK') return;
  throw tx.failure ?? new Error('a statement failed and its error was caught: nothing was committed');
}

/** A transaction of its own; since it writes nothing else, it does not wait for the disk. */
async function notify(send: Send, { channel, texts, onLost }: Notice): Promise<void> {
  const text = 'select pg_notify($1, text) from json_array_elements_text($2::json) as text';
  await send(text, [channel, JSON.stringify(texts)], 'notify-behind').catch(() => onLost?.());
}

/** A connection that cannot roll back is broken, and Postgres has rolled back for it. */
export async function rollbackQuietly(connection: Connection): Promise<void> {
  try {
    await connection.query('rollback');
  } catch {
    return;
  }
}

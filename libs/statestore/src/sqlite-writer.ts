import { AsyncResource } from 'node:async_hooks';
import type { TypeOrmTx } from './typeorm-reader';

/** The writing connection, as far as its transactions are concerned. */
export interface WritingConnection {
  /** Takes the write lock. @throws {StoreUnavailableError} somebody else has kept it for too long */
  begin(): Promise<unknown>;
  /** Runs a statement without parameters. */
  command(text: string): Promise<unknown>;
  newTx(): TypeOrmTx;
}

interface Member {
  readonly work: (tx: TypeOrmTx) => Promise<unknown>;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/** Transactions that share a commit at the most. */
const MAX_TOGETHER = 16;

/**
 * Takes turns on SQLite's one writing connection. A commit costs an fsync whatever is in it, so transactions that wait at
 * the same time share one, and each is answered when the COMMIT of all has returned. What one of them fails at undoes what it
 * wrote and nothing else: it hardly ever happens, so all are first run as one, and after a failure again, each behind a savepoint of
 * its own, whose commands cost as much as the statements inside.
 *
 *     begin ─▶ work ─▶ work ─▶ … ─▶ commit ─▶ answers
 *                │ fails
 *                ▼
 *     rollback ─▶ begin ─▶ savepoint ─ work ─ release ─▶ savepoint ─ work ─ rollback to ─▶ … ─▶ commit ─▶ answers
 */
export class SqliteWriter {
  private waiting: Member[] = [];
  private writing: Promise<void> | undefined;

  constructor(private readonly connection: WritingConnection) {}

  /** Runs `work` in a transaction and resolves after COMMIT returned. */
  transaction<T>(work: (tx: TypeOrmTx) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      // It runs from whoever's loop is at it, but in its caller's context.
      this.waiting.push({ work: AsyncResource.bind(work), resolve, reject });
      this.writing ??= this.writeAll();
    });
  }

  /** Resolves when nothing waits or is under way. */
  async idle(): Promise<void> {
    await this.writing;
  }

  private async writeAll(): Promise<void> {
    while (this.waiting.length > 0) await this.writeTogether();
    this.writing = undefined;
  }

  private async writeTogether(): Promise<void> {
    const patient = this.waiting.length;
    try {
      await this.connection.begin();
    } catch (error) {
      for (const { reject } of this.waiting.splice(0, patient)) reject(error);
      return;
    }
    const together = this.waiting.splice(0, MAX_TOGETHER);
    try {
      await this.commit(together, false);
    } catch (error) {
      await this.rollback();
      if (together.length === 1) together[0]?.reject(error);
      else await this.writeApart(together);
    }
  }

  private async writeApart(together: readonly Member[]): Promise<void> {
    try {
      await this.connection.begin();
      await this.commit(together, true);
    } catch (error) {
      await this.rollback();
      for (const { reject } of together) reject(error);
    }
  }

  private async commit(together: readonly Member[], apart: boolean): Promise<void> {
    const answers: (() => void)[] = [];
    for (const member of together) answers.push(await this.run(member, apart));
    await this.connection.command('commit');
    for (const answer of answers) answer();
  }

  /** Does a member's work; returns how it is answered once that is committed. Throws what concerns all. */
  private async run({ work, resolve, reject }: Member, apart: boolean): Promise<() => void> {
    const { connection } = this;
    if (apart) await connection.command('savepoint member');
    const tx = connection.newTx();
    try {
      const value = await work(tx);
      await tx.finish();
      tx.assertSound();
      if (apart) await connection.command('release member');
      return () => resolve(value as never);
    } catch (error) {
      await tx.finish();
      if (!apart || !(await this.undoMember())) throw error;
      return () => reject(error);
    }
  }

  /** False: SQLite has rolled back the whole transaction by itself, as it does when the disk is full. */
  private async undoMember(): Promise<boolean> {
    try {
      await this.connection.command('rollback to member');
      await this.connection.command('release member');
      return true;
    } catch {
      return false;
    }
  }

  private async rollback(): Promise<void> {
    try {
      await this.connection.command('rollback');
    } catch {
      // SQLite ends the transaction itself on some errors (a full disk); then there is nothing left to roll back.
    }
  }
}

import { type EntityManager, type EntitySchema, type QueryRunner, type Repository } from 'typeorm';
import { isRefusal } from './errors';
import { bind, type BoundParam } from './row-lists';
import type { ConversationRef, Dialect, Param, Reader, Statement, Tx } from './state-store';

/** Sends one statement and resolves to its rows. `name`: it will come again, with the same text. */
export type Send = (text: string, params: readonly BoundParam[], name?: string) => Promise<unknown[]>;

/** Runs statements on one TypeORM query runner, or on its connection where `send` does. */
export class TypeOrmReader implements Reader {
  constructor(
    readonly dialect: Dialect,
    protected readonly runner: QueryRunner,
    protected readonly send: Send = async (text, params) => {
      // The structured result is the only one with the same shape for every kind of statement.
      const result = await runner.query(text, [...params], true);
      return (result.records ?? []) as unknown[];
    },
  ) {}

  async query<Row = Record<string, unknown>>(statement: Statement, params: readonly Param[] = []): Promise<Row[]> {
    const texts = statement[this.dialect];
    const bound = bind(statement, params, this.dialect);
    if (typeof texts === 'string') return (await this.send(texts, bound, statement.name)) as Row[];
    let rows: unknown[] = [];
    for (const text of texts) rows = await this.send(text, bound);
    return rows as Row[];
  }

  records<T extends object>(entity: EntitySchema<T>): Repository<T> {
    return this.runner.manager.getRepository(entity);
  }
}

/** What is to be notified of behind a COMMIT. */
export interface Notice {
  readonly channel: string;
  readonly texts: readonly string[];
  readonly onLost: (() => void) | undefined;
}

/** A `Tx` on a query runner whose connection has an open transaction. */
export class TypeOrmTx extends TypeOrmReader implements Tx {
  /** How many savepoints are open inside the transaction. */
  private depth = 0;
  /** True once the work is done: what comes later is a forgotten await. */
  finished = false;
  /** The first error of a statement that no savepoint has undone. Postgres commits nothing after one. */
  failure: unknown;
  /** To be sent behind COMMIT. */
  readonly notices: Notice[] = [];
  /**
   * The end of the queue: statements of one transaction run one after the other, in the order of their calls. Postgres keeps
   * that order itself, so they are sent at once and those whose answers nobody waits for share a round trip.
   */
  private tail: Promise<unknown> = Promise.resolve();

  constructor(
    dialect: Dialect,
    runner: QueryRunner,
    private readonly lock: (keys: readonly ConversationRef[]) => Promise<void>,
    send?: Send,
    private readonly notifies = false,
  ) {
    super(dialect, runner, send);
  }

  get manager(): EntityManager {
    return this.runner.manager;
  }

  override query<Row = Record<string, unknown>>(statement: Statement, params?: readonly Param[]): Promise<Row[]> {
    if (this.finished) throw new Error(`${statement.name}: used a transaction after it ended`);
    return this.enqueue(() => super.query<Row>(statement, params));
  }

  lockConversations(keys: readonly ConversationRef[]): Promise<void> {
    return this.enqueue(() => this.lock(keys));
  }

  notifyBehind(channel: string, texts: readonly string[], onLost?: () => void): boolean {
    if (this.notifies) this.notices.push({ channel, texts, onLost });
    return this.notifies;
  }

  /**
   * Ends the work. Statements already called are waited for, so that a rejected `Promise.all` leaves none behind that would
   * run after the rollback, on SQLite even inside the next transaction.
   */
  async finish(): Promise<void> {
    this.finished = true;
    await this.tail;
  }

  /** @throws the error of a statement that failed while the work went on: nothing may be committed */
  assertSound(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /** Postgres refuses what comes behind a failed statement: what matters is the failure, not the refusal. */
  causeOf(error: unknown): unknown {
    return isRefusal(error) ? (this.failure ?? error) : error;
  }

  /** Runs `work` between SAVEPOINT and RELEASE; its failure undoes what it wrote and nothing else. */
  async savepoint<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const name = `tyrum_${++this.depth}`;
    const { failure } = this;
    await this.command(`savepoint ${name}`);
    try {
      const value = await work(this);
      await this.tail;
      this.assertSound();
      await this.command(`release savepoint ${name}`);
      return value;
    } catch (error) {
      await this.enqueue(() => this.send(`rollback to savepoint ${name}`, []), 'after a failure too');
      await this.enqueue(() => this.send(`release savepoint ${name}`, []), 'after a failure too');
      const cause = this.causeOf(error);
      this.failure = failure;
      throw cause;
    } finally {
      this.depth -= 1;
    }
  }

  private command(text: string): Promise<unknown> {
    return this.enqueue(() => this.send(text, []));
  }

  private enqueue<T>(run: () => Promise<T>, when?: 'after a failure too'): Promise<T> {
    // Its connection may be in another transaction by now.
    if (this.finished) throw new Error('used a transaction after it ended');
    // As Postgres does by itself, nothing runs behind a failure. SQLite may have rolled back the whole transaction for it (a
    // full disk), and what came behind would be outside of any, committed at once.
    const unlessFailed = () => (this.failure === undefined || when ? run() : Promise.reject(this.failure as Error));
    const turn = this.dialect === 'postgres' ? run() : this.tail.then(unlessFailed);
    const settled = turn.then(
      () => undefined,
      (error: unknown) => {
        this.failure ??= error;
      },
    );
    this.tail = Promise.all([this.tail, settled]);
    return turn;
  }
}

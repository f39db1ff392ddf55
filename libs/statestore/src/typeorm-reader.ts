import { type EntityManager, type EntitySchema, type QueryRunner, type Repository } from 'typeorm';
import type { ConversationRef, Dialect, Param, Reader, Statement, Tx } from './state-store';

/** Runs statements on one TypeORM query runner. */
export class TypeOrmReader implements Reader {
  constructor(
    readonly dialect: Dialect,
    protected readonly runner: QueryRunner,
  ) {}

  async query<Row = Record<string, unknown>>(statement: Statement, params: readonly Param[] = []): Promise<Row[]> {
    const texts = statement[this.dialect];
    if (typeof texts === 'string') return this.run<Row>(texts, params);
    let rows: Row[] = [];
    for (const text of texts) rows = await this.run<Row>(text, params);
    return rows;
  }

  records<T extends object>(entity: EntitySchema<T>): Repository<T> {
    return this.runner.manager.getRepository(entity);
  }

  private async run<Row>(text: string, params: readonly Param[]): Promise<Row[]> {
    // The structured result is the only one with the same shape for every kind of statement.
    const result = await this.runner.query(text, [...params], true);
    return (result.records ?? []) as Row[];
  }
}

/** A `Tx` on a query runner whose connection has an open transaction. */
export class TypeOrmTx extends TypeOrmReader implements Tx {
  /** How many savepoints are open inside the transaction. */
  private depth = 0;
  /** True once the work is done: what comes later is a forgotten await. */
  finished = false;
  /** The first error of a statement that no savepoint has undone. Postgres commits nothing after one. */
  private failure: unknown;
  /** The end of the queue: statements of one transaction run one after the other, in the order of their calls. */
  private tail: Promise<unknown> = Promise.resolve();

  constructor(
    dialect: Dialect,
    runner: QueryRunner,
    private readonly lock: (keys: readonly ConversationRef[]) => Promise<void>,
  ) {
    super(dialect, runner);
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

  /**
   * Ends the work. Statements already called are waited for, so that a rejected `Promise.all` leaves none behind that would
   * run after the rollback, on SQLite even inside the next transaction.
   */
  async finish(): Promise<void> {
    this.finished = true;
    await this.tail;
  }

  /** @throws {Error} a statement failed and the work went on as if it had not */
  assertSound(): void {
    if (this.failure === undefined) return;
    throw new Error('a statement failed, its error was caught, and no savepoint undid it: nothing is committed', {
      cause: this.failure,
    });
  }

  /** Runs `work` between SAVEPOINT and RELEASE; its failure undoes what it wrote and nothing else. */
  async savepoint<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.finished) throw new Error('used a transaction after it ended');
    const name = `tyrum_${++this.depth}`;
    const { failure } = this;
    await this.command(`savepoint ${name}`);
    try {
      const value = await work(this);
      this.assertSound();
      await this.command(`release savepoint ${name}`);
      return value;
    } catch (error) {
      await this.command(`rollback to savepoint ${name}`);
      await this.command(`release savepoint ${name}`);
      this.failure = failure;
      throw error;
    } finally {
      this.depth -= 1;
    }
  }

  private command(text: string): Promise<unknown> {
    return this.enqueue(() => this.runner.query(text));
  }

  private enqueue<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.tail.then(run);
    this.tail = turn.catch((error: unknown) => {
      this.failure ??= error;
    });
    return turn;
  }
}

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
  depth = 0;
  private finished = false;

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
    return super.query<Row>(statement, params);
  }

  lockConversations(keys: readonly ConversationRef[]): Promise<void> {
    return this.lock(keys);
  }

  /** Called when the transaction is over, so that a forgotten await cannot write into the next one. */
  finish(): void {
    this.finished = true;
  }

  /** Runs `work` between SAVEPOINT and RELEASE; its failure undoes what it wrote and nothing else. */
  async savepoint<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const name = `tyrum_${++this.depth}`;
    await this.runner.query(`savepoint ${name}`);
    try {
      const value = await work(this);
      await this.runner.query(`release savepoint ${name}`);
      return value;
    } catch (error) {
      await this.runner.query(`rollback to savepoint ${name}`);
      await this.runner.query(`release savepoint ${name}`);
      throw error;
    } finally {
      this.depth -= 1;
    }
  }
}

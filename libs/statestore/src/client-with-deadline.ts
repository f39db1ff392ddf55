import type { Socket } from 'node:net';
import { Client } from 'pg';

/** How long an answer is waited for; undefined = for ever. Read anew for each query. */
export interface Deadline {
  ms: number | undefined;
}

type Query = (...args: unknown[]) => unknown;

/**
 * A client that gives up its connection when an answer does not come. A server that stopped, or a network that lost the
 * connection without a word, says nothing, and TCP alone notices after a quarter of an hour; meanwhile every loop that waits
 * for that answer stands still. Server-side timeouts do not help: nobody is there to tell of them, and COMMIT ignores them
 * while it waits for a standby. The connection is destroyed rather than the query abandoned (which is what pg's own
 * `query_timeout` does), so that what was under way is reported like any lost connection: a COMMIT as unknown.
 */
export function clientWithDeadline(deadline: Deadline): typeof Client {
  class ClientWithDeadline extends Client {
    private gathering = false;

    constructor(...args: ConstructorParameters<typeof Client>) {
      super(...args);
      const query = this.query.bind(this) as Query;
      // Set on the object, because the method's many overloads cannot be overridden as one.
      this.query = ((...given: unknown[]) => {
        this.gather();
        return this.watch(query(...given));
      }) as typeof this.query;
    }

    /** What is sent in one go of the event loop leaves in one write: a system call less a statement, and one wake-up there. */
    private gather(): void {
      if (this.gathering) return;
      this.gathering = true;
      const { stream } = (this as unknown as { connection: { stream: Socket } }).connection;
      stream.cork();
      process.nextTick(() => {
        this.gathering = false;
        stream.uncork();
      });
    }

    private watch(answer: unknown): unknown {
      if (deadline.ms === undefined || !(answer instanceof Promise)) return answer;
      const timer = setTimeout(() => this.hangUp(), deadline.ms);
      // `finally` makes another promise, whose rejection is nobody's business: the caller has the first.
      answer.finally(() => clearTimeout(timer)).catch(() => undefined);
      return answer;
    }

    private hangUp(): void {
      const { connection } = this as unknown as { connection: { stream: { destroy(): void } } };
      connection.stream.destroy();
    }
  }
  return ClientWithDeadline;
}

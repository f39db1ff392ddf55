import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';

// Fast mode as its performance page has it: a local queue, batched completions, prepared statements left on.

const TASK = 'bench';

export const name = 'graphile-worker';

export async function open({ database, concurrency = 10 }) {
  const pgPool = new pg.Pool({ connectionString: database.address, max: 20 });
  pgPool.on('error', (error) => process.stderr.write(`${error.stack}\n`));
  pgPool.on('connect', (client) => client.on('error', () => undefined));
  const logger = new Logger(() => () => undefined);
  const utils = await makeWorkerUtils({ pgPool, logger });
  await utils.migrate();
  return {
    async accept(job) {
      await utils.addJob(TASK, job);
    },
    async preload(jobs) {
      await utils.addJobs(
        jobs.map((job) => ({
          identifier: TASK,
          payload: job,
          ...(job.key === undefined ? {} : { queueName: job.key }),
        })),
      );
    },
    async work(handler, options) {
      const batched =
        options.keyed || options.idle
          ? {}
          : { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
      const runner = await run({
        pgPool,
        logger,
        noHandleSignals: true,
        concurrency: Math.min(concurrency, 24),
        preset: { worker: { ...batched, pollInterval: 2_000, concurrentJobs: Math.min(concurrency, 24) } },
        taskList: { [TASK]: (payload) => handler(payload, 0) },
      });
      return { stop: () => runner.stop() };
    },
    async remaining() {
      const { rows } = await pgPool.query('select count(*)::int as n from graphile_worker._private_jobs');
      return rows[0].n;
    },
    async close() {
      await utils.release();
      await pgPool.end();
    },
  };
}

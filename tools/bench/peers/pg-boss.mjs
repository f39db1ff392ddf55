import { PgBoss } from 'pg-boss';

// Fast mode as its documentation has it: batches fetched while they are full, completions a batch, LISTEN/NOTIFY for idle
// workers; maintenance and cron left out of the measurement.

const QUEUE = 'bench';
const BATCH = 500;
const LOOPS = 2;

export const name = 'pg-boss';

export async function open({ database, keyed }) {
  const boss = new PgBoss({
    connectionString: database.address,
    supervise: false,
    schedule: false,
    useListenNotify: true,
  });
  boss.on('error', (error) => process.stderr.write(`${error.stack}\n`));
  await boss.start();
  await boss.createQueue(QUEUE, { policy: keyed ? 'key_strict_fifo' : 'standard', notify: true });
  const options = (job) => (keyed ? { singletonKey: job.key } : {});
  return {
    async accept(job) {
      if (!(await boss.send(QUEUE, job, options(job)))) throw new Error('the job was not sent');
    },
    async preload(jobs) {
      // Rows of one insert are equally old, and a key's order is by age: its jobs go into inserts of their own.
      for (const batch of keyed ? layers(jobs) : [jobs]) {
        await boss.insert(
          QUEUE,
          batch.map((job) => ({ data: job, ...options(job) })),
        );
      }
    },
    work: async (handler, { concurrency }) =>
      keyed ? fetchInLoops(boss, handler, concurrency) : workBatches(boss, handler),
    async remaining() {
      const { rows } = await boss
        .getDb()
        .executeSql(`select count(*)::int as n from pgboss.job where name = '${QUEUE}' and state < 'completed'`);
      return rows[0].n;
    },
    close: () => boss.stop({ graceful: false }),
  };
}

async function workBatches(boss, handler) {
  await boss.work(QUEUE, { batchSize: BATCH, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }, async (jobs) => {
    for (const { data } of jobs) await handler(data, 0);
  });
  return { stop: () => boss.offWork(QUEUE) };
}

/** With keys a batch is short whenever few keys have a job to give, and `work` then pauses: fetching by hand does not. */
function fetchInLoops(boss, handler, concurrency) {
  let stopped = false;
  const loop = async () => {
    while (!stopped) {
      const jobs = await boss.fetch(QUEUE, { batchSize: Math.ceil(concurrency / LOOPS) });
      for (const { data } of jobs) await handler(data, 0);
      if (jobs.length > 0)
        await boss.complete(
          QUEUE,
          jobs.map(({ id }) => id),
        );
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const loops = Promise.all(Array.from({ length: LOOPS }, loop));
  return {
    async stop() {
      stopped = true;
      await loops;
    },
  };
}

/** The first job of every key, then the second of every key, and so on. */
function layers(jobs) {
  const seen = new Map();
  const batches = [];
  for (const job of jobs) {
    const nth = seen.get(job.key) ?? 0;
    seen.set(job.key, nth + 1);
    (batches[nth] ??= []).push(job);
  }
  return batches;
}

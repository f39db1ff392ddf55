import { Queue, Worker } from 'bullmq';

// On Redis, as it is made for: one queue under a prefix of its own, jobs removed when they are done.

const QUEUE = 'bench';

export const name = 'bullmq';

export async function open({ database, role }) {
  const { hostname, port, hash } = new URL(database.address);
  const connection = { host: hostname, port: Number(port || 6379), maxRetriesPerRequest: null };
  // What another contender has as a database is a prefix here.
  const prefix = hash.slice(1);
  const queue = new Queue(QUEUE, { connection, prefix });
  queue.on('error', (error) => process.stderr.write(`${error.stack}\n`));
  const opts = { removeOnComplete: true, removeOnFail: true };
  return {
    async accept(job) {
      await queue.add('job', job, opts);
    },
    async preload(jobs) {
      await queue.addBulk(jobs.map((data) => ({ name: 'job', data, opts })));
    },
    async work(handler, { concurrency }) {
      const worker = new Worker(QUEUE, (job) => handler(job.data, 0), { connection, prefix, concurrency });
      worker.on('error', (error) => process.stderr.write(`${error.stack}\n`));
      await worker.waitUntilReady();
      return { stop: () => worker.close() };
    },
    async remaining() {
      const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'prioritized');
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    },
    async close() {
      if (role !== 'worker') await queue.obliterate({ force: true });
      await queue.close();
    },
  };
}
